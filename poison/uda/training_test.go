package uda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/poison/bound"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

var ctx = context.Background()

// methods are all methods in all forms.
func methods() []Method {
	grl := Adversary{Mode: GradientReversal}
	return []Method{
		SourceOnly{}, DANN{}, DANN{grl}, DANN{Adversary{SharedForward: true, Repeats: 2}}, DANN{Adversary{FeaturesFirst: true}},
		CDAN{}, CDAN{Exact: true}, CDAN{Entropy: true}, CDAN{Adversary: grl, Entropy: true}, CDAN{DetachPredictions: true},
		MCD{DiscrepancyRate: .1}, MCD{SharedState: true, FeatureSteps: 1, DiscrepancyRate: .1},
		SSL{}, SSL{Task: DigitRotation}, SSL{Task: Flip}, SSL{Task: DigitFlip}, SSL{Task: Quadrant, Alternate: true},
		IWDAN{}, IWCDAN{}, IWDAN{DANN{grl}},
	}
}

// pictures returns n random images of 16x16 pixels with labels of three classes.
func pictures(seed uint64, n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(seed, 7))
	s := &dataset.Set{Name: "pictures", H: 16, W: 16, C: 1, Classes: 3}
	for i := range n {
		y := i % 3
		s.Labels = append(s.Labels, y)
		for p := range 256 {
			v := 0.3 * rng.Float32()
			if p/16/6 == y {
				v += 0.7
			}
			s.Floats = append(s.Floats, v)
		}
	}
	return s
}

// small is an architecture like Digits with few parameters.
func small() Architecture {
	return Architecture{
		Name: "small",
		Features: func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
			return nn.NewSequential(conv(rng, c, 4, 5, valid), nn.ReLU, nn.MaxPool2D(2, half), nn.Flatten,
				dense(rng, pooled(h)*pooled(w)*4, 12), nn.ReLU, nn.Dropout(.25)), 12
		},
		Head: linearHead,
		Discriminator: func(rng *rand.Rand, width int) nn.Layer {
			return nn.NewSequential(dense(rng, width, 8), nn.ReLU, nn.Dropout(.25), dense(rng, 8, 2))
		},
	}
}

// normalised is small with batch normalisation.
func normalised() Architecture {
	a := small()
	a.Features = func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
		return nn.NewSequential(nn.Flatten, dense(rng, h*w*c, 6), norm(6), nn.ReLU), 6
	}
	return a
}

// Running averages follow both passes, and evaluation uses them.
func TestNormalisedNetworksLearn(t *testing.T) {
	for _, method := range []Method{DANN{}, DANN{Adversary{SharedForward: true}}, MCD{DiscrepancyRate: .1}, SSL{}} {
		tr := smallTraining(method)
		tr.Arch, tr.Epochs = normalised(), 120
		m, err := tr.Run(ctx)
		require.NoError(t, err)
		e, err := Evaluate(ctx, m, tr.Target)
		require.NoError(t, err)
		require.Greater(t, e.Accuracy, .95, method.Name())
	}
}

func smallTraining(method Method) Training {
	return Training{Method: method, Arch: small(), Source: pictures(1, 60), Target: pictures(2, 50), Epochs: 12, BatchSize: 20, LR: 5e-3, Seed: 3}
}

func values(layers ...nn.Layer) (out []float64) {
	for _, l := range layers {
		for _, w := range nn.Params(l) {
			out = append(out, w.Values()...)
		}
	}
	return out
}

// Every method learns the source, in the same bits for any number of threads, and
// every network of it moves.
func TestMethodsLearnTheSameForAnyNumberOfThreads(t *testing.T) {
	defer tensor.SetThreads(0)
	names := map[string]bool{}
	for _, method := range methods() {
		var weights [2][]float64
		for i := range weights {
			tensor.SetThreads(i + 1)
			tr := smallTraining(method)
			fresh, err := tr.New()
			require.NoError(t, err)
			m, err := tr.Run(ctx)
			require.NoError(t, err, method.Name())
			for k, l := range m.networks() {
				require.NotEqual(t, values(fresh.networks()[k]), values(l), "%s: network %d", method.Name(), k)
			}
			weights[i] = values(m.networks()...)
			e, err := Evaluate(ctx, m, tr.Source)
			require.NoError(t, err)
			require.Greater(t, e.Accuracy, .9, "%s %+v", method.Name(), method)
			require.InDelta(t, e.Accuracy, e.On([]int{0, 1, 2}), 1e-12)
			require.Equal(t, e.Accuracy, e.Estimate().Value)
			require.Equal(t, e.N, e.Estimate().Total)
			require.Equal(t, e.On(Shifted(3)), e.EstimateOn(Shifted(3)).Value)
			require.Less(t, e.Estimate().Lo, e.Estimate().Hi)
			require.InDelta(t, 1, e.Accuracy+e.On([]int{1, 2, 0})+e.On([]int{2, 0, 1}), 1e-12)
		}
		require.Equal(t, weights[0], weights[1], method.Name())
		names[method.Name()] = true
	}
	require.Len(t, names, 15)
}

// parts returns a model of a method and a turn over a batch.
func parts(t *testing.T, method Method) (*Model, Batch) {
	tr := smallTraining(method)
	m, err := tr.New()
	require.NoError(t, err)
	m.rng = rand.New(rand.NewPCG(1, 1))
	var b Batch
	b.Source, b.Y = tr.Source.Batch([]int{0, 1, 2, 3, 4})
	b.Target, _ = tr.Target.Batch([]int{5, 6, 7, 8})
	b.LR, b.Progress = 1e-2, .5
	return m, b
}

func TestStepsChangeOnlyWhatTheyMay(t *testing.T) {
	for _, c := range []CDAN{{}, {Entropy: true}, {Exact: true}} {
		m, b := parts(t, c)
		turn := turn{Model: m, adversarial: c.adversarial(), b: b, n: 5, both: tensor.Concat(0, b.Source, b.Target)}
		turn.truth, turn.inverted = domains(5, 4)
		others, d := values(m.G, m.Heads[0]), values(m.Discriminator)
		turn.discriminate(&Losses{})
		require.Equal(t, others, values(m.G, m.Heads[0]))
		require.NotEqual(t, d, values(m.Discriminator))
		d = values(m.Discriminator)
		turn.features(&Losses{})
		require.Equal(t, d, values(m.Discriminator))
		require.NotEqual(t, others, values(m.G, m.Heads[0]))
	}
	m, b := parts(t, MCD{})
	g, heads := values(m.G), values(m.Heads...)
	m.diverge(b, 1e-2, "")
	require.Equal(t, g, values(m.G))
	require.NotEqual(t, heads, values(m.Heads...))
	heads = values(m.Heads...)
	m.converge(b, 1e-2, "")
	require.Equal(t, heads, values(m.Heads...))
	require.NotEqual(t, g, values(m.G))
}

// The classifier's gradient in the step of the features is that of plain
// cross-entropy, while the features' gradient has the domain loss in it.
func TestDomainLossDoesNotReachTheClassifier(t *testing.T) {
	grads := func(method Method) (g, c []float64) {
		tr := smallTraining(method)
		var all [][]float64
		tr.Optimizer = func() optim.Optimizer { return recorder{&all} }
		m, err := tr.New()
		require.NoError(t, err)
		_, b := parts(t, method)
		// Dropout draws its masks in the same order in both: the class pass first.
		m.rng = rand.New(rand.NewPCG(1, 1))
		if a, ok := method.(CDAN); ok {
			tn := turn{Model: m, adversarial: a.adversarial(), b: b, n: 5, both: tensor.Concat(0, b.Source, b.Target)}
			tn.truth, tn.inverted = domains(5, 4)
			tn.features(&Losses{})
		} else {
			m.supervised(b, "")
		}
		return all[0], all[1]
	}
	g0, c0 := grads(SourceOnly{})
	g1, c1 := grads(CDAN{})
	g2, c2 := grads(CDAN{DetachPredictions: true})
	require.Equal(t, c0, c1)
	require.Equal(t, c0, c2)
	require.NotEqual(t, g0, g1)
	require.NotEqual(t, g0, g2)
	require.NotEqual(t, g1, g2)
}

// recorder keeps gradients and moves nothing.
type recorder struct{ all *[][]float64 }

func (r recorder) Step(_ float64, _, grads []*tensor.Tensor) {
	var v []float64
	for _, g := range grads {
		v = append(v, g.Values()...)
	}
	*r.all = append(*r.all, v)
}
func (recorder) State() map[string]*tensor.Tensor                           { return nil }
func (recorder) SetState([]*tensor.Tensor, map[string]*tensor.Tensor) error { return nil }
func (recorder) String() string                                             { return "recorder" }

// Without dropout, step B drives the classifiers apart on the batch and step C
// brings them together.
func TestMCDStepsMoveTheDiscrepancy(t *testing.T) {
	m, b := parts(t, MCD{})
	d := func() float64 {
		f := m.Features(b.Target)
		return Discrepancy(m.Heads[0].Forward(&nn.Pass{}, f), m.Heads[1].Forward(&nn.Pass{}, f)).Item()
	}
	plain := nn.NewSequential()
	for _, l := range m.G.(*nn.Sequential).Layers()[:6] {
		plain.Add(string(rune('a'+len(plain.Layers()))), l)
	}
	m.G = plain
	before := d()
	for range 3 {
		m.diverge(b, 1e-3, "")
	}
	apart := d()
	require.Greater(t, apart, before)
	m.converge(b, 1e-4, "")
	require.Less(t, d(), apart)
}

func TestRestoreIsExact(t *testing.T) {
	for _, method := range methods() {
		tr := smallTraining(method)
		m, err := tr.New()
		require.NoError(t, err)
		require.NoError(t, tr.Epoch(ctx, m, 0))
		kept := m.Snapshot()
		require.NoError(t, tr.Epoch(ctx, m, 1))
		once, weights := values(m.networks()...), m.Weights()
		require.NoError(t, tr.Epoch(ctx, m, 2))
		require.NoError(t, m.Restore(kept))
		require.NoError(t, tr.Epoch(ctx, m, 1))
		require.Equal(t, once, values(m.networks()...), method.Name())
		require.Equal(t, weights, m.Weights())
	}
	m, err := smallTraining(MCD{}).New()
	require.NoError(t, err)
	o, err := smallTraining(DANN{}).New()
	require.NoError(t, err)
	require.ErrorContains(t, m.Restore(o.Snapshot()), "tensors")
}

// A state without memory of an optimiser makes it start anew.
func TestRestoreToFreshForgetsMoments(t *testing.T) {
	tr := smallTraining(DANN{})
	m, err := tr.New()
	require.NoError(t, err)
	fresh := m.Snapshot()
	require.NoError(t, tr.Epoch(ctx, m, 0))
	want := values(m.networks()...)
	require.NoError(t, m.Restore(fresh))
	require.NoError(t, tr.Epoch(ctx, m, 0))
	require.Equal(t, want, values(m.networks()...))
}

func TestParameterCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	count := func(a Architecture, h, c int) (g int, width int) {
		l, w := a.Features(rng, h, h, c)
		return nn.CountParams(l), w
	}
	d, s := Digits(), HouseNumbers()
	g1, w := count(d, 28, 1)
	g3, _ := count(d, 28, 3)
	require.Equal(t, []int{426070, 427070, 500}, []int{g1, g3, w})
	require.Equal(t, []int{5010, 1002, 2004}, []int{nn.CountParams(d.Head(rng, 500, 10)), nn.CountParams(d.Head(rng, 500, 2)), nn.CountParams(d.Head(rng, 500, 4))})
	require.Equal(t, []int{502002, 508002}, []int{nn.CountParams(d.Discriminator(rng, 500)), nn.CountParams(d.Discriminator(rng, 512))})
	gm, wm := count(DigitsMCD(), 28, 3)
	require.Equal(t, []int{40880, 768, 88010}, []int{gm, wm, nn.CountParams(DigitsMCD().Head(rng, 768, 10))})
	gs, ws := count(s, 32, 3)
	require.Equal(t, []int{3128832, 512, 5130}, []int{gs, ws, nn.CountParams(s.Head(rng, 512, 10))})
	// The network of SVHN runs, with outputs of half the size from stage to stage.
	net, _ := s.Features(rng, 32, 32, 3)
	require.Equal(t, []int{2, 512}, net.Forward(&nn.Pass{}, tensor.Uniform(rng, tensor.Float32, 0, 1, 2, 32, 32, 3)).Shape())
}

// blobs are n points of standard deviation 0.3 around the means of a mixture.
func blobs(rng *rand.Rand, m bound.Mixture, n int) *dataset.Set {
	s := &dataset.Set{Name: "blobs", H: 1, W: 1, C: 2, Classes: 2}
	for i := range n {
		mean := m.Means[i%2]
		s.Floats = append(s.Floats, float32(mean[0]+.3*rng.NormFloat64()), float32(mean[1]+.3*rng.NormFloat64()))
		y := 0
		if m.Labels[0]*mean[0]+m.Labels[1]*mean[1] > 0 {
			y = 1
		}
		s.Labels = append(s.Labels, y)
	}
	return s
}

// outcome is the accuracy on u after training; one below 0.97 on s is an error.
func outcome(tr Training, s, u *dataset.Set) (float64, error) {
	m, err := tr.Run(ctx)
	if err != nil {
		return 0, err
	}
	source, err := Evaluate(ctx, m, s)
	if err != nil {
		return 0, err
	}
	if source.Accuracy <= .97 {
		return 0, fmt.Errorf("seed %d: source accuracy is %v", tr.Seed, source.Accuracy)
	}
	target, err := Evaluate(ctx, m, u)
	return target.Accuracy, err
}

// The message of the paper: the same method on the same kind of data succeeds,
// fails, or does either by luck, and the source's accuracy does not tell.
func TestSameMethodSucceedsFailsOrEither(t *testing.T) {
	const seeds = 8
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	for _, c := range bound.Cases() {
		var target [seeds]float64
		var errs [seeds]error
		var wg sync.WaitGroup
		for seed := range seeds {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(seed), 77))
				s, u := blobs(rng, c.Source, 200), blobs(rng, c.Target, 200)
				tr := Training{Method: DANN{}, Arch: Plane(), Source: s, Target: u, Epochs: 1500, BatchSize: 200, LR: 5e-3, Seed: uint64(seed)}
				target[seed], errs[seed] = outcome(tr, s, u)
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs[:]...), c.Name)
		good, bad := 0, 0
		for _, v := range target {
			if v > .9 {
				good++
			} else if v < .1 {
				bad++
			}
		}
		t.Log(c.Name, target)
		switch c.Name {
		case bound.Favorable.Name:
			require.Equal(t, seeds, good, "%v", target)
		case bound.Unfavorable.Name:
			require.Equal(t, seeds, bad, "%v", target)
		default:
			require.Equal(t, seeds, good+bad, "%v", target)
			require.NotZero(t, good)
			require.NotZero(t, bad)
		}
	}
}

func TestDivergenceIsAnError(t *testing.T) {
	tr := smallTraining(DANN{})
	tr.LR = 1e30
	m, err := tr.Run(ctx)
	require.Nil(t, m)
	var d *DivergedError
	require.True(t, errors.As(err, &d), "%v", err)
	require.ErrorContains(t, err, "DANN diverged in iteration")
}

func TestKeepChoosesTheSource(t *testing.T) {
	tr := smallTraining(SourceOnly{})
	tr.Epochs = 2
	var kept []int
	tr.Keep = func(_ context.Context, epoch int, _ *Model, s *dataset.Set) ([]int, error) {
		var idx []int
		for i := range s.Len() - 20*epoch {
			idx = append(idx, i)
		}
		return idx, nil
	}
	tr.OnEpoch = func(e Epoch, _ *Model) error { kept = append(kept, e.Kept); return nil }
	_, err := tr.Run(ctx)
	require.NoError(t, err)
	require.Equal(t, []int{60, 40}, kept)
	tr.Keep = func(context.Context, int, *Model, *dataset.Set) ([]int, error) { return []int{60}, nil }
	_, err = tr.Run(ctx)
	require.ErrorContains(t, err, "image 60")
}

func TestCancelledTrainingStops(t *testing.T) {
	tr := smallTraining(SourceOnly{})
	c, cancel := context.WithCancel(ctx)
	tr.OnEpoch = func(e Epoch, _ *Model) error { cancel(); return nil }
	m, err := tr.Run(c)
	require.ErrorIs(t, err, context.Canceled)
	require.NotNil(t, m)
}

// Training that ends early gives what it has, unless it has diverged.
func TestRunGivesWhatTrainingHasReached(t *testing.T) {
	once := smallTraining(SourceOnly{})
	once.Epochs = 1
	want, err := once.Run(ctx)
	require.NoError(t, err)
	stop := errors.New("enough")
	for name, change := range map[string]func(*Training){
		"OnEpoch": func(t *Training) { t.OnEpoch = func(Epoch, *Model) error { return stop } },
		"Keep": func(t *Training) {
			t.Keep = func(_ context.Context, epoch int, _ *Model, s *dataset.Set) ([]int, error) {
				if epoch == 1 {
					return nil, stop
				}
				all := make([]int, s.Len())
				for i := range all {
					all[i] = i
				}
				return all, nil
			}
		},
	} {
		tr := smallTraining(SourceOnly{})
		change(&tr)
		m, err := tr.Run(ctx)
		require.ErrorIs(t, err, stop, name)
		require.NotNil(t, m, name)
		require.Equal(t, values(want.networks()...), values(m.networks()...), name)
	}
	c, cancel := context.WithCancel(ctx)
	tr := smallTraining(broken{cancel: cancel})
	m, err := tr.Run(c)
	var d *DivergedError
	require.ErrorAs(t, err, &d)
	require.Nil(t, m, "cancelled or not, a model that diverged is of no use")
	require.ErrorIs(t, c.Err(), context.Canceled)
	tr.Epochs = 0
	m, err = tr.Run(ctx)
	require.ErrorContains(t, err, "0 epochs")
	require.Nil(t, m)
}

// broken diverges in its first step, and cancels.
type broken struct {
	SourceOnly
	cancel func()
}

func (b broken) Step(*Model, Batch) Losses {
	b.cancel()
	return Losses{Class: math.NaN()}
}

func TestBadTrainingIsAnError(t *testing.T) {
	for want, change := range map[string]func(*Training){
		"the source is empty":       func(t *Training) { t.Source = &dataset.Set{} },
		"the target is empty":       func(t *Training) { t.Target = nil },
		"target images are 16x16x1": func(t *Training) { s := *t.Source; s.H, s.W, s.C = 8, 16, 2; t.Source = &s },
		"is 3, want it in [0, 3)":   func(t *Training) { s := *t.Source; s.Labels = append([]int{3}, s.Labels[1:]...); t.Source = &s },
		"has 1 classes":             func(t *Training) { s := *t.Source; s.Classes = 1; t.Source = &s },
		"is NaN": func(t *Training) {
			s := *t.Target
			s.Floats = append([]float32{float32(math.NaN())}, s.Floats[1:]...)
			t.Target = &s
		},
		"batch size 51":              func(t *Training) { t.BatchSize = 51 },
		"batches of 55":              func(t *Training) { t.BatchSize, t.TargetAsSource = 55, true },
		"no whole batch of 40 among": func(t *Training) { t.BatchSize, t.DropLast, t.Source = 40, true, t.Source.Take(30) },
		"0 epochs":                   func(t *Training) { t.Epochs = 0 },
		"learning rate is -1":        func(t *Training) { t.LR = -1 },
		"learning rate is 0 at":      func(t *Training) { t.Schedule = func(float64) float64 { return 0 } },
		"-1 repeats":                 func(t *Training) { t.Method = DANN{Adversary{Repeats: -1}} },
		"mode 7":                     func(t *Training) { t.Method = DANN{Adversary{Mode: 7}} },
		"take the random map": func(t *Training) {
			a := t.Arch
			t.Method, t.Arch.Features = CDAN{Exact: true}, func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
				g, _ := a.Features(rng, h, w, c)
				return g, MaxExactWidth
			}
		},
		"no method":                         func(t *Training) { t.Method = nil },
		"-1 feature":                        func(t *Training) { t.Method = MCD{FeatureSteps: -1} },
		"lacks a network":                   func(t *Training) { t.Arch = Architecture{Name: "x"} },
		"a batch of 1 among batches of 1,":  func(t *Training) { t.Arch, t.BatchSize = normalised(), 1 },
		"a batch of 1 among batches of 59,": func(t *Training) { t.Arch, t.BatchSize, t.TargetAsSource, t.Target = normalised(), 59, true, t.Source },
	} {
		tr := smallTraining(DANN{})
		change(&tr)
		_, err := tr.Run(ctx)
		require.ErrorContains(t, err, want)
	}
}

// Where features tell the domains apart and labels are swapped, the diagnosis shows
// both.
func TestDiagnosisShowsSwappedLabels(t *testing.T) {
	tr := smallTraining(DANN{})
	m, err := tr.Run(ctx)
	require.NoError(t, err)
	target := *pictures(9, 60)
	same, err := Diagnose(ctx, m, tr.Source, &target, 6, 1)
	require.NoError(t, err)
	swapped := target
	swapped.Labels = nil
	for _, y := range target.Labels {
		swapped.Labels = append(swapped.Labels, (y+1)%3)
	}
	d, err := Diagnose(ctx, m, tr.Source, &swapped, 6, 1)
	require.NoError(t, err)
	require.Less(t, same.TargetError, .1)
	require.Greater(t, d.TargetError, .9)
	require.Greater(t, d.Bounds.SourceMismatch, same.Bounds.SourceMismatch+.4)
	require.InDelta(t, d.Bounds.TV, same.Bounds.TV, 1e-12)
	require.LessOrEqual(t, d.Bounds.Lower, d.Bounds.TargetError+1e-9)
	_, err = Diagnose(ctx, m, tr.Source.Take(2), tr.Source.Take(2), 6, 1)
	require.ErrorContains(t, err, "6 clusters of 4 rows")
}

// What Diagnosis says of its bins: fewer of them never raise the distance, and few examples
// of one and the same domain show a distance and a disagreement that are not there.
func TestBinsLowerTheDistanceAndFewExamplesRaiseIt(t *testing.T) {
	const bins, seed = 16, 4
	rng := rand.New(rand.NewPCG(seed, 1))
	// Bin b of a domain has label 1 with probability 1/2; predictions are even.
	draw := func(n int, mass []float64) (*dataset.Set, []int, *tensor.Tensor) {
		s := &dataset.Set{Classes: 2, H: 1, W: 1, C: 1, Floats: make([]float32, n)}
		of := make([]int, n)
		for i := range n {
			u := rng.Float64()
			for b, m := range mass {
				if of[i] = b; u < m {
					break
				}
				u -= m
			}
			s.Labels = append(s.Labels, rng.IntN(2))
		}
		return s, of, tensor.Full(tensor.Float32, 0.5, n, 2)
	}
	estimate := func(n int, ps, pt []float64) func(merge int) bound.Bounds {
		s, a, p := draw(n, ps)
		u, b, q := draw(n, pt)
		return func(merge int) bound.Bounds {
			var of []int
			for _, c := range slices.Concat(a, b) {
				of = append(of, c/merge)
			}
			d, err := binned(of, []*dataset.Set{s, u}, [2]*tensor.Tensor{p, q}, bins/merge).Bounds()
			require.NoError(t, err)
			return d
		}
	}
	even, slope := make([]float64, bins), make([]float64, bins)
	for b := range bins {
		even[b] = 1.0 / bins
		slope[b] = float64(b+1) / (bins * (bins + 1) / 2)
	}
	apart := estimate(500, even, slope)
	for _, merge := range []int{1, 2, 4, 8} {
		require.LessOrEqual(t, apart(2*merge).TV, apart(merge).TV+1e-12, "seed %d", seed)
	}
	few, many := estimate(40, even, even)(1), estimate(20000, even, even)(1)
	require.Greater(t, few.TV, .1)
	require.Less(t, many.TV, .05)
	require.Greater(t, few.SourceMismatch, .1)
	require.Less(t, many.SourceMismatch, .05)
}

// Every batch is drawn without replacement, and every image is drawn about as often.
func TestTargetBatchesHaveNoRepeats(t *testing.T) {
	s := newSampler(rand.New(rand.NewPCG(1, 1)), 10)
	var times [10]int
	for range 5000 {
		seen := map[int]bool{}
		for _, i := range s.take(4) {
			require.False(t, seen[i])
			seen[i] = true
			times[i]++
		}
	}
	for _, n := range times {
		require.InDelta(t, 2000, n, 5*35)
	}
}

package minmax_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	. "github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/internal/gradcheck"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// network is a small random classifier of images [h, w, 1] into five classes.
func network(seed uint64, h, w int) attack.Model {
	r := rand.New(rand.NewPCG(seed, 9))
	return nn.Classifier{Net: nn.NewMLP(r, h, w, 1, 12, 5)}
}

// counted counts forward passes and the rows in them.
type counted struct {
	attack.Model
	calls, rows *atomic.Int64
}

func (c counted) Logits(x *tensor.Tensor) *tensor.Tensor {
	c.calls.Add(1)
	c.rows.Add(int64(x.Dim(0)))
	return c.Model.Logits(x)
}

func count(m attack.Model) counted { return counted{m, new(atomic.Int64), new(atomic.Int64)} }

func inputs(seed uint64, n, h, w int) (*tensor.Tensor, []int) {
	r := rand.New(rand.NewPCG(seed, 5))
	y := make([]int, n)
	for i := range y {
		y[i] = r.IntN(5)
	}
	return tensor.Uniform(r, tensor.Float32, 0, 1, n, h, w, 1), y
}

// The margin of (2, 5, 4.5, -1) with label 1 is 0.5; a maximum over masked logits
// that the mask sets to 0 instead of leaving out would give 5 + 50, and 0 for the
// negative logits below.
func TestMarginLoss(t *testing.T) {
	tape := tensor.NewTape()
	z := tape.Watch(tensor.FromFloat64([]float64{2, 5, 4.5, -1}, 1, 4))
	f := PaperMargin.Values(z, attack.Rows{Y: []int{1}})
	require.InDelta(t, 50.5, f.At(0), 1e-12)
	require.Equal(t, []float64{0, 1, -1, 0}, tensor.Grad(tensor.Sum(f), z)[0].Values())

	negative := tensor.FromFloat64([]float64{-5, -3, -4}, 1, 3)
	require.Equal(t, 1.0, Margin{}.Values(negative, attack.Rows{Y: []int{1}}).At(0))
	for _, c := range []struct {
		kappa, want float64
		y           int
	}{{0, 0, 0}, {1, 0, 0}, {3, 1, 0}, {50, 49, 2}} {
		require.Equal(t, c.want, Margin{c.kappa}.Values(negative, attack.Rows{Y: []int{c.y}}).At(0))
	}
	require.Equal(t, 3.0, Margin{1}.Values(negative, attack.Rows{Y: []int{1}, Target: []int{0}}).At(0), "the target lies 2 behind")

	w := tape.Watch(tensor.FromFloat64([]float64{7, 1, 7}, 1, 3))
	g := tensor.Grad(tensor.Sum(PaperMargin.Values(w, attack.Rows{Y: []int{1}})), w)[0]
	require.Equal(t, []float64{-1, 1, 0}, g.Values(), "the first of equal runners-up")
	done := tensor.Grad(tensor.Sum(Margin{}.Values(w, attack.Rows{Y: []int{1}})), w)[0]
	require.Equal(t, []float64{0, 0, 0}, done.Values(), "no gradient once fooled")

	ce := Against{attack.CrossEntropy{}}.Values(negative, attack.Rows{Y: []int{1}, Index: []int{0}})
	require.InDelta(t, -3-math.Log(math.Exp(-5)+math.Exp(-4)), ce.At(0), 1e-12)
}

// The gradient of the weighted loss, through each transformation and to the shared
// perturbation of a group, is that of central differences.
func TestGradientOfWeightedLosses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	x, y := inputs(1, 6, 5, 5)
	x = x.To(tensor.Float64)
	model := wide{r: tensor.Normal(r, tensor.Float64, 0, 1, 25, 5)}
	weights := tensor.FromFloat64([]float64{0.3, 0.2, 0.1, 0.2, 0.1, 0.1}, 1, 6)
	at := func(n int) Rows {
		rows := make([]int, n)
		for i := range rows {
			rows[i] = i
		}
		return Rows{Index: rows, Source: func(i int) *rand.Rand { return rand.New(rand.NewPCG(3, uint64(i))) }}
	}
	for _, set := range [][]transform.Transform{transform.Photometric(), transform.Stochastic()[:6], transform.WithRotation()[1:]} {
		for _, lambda := range []float64{0, 0.5} {
			s := Transformations(model, set, x, y)
			s.Loss, s.Lambda = Margin{Kappa: 40}, lambda
			v := tensor.Add(tensor.MulScalar(x, 0.9), tensor.Full(tensor.Float64, 0.05, x.Shape()...))
			require.NoError(t, gradcheck.Check(r, 1e-5, func(xs []*tensor.Tensor) *tensor.Tensor {
				out, err := s.Play(t.Context(), xs[0], at(6))
				require.NoError(t, err)
				return tensor.Mul(out.Losses, weights)
			}, v))
		}
	}
	for i, v := range x.Float64s() { // so that x + v is not at the edge of the box
		x.Float64s()[i] = math.Round(10*v) / 10
	}
	for _, rule := range []BoxRule{BoxIntersect, BoxClipEach} {
		g := &Group{Model: model, X: x, Y: y, Size: 3, BoxRule: rule, Loss: Margin{Kappa: 40}}
		require.NoError(t, gradcheck.Check(r, 1e-6, func(xs []*tensor.Tensor) *tensor.Tensor {
			out, err := g.Play(t.Context(), xs[0], at(2))
			require.NoError(t, err)
			return tensor.Square(out.Losses)
		}, tensor.Uniform(r, tensor.Float64, 0.02, 0.08, 2, 5, 5, 1)))
	}
}

// wide is a smooth classifier in float64.
type wide struct{ r *tensor.Tensor }

func (m wide) Logits(x *tensor.Tensor) *tensor.Tensor {
	return tensor.MulScalar(tensor.Tanh(tensor.MatMul(tensor.Flatten(x), m.r)), 3)
}

// With K equal models the weights stay at 1/K, whatever gamma, and the attack is
// that on one model, step by step.
func TestEqualModelsAreOneModel(t *testing.T) {
	x, y := inputs(2, 10, 6, 6)
	m := network(1, 6, 6)
	for _, gamma := range []float64{0, 3} {
		for steps := 1; steps <= 4; steps++ {
			a := APGDA{Threat: attack.Threat{Norm: attack.L2, Eps: 1}, Rule: MinMax{Beta: 0.02, Gamma: gamma}, Steps: steps, StepSize: 0.1}
			three, err := a.Run(ctx, Ensemble([]attack.Model{m, m, m}, x, y))
			require.NoError(t, err)
			for _, w := range three.Weights {
				require.InDeltaSlice(t, []float64{1. / 3, 1. / 3, 1. / 3}, w, 1e-15)
			}
			a.Rule = Average{}
			one, err := a.Run(ctx, Ensemble([]attack.Model{m}, x, y))
			require.NoError(t, err)
			require.InDeltaSlice(t, one.Point.Values(), three.Point.Values(), 1e-5)
		}
	}
}

// A sign step with all weight on one model is PGD on the margin.
func TestOneModelIsPGD(t *testing.T) {
	x, y := inputs(3, 10, 6, 6)
	m := network(1, 6, 6)
	th := attack.Threat{Norm: attack.Linf, Eps: 0.1}
	res, err := (&APGDA{Threat: th, Rule: Average{}, Steps: 5, StepSize: 0.03, Normalize: true, Start: ZeroStart}).Run(ctx, Ensemble([]attack.Model{m}, x, y))
	require.NoError(t, err)
	pgd := attack.PGD{Threat: th, Steps: 5, StepSize: 0.03, NoRandomStart: true, Objective: attack.Margin{Confidence: 50}}
	want, err := pgd.Perturb(ctx, m, x, y)
	require.NoError(t, err)
	require.InDeltaSlice(t, want.Values(), res.Point.Values(), 1e-6)
}

// scenarios are all kinds of domains on the same inputs.
func scenarios(x *tensor.Tensor, y []int, wrap func(attack.Model) attack.Model) map[string]Domains {
	h, w := x.Dim(1), x.Dim(2)
	a, b := wrap(network(1, h, w)), wrap(network(2, h, w))
	product := Ensemble([]attack.Model{a, b}, x, y)
	product.Transforms = []transform.Transform{transform.Identity{}, transform.Rotation{Degrees: transform.Range{Lo: -20, Hi: 20}}}
	return map[string]Domains{
		"ensemble":        Ensemble([]attack.Model{a, b}, x, y),
		"transformations": Transformations(a, transform.Stochastic(), x, y),
		"product":         product,
		"group":           &Group{Model: a, X: x, Y: y, Size: 4},
		"clipped group":   &Group{Model: a, X: x, Y: y, Size: 4, BoxRule: BoxClipEach},
	}
}

func same(m attack.Model) attack.Model { return m }

// Every point that comes back is in the ball and the box exactly, under every norm
// and rule, and what is said of it is true.
func TestPointsLieInTheSetAndOutcomesAreTrue(t *testing.T) {
	x, y := inputs(4, 24, 6, 6)
	kept := x.Clone()
	for name, d := range scenarios(x, y, same) {
		for _, n := range norms {
			for _, rule := range []Rule{nil, Average{}, Worst{}, Clip{Level: 50}} {
				th := attack.Threat{Norm: n, Eps: map[attack.Norm]float64{attack.Linf: 0.1, attack.L2: 0.6, attack.L1: 2, attack.L0: 5}[n]}
				a := APGDA{Threat: th, Rule: rule, Steps: 6, StepSize: 0.2}
				res, err := a.Run(ctx, d)
				require.NoError(t, err)
				for _, v := range th.Distance(res.Point, d.Center()) {
					require.LessOrEqual(t, v, th.Eps, "%s %v", name, n)
				}
				all := res.Point
				if g, ok := d.(*Group); ok {
					all = g.Inputs(res.Point)
				}
				for _, v := range all.Values() {
					require.True(t, v >= 0 && v <= 1, "%s %v: %v", name, n, v)
				}
				if name != "transformations" && name != "product" { // these draw anew at each step
					fooled, losses, err := Judge(ctx, d, res.Point, 0)
					require.NoError(t, err)
					require.Equal(t, fooled, res.Fooled)
					require.InDeltaSlice(t, flat(losses), flat(res.Losses), 1e-4)
				}
			}
		}
		require.Equal(t, kept.Values(), x.Values(), "the inputs are left alone")
	}
}

func flat(rows [][]float64) (out []float64) {
	for _, r := range rows {
		out = append(out, r...)
	}
	return out
}

// A row's outcome depends neither on its company, nor on the batch size, nor on the
// number of threads.
func TestRowsAreAttackedOneByOne(t *testing.T) {
	x, y := inputs(5, 24, 6, 6)
	for name, d := range scenarios(x, y, same) {
		a := APGDA{Threat: attack.Threat{Norm: attack.L1, Eps: 2}, Steps: 5, StepSize: 0.2, Start: NormalStart, Seed: 3}
		all, err := a.Run(ctx, d)
		require.NoError(t, err)
		for _, size := range []int{1, 5} {
			a.BatchSize = size
			cut, err := a.Run(ctx, d)
			require.NoError(t, err)
			require.InDeltaSlice(t, all.Point.Values(), cut.Point.Values(), 1e-5, name)
			require.InDeltaSlice(t, flat(all.Weights), flat(cut.Weights), 1e-5, name)
		}
		tensor.SetThreads(1)
		a.BatchSize = 0
		one, err := a.Run(ctx, d)
		tensor.SetThreads(0)
		require.NoError(t, err)
		require.Equal(t, all.Point.Values(), one.Point.Values(), name)
		require.Equal(t, all.Weights, one.Weights, name)
	}
}

// A perturbed group is valid for every member; projecting onto one member's box
// after the other would not end in all of them.
func TestSharedPerturbationSuitsEveryMember(t *testing.T) {
	x, y := inputs(6, 20, 6, 6)
	for i, v := range x.Float32s() { // many black and white pixels
		x.Float32s()[i] = min(1, max(0, 3*v-1))
	}
	for _, n := range norms {
		g := &Group{Model: network(3, 6, 6), X: x, Y: y, Size: 5}
		th := attack.Threat{Norm: n, Eps: map[attack.Norm]float64{attack.Linf: 0.2, attack.L2: 0.6, attack.L1: 2, attack.L0: 5}[n]}
		res, err := (&APGDA{Threat: th, Steps: 10}).Run(ctx, g)
		require.NoError(t, err)
		delta := res.Point.Values()
		moved := 0
		for k, v := range x.Values() {
			d := delta[k/36/5*36+k%36]
			require.True(t, v+d >= 0 && v+d <= 1)
			if d != 0 {
				moved++
			}
		}
		require.Positive(t, moved)
		for _, v := range th.Distance(res.Point, g.Center()) {
			require.LessOrEqual(t, v, th.Eps)
		}
	}
}

// An iteration costs one forward pass of each model, not two, and the end one more.
func TestOneForwardPassForEachModelAndStep(t *testing.T) {
	x, y := inputs(7, 12, 6, 6)
	const steps = 7
	a := APGDA{Threat: box(0.1), Steps: steps, BatchSize: 100}
	one, two := count(network(1, 6, 6)), count(network(2, 6, 6))
	_, err := a.Run(ctx, Ensemble([]attack.Model{one, two}, x, y))
	require.NoError(t, err)
	require.EqualValues(t, steps+1, one.calls.Load())
	require.EqualValues(t, steps+1, two.calls.Load())
	require.EqualValues(t, 12*(steps+1), one.rows.Load())

	one = count(network(1, 6, 6))
	_, err = a.Run(ctx, Transformations(one, transform.Photometric(), x, y))
	require.NoError(t, err)
	require.EqualValues(t, steps+1, one.calls.Load())
	one = count(network(1, 6, 6))
	_, err = a.Run(ctx, &Group{Model: one, X: x, Y: y, Size: 4})
	require.NoError(t, err)
	require.EqualValues(t, steps+1, one.calls.Load())
	require.EqualValues(t, 12*(steps+1), one.rows.Load())
}

// once is a model whose derivative cannot be differentiated in turn: building the graph
// of a gradient panics. It counts backward passes.
type once struct {
	attack.Model
	backward *atomic.Int64
}

func (m once) Logits(x *tensor.Tensor) *tensor.Tensor {
	z := m.Model.Logits(x)
	same := tensor.FromFloat32(append([]float32(nil), z.Float32s()...), z.Shape()...)
	return tensor.Custom(tensor.Rule{Name: "once", FirstOrder: true, Backward: func(g *tensor.Tensor, _ []bool) []*tensor.Tensor {
		m.backward.Add(1)
		return []*tensor.Tensor{g}
	}}, same, z)
}

// An iteration goes back through each model once, and never through a gradient.
func TestNoGraphOfGradients(t *testing.T) {
	x, y := inputs(7, 12, 6, 6)
	const steps = 7
	a := APGDA{Threat: box(0.1), Steps: steps, BatchSize: 100}
	for name, domains := range map[string]func(attack.Model) Domains{
		"ensemble":        func(m attack.Model) Domains { return Ensemble([]attack.Model{m, network(2, 6, 6)}, x, y) },
		"transformations": func(m attack.Model) Domains { return Transformations(m, transform.Photometric(), x, y) },
		"group":           func(m attack.Model) Domains { return &Group{Model: m, X: x, Y: y, Size: 4} },
	} {
		m := once{network(1, 6, 6), new(atomic.Int64)}
		_, err := a.Run(ctx, domains(m))
		require.NoError(t, err, name)
		require.EqualValues(t, steps, m.backward.Load(), name)
	}
	require.Panics(t, func() {
		tape := tensor.NewTape()
		in := tape.Watch(x)
		tensor.Gradients(tensor.Sum(once{network(1, 6, 6), new(atomic.Int64)}.Logits(in)), tensor.GradOptions{CreateGraph: true}, in)
	}, "what the test relies on")
}

func TestTargetsAndAttackLabels(t *testing.T) {
	x, y := inputs(8, 30, 6, 6)
	models := []attack.Model{network(1, 6, 6), network(2, 6, 6)}
	s := Ensemble(models, x, y)
	s.Targets = make([]int, len(y))
	for i, l := range y {
		s.Targets[i] = (l + 1) % 5
	}
	a := APGDA{Threat: box(0.5), Steps: 40, StepSize: 0.05, Normalize: true}
	res, err := a.Run(ctx, s)
	require.NoError(t, err)
	for m, model := range models {
		answers, err := attack.Predict(ctx, model, res.Point)
		require.NoError(t, err)
		for i := range y {
			require.Equal(t, answers[i] == s.Targets[i], res.Fooled[i][m])
		}
	}
	require.Greater(t, Score(res.Fooled).All.Value, 0.3)

	// Working from the models' own answers, the attack leads away from these.
	s = Ensemble(models, x, y)
	s.AttackLabels, err = s.CleanLabels(ctx, 0)
	require.NoError(t, err)
	for m, model := range models {
		answers, err := attack.Predict(ctx, model, x)
		require.NoError(t, err)
		require.Equal(t, answers, s.AttackLabels[m])
	}
	res, err = a.Run(ctx, s)
	require.NoError(t, err)
	for m, model := range models {
		answers, err := attack.Predict(ctx, model, res.Point)
		require.NoError(t, err)
		changed := 0
		for i := range y {
			require.Equal(t, answers[i] != y[i], res.Fooled[i][m], "who is fooled is judged by the truth")
			if answers[i] != s.AttackLabels[m][i] {
				changed++
			}
		}
		require.Greater(t, changed, 25)
	}
}

// The best of several restarts and iterates beats the last iterate of one.
func TestKeptPointsAreAtLeastAsGood(t *testing.T) {
	x, y := inputs(9, 30, 6, 6)
	d := Ensemble([]attack.Model{network(1, 6, 6), network(2, 6, 6), network(3, 6, 6)}, x, y)
	a := APGDA{Threat: box(0.15), Steps: 10, StepSize: 0.1}
	run := func(change func(*APGDA)) Result {
		b := a
		change(&b)
		res, err := b.Run(ctx, d)
		require.NoError(t, err)
		fooled, losses, err := Judge(ctx, d, res.Point, 0)
		require.NoError(t, err)
		require.Equal(t, fooled, res.Fooled)
		require.InDeltaSlice(t, flat(losses), flat(res.Losses), 1e-4)
		return res
	}
	last := run(func(*APGDA) {})
	best := run(func(b *APGDA) { b.KeepBest = true })
	more := run(func(b *APGDA) { b.KeepBest, b.Restarts = true, 3 })
	wins := func(r Result, i int) (n int) {
		for _, w := range r.Fooled[i] {
			if w {
				n++
			}
		}
		return n
	}
	gained := false
	for i := range y {
		require.GreaterOrEqual(t, wins(best, i), wins(last, i))
		require.GreaterOrEqual(t, wins(more, i), wins(best, i))
		if wins(best, i) == wins(last, i) {
			require.LessOrEqual(t, Worst{}.Value(best.Losses[i]), Worst{}.Value(last.Losses[i])+1e-6)
		}
		gained = gained || fmt.Sprint(more.Losses[i]) != fmt.Sprint(best.Losses[i])
	}
	require.True(t, gained, "a restart is kept")
	control := run(func(b *APGDA) { b.StepControl, b.StepSize, b.Rule = true, 0, Worst{} })
	fixed := run(func(b *APGDA) { b.Normalize, b.StepSize, b.Rule = true, 0.3, Worst{} })
	worst := func(r Result) (s float64) {
		for _, l := range r.Losses {
			s += Worst{}.Value(l)
		}
		return s
	}
	require.Less(t, worst(control), worst(fixed))
}

// The logits of a bundle are the mean of its models', or the logarithm of their mean
// probability.
func TestBundle(t *testing.T) {
	x, _ := inputs(10, 3, 6, 6)
	models := []attack.Model{network(1, 6, 6), network(2, 6, 6), network(3, 6, 6)}
	mean, log := Bundle{Models: models}.Logits(x), Bundle{Models: models, Probabilities: true}.Logits(x)
	for i := range 3 {
		for c := range 5 {
			z, p := 0.0, 0.0
			for _, m := range models {
				l := m.Logits(x)
				z += l.At(i, c) / 3
				p += tensor.Softmax(l).At(i, c) / 3
			}
			require.InDelta(t, z, mean.At(i, c), 1e-6)
			require.InDelta(t, math.Log(p), log.At(i, c), 1e-5)
		}
	}
	// Where models agree on the answer but not on its gradient, each has its share.
	one, two := tensor.FromFloat64([]float64{1, 0, 0, 2}, 2, 2), tensor.FromFloat64([]float64{0, 2, 1, 0}, 2, 2)
	linear := func(w *tensor.Tensor) attack.Model {
		return answering(func(x *tensor.Tensor) *tensor.Tensor { return tensor.MatMul(x, w) })
	}
	at := tensor.FromFloat64([]float64{0.5, 0.5, -1, -1}, 2, 2)
	for _, probabilities := range []bool{false, true} {
		b := Bundle{Models: []attack.Model{linear(one), linear(two), linear(one)}, Probabilities: probabilities}
		require.NoError(t, gradcheck.Check(rand.New(rand.NewPCG(12, 12)), 1e-6, func(xs []*tensor.Tensor) *tensor.Tensor { return b.Logits(xs[0]) }, at))
	}
	require.ErrorContains(t, Bundle{}.Check(), "no models")
	require.ErrorContains(t, Bundle{Models: []attack.Model{nil}}.Check(), "model 0")
}

func TestPartitions(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	order := Partition(23, 5, r)
	require.Len(t, order, 20)
	seen := map[int]bool{}
	for _, i := range order {
		require.False(t, seen[i] || i < 0 || i >= 23)
		seen[i] = true
	}
	require.Nil(t, Partition(3, 4, r))
	require.Nil(t, Partition(3, 0, r))
	require.Equal(t, []int{1, 3, 0, 4}, PartitionByLabel([]int{1, 0, 2, 0, 1}, 2))
}

// When it is stopped an attack returns the rows that it has finished.
func TestAttackStops(t *testing.T) {
	x, y := inputs(12, 40, 6, 6)
	inner, cancel := context.WithCancel(ctx)
	a := APGDA{Threat: box(0.1), Steps: 3, BatchSize: 4, OnProgress: func(done, total int) {
		require.Equal(t, 40, total)
		if done >= 8 {
			cancel()
		}
	}}
	res, err := a.Run(inner, Ensemble([]attack.Model{network(1, 6, 6), network(2, 6, 6)}, x, y))
	require.ErrorIs(t, err, context.Canceled)
	done := 0
	for i, w := range res.Weights {
		if w == nil {
			require.Nil(t, res.History.Weights(0, i))
			continue
		}
		done++
		require.NotNil(t, res.Fooled[i])
	}
	require.True(t, done >= 8 && done < 40)
	require.Len(t, res.MeanWeights(), 2)
}

// Inputs on a tape of the caller's are attacked like any others, and nothing is recorded
// there.
func TestInputsOfATapeAreAttacked(t *testing.T) {
	x, y := inputs(13, 24, 6, 6)
	for name, domains := range map[string]func(x *tensor.Tensor) Domains{
		"group": func(x *tensor.Tensor) Domains { return &Group{Model: network(1, 6, 6), X: x, Y: y, Size: 3} },
		"penalty": func(x *tensor.Tensor) Domains {
			s := Ensemble([]attack.Model{network(1, 6, 6), network(2, 6, 6)}, x, y)
			s.Lambda = 0.5
			return s
		},
	} {
		tape := tensor.NewTape()
		watched := tape.Watch(x)
		a := APGDA{Threat: box(0.1), Steps: 4, BatchSize: 2}
		want, err := a.Run(ctx, domains(x))
		require.NoError(t, err)
		got, err := a.Run(ctx, domains(watched))
		require.NoError(t, err, name)
		require.Equal(t, want.Point.Values(), got.Point.Values(), name)
		require.Equal(t, 1, tape.Len(), name)
		fooled, _, err := Judge(ctx, domains(watched), tape.Watch(got.Point), 0)
		require.NoError(t, err, name)
		require.Equal(t, got.Fooled, fooled, name)
		if s, ok := domains(watched).(*Situations); ok {
			labels, err := s.CleanLabels(ctx, 0)
			require.NoError(t, err)
			require.Len(t, labels, 2)
			require.Equal(t, 2, tape.Len(), name)
		}
	}
}

// widest is a model that keeps the largest number of inputs it was asked about at once.
type widest struct {
	attack.Model
	most *atomic.Int64
}

func (m widest) Logits(x *tensor.Tensor) *tensor.Tensor {
	for n := int64(x.Dim(0)); ; {
		if old := m.most.Load(); n <= old || m.most.CompareAndSwap(old, n) {
			return m.Model.Logits(x)
		}
	}
}

// However many inputs a row is, a pass shows a model no more of them than it must, and
// what comes out does not depend on how many rows that are.
func TestPassesAreOfInputsNotRows(t *testing.T) {
	x, y := inputs(14, 160, 4, 4)
	for name, c := range map[string]struct {
		domains      func(m attack.Model) Domains
		most, judged int64
	}{
		"images":          {func(m attack.Model) Domains { return Ensemble([]attack.Model{m, m}, x, y) }, 32, 64},
		"transformations": {func(m attack.Model) Domains { return Transformations(m, transform.WithRotation(), x, y) }, 28, 63},
		"groups":          {func(m attack.Model) Domains { return &Group{Model: m, X: x, Y: y, Size: 10} }, 30, 60},
		"large groups":    {func(m attack.Model) Domains { return &Group{Model: m, X: x, Y: y, Size: 80} }, 80, 80},
	} {
		m := widest{network(1, 4, 4), new(atomic.Int64)}
		d := c.domains(m)
		a := APGDA{Threat: box(0.1), Steps: 2}
		res, err := a.Run(ctx, d)
		require.NoError(t, err, name)
		require.Equal(t, c.most, m.most.Swap(0), name)
		fooled, _, err := Judge(ctx, d, res.Point, 0)
		require.NoError(t, err, name)
		require.Equal(t, c.judged, m.most.Swap(0), name)
		require.Equal(t, res.Fooled, fooled, name)
		a.BatchSize = 1000
		whole, err := a.Run(ctx, d)
		require.NoError(t, err, name)
		require.InDeltaSlice(t, whole.Point.Values(), res.Point.Values(), 1e-5, name)
		require.InDeltaSlice(t, flat(whole.Losses), flat(res.Losses), 1e-4, name)
		m.most.Store(0)
		if s, ok := d.(*Situations); ok {
			labels, err := s.CleanLabels(ctx, 0)
			require.NoError(t, err, name)
			require.Equal(t, c.judged, m.most.Load(), name)
			clean, _, err := Judge(ctx, d, x, 0)
			require.NoError(t, err, name)
			for k, own := range labels {
				for i, l := range own {
					require.Equal(t, l != y[i], clean[i][k], name)
				}
			}
		}
	}
}

// When judging is stopped, what has been judged comes back.
func TestJudgingStops(t *testing.T) {
	x, y := inputs(15, 200, 4, 4)
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	for _, labels := range []bool{false, true} {
		inner, cancel := context.WithCancel(ctx)
		calls := new(atomic.Int64)
		m := answering(func(v *tensor.Tensor) *tensor.Tensor {
			if calls.Add(1) == 3 {
				cancel()
			}
			return network(1, 4, 4).Logits(v)
		})
		s := Ensemble([]attack.Model{m}, x, y)
		done := 0
		if labels {
			out, err := s.CleanLabels(inner, 0)
			require.ErrorIs(t, err, context.Canceled)
			for _, l := range out[0] {
				if l >= 0 {
					done++
				}
			}
		} else {
			fooled, losses, err := Judge(inner, s, x, 0)
			require.ErrorIs(t, err, context.Canceled)
			for i, row := range fooled {
				require.Equal(t, row == nil, losses[i] == nil)
				if row != nil {
					done++
				}
			}
			require.Equal(t, done, Score(fooled).Rows)
		}
		require.True(t, done >= 128 && done < 200, "%d rows", done)
	}
}

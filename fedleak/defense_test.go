package fedleak

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

func TestFakeGradientsReplaceByRank(t *testing.T) {
	g := []float64{.3, -.2, .05, -.6, .1}
	psi := []float64{.9, .4, 0, -.3, -1.1}
	ranked := descending(tensor.FromFloat64(g))
	require.Equal(t, []int{0, 4, 2, 1, 3}, places(ranked))
	require.InDelta(t, 0.8440971508067068, distanceTo(ranked, psi, 1), 1e-15)
	for clamp, want := range map[bool][]float64{false: {.9, -.3, 0, -1.1, .4}, true: {.3, -.3, 0, -1.1, .1}} {
		d := &FakeGradients{Sigma: 1, Pool: 1, Clamp: clamp, pools: map[poolKey][][]float64{{party: 2, size: 5}: {psi}}}
		got := tensor.FromFloat64(slices.Clone(g))
		d.Apply(Upload{Party: 2}, got)
		require.Equal(t, want, got.Values())
	}
}

func TestFakeGradientsKeepTheOrderAndNothingElse(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rng.IntN(60)
		g := tensor.Normal(rng, tensor.Float64, 0, 0.01, n)
		d := &FakeGradients{Sigma: 2, Pool: 4}
		got := g.Clone()
		u := Upload{Round: rng.IntN(9), Party: rng.IntN(4), Seed: seed}
		d.Apply(u, got)
		require.Equal(t, places(descending(g)), places(descending(got)))
		values := got.Values()
		slices.SortFunc(values, func(a, b float64) int { return -compare(a, b) })
		found := false
		for _, p := range d.pool(u, n, 0) {
			same := true
			for i, v := range p {
				same = same && math.Abs(2*v-values[i]) < 1e-12
			}
			found = found || same
		}
		require.True(t, found, "the values are those of a vector of the pool")
		again := g.Clone()
		(&FakeGradients{Sigma: 2, Pool: 4}).Apply(u, again)
		require.Equal(t, got.Values(), again.Values())
	}
	broken := tensor.FromFloat64([]float64{1, math.NaN(), 2})
	(&FakeGradients{}).Apply(Upload{}, broken)
	require.Equal(t, 2.0, broken.At(2))
	zero := tensor.Zeros(tensor.Float64, 50)
	(&FakeGradients{}).Apply(Upload{}, zero)
	(&FakeGradients{}).Apply(Upload{}, tensor.Zeros(tensor.Float64, 0))
	require.InDelta(t, 1, math.Sqrt(sumSquares(zero)/50), 0.5)
}

func places(ranked []entry) (out []int) {
	for _, e := range ranked {
		out = append(out, e.at)
	}
	return out
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestEqualEntriesKeepTheirOrder(t *testing.T) {
	require.Equal(t, []int{1, 3, 0, 2, 4}, places(descending(tensor.FromFloat64([]float64{0, 1, 0, 1, 0}))))
}

func TestThresholdDrawsNewPools(t *testing.T) {
	g := tensor.Normal(rand.New(rand.NewPCG(1, 1)), tensor.Float64, 0, 1, 20)
	spread := func(tries int, threshold float64) float64 {
		got := g.Clone()
		d := &FakeGradients{Sigma: 1, Pool: 2, Threshold: threshold, Tries: tries}
		d.Apply(Upload{}, got)
		return math.Sqrt(sumSquares(tensor.Sub(got, g)))
	}
	require.Less(t, spread(200, 1e-9), spread(1, 1e-9))
	require.Equal(t, spread(1, 0), spread(200, 1e9))
}

func TestSparseKeepsTheLargest(t *testing.T) {
	g := tensor.FromFloat64([]float64{1, -5, 2, 0.5, -3, 0, 4, 1, 1, 1})
	Sparse{Keep: 0.35}.Apply(Upload{}, g)
	require.Equal(t, []float64{0, -5, 0, 0, -3, 0, 4, 0, 0, 0}, g.Values())
}

// What is not finite must reach the server, who refuses it.
func TestSparseLeavesWhatIsNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		g := tensor.FromFloat64([]float64{1, -5, v, 2})
		Sparse{Keep: 0.25}.Apply(Upload{}, g)
		require.Equal(t, fmt.Sprint([]float64{1, -5, v, 2}), fmt.Sprint(g.Values()))
	}
	Sparse{Keep: 0.25}.Apply(Upload{}, tensor.Zeros(tensor.Float64, 0))
}

// The relation that Accountant states: against a gradient of 0 in its place a sample moves
// an upload by at most Clip/K, against another sample's by up to twice as much.
func TestSensitivityOfAnUpload(t *testing.T) {
	f := dense(t, 20, Uniform{K: 4, Seed: 1})
	bound := slices.Min(f.sampleNorms([]int{0, 1, 2, 3, 4, 5, 6, 7})[1])
	f.Defense = ClippedNoise{Clip: bound}
	refs := []Ref{{1, 0}, {1, 1}, {1, 2}, {1, 3}}
	upload := func(ids ...int) []*tensor.Tensor {
		gs, err := f.Upload(ctx, 0, ids, refs...)
		require.NoError(t, err)
		return gs
	}
	minus := func(a, b []*tensor.Tensor, times float64) []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(a))
		for i := range a {
			out[i] = tensor.Sub(a[i], tensor.MulScalar(b[i], times))
		}
		return out
	}
	batch, most := upload(0, 1, 2, 3), 0.0
	zeroed := minus(batch, upload(3), 1.0/4)
	require.InDelta(t, bound/4, norm(minus(batch, zeroed, 1)), 1e-12)
	for other := 4; other < 8; other++ {
		most = math.Max(most, norm(minus(batch, upload(0, 1, 2, other), 1)))
	}
	require.Greater(t, most, 1.2*bound/4)
	require.LessOrEqual(t, most, 2*bound/4)
}

// clipper is a defence of another package that clips.
type clipper struct{ Noise }

func (clipper) Bound() float64 { return 1 }

func TestClippingNeedsGradientsOfSamples(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3})
	f.BatchStatistics = true
	for _, d := range []Defense{ClippedNoise{Clip: 1}, clipper{}} {
		f.Defense = d
		_, err := f.Observe(3)
		require.ErrorContains(t, err, d.Name()+" clips the gradients of samples")
		require.ErrorContains(t, err, "BatchStatistics")
		require.ErrorContains(t, Training{Steps: 1, LR: optim.Constant(0.1)}.Run(ctx, f), "BatchStatistics")
	}
	f.Defense = Noise{Sigma: 1}
	require.NoError(t, f.Check())
}

// Clipping keeps each sample's gradient within its bound and is undone by Step II.
func TestClippingBoundsSamplesAndProtectsNothing(t *testing.T) {
	f := dense(t, 20, Uniform{K: 4, Seed: 1})
	free := f.sampleNorms([]int{0, 1, 2, 3})
	bound := free[1][2] / 3
	f.Defense = ClippedNoise{Clip: bound}
	refs := []Ref{{1, 0}, {1, 1}, {1, 2}, {1, 3}}
	for id := range 4 {
		g, err := f.Upload(ctx, 0, []int{id}, refs...)
		require.NoError(t, err)
		require.InDelta(t, math.Min(bound, free[1][id]), norm(g), 1e-12)
	}
	r, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 30))
	require.NoError(t, err)
	require.Greater(t, NewScore(f.X, r.Images(nil), r.Complete()).Median, 150.0)
}

func TestNoiseLowersWhatIsRecovered(t *testing.T) {
	last := math.Inf(1)
	for _, sigma := range []float64{0, 1e-4, 1e-3, 1e-2, 1e-1} {
		f := dense(t, 40, Uniform{K: 8, Seed: 1})
		f.Defense = Noise{sigma}
		r, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 120))
		require.NoError(t, err)
		s := NewScore(f.X, r.Images(MeanImage(f.X, 40)), nil).OfMean
		require.Less(t, s, last, "sigma %v", sigma)
		last = s
	}
	require.Less(t, last, 25.0)
}

func TestNoiseHasItsDeviation(t *testing.T) {
	g := tensor.Zeros(tensor.Float32, 20000)
	ClippedNoise{Clip: 3, Multiplier: 2}.Apply(Upload{Batch: 10}, g)
	require.InEpsilon(t, 0.6, math.Sqrt(sumSquares(g)/20000), 0.02)
	other := tensor.Zeros(tensor.Float32, 20000)
	ClippedNoise{Clip: 3, Multiplier: 2}.Apply(Upload{Batch: 10, Round: 1}, other)
	require.Less(t, math.Abs(tensor.Dot(g, other).Item())/sumSquares(g), 0.05)
}

// Zeros that stand for entries left out are not equations.
func TestSparseUploadsAreRecoveredFromMoreRounds(t *testing.T) {
	f := dense(t, 20, Uniform{K: 5, Seed: 1})
	f.Defense = Sparse{Keep: 0.25}
	o := observe(t, f, 300)
	plain, err := CAFE{Coverage: -1}.Run(ctx, f.Model, o)
	require.NoError(t, err)
	masked, err := CAFE{Masked: true}.Run(ctx, f.Model, o)
	require.NoError(t, err)
	mean := MeanImage(f.X, 20)
	a, b := NewScore(f.X, plain.Images(mean), nil), NewScore(f.X, masked.Images(mean), nil)
	require.Less(t, a.Median, 50.0)
	require.Greater(t, b.Median, 70.0)
}

// A defence that only changes the scale is undone by a factor, and one that adds
// noise in part by what other samples teach.
func TestAdaptiveAttacksUndoScaleAndNoise(t *testing.T) {
	f := dense(t, 40, Uniform{K: 8, Seed: 1})
	f.Defense = &FakeGradients{Sigma: 1.1}
	o := observe(t, f, 160)
	mean := MeanImage(f.X, 40)
	score := func(a Attack) float64 {
		r, err := a.Run(ctx, f.Model, o)
		require.NoError(t, err)
		return NewScore(f.X, r.Images(mean), nil).OfMean
	}
	raw := score(CAFE{Coverage: -1})
	rescaled := score(CAFE{Coverage: -1, Ridge: 1, Rescale: &Rescale{}})
	require.Greater(t, rescaled, raw+2)
	shadow := dense(t, 40, Uniform{K: 8, Seed: 7})
	x, y := digits(t, 1000, 120, 2)
	shadow.X, shadow.Labels = Quadrants(x.To(tensor.Float64)), y
	shadow.Defense, shadow.Seed = &FakeGradients{Sigma: 1.1}, f.Seed+1 // the victim's fakes are secret
	calibrated := score(Calibrated{CAFE: CAFE{Coverage: -1, Ridge: 1}, Shadow: shadow, Rounds: 480})
	require.Greater(t, calibrated, raw+2)
	require.Greater(t, calibrated, NewScore(f.X, MeanImage(shadow.X, 40), nil).OfMean)
	public := score(CAFE{Coverage: -1, Ridge: 1, Rescale: &Rescale{Public: shadow.X}})
	require.Greater(t, public, raw+2)

	g := convolutional(t, 8, Uniform{K: 2})
	_, err := CAFE{Rescale: &Rescale{}}.Run(ctx, g.Model, observe(t, g, 16))
	require.ErrorContains(t, err, "no public slices")
}

func TestBadPublicSlicesAreNamed(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 1})
	o := observe(t, f, 18)
	with := func(party int, x *tensor.Tensor) []*tensor.Tensor {
		out := slices.Clone(f.X)
		out[party] = x
		return out
	}
	nan := f.X[1].Clone()
	nan.Set(math.NaN(), 2, 3, 3, 0)
	for want, public := range map[string][]*tensor.Tensor{
		"of 3 parties, want 4":                                f.X[:3],
		"of 0 parties, want 4":                                {},
		"of party 3 are [], want [n 7 7 1] with n at least 1": with(3, nil),
		"of party 2 are [12 7 7], want [n 7 7 1]":             with(2, tensor.Reshape(f.X[2], 12, 7, 7)),
		"of party 1 are [12 7 1 7], want [n 7 7 1]":           with(1, tensor.Reshape(f.X[1], 12, 7, 1, 7)),
		"of party 0 are [0 7 7 1], want [n 7 7 1]":            with(0, tensor.Zeros(tensor.Float64, 0, 7, 7, 1)),
		"of party 1 hold a NaN":                               with(1, nan),
	} {
		_, err := CAFE{Rescale: &Rescale{Public: public}}.Run(ctx, f.Model, o)
		require.ErrorContains(t, err, "fedleak: Rescale: public slices "+want)
	}
}

func TestTrainingWithDefencesLearns(t *testing.T) {
	x, y := digits(t, 0, 600, 2)
	held, labels := digits(t, 1200, 300, 2)
	for _, d := range []Defense{nil, &FakeGradients{Pool: 2}, ClippedNoise{Clip: 1, Multiplier: 0.05}, Sparse{Keep: 0.3}} {
		m := NewDenseQuadrants(rand.New(rand.NewPCG(11, 0)), 14, 1, 10, 24, 12)
		f := &Federation{Model: m, X: Quadrants(x), Labels: y, Schedule: Epochs{K: 20, Seed: 1}, Defense: d}
		require.NoError(t, Training{Steps: 100, LR: optim.Constant(0.5)}.Run(ctx, f))
		require.Greater(t, m.Accuracy(Quadrants(held), labels), 0.6, fmt.Sprint(d))
	}
}

func TestBadDefencesAreNamed(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3})
	for want, d := range map[string]Defense{
		"Sigma is -1":      &FakeGradients{Sigma: -1},
		"pool of -1":       &FakeGradients{Pool: -1},
		"Threshold is NaN": &FakeGradients{Threshold: math.NaN()},
		"Clip 0":           ClippedNoise{},
		"Clip +Inf":        ClippedNoise{Clip: math.Inf(1)},
		"Sigma is NaN":     Noise{math.NaN()},
		"Keep is 0":        Sparse{},
	} {
		f.Defense = d
		_, err := f.Observe(3)
		require.ErrorContains(t, err, want)
	}
}

func TestBudgetOfTheGaussianMechanism(t *testing.T) {
	// With z = 4 and one round: 1/32 + 2 sqrt(ln(1e5)/32).
	e, err := Accountant{Multiplier: 4}.Epsilon(1, 1e-5)
	require.NoError(t, err)
	require.InDelta(t, 1.0/32+2*math.Sqrt(math.Log(1e5)/32), e, 1e-12)
	// Four uploads with twice the noise are one.
	f, err := Accountant{Multiplier: 8, Uploads: 4}.Epsilon(1, 1e-5)
	require.NoError(t, err)
	require.InDelta(t, e, f, 1e-12)
	// Poisson sampling at rate 1 is none, and a known value: q = 0.01, z = 4 and
	// 10000 rounds cost 1.26 at 1e-5 by the moments accountant of Abadi et al.
	require.InDelta(t, 5/(2*2.25), Accountant{Multiplier: 1.5, Rate: 1}.RDP(5), 1e-12)
	s, err := Accountant{Multiplier: 4, Rate: 0.01}.Epsilon(10000, 1e-5)
	require.NoError(t, err)
	require.InDelta(t, 1.26, s, 0.1)
	none, err := Accountant{Multiplier: 4}.Epsilon(0, 1e-5)
	require.NoError(t, err)
	require.Zero(t, none)
	for _, a := range []Accountant{{}, {Multiplier: 1, Rate: 2}, {Multiplier: 1, Uploads: -1}} {
		_, err := a.Epsilon(1, 1e-5)
		require.Error(t, err)
	}
	_, err = Accountant{Multiplier: 1}.Epsilon(1, 1)
	require.ErrorContains(t, err, "δ is 1")
}

// The Rényi divergence of order 2 of the mixture from the normal law, by quadrature.
func TestSampledBudgetAgreesWithQuadrature(t *testing.T) {
	const q, z = 0.2, 1.3
	sum := 0.0
	const step = 1e-3
	for x := -20.0; x < 25; x += step {
		p0 := math.Exp(-x * x / (2 * z * z))
		p1 := math.Exp(-(x - 1) * (x - 1) / (2 * z * z))
		mix := (1-q)*p0 + q*p1
		if p0 > 0 {
			sum += mix * mix / p0 * step / (z * math.Sqrt(2*math.Pi))
		}
	}
	require.InDelta(t, math.Log(sum), Accountant{Multiplier: z, Rate: q}.RDP(2), 1e-6)
}

// What a defence makes too large is not cut off at the range of pixels, whether features
// are pixels or half as large, and noise is.
func TestCalibratedChoosesTheRangeOfFeatures(t *testing.T) {
	median := func(d Defense, half bool, n, k, others int) float64 {
		f := dense(t, n, Uniform{K: k, Seed: 1})
		if half {
			for p, b := range f.Model.Bottoms {
				first := *b.Layers()[1].(*nn.Linear)
				first.Weight = tensor.MulScalar(first.Weight, 2).Clone()
				halve := nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(x, 0.5) })
				f.Model.Bottoms[p] = nn.NewSequential(append([]nn.Layer{nn.Flatten, halve, &first}, b.Layers()[2:]...)...)
			}
		}
		f.Defense, f.Seed = d, 2
		x, y := digits(t, 1000, others, 2)
		shadow := &Federation{Model: f.Model, X: Quadrants(x.To(tensor.Float64)), Labels: y, Schedule: Uniform{K: k, Seed: 7}, Defense: d, Seed: 1}
		r, err := Calibrated{CAFE: CAFE{Coverage: -1, Ridge: 0.3, SkipLabels: true}, Shadow: shadow, Rounds: 3 * others}.Run(ctx, f.Model, observe(t, f, 3*n))
		require.NoError(t, err)
		return NewScore(f.X, r.Images(nil), nil).Median
	}
	fakes := &FakeGradients{Sigma: 1.1}
	pixels := median(fakes, false, 40, 8, 120)
	require.Greater(t, pixels, 19.5)
	require.Greater(t, pixels, median(fakes, true, 40, 8, 120)-0.5)
	require.Greater(t, median(ClippedNoise{1, 0.16}, false, 24, 6, 48), 17.6)
}

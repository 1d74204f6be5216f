package attack_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// The projection is the nearest point of the set: by the variational inequality,
// (a - P(a))·(b - P(a)) <= 0 for every b of the convex sets.
func TestProjectionIsNearest(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := 1 + r.IntN(6)
		for _, norm := range []Norm{Linf, L2, L1} {
			th := Threat{Norm: norm, Eps: 2 * r.Float64()}
			x0 := tensor.Uniform(r, tensor.Float64, 0, 1, 1, d)
			if r.IntN(3) == 0 {
				x0.Set(float64(r.IntN(2)), 0, r.IntN(d))
			}
			a := tensor.Normal(r, tensor.Float64, 0.5, 1.5, 1, d)
			p := a.Clone()
			th.Project(p, x0)
			require.LessOrEqual(t, th.Distance(p, x0)[0], th.Eps)
			b := x0.Clone()
			for range 50 {
				th.Sample(func(int) *rand.Rand { return r }, b, x0)
				require.LessOrEqual(t, th.Distance(b, x0)[0], th.Eps)
				var dot float64
				for i := range d {
					dot += (a.At(0, i) - p.At(0, i)) * (b.At(0, i) - p.At(0, i))
				}
				require.LessOrEqual(t, dot, 1e-6, "seed %d, %v, x0 %v, a %v, p %v, b %v", seed, th, x0, a, p, b)
			}
			again := p.Clone()
			th.Project(again, x0)
			for i := range d {
				require.InDelta(t, p.At(0, i), again.At(0, i), 1e-6, "projection is idempotent")
			}
		}
	}
}

// For L0 the projection is compared with a search over all sets of coordinates.
func TestL0ProjectionIsNearest(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		d := 1 + r.IntN(6)
		th := Threat{Norm: L0, Eps: float64(r.IntN(d + 1))}
		x0, a := tensor.Uniform(r, tensor.Float64, 0, 1, 1, d), tensor.Normal(r, tensor.Float64, 0.5, 1.5, 1, d)
		best := math.Inf(1)
		for mask := range 1 << d {
			n, dist := 0.0, 0.0
			for i := range d {
				v := x0.At(0, i)
				if mask>>i&1 == 1 {
					n++
					v = min(1, max(0, a.At(0, i)))
				}
				dist += (a.At(0, i) - v) * (a.At(0, i) - v)
			}
			if n <= th.Eps {
				best = min(best, dist)
			}
		}
		p := a.Clone()
		th.Project(p, x0)
		require.LessOrEqual(t, th.Distance(p, x0)[0], th.Eps)
		require.InDelta(t, best, tensor.Sum(tensor.Square(tensor.Sub(a, p))).Item(), 1e-12, "seed %d", seed)
	}
}

// However small the radius against the rounding of the type, a projection keeps
// what fits; a NaN goes back to the input.
func TestSmallRadiiInSinglePrecision(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	const d = 3072
	x0 := tensor.Uniform(r, tensor.Float32, 0, 1, 1, d)
	for _, th := range []Threat{{Norm: L1, Eps: 1e-4}, {Norm: L2, Eps: 1e-5}, {Norm: L2, Eps: 1e-3}, {Norm: L1, Eps: 1}} {
		x := tensor.Add(x0, tensor.Normal(r, tensor.Float32, 0, 1, 1, d)).Clone()
		x.Set(math.NaN(), 0, 5)
		th.Project(x, x0)
		got := th.Distance(x, x0)[0]
		require.LessOrEqual(t, got, th.Eps)
		require.Greater(t, got, 0.2*th.Eps, "%v", th)
		require.Equal(t, x0.At(0, 5), x.At(0, 5))
	}
}

// The example of a point outside ball and box whose clipped ball projection is
// not the nearest point.
func TestL2ProjectionIsNotClippedScaling(t *testing.T) {
	x0, x := tensor.FromFloat64([]float64{0.9, 0.5}, 1, 2), tensor.FromFloat64([]float64{1.9, 0.9}, 1, 2)
	th := Threat{Norm: L2, Eps: 0.3}
	th.Project(x, x0)
	// The first change is cut at 0.1 by the box, which leaves sqrt(0.09 - 0.01)
	// for the second.
	require.InDelta(t, 1, x.At(0, 0), 1e-6)
	require.InDelta(t, 0.5+math.Sqrt(0.08), x.At(0, 1), 1e-6)
}

// One step of L1 is the best point of the ball and the box for a linear objective: what
// the box leaves no room for goes to the value with the next largest gradient.
func TestStepOfL1SpendsAllOfIt(t *testing.T) {
	x0 := tensor.FromFloat64([]float64{0.9, 0.5, 0.2, 1, 0.4}, 1, 5)
	g := tensor.FromFloat64([]float64{3, -2, 1, 9, 0}, 1, 5)
	for _, c := range []struct {
		alpha float64
		want  []float64
	}{
		{0.05, []float64{0.95, 0.5, 0.2, 1, 0.4}},
		{0.3, []float64{1, 0.3, 0.2, 1, 0.4}},
		{1, []float64{1, 0, 0.6, 1, 0.4}},
		{9, []float64{1, 0, 1, 1, 0.4}},
	} {
		x := x0.Clone()
		Threat{Norm: L1, Eps: c.alpha}.Step(x, g, x0, c.alpha)
		require.InDeltaSlice(t, c.want, x.Values(), 1e-12)
	}
}

// Under L0 the attacks of few or one step move the values that may change as far as PGD
// does, and not by a share of the number of them.
func TestStepsUnderL0AreNoCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 35))
	m := onImages(linearOf256(r))
	x := tensor.Uniform(r, tensor.Float32, 0.3, 0.7, 40, 16, 16, 1)
	y := tensor.ArgMax(m.Logits(x))
	th := Threat{Norm: L0, Eps: 10}
	worst := func(a Attack) float64 {
		rep, err := Evaluate(ctx, m, x, y, a)
		require.NoError(t, err)
		return rep.Worst.Value
	}
	pgd := worst(&PGD{Threat: th, Steps: 20})
	require.Less(t, pgd, 0.5)
	for _, a := range []Attack{&FGSM{Threat: th}, &BIM{Threat: th, Steps: 10}, &MIFGSM{Threat: th}, &RFGSM{Threat: th, Alpha: 0.3}} {
		require.Less(t, worst(a), pgd+0.2, a.Name())
	}
}

// linearOf256 is a linear model of three classes.
func linearOf256(r *rand.Rand) Model {
	w := tensor.Normal(r, tensor.Float32, 0, 1, 256, 3)
	return function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.MatMul(x, w) })
}

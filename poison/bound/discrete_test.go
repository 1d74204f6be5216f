package bound_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/poison/bound"
)

// By hand: five sums of two terms.
func TestDiscreteTermsByHand(t *testing.T) {
	b, err := bound.Binary([]float64{.6, .4}, []float64{.4, .6}, []float64{.2, .9}, []float64{.7, .6}, []float64{.25, .8}).Bounds()
	require.NoError(t, err)
	for _, v := range []struct{ got, want float64 }{
		{b.SourceError, .07}, {b.TargetError, .30}, {b.SourceMismatch, .42}, {b.TargetMismatch, .38},
		{b.L1, .4}, {b.TV, .2}, {b.KL, .2 * math.Log(1.5)},
		{b.Lower, .15}, {b.LowerKL, .148638}, {b.LowerL1, -.05}, {b.Upper, .65}, {b.UpperL1, .85}, {b.Within, .27},
	} {
		require.InDelta(t, v.want, v.got, 1e-6)
	}
}

func TestLowerBoundIsAttained(t *testing.T) {
	b, err := bound.Binary([]float64{.5, .5}, []float64{.5, .5}, []float64{0, 1}, []float64{1, 0}, []float64{.05, .95}).Bounds()
	require.NoError(t, err)
	require.InDelta(t, .95, b.TargetError, 1e-15)
	require.InDelta(t, b.TargetError, b.Lower, 1e-15)
	b, err = bound.Binary([]float64{1, 0}, []float64{.6, .4}, []float64{0, 0}, []float64{0, 1}, []float64{0, 1}).Bounds()
	require.NoError(t, err)
	require.Zero(t, b.TargetError)
	require.InDelta(t, 0, b.Lower, 1e-15)
	require.InDelta(t, -.4, b.LowerL1, 1e-15)
}

// dirichlet draws from a symmetric Dirichlet distribution of concentration 1/2:
// squares of normal variables, normalised.
func dirichlet(rng *rand.Rand, n int) []float64 {
	p := make([]float64, n)
	s := 0.0
	for i := range p {
		v := rng.NormFloat64()
		p[i] = v * v
		s += p[i]
	}
	for i := range p {
		p[i] /= s
	}
	return p
}

func TestBoundsHoldOnRandomInstances(t *testing.T) {
	const seed = 9
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 100000 {
		n, k := 2+rng.IntN(3), 2+rng.IntN(4)
		d := bound.Discrete{PS: dirichlet(rng, n), PT: dirichlet(rng, n)}
		for range n {
			d.FS, d.FT, d.H = append(d.FS, dirichlet(rng, k)), append(d.FT, dirichlet(rng, k)), append(d.H, dirichlet(rng, k))
		}
		b, err := d.Bounds()
		require.NoError(t, err)
		const tol = 1e-12
		ok := b.Lower <= b.TargetError+tol && b.Upper >= b.TargetError-tol && b.LowerKL <= b.Lower+tol && b.LowerL1 <= b.Lower+tol &&
			math.Abs(b.TargetError-b.SourceMismatch) <= b.Within+tol && math.Abs(b.TargetError-b.TargetMismatch) <= b.Within+tol
		require.True(t, ok, "seed %d, instance %d: %+v", seed, i, b)
	}
}

func TestMassWithoutCounterpartHasInfiniteDivergence(t *testing.T) {
	b, err := bound.Binary([]float64{.5, .5}, []float64{1, 0}, []float64{0, 0}, []float64{0, 0}, []float64{0, 0}).Bounds()
	require.NoError(t, err)
	require.True(t, math.IsInf(b.KL, 1))
	require.True(t, math.IsInf(b.LowerKL, -1))
	require.InDelta(t, .5, b.TV, 1e-15)
}

func TestBadInstancesAreErrors(t *testing.T) {
	half := []float64{.5, .5}
	for want, d := range map[string]bound.Discrete{
		"source masses sum to 1.1":       bound.Binary([]float64{.6, .5}, half, half, half, half),
		"target mass 1 is -0.5":          bound.Binary(half, []float64{.5, -.5}, half, half, half),
		"hypothesis 0: mass 1 is 1.5":    bound.Binary(half, half, half, half, []float64{1.5, 0}),
		"source label 1: mass 0 is NaN":  bound.Binary(half, half, []float64{0, math.NaN()}, half, half),
		"2 and 1 masses with 2, 2 and 2": bound.Binary(half, []float64{1}, half, half, half),
	} {
		_, err := d.Bounds()
		require.ErrorContains(t, err, want)
	}
	_, err := bound.Discrete{PS: []float64{1}, PT: []float64{1}, FS: [][]float64{{1}}, FT: [][]float64{{1}}, H: [][]float64{{1}}}.Bounds()
	require.ErrorContains(t, err, "1 classes")
}

func TestBadNumbersAreNamed(t *testing.T) {
	half := []float64{.5, .5}
	_, err := bound.Binary(half, half, half, half, []float64{1.5, 0}).Bounds()
	require.ErrorContains(t, err, "is 1.5, want it in [0, 1]")
	for _, eps := range []float64{-.1, 1.1, math.NaN()} {
		_, err := bound.TVFromDiscriminator(eps)
		require.ErrorContains(t, err, "discriminator's error is")
	}
	tv, err := bound.TVFromDiscriminator(.25)
	require.NoError(t, err)
	require.Equal(t, .5, tv)
	for _, bad := range [][]float64{{-1, 2}, {math.NaN(), 1}, {.5, .4}, {1}} {
		_, err := bound.KL(bad, half)
		require.ErrorContains(t, err, "bound: ")
	}
	kl, err := bound.KL([]float64{.6, .4}, []float64{.4, .6})
	require.NoError(t, err)
	require.InDelta(t, .081093, kl, 1e-6)
}

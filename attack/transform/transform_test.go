package transform_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/internal/gradcheck"
	"github.com/redoubt-ml/redoubt/tensor"
)

func images(r *rand.Rand, dtype tensor.DType, dims ...int) *tensor.Tensor {
	return tensor.Uniform(r, dtype, 0.05, 1, dims...)
}

// every transform, fixed and random.
func every() []transform.Transform {
	both := transform.Range{Lo: -2, Hi: 3}
	out := append(transform.WithRotation(), transform.Stochastic()...)
	return append(out,
		transform.Rotation{Degrees: transform.Fixed(-17), Interpolation: transform.Bilinear},
		transform.Rotation{Degrees: transform.Range{Lo: -40, Hi: 40}, Interpolation: transform.Bilinear},
		transform.Translation{Down: transform.Fixed(1.25), Right: transform.Fixed(-0.5), Interpolation: transform.Bilinear},
		transform.Translation{Down: both, Right: both},
		transform.Pose{Degrees: both, Down: both, Right: both, Interpolation: transform.Bilinear},
		transform.Brightness{Add: transform.Range{Lo: 0, Hi: 0.3}},
		transform.Gamma{Exponent: transform.Range{Lo: 0.7, Hi: 1.5}},
		transform.Chain{transform.FlipLR{}, transform.Sometimes{Transform: transform.Crop{Side: transform.Range{Lo: 0.5, Hi: 1}}, P: 0.5}, transform.Gamma{Exponent: transform.Fixed(1.3)}},
		transform.Chain{},
	)
}

// The gradient through every transform, to second order, is that of central
// differences.
func TestGradientThroughEveryTransform(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, tr := range every() {
		x := images(r, tensor.Float64, 3, 5, 4, 2)
		require.NoError(t, gradcheck.Check(r, 1e-6, func(xs []*tensor.Tensor) *tensor.Tensor {
			return tensor.Square(tr.Apply(transform.Seeded(7), xs[0]))
		}, x), tr.String())
	}
}

// An image's result depends on its own source alone, not on its batch, on the
// number of threads or on which way the values are stored; x stays as it is.
func TestImagesAreTransformedOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	x := images(r, tensor.Float32, 40, 9, 8, 3)
	kept := x.Clone()
	for _, tr := range every() {
		rng := transform.Seeded(3)
		all := tr.Apply(rng, x)
		require.Equal(t, x.Shape(), all.Shape(), tr.String())
		require.Equal(t, kept.Values(), x.Values())
		tensor.SetThreads(1)
		require.Equal(t, all.Values(), tr.Apply(rng, x).Values(), tr.String())
		tensor.SetThreads(0)
		for _, i := range []int{0, 17, 39} {
			one := tr.Apply(func(int) *rand.Rand { return rng(i) }, tensor.Slice(x, 0, i, i+1))
			require.Equal(t, tensor.Slice(all, 0, i, i+1).Values(), one.Values(), tr.String())
		}
		wide := tr.Apply(rng, x.To(tensor.Float64))
		require.Less(t, tensor.MaxAbs(tensor.Sub(wide.To(tensor.Float32), all)), 1e-5, tr.String())
	}
}

// A transform is random if and only if two sources give two results, and needs no
// sources if it is not.
func TestRandomTransformsDraw(t *testing.T) {
	x := images(rand.New(rand.NewPCG(4, 4)), tensor.Float32, 30, 9, 9, 1)
	for _, tr := range every() {
		if !tr.Random() {
			tr.Apply(nil, x)
			continue
		}
		a, b := tr.Apply(transform.Seeded(1), x), tr.Apply(transform.Seeded(2), x)
		require.NotEqual(t, a.Values(), b.Values(), tr.String())
		require.Panics(t, func() { tr.Apply(nil, x) }, tr.String())
	}
}

func TestSourcesAreAskedOnce(t *testing.T) {
	x := images(rand.New(rand.NewPCG(4, 4)), tensor.Float32, 6, 5, 5, 1)
	for _, tr := range every() {
		calls := make([]int, 6)
		tr.Apply(func(i int) *rand.Rand {
			calls[i]++
			return rand.New(rand.NewPCG(0, uint64(i)))
		}, x)
		for _, c := range calls {
			require.LessOrEqual(t, c, 1, tr.String())
		}
	}
}

func TestSometimesKeepsToItsProbability(t *testing.T) {
	x := tensor.Zeros(tensor.Float32, 4000, 1, 1, 1)
	tr := transform.Sometimes{Transform: transform.Brightness{Add: transform.Fixed(1)}, P: 0.8}
	require.InDelta(t, 3200, tensor.Sum(tr.Apply(transform.Seeded(5), x)).Item(), 110)
	for _, p := range []float64{0, 1} {
		tr.P = p
		require.Equal(t, 4000*p, tensor.Sum(tr.Apply(transform.Seeded(5), x)).Item())
	}
}

func TestRangeIsCovered(t *testing.T) {
	x := tensor.Zeros(tensor.Float64, 2000, 1, 1, 1)
	v := transform.Brightness{Add: transform.Range{Lo: -1, Hi: 3}}.Apply(transform.Seeded(6), x).Values()
	low, high := 0, 0
	for _, e := range v {
		require.True(t, e >= -1 && e < 3)
		if e < 0 {
			low++
		}
		if e >= 2 {
			high++
		}
	}
	require.InDelta(t, 500, low, 100)
	require.InDelta(t, 500, high, 100)
}

func TestBadParametersAreNamed(t *testing.T) {
	nan := transform.Range{Lo: 0, Hi: 0}
	nan.Hi /= nan.Lo
	x := tensor.Zeros(tensor.Float32, 1, 3, 3, 1)
	for _, c := range []struct {
		tr   transform.Transform
		want string
	}{
		{transform.Crop{}, "crop's side is 0 to 0"},
		{transform.Crop{Side: transform.Fixed(1.1)}, "at most 1"},
		{transform.Gamma{}, "exponent is 0 to 0"},
		{transform.Gamma{Exponent: transform.Range{Lo: 2, Hi: 1}}, "2 to 1"},
		{transform.Brightness{Add: nan}, "NaN"},
		{transform.Rotation{Degrees: transform.Range{Lo: 1, Hi: -1}}, "angle is 1 to -1"},
		{transform.Rotation{Interpolation: 7}, "interpolation 7"},
		{transform.Sometimes{Transform: transform.FlipLR{}, P: 1.5}, "1.5"},
		{transform.Sometimes{P: 1}, "without a transform"},
		{transform.Chain{transform.FlipLR{}, transform.Crop{}}, "crop's side"},
		{transform.Chain{nil}, "nil"},
	} {
		require.ErrorContains(t, c.tr.Check(), c.want)
		require.Panics(t, func() { c.tr.Apply(transform.Seeded(0), x) })
	}
	for _, tr := range every() {
		require.NoError(t, tr.Check())
		require.Panics(t, func() { tr.Apply(transform.Seeded(0), tensor.Zeros(tensor.Float32, 3, 3)) }, tr.String())
	}
	require.Panics(t, func() { transform.Warp(x, make([]transform.Affine, 2), transform.Nearest) })
	require.Panics(t, func() { transform.Warp(x, make([]transform.Affine, 1), 2) })
}

func TestGammaRefusesNegativePixels(t *testing.T) {
	x := tensor.FromFloat64([]float64{0.5, 0, 0.25, -0.125}, 2, 1, 2, 1)
	require.PanicsWithValue(t, "transform: gamma 1.3: value 1 of image 1 is -0.125, want 0 or more", func() {
		transform.Gamma{Exponent: transform.Fixed(1.3)}.Apply(nil, x)
	})
}

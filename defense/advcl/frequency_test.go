package advcl

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

func radial(t testing.TB, size int, r float64) *Radial {
	f, err := NewRadial(size, r)
	require.NoError(t, err)
	return f
}

func high(t testing.TB, f *Radial, x *tensor.Tensor) *tensor.Tensor {
	y, err := f.High(x)
	require.NoError(t, err)
	return y
}

func TestTheDiscHasItsNumberOfBins(t *testing.T) {
	for _, c := range []struct {
		size int
		r    float64
		want int
	}{{32, 4, 45}, {32, 8, 193}, {32, 12, 437}, {32, 16, 793}, {32, 20, 995}, {16, 4, 45}, {96, 8, 193}, {33, 8, 193}, {32, 0, 0}} {
		require.Equal(t, c.want, radial(t, c.size, c.r).Removed(), "%v", c)
	}
}

func TestHighPassOfAnImpulse(t *testing.T) {
	x := tensor.Zeros(tensor.Float64, 1, 32, 32, 1)
	x.Set(1, 0, 0, 0, 0)
	y := high(t, radial(t, 32, 8), x)
	for _, c := range []struct {
		i, j int
		want float64
	}{{0, 0, 0.8115234375}, {0, 1, -0.1377577492}, {1, 1, -0.0974422757}, {3, 5, -0.0084924378}, {16, 16, -0.0009765625}} {
		require.InDelta(t, c.want, y.At(0, c.i, c.j, 0), 1e-10)
	}
}

func TestWavesPassOrAreBlocked(t *testing.T) {
	f := radial(t, 32, 8)
	for _, c := range []struct {
		u, v int
		pass bool
	}{{0, 0, false}, {7, 0, false}, {5, 6, false}, {8, 0, true}, {4, 7, true}, {6, 6, true}, {16, 0, true}, {16, 16, true}} {
		x := tensor.Zeros(tensor.Float64, 1, 32, 32, 1)
		for i := range 32 {
			for j := range 32 {
				x.Set(math.Cos(2*math.Pi*float64(c.u*i+c.v*j)/32), 0, i, j, 0)
			}
		}
		want := 0.0
		if c.pass {
			want = 1
		}
		for _, typed := range []*tensor.Tensor{x, x.To(tensor.Float32)} {
			require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(high(t, f, typed), tensor.MulScalar(typed, want))), 4e-6, "(%d, %d)", c.u, c.v)
		}
	}
}

func TestHighPassOfThePattern(t *testing.T) {
	x := tensor.Zeros(tensor.Float64, 1, 32, 32, 1)
	for i := range 32 {
		for j := range 32 {
			x.Set(float64((37*i+91*j+((i*j)%17)*5)%256)/255, 0, i, j, 0)
		}
	}
	f := radial(t, 32, 8)
	require.InDelta(t, 0.49502528, tensor.Mean(x).Item(), 1e-8)
	y := high(t, f, x)
	low, err := f.Low(x)
	require.NoError(t, err)
	require.InDelta(t, -0.32363419, y.At(0, 0, 0, 0), 1e-8)
	require.InDelta(t, 0.45242749, y.At(0, 10, 20, 0), 1e-8)
	require.InDelta(t, 0.33329253, y.At(0, 31, 31, 0), 1e-8)
	square := func(x *tensor.Tensor) float64 { return tensor.Sum(tensor.Square(x)).Item() }
	require.InDelta(t, 76.37331990, square(y), 1e-8)
	require.InDelta(t, 261.35649171, square(low), 1e-8)
	require.InDelta(t, 337.72981161, square(x), 1e-8)
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range y.Values() {
		lo, hi = min(lo, v), max(hi, v)
	}
	require.InDelta(t, -0.586646, lo, 1e-6)
	require.InDelta(t, 0.582656, hi, 1e-6)
	require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(high(t, f, y), y)), 1e-15)
	require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(tensor.Add(low, y), x)), 1e-15)
}

// Both ways to filter agree, for discs of less and of more than half of all
// frequencies, and for odd sizes.
func TestBothFiltersAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, c := range []struct {
		size int
		r    float64
	}{{32, 8}, {32, 20}, {9, 3}, {8, 0}, {5, 2.5}, {2, 1}} {
		f := radial(t, c.size, c.r)
		x := tensor.Uniform(rng, tensor.Float64, 0, 1, 2, c.size, c.size, 3)
		for _, part := range []func(*tensor.Tensor) (*tensor.Tensor, error){f.High, f.Low} {
			exact, err := part(x)
			require.NoError(t, err)
			fast, err := part(x.To(tensor.Float32))
			require.NoError(t, err)
			require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(fast.To(tensor.Float64), exact)), 3e-6, "%v", c)
		}
		if c.r > 0 {
			means := tensor.Mean(high(t, f, x), 1, 2)
			require.InDelta(t, 0, tensor.MaxAbs(means), 1e-14, "channels of the high part have a mean of 0")
		}
	}
}

func TestRadialRefusesWhatMakesNoSense(t *testing.T) {
	for want, c := range map[string]struct {
		size int
		r    float64
	}{"1 pixels a side": {1, 1}, "radius is -1": {32, -1}, "radius is NaN": {32, math.NaN()}, "removes every frequency": {32, 23}} {
		_, err := NewRadial(c.size, c.r)
		require.ErrorContains(t, err, want)
	}
	// An odd size has no bin at half of it: its corners are nearer.
	_, err := NewRadial(33, 23)
	require.ErrorContains(t, err, "removes every frequency of images of 33 pixels a side, want at most 22.63")
	require.Equal(t, 33*33-4, radial(t, 33, 22.6).Removed())
	require.Equal(t, 32*32-1, radial(t, 32, 22.6).Removed())
	for _, x := range []*tensor.Tensor{tensor.Zeros(tensor.Float32, 1, 32, 16, 3), tensor.Zeros(tensor.Float64, 32, 32)} {
		_, err := radial(t, 32, 8).High(x)
		require.ErrorContains(t, err, "want [N 32 32 C]")
	}
}

package transform_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

// ramp is an image whose value at (r, c) is a r + b c.
func ramp(h, w int, a, b float64) *tensor.Tensor {
	x := tensor.Zeros(tensor.Float64, 1, h, w, 1)
	for r := range h {
		for c := range w {
			x.Set(a*float64(r)+b*float64(c), 0, r, c, 0)
		}
	}
	return x
}

// On a ramp, bilinear interpolation gives the coordinate itself: row i of the crop
// 0.8 comes from 0.1 (H-1) + 0.8 i, which for H = 32 is 3.1, 3.9, ..., 27.9.
func TestCropSamplesTheRows(t *testing.T) {
	crop := transform.Crop{Side: transform.Fixed(0.8)}
	rows, cols := crop.Apply(nil, ramp(32, 28, 1, 0)), crop.Apply(nil, ramp(32, 28, 0, 1))
	for i := range 32 {
		for j := range 28 {
			require.InDelta(t, 3.1+0.8*float64(i), rows.At(0, i, j, 0), 1e-12)
			require.InDelta(t, 2.7+0.8*float64(j), cols.At(0, i, j, 0), 1e-12)
		}
	}
	whole := transform.Crop{Side: transform.Fixed(1)}
	x := images(rand.New(rand.NewPCG(1, 1)), tensor.Float64, 2, 6, 7, 3)
	require.Equal(t, x.Values(), whole.Apply(nil, x).Values())
	single := tensor.FromFloat64([]float64{0.3}, 1, 1, 1, 1)
	require.Equal(t, []float64{0.3}, crop.Apply(nil, single).Values())
}

func TestFlipsAreInvolutionsAndMirror(t *testing.T) {
	x := tensor.FromFloat64([]float64{1, 2, 3, 4, 5, 6}, 1, 2, 3, 1)
	lr, ud := transform.FlipLR{}, transform.FlipUD{}
	require.Equal(t, []float64{3, 2, 1, 6, 5, 4}, lr.Apply(nil, x).Values())
	require.Equal(t, []float64{4, 5, 6, 1, 2, 3}, ud.Apply(nil, x).Values())
	require.Equal(t, x.Values(), lr.Apply(nil, lr.Apply(nil, x)).Values())
	require.Equal(t, x.Values(), ud.Apply(nil, ud.Apply(nil, x)).Values())
}

func TestBrightnessAndGammaValues(t *testing.T) {
	x := tensor.FromFloat64([]float64{0, 0.25, 1, 0.95}, 1, 2, 2, 1)
	bright := transform.Brightness{Add: transform.Fixed(0.1)}.Apply(nil, x).Values()
	require.InDeltaSlice(t, []float64{0.1, 0.35, 1.1, 1.05}, bright, 1e-15)
	gamma := transform.Gamma{Exponent: transform.Fixed(1.3)}
	require.InDeltaSlice(t, []float64{0, math.Pow(0.25, 1.3), 1, math.Pow(0.95, 1.3)}, gamma.Apply(nil, x).Values(), 1e-12)
	for _, exponent := range []float64{0.5, 1, 1.3} {
		tape := tensor.NewTape()
		w := tape.Watch(x)
		g := tensor.Grad(tensor.Sum(transform.Gamma{Exponent: transform.Fixed(exponent)}.Apply(nil, w)), w)[0].Values()
		require.Equal(t, 0.0, g[0], "the derivative at 0")
		require.InDelta(t, exponent*math.Pow(0.25, exponent-1), g[1], 1e-12)
	}
}

// Quarter turns move pixels without loss, counter-clockwise: what was right comes
// to the top.
func TestQuarterTurnsAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{4, 5} {
		x := images(r, tensor.Float64, 2, n, n, 3)
		for _, in := range []transform.Interpolation{transform.Nearest, transform.Bilinear} {
			quarter := transform.Rotation{Degrees: transform.Fixed(90), Interpolation: in}
			y := quarter.Apply(nil, x)
			for i := range n {
				for j := range n {
					require.Equal(t, x.At(1, j, n-1-i, 2), y.At(1, i, j, 2))
				}
			}
			back := transform.Rotation{Degrees: transform.Fixed(-90), Interpolation: in}
			require.Equal(t, x.Values(), back.Apply(nil, y).Values())
			half := transform.Rotation{Degrees: transform.Fixed(-180), Interpolation: in}
			require.Equal(t, quarter.Apply(nil, y).Values(), half.Apply(nil, x).Values())
			full := transform.Rotation{Degrees: transform.Fixed(720), Interpolation: in}
			require.Equal(t, x.Values(), full.Apply(nil, x).Values())
		}
	}
}

// A turn by 30 degrees of a 5 by 5 image, worked out by hand from the inverse
// rotation: the result's pixel (0, 2), two above the middle, comes from two along
// the direction that is turned up, (2 - 2 cos 30°, 2 + 2 sin 30°) = (0.268, 3),
// and its corner (0, 0) from (2 - 2 cos 30° - 2 sin 30°, ...) < -0.5, outside.
func TestRotationByThirtyDegrees(t *testing.T) {
	x := ramp(5, 5, 10, 1)
	y := transform.Rotation{Degrees: transform.Fixed(30)}.Apply(nil, x)
	require.Equal(t, 22.0, y.At(0, 2, 2, 0), "the middle stays")
	require.Equal(t, 3.0, y.At(0, 0, 2, 0), "from (0, 3)")
	require.Equal(t, 0.0, y.At(0, 0, 0, 0), "from outside")
	smooth := transform.Rotation{Degrees: transform.Fixed(30), Interpolation: transform.Bilinear}.Apply(nil, x)
	row, col := 2-2*math.Cos(math.Pi/6), 2+2*math.Sin(math.Pi/6)
	require.InDelta(t, 10*row+col, smooth.At(0, 0, 2, 0), 1e-12)
}

func TestTranslationMovesWholeAndHalfPixels(t *testing.T) {
	x := tensor.FromFloat64([]float64{1, 2, 3, 4, 5, 6}, 1, 2, 3, 1)
	move := func(down, right float64, in transform.Interpolation) []float64 {
		return transform.Translation{Down: transform.Fixed(down), Right: transform.Fixed(right), Interpolation: in}.Apply(nil, x).Values()
	}
	for _, in := range []transform.Interpolation{transform.Nearest, transform.Bilinear} {
		require.Equal(t, x.Values(), move(0, 0, in))
		require.Equal(t, []float64{0, 0, 0, 0, 1, 2}, move(1, 1, in))
		require.Equal(t, []float64{5, 6, 0, 0, 0, 0}, move(-1, -1, in))
		require.Equal(t, make([]float64, 6), move(0, 3, in))
	}
	require.Equal(t, []float64{0.5, 1.5, 2.5, 2, 4.5, 5.5}, move(0, 0.5, transform.Bilinear))
}

// A pose turns first and shifts then.
func TestPoseTurnsThenShifts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	x := images(r, tensor.Float64, 1, 6, 6, 1)
	pose := transform.Pose{Degrees: transform.Fixed(90), Down: transform.Fixed(1), Right: transform.Fixed(-2)}
	steps := transform.Chain{
		transform.Rotation{Degrees: transform.Fixed(90)},
		transform.Translation{Down: transform.Fixed(1), Right: transform.Fixed(-2)},
	}
	require.Equal(t, steps.Apply(nil, x).Values(), pose.Apply(nil, x).Values())
	require.Equal(t, pose.Apply(nil, x).Values(), transform.Warp(x, []transform.Affine{transform.Posed(6, 6, 90, 1, -2)}, transform.Nearest).Values())
}

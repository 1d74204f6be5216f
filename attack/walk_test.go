package attack

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

// On a linear model the second step of R+FGSM is known, and what is left is the
// random one, of either sign.
func TestRFGSMOnALinearModelIsClosedForm(t *testing.T) {
	w := []float64{3, -1, 0.5, -2, 1, -4}
	m := linear{tensor.FromFloat64(append(make([]float64, 6), w...), 2, 6), tensor.FromFloat64([]float64{100, 0}, 2)}
	x := tensor.Full(tensor.Float64, 0.5, 20, 6)
	a := &RFGSM{Threat: Threat{Norm: Linf, Eps: 0.3}, Alpha: 0.1, Objective: Margin{}}
	// The model is never wrong; the trial's points are looked at.
	r := &relay{}
	signs := map[float64]int{}
	for i := range 20 {
		x0 := x.Float64s()[i*6 : (i+1)*6]
		trial := beginRFGSM[float64](a, r, make([]int, 20))(i, x0, nil)
		u := make([]float64, 6)
		trial.ask(u)
		first := append([]float64(nil), u...)
		require.True(t, trial.answer([]float64{1, 0}, 0, w))
		trial.ask(u)
		require.False(t, trial.answer([]float64{1, 0}, 0, w))
		for j := range u {
			signs[math.Copysign(1, first[j]-0.5)]++
			require.InDelta(t, 0.1, math.Abs(first[j]-0.5), 1e-9)
			require.InDelta(t, first[j]+math.Copysign(0.2, w[j]), u[j], 1e-9)
		}
	}
	require.True(t, signs[1] > 30 && signs[-1] > 30, "%v", signs)
	res, err := a.Run(t.Context(), m, x, make([]int, 20))
	require.NoError(t, err)
	require.Equal(t, 3, res.Queries[0])
	require.Equal(t, 2, res.Gradients[0])
}

// Framing an image is linear, and the way back for gradients is its transpose; an
// image of full size is the image itself.
func TestFramesAndTheirGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 13))
	for range 200 {
		f := frame{imageSize: imageSize{1 + r.IntN(6), 1 + r.IntN(6), 1 + r.IntN(3)}}
		f.from = make([]int, f.h*f.w)
		f.draw(r, 0.3)
		n := f.h * f.w * f.c
		x, g, y, back := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], g[i] = r.NormFloat64(), r.NormFloat64()
		}
		put(f, y, x, 0)
		takeBack(f, back, g)
		var left, right float64
		for i := range x {
			left, right = left+g[i]*y[i], right+back[i]*x[i]
		}
		require.InDelta(t, left, right, 1e-12)
		f.draw(r, 1)
		put(f, y, x, 0)
		require.Equal(t, x, y)
	}
	// Half of a 4x4 image: every other pixel, in one place among zeros.
	f := frame{imageSize: imageSize{4, 4, 1}, from: make([]int, 16)}
	x, y := make([]float64, 16), make([]float64, 16)
	for i := range x {
		x[i] = float64(i + 1)
	}
	f.draw(rand.New(rand.NewPCG(2, 13)), 0.5)
	for f.from[0] != -1 || count4(f.from) != 4 {
		f.draw(r, 0.5)
	}
	put(f, y, x, 0)
	var seen []float64
	for _, v := range y {
		if v != 0 {
			seen = append(seen, v)
		}
	}
	require.Equal(t, []float64{6, 8, 14, 16}, seen)
}

func count4(from []int) (n int) {
	for _, k := range from {
		if k >= 0 {
			n++
		}
	}
	return n
}

// A point becomes the kernel, cut at the edges, where nothing comes in from beyond;
// a kernel that is kept whole leaves a constant image as it is.
func TestSmoothing(t *testing.T) {
	size := imageSize{5, 7, 2}
	n := size.h * size.w * size.c
	k := gaussian(2, 1)
	x, y, scratch := make([]float64, n), make([]float64, n), make([]float64, n)
	x[(1*size.w+3)*size.c+1] = 1
	convolve(y, x, scratch, size, k, false)
	for i := range size.h {
		for j := range size.w {
			want := 0.0
			if a, b := i-1, j-3; a >= -2 && a <= 2 && b >= -2 && b <= 2 {
				e := func(u int) float64 { return math.Exp(-float64(u*u)/2) / (1 + 2*math.Exp(-0.5) + 2*math.Exp(-2)) }
				want = e(a) * e(b)
			}
			require.InDelta(t, want, y[(i*size.w+j)*size.c+1], 1e-12)
			require.Zero(t, y[(i*size.w+j)*size.c])
		}
	}
	for i := range x {
		x[i] = 0.7
	}
	convolve(y, x, scratch, size, k, true)
	for _, v := range y {
		require.InDelta(t, 0.7, v, 1e-12)
	}
	convolve(y, x, scratch, size, k, false)
	require.Less(t, y[0], 0.5)
	require.InDelta(t, 0.7, y[(2*size.w+3)*size.c], 1e-12)
}

// TI-FGSM steps along smoothed gradients: a gradient of one pixel moves its
// neighbours too.
func TestTIFGSMMovesNeighbours(t *testing.T) {
	a := &TIFGSM{Threat: Threat{Norm: Linf, Eps: 0.2}, Radius: 1, Steps: 1}
	x0 := make([]float64, 25)
	r := &relay{}
	trial := beginMomentum(a.loop(), r, []int{0}, smoothGradients[float64](a, imageSize{5, 5, 1}))(0, x0, nil)
	g, u := make([]float64, 25), make([]float64, 25)
	g[12] = 1
	trial.answer([]float64{1, 0}, 0, g)
	trial.ask(u)
	for i, v := range u {
		want := 0.0
		if a, b := i/5-2, i%5-2; a*a <= 1 && b*b <= 1 {
			want = 0.2
		}
		require.InDelta(t, want, v, 1e-9)
	}
}

// The second step of MI-FGSM follows the sum of both gradients, each of the same
// weight, or with a negative decay the last one alone.
func TestMIFGSMSumsGradients(t *testing.T) {
	for decay, want := range map[float64][]float64{0: {0.2, 0.1}, 0.25: {0.2, 0.1}, -1: {0.1, 0.1}} {
		a := &MIFGSM{Threat: Threat{Norm: Linf, Eps: 0.5}, StepSize: 0.1, Decay: decay}
		trial := beginMomentum[float64](a.loop(), &relay{}, []int{0}, nil)(0, make([]float64, 2), nil)
		require.True(t, trial.answer([]float64{1, 0}, 0, []float64{5, 0}))
		require.True(t, trial.answer([]float64{1, 0}, 0, []float64{0, 1e-3}))
		u := make([]float64, 2)
		trial.ask(u)
		require.InDeltaSlice(t, want, u, 1e-9, "decay %v", decay)
	}
}

package tensor_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/stretchr/testify/require"
)

// gradsOfConv returns a convolution and its gradients, of first and second
// order.
func gradsOfConv(tape *tensor.Tape, dtype tensor.DType) []*tensor.Tensor {
	rng := rand.New(rand.NewPCG(5, 5))
	draw := func(dims ...int) *tensor.Tensor {
		x := tensor.Zeros(tensor.Float32, dims...)
		for i := range x.Float32s() {
			x.Float32s()[i] = rng.Float32() - 0.5
		}
		return tape.Watch(x.To(dtype))
	}
	x, w := draw(2, 10, 9, 64), draw(3, 3, 64, 64)
	y := tensor.Conv2D(x, w, nil, tensor.Same(1, 1), tensor.Identity)
	g := tensor.Gradients(tensor.Mean(tensor.Square(y)), tensor.GradOptions{CreateGraph: true}, x, w)
	h := tensor.Grad(tensor.Add(tensor.Dot(g[0], g[0]), tensor.Dot(g[1], g[1])), x, w)
	return append([]*tensor.Tensor{y, g[0], g[1]}, h...)
}

func TestWinogradGradientsAreThoseOfTheConvolution(t *testing.T) {
	fast := gradsOfConv(tensor.NewTape(), tensor.Float32)
	direct := gradsOfConv(&tensor.Tape{DirectConv: true}, tensor.Float32)
	exact := gradsOfConv(tensor.NewTape(), tensor.Float64)
	for i, want := range exact {
		size := math.Sqrt(tensor.Dot(want, want).Item())
		off := func(got *tensor.Tensor) float64 {
			d := tensor.Sub(got.To(tensor.Float64), want.To(tensor.Float64))
			return math.Sqrt(tensor.Dot(d, d).Item()) / size
		}
		require.Less(t, off(fast[i]), 1e-5, "result %d", i)
		require.Less(t, off(direct[i]), 2e-6, "result %d", i)
		require.NotEqual(t, fast[i].Values(), direct[i].Values(), "DirectConv changes nothing in result %d", i)
	}
}

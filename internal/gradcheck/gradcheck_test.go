package gradcheck

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

// leaky is f with a part of the given size through which no gradient flows.
func leaky(f func(x *tensor.Tensor) *tensor.Tensor, part float64) Func {
	return func(xs []*tensor.Tensor) *tensor.Tensor {
		return tensor.Add(f(xs[0]), tensor.MulScalar(f(xs[0].Detach()), part))
	}
}

// A derivative that is wrong by one part in 10,000 is found, however large or
// small it is, and a right one passes.
func TestErrorsAreRelativeAtEveryScale(t *testing.T) {
	for _, scale := range []float64{1e-5, 1e-3, 1, 1e4} {
		for name, f := range map[string]func(x *tensor.Tensor) *tensor.Tensor{
			"linear": func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(x, scale) },
			"tanh":   func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(tensor.Tanh(x), scale) },
			"square": func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(tensor.Square(x), scale) },
		} {
			for seed := range uint64(5) {
				r := rand.New(rand.NewPCG(seed, 1))
				x := tensor.Normal(r, tensor.Float64, 0, 1, 3, 2)
				require.NoError(t, Check(r, 1e-6, leaky(f, 0), x), "%s, scale %g, seed %d", name, scale, seed)
				require.ErrorContains(t, Check(r, 1e-6, leaky(f, 1e-4), x), "gradient of operand 0", "%s, scale %g, seed %d", name, scale, seed)
			}
		}
	}
}

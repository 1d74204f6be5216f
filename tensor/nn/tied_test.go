package nn_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// tied is a float64 network for images of 2x2 that passes one layer three times.
func tied() *nn.Sequential {
	r := rng()
	shared := nn.NewLinear(r, 4, 4)
	net := nn.NewSequential(nn.Flatten, shared, nn.Tanh, shared, nn.Sigmoid, shared, nn.NewLinear(r, 4, 10))
	nn.Convert(net, tensor.Float64)
	return net
}

func TestSharedLayersHaveTheirParametersOnce(t *testing.T) {
	net := tied()
	require.Len(t, nn.Params(net), 4)
	require.Equal(t, 4*4+4+4*10+10, nn.CountParams(net))
}

// The gradient of a shared parameter is the sum over its places, also where the
// caller names the parameter more than once, and a step of SGD is one along it.
func TestSharedLayersLearnFromAllTheirPlaces(t *testing.T) {
	const h, lr, decay = 1e-5, 0.5, 0.25
	net, set := tied(), idxSet(t, 6, 2, 2)
	params := nn.Params(net)
	images, y := set.All()
	x := images.To(tensor.Float64)
	loss := func(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
		return tensor.Mean(tensor.CrossEntropy(net.Forward(p, x), y))
	}
	slopes := make([][]float64, len(params))
	for i, w := range params {
		slopes[i] = make([]float64, w.Len())
		for k := range slopes[i] {
			v := w.Float64s()
			was := v[k]
			v[k] = was + h
			up := loss(&nn.Pass{}, x).Item()
			v[k] = was - h
			slopes[i][k] = (up - loss(&nn.Pass{}, x).Item()) / (2 * h)
			v[k] = was
		}
	}
	tape, pass := tensor.NewTape(), &nn.Pass{}
	watched := pass.Watch(tape, slices.Concat(params, params))
	for i, g := range tensor.Grad(loss(pass, tape.Const(x)), watched...) {
		require.InDeltaSlice(t, slopes[i%len(params)], g.Values(), 1e-9, "parameter %d", i)
	}

	var want [][]float64
	for i, w := range params {
		v := w.Values()
		for k := range v {
			v[k] -= lr * (slopes[i][k] + decay*v[k])
		}
		want = append(want, v)
	}
	tr := nn.Trainer{Net: net, Data: set, Steps: 1, BatchSize: 6, Optimizer: &optim.SGD{WeightDecay: decay}, Schedule: optim.Constant(lr)}
	require.NoError(t, tr.Run(context.Background()))
	for i, w := range params {
		require.InDeltaSlice(t, want[i], w.Values(), 1e-8, "parameter %d", i)
	}
}

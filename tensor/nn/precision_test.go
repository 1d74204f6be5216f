package nn_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/gradcheck"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// apart draws values that differ from each other and from 0 by at least 0.05, so
// that no kink or tie lies within a finite difference.
func apart(r *rand.Rand, dims ...int) *tensor.Tensor {
	x := tensor.Zeros(tensor.Float64, dims...)
	v := x.Float64s()
	for i, p := range r.Perm(len(v)) {
		v[i] = (float64(p) - float64(len(v))/2 + 0.25) * 0.1
	}
	return x
}

// Every layer, in both modes, has the first and second derivatives that central
// differences in float64 find, with respect to its input and its parameters.
func TestDerivativesOfLayersInFloat64(t *testing.T) {
	statistics := func(l *nn.BatchNorm, r *rand.Rand) *nn.BatchNorm {
		for _, s := range l.Sets {
			for _, v := range []*tensor.Tensor{s.Gamma, s.Beta, s.Mean, s.Var} {
				v.CopyFrom(tensor.Uniform(r, tensor.Float32, 0.5, 2, v.Len()))
			}
		}
		return l
	}
	for name, c := range map[string]struct {
		layer func(r *rand.Rand) nn.Layer
		dims  []int
	}{
		"Linear":           {func(r *rand.Rand) nn.Layer { return nn.NewLinear(r, 5, 3) }, []int{4, 5}},
		"Linear no bias":   {func(r *rand.Rand) nn.Layer { return &nn.Linear{Weight: nn.FanIn(r, 5, 5, 3)} }, []int{4, 5}},
		"Conv2D":           {func(r *rand.Rand) nn.Layer { return nn.NewConv2D(r, 2, 3, 3, tensor.Same(2, 1)) }, []int{2, 5, 4, 2}},
		"Conv2D no bias":   {func(r *rand.Rand) nn.Layer { return nn.NewConv2DNoBias(r, 2, 3, 3, tensor.Same(1, 1)) }, []int{2, 4, 4, 2}},
		"BatchNorm":        {func(r *rand.Rand) nn.Layer { return statistics(nn.NewBatchNorm(3), r) }, []int{2, 3, 2, 3}},
		"BatchNorm matrix": {func(r *rand.Rand) nn.Layer { return statistics(nn.NewBatchNorm(3), r) }, []int{5, 3}},
		"Normalize":        {func(*rand.Rand) nn.Layer { return nn.NewNormalize([]float64{0.3, 0.5}, []float64{0.2, 0.4}) }, []int{2, 3, 3, 2}},
		"ReLU":             {func(*rand.Rand) nn.Layer { return nn.ReLU }, []int{3, 4}},
		"Tanh":             {func(*rand.Rand) nn.Layer { return nn.Tanh }, []int{3, 4}},
		"Sigmoid":          {func(*rand.Rand) nn.Layer { return nn.Sigmoid }, []int{3, 4}},
		"Flatten":          {func(*rand.Rand) nn.Layer { return nn.Flatten }, []int{2, 2, 2, 3}},
		"GlobalAvgPool":    {func(*rand.Rand) nn.Layer { return nn.GlobalAvgPool }, []int{2, 3, 2, 3}},
		"MaxPool2D":        {func(*rand.Rand) nn.Layer { return nn.MaxPool2D(2, tensor.Same(2, 0)) }, []int{2, 4, 4, 2}},
		"AvgPool2D":        {func(*rand.Rand) nn.Layer { return nn.AvgPool2D(3, tensor.Same(2, 1)) }, []int{2, 4, 4, 2}},
		"Dropout":          {func(*rand.Rand) nn.Layer { return nn.Dropout(0.4) }, []int{4, 5}},
		"Sequential": {func(r *rand.Rand) nn.Layer {
			return nn.NewSequential(nn.NewConv2D(r, 1, 2, 3, tensor.Same(1, 1)), statistics(nn.NewBatchNorm(2), r), nn.Tanh, nn.Flatten, nn.NewLinear(r, 32, 3))
		}, []int{2, 4, 4, 1}},
	} {
		for _, train := range []bool{false, true} {
			for seed := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, 7))
				l := c.layer(r)
				nn.Convert(l, tensor.Float64)
				params := nn.Params(l)
				f := func(xs []*tensor.Tensor) *tensor.Tensor {
					p := &nn.Pass{Train: train, Rand: rand.New(rand.NewPCG(seed, 8))}
					for i, w := range params {
						p.Use(w, xs[1+i])
					}
					return l.Forward(p, xs[0])
				}
				xs := append([]*tensor.Tensor{apart(r, c.dims...)}, params...)
				require.NoError(t, gradcheck.Check(r, 1e-6, f, xs...), "%s, train %v, seed %d", name, train, seed)
			}
		}
	}
}

// The gradients of every model, in both modes, agree with central differences in
// float64 to 1e-6 of their size: for each tensor, along its gradient and a random
// direction together.
func TestGradientsOfModelsInFloat64(t *testing.T) {
	for name, c := range map[string]struct {
		net      func(r *rand.Rand) nn.Layer
		h, c     int
		step     float64 // small where ReLU bends the loss
		together bool    // all tensors in one check
	}{
		"MLP":                {func(r *rand.Rand) nn.Layer { return nn.NewMLP(r, 12, 12, 1, 20, 10, 5) }, 12, 1, 1e-7, false},
		"LeNet-5":            {func(r *rand.Rand) nn.Layer { return nn.NewLeNet5(r, 28, 1, 10, nil) }, 28, 1, 1e-3, false},
		"LeNet-5 tanh":       {func(r *rand.Rand) nn.Layer { return nn.NewLeNet5(r, 32, 3, 10, nn.Tanh) }, 32, 3, 1e-3, false},
		"MNIST network":      {func(r *rand.Rand) nn.Layer { return nn.NewMNISTNet(r) }, 28, 1, 1e-7, false},
		"MNIST pool network": {func(r *rand.Rand) nn.Layer { return nn.NewMNISTPoolNet(r, 32) }, 28, 1, 1e-7, false},
		"ResNet-8":           {func(r *rand.Rand) nn.Layer { return nn.NewResNet8(r, 10) }, 16, 3, 1e-7, false},
		"ResNet-18":          {func(r *rand.Rand) nn.Layer { return nn.NewResNet18(r, 10) }, 16, 3, 1e-8, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 9))
			net := c.net(r)
			nn.Convert(net, tensor.Float64)
			x, y := tensor.Uniform(r, tensor.Float64, 0, 1, 2, c.h, c.h, c.c), []int{1, 4}
			at := append([]*tensor.Tensor{x}, nn.Params(net)...)
			along, moved := make([]*tensor.Tensor, len(at)), make([]*tensor.Tensor, len(at))
			for i, w := range at {
				along[i], moved[i] = tensor.Zeros(tensor.Float64, w.Shape()...), tensor.Zeros(tensor.Float64, w.Shape()...)
			}
			tape := tensor.NewTape()
			for _, train := range []bool{false, true} {
				loss := func(xs []*tensor.Tensor) (*tensor.Tensor, []*tensor.Tensor) {
					tape.Reset()
					p := &nn.Pass{Train: train}
					in := tape.Watch(xs[0])
					watched := append([]*tensor.Tensor{in}, p.Watch(tape, at[1:])...)
					for i, w := range at[1:] {
						if xs[1+i] != w {
							p.Use(w, xs[1+i])
						}
					}
					return tensor.Mean(tensor.CrossEntropy(net.Forward(p, in), y)), watched
				}
				value, watched := loss(at)
				var grads []*tensor.Tensor
				for _, g := range tensor.Grad(value, watched...) {
					grads = append(grads, g.Clone())
				}
				for i := 0; i < len(at); i++ {
					lo, hi := i, i+1
					if c.together {
						hi = len(at)
					}
					want := 0.0
					for k := lo; k < hi; k++ {
						want += tensor.Dot(grads[k], drawAlong(r, along[k], grads[k])).Item()
					}
					got := 0.0
					xs := slices.Clone(at)
					copy(xs[lo:hi], moved[lo:hi])
					for _, s := range [][2]float64{{-2, 1. / 12}, {-1, -8. / 12}, {1, 8. / 12}, {2, -1. / 12}} {
						for k := lo; k < hi; k++ {
							to, d := moved[k].Float64s(), along[k].Float64s()
							for e, v := range at[k].Float64s() {
								to[e] = v + s[0]*c.step*d[e]
							}
						}
						value, _ := loss(xs)
						got += s[1] / c.step * value.Item()
					}
					require.InDelta(t, want, got, 1e-6*math.Abs(want), "train %v, tensor %d of shape %v", train, i, at[i].Shape())
					i = hi - 1
				}
			}
		})
	}
}

// drawAlong fills d with the sum of g's direction and a random one, both of length
// 1, and returns it.
func drawAlong(r *rand.Rand, d, g *tensor.Tensor) *tensor.Tensor {
	v := d.Float64s()
	for i := range v {
		v[i] = r.NormFloat64()
	}
	length := func(x *tensor.Tensor) float64 { return math.Sqrt(tensor.Dot(x, x).Item()) }
	random, steepest := 1/length(d), 1/length(g)
	for i, slope := range g.Float64s() {
		v[i] = v[i]*random + slope*steepest
	}
	return d
}

// A network in float64 trains, saves and resumes like one in float32, and stays
// close to it.
func TestTrainingInFloat64(t *testing.T) {
	set := idxSet(t, 200, 28, 28)
	a, b := nn.NewMNISTNet(rng()), nn.NewMNISTNet(rng())
	nn.Convert(b, tensor.Float64)
	path := t.TempDir() + "/checkpoint"
	for _, net := range []nn.Layer{a, b} {
		tr := nn.Trainer{Net: net, Data: set, Epochs: 1, BatchSize: 20}
		if net == b {
			tr.Checkpoint = path
		}
		require.NoError(t, tr.Run(context.Background()))
	}
	for i, w := range nn.Params(a) {
		require.Equal(t, tensor.Float64, nn.Params(b)[i].DType())
		require.InDeltaSlice(t, w.Values(), nn.Params(b)[i].Values(), 1e-3)
	}
	again := nn.NewMNISTNet(rng())
	tr := nn.Trainer{Net: again, Data: set, Epochs: 1, BatchSize: 20, Checkpoint: path}
	require.ErrorContains(t, tr.Run(context.Background()), "has type float64, want float32")
	nn.Convert(again, tensor.Float64)
	require.NoError(t, tr.Run(context.Background()))
	require.Equal(t, values(b), values(again))

	nn.Params(b)[3].CopyFrom(nn.Params(a)[3])
	*nn.Params(b)[3] = *nn.Params(b)[3].To(tensor.Float32)
	tr = nn.Trainer{Net: b, Data: set, Epochs: 1, BatchSize: 20}
	require.ErrorContains(t, tr.Run(context.Background()), `parameter "2.bias" [32] is float32, want float64 as parameter "0.weight"`)
}

// Convert keeps the tensors and all that float32 can hold.
func TestConvertThereAndBack(t *testing.T) {
	net := nn.NewResNet8(rng(), 10, "clean", "adv")
	before, params := values(net), nn.Params(net)
	x := tensor.Uniform(rng(), tensor.Float32, 0, 1, 2, 32, 32, 3)
	want := nn.Classifier{Net: net}.Logits(x)
	nn.Convert(net, tensor.Float64)
	require.Equal(t, before, values(net))
	got := nn.Classifier{Net: net}.Logits(x.To(tensor.Float64))
	require.Equal(t, tensor.Float64, got.DType())
	require.InDeltaSlice(t, want.Values(), got.Values(), 1e-4)
	nn.Convert(net, tensor.Float32)
	require.Equal(t, before, values(net))
	require.Equal(t, want.Values(), nn.Classifier{Net: net}.Logits(x).Values())
	for i, w := range nn.Params(net) {
		require.Same(t, params[i], w)
	}
}

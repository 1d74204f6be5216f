package gorgonia

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	graph "gorgonia.org/gorgonia"
	dense "gorgonia.org/tensor"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// layers are the weights of a small network for images of 8 by 8 pixels and 2
// channels, in our layout.
type layers struct{ conv, dense *tensor.Tensor }

func newLayers(dtype tensor.DType) layers {
	r := rand.New(rand.NewPCG(1, 2))
	return layers{tensor.Normal(r, dtype, 0, 0.4, 3, 3, 2, 4), tensor.Normal(r, dtype, 0, 0.4, 64, 5)}
}

// native is the network in our layers; features reach the dense layer channel by
// channel, as in Gorgonia.
func (l layers) native() attack.Model {
	return nn.Classifier{Net: nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
		y := tensor.Tanh(tensor.Conv2D(x, l.conv, nil, tensor.Same(1, 1), tensor.Identity))
		y = tensor.MaxPool(y, 2, 2, tensor.Same(2, 0))
		return tensor.MatMul(tensor.Flatten(tensor.Transpose(y, 0, 3, 1, 2)), l.dense)
	})}
}

// net builds the network in a Gorgonia graph.
func (l layers) net(t *testing.T, batch int) Net {
	g := graph.NewGraph()
	of := dense.Float64
	if l.conv.DType() == tensor.Float32 {
		of = dense.Float32
	}
	x := graph.NewTensor(g, of, 4, graph.WithShape(batch, 2, 8, 8), graph.WithName("x"))
	filter := graph.NodeFromAny(g, ToDense(tensor.Transpose(l.conv, 3, 2, 0, 1)), graph.WithName("filter"))
	weight := graph.NodeFromAny(g, ToDense(l.dense), graph.WithName("weight"))
	y, err := graph.Conv2d(x, filter, dense.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
	require.NoError(t, err)
	y = graph.Must(graph.Tanh(y))
	y, err = graph.MaxPool2D(y, dense.Shape{2, 2}, []int{0, 0}, []int{2, 2})
	require.NoError(t, err)
	y, err = graph.Reshape(y, dense.Shape{batch, 64})
	require.NoError(t, err)
	return Net{x, graph.Must(graph.Mul(y, weight))}
}

func images(dtype tensor.DType, n int) *tensor.Tensor {
	return tensor.Uniform(rand.New(rand.NewPCG(5, 6)), dtype, 0.1, 0.9, n, 8, 8, 2)
}

// Whatever the batch, the graph gives the logits and the gradients of the same
// network in our own layers.
func TestGraphIsTheNativeNetwork(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64} {
		l := newLayers(dtype)
		m, err := New(l.net(t, 4))
		require.NoError(t, err)
		tol := map[tensor.DType]float64{tensor.Float32: 1e-5, tensor.Float64: 1e-12}[dtype]
		for _, n := range []int{1, 3, 4, 5, 9} {
			x := images(dtype, n)
			labels := make([]int, n)
			for i := range labels {
				labels[i] = i % 5
			}
			tape := tensor.NewTape()
			grad := func(m attack.Model) (z, g []float64) {
				w := tape.Watch(x)
				logits := m.Logits(w)
				loss := tensor.Sum(tensor.CrossEntropy(logits, labels))
				return logits.Values(), tensor.Grad(loss, w)[0].Values()
			}
			z, g := grad(m)
			zn, gn := grad(l.native())
			require.InDeltaSlice(t, zn, z, tol)
			require.InDeltaSlice(t, gn, g, tol)
		}
	}
}

func TestInputGradientIsFiniteDifference(t *testing.T) {
	m, err := New(newLayers(tensor.Float64).net(t, 4))
	require.NoError(t, err)
	require.NoError(t, m.CheckGradient(rand.New(rand.NewPCG(1, 1)), images(tensor.Float64, 6), 1e-5))
	single, err := New(newLayers(tensor.Float32).net(t, 4))
	require.NoError(t, err)
	require.NoError(t, single.CheckGradient(rand.New(rand.NewPCG(1, 1)), images(tensor.Float32, 6), 2e-2))

	// Every pixel of one image.
	x := images(tensor.Float64, 1)
	tape := tensor.NewTape()
	w := tape.Watch(x)
	g := tensor.Grad(tensor.Sum(tensor.Square(m.Logits(w))), w)[0]
	const h = 1e-6
	for i := range x.Float64s() {
		at := func(h float64) float64 {
			moved := x.Clone()
			moved.Float64s()[i] += h
			return tensor.Sum(tensor.Square(m.Logits(moved))).Item()
		}
		require.InDelta(t, (at(h)-at(-h))/(2*h), g.Float64s()[i], 1e-6, "pixel %d", i)
	}
	require.PanicsWithValue(t, "tensor: Grad: Gorgonia graph has no second derivative", func() {
		tensor.Gradients(tensor.Sum(m.Logits(w)), tensor.GradOptions{CreateGraph: true}, w)
	})
}

// A wrong derivative does not pass the check.
func TestCheckGradientFindsAWrongDerivative(t *testing.T) {
	m, err := New(newLayers(tensor.Float64).net(t, 4))
	require.NoError(t, err)
	k := <-m.free
	k.both = k.scores // runs forward only and leaves an old gradient
	k.grad = dense.New(dense.Of(dense.Float64), dense.WithShape(4, 2, 8, 8))
	m.free <- k
	err = m.CheckGradient(rand.New(rand.NewPCG(1, 1)), images(tensor.Float64, 2), 1e-5)
	require.ErrorContains(t, err, "gorgonia: derivative along a random direction is 0, and the difference quotient")
}

// PGD and Square break the network, and PGD as well as on our own layers; copies
// of a graph run side by side and change nothing.
func TestGraphIsAttacked(t *testing.T) {
	l := newLayers(tensor.Float32)
	one, err := New(l.net(t, 16))
	require.NoError(t, err)
	two, err := New(l.net(t, 16), l.net(t, 16))
	require.NoError(t, err)
	x := images(tensor.Float32, 40)
	y, err := attack.Predict(context.Background(), one, x)
	require.NoError(t, err)
	th := attack.Threat{Norm: attack.Linf, Eps: 0.06}
	broken := func(a attack.Attack, m attack.Model) int {
		res, err := a.Run(context.Background(), m, x, y)
		require.NoError(t, err)
		n := 0
		for _, s := range res.Success {
			if s {
				n++
			}
		}
		return n
	}
	pgd := &attack.PGD{Threat: th, Steps: 10, BatchSize: 10}
	native := broken(pgd, l.native())
	assert.Greater(t, native, 20)
	assert.InDelta(t, native, broken(pgd, one), 1)
	assert.Greater(t, broken(&attack.Square{Threat: th, Queries: 150, Rescale: true}, one), 10)

	var wg sync.WaitGroup
	want := one.Logits(x).Values()
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			assert.Equal(t, want, two.Logits(x).Values())
		}()
	}
	wg.Wait()
}

// A network on flattened images takes them as they are.
func TestFlatInput(t *testing.T) {
	g := graph.NewGraph()
	w := tensor.Normal(rand.New(rand.NewPCG(1, 2)), tensor.Float64, 0, 1, 12, 3)
	x := graph.NewMatrix(g, dense.Float64, graph.WithShape(2, 12), graph.WithName("x"))
	z := graph.Must(graph.Mul(x, graph.NodeFromAny(g, ToDense(w))))
	m, err := New(Net{x, z})
	require.NoError(t, err)
	in := tensor.Normal(rand.New(rand.NewPCG(3, 2)), tensor.Float32, 0, 1, 3, 2, 2, 3)
	got := m.Logits(in)
	require.Equal(t, tensor.Float32, got.DType())
	require.InDeltaSlice(t, tensor.MatMul(tensor.Flatten(in.To(tensor.Float64)), w).Values(), got.Values(), 1e-6)
	require.PanicsWithValue(t, "gorgonia: Logits: inputs of shape [3 13] do not fit a graph whose input is [12] for each", func() {
		m.Logits(tensor.Zeros(tensor.Float64, 3, 13))
	})
}

// Dropout between input and logits is refused, whatever its probability: Gorgonia's
// derivative of it is wrong. Dropout of weights has no part in the gradient.
func TestDropoutIsRefused(t *testing.T) {
	build := func(ofWeights bool, p float64) (Net, *tensor.Tensor) {
		g := graph.NewGraph()
		w := tensor.Normal(rand.New(rand.NewPCG(1, 2)), tensor.Float64, 0, 1, 4, 3)
		x := graph.NewMatrix(g, dense.Float64, graph.WithShape(2, 4), graph.WithName("x"))
		y, weight := x, graph.NodeFromAny(g, ToDense(w), graph.WithName("weight"))
		if ofWeights {
			weight = graph.Must(graph.Dropout(weight, p))
		} else {
			y = graph.Must(graph.Dropout(graph.Must(graph.Tanh(y)), p))
		}
		return Net{x, graph.Must(graph.Tanh(graph.Must(graph.Mul(y, weight))))}, w
	}
	for _, p := range []float64{0, 0.5} {
		net, _ := build(false, p)
		_, err := New(net)
		require.ErrorContains(t, err, "gorgonia: network 0: node ")
		require.ErrorContains(t, err, "is a Dropout, whose derivative Gorgonia gets wrong")
		require.ErrorContains(t, err, "Model.CheckGradient")
	}
	net, w := build(true, 0.5)
	m, err := New(net)
	require.NoError(t, err)
	x := tensor.Normal(rand.New(rand.NewPCG(3, 2)), tensor.Float64, 0, 1, 2, 4)
	require.InDeltaSlice(t, tensor.Tanh(tensor.MatMul(x, w)).Values(), m.Logits(x).Values(), 1e-12)
	require.NoError(t, m.CheckGradient(rand.New(rand.NewPCG(1, 1)), x, 1e-5))
}

func TestNewRefusesWhatDoesNotFit(t *testing.T) {
	l := newLayers(tensor.Float64)
	_, err := New()
	require.ErrorContains(t, err, "no network")
	a, b := l.net(t, 2), l.net(t, 2)
	_, err = New(Net{a.Input, b.Logits})
	require.ErrorContains(t, err, "not two nodes of one graph")
	_, err = New(Net{a.Logits, a.Input})
	require.ErrorContains(t, err, "want [B ...] and [B classes]")
	_, err = New(a, l.net(t, 3))
	require.ErrorContains(t, err, "network 1 has input [3 2 8 8] and logits [3 5] of float64, want copies of the first, [2 2 8 8]")
	_, err = New(a)
	require.ErrorContains(t, err, "differentiated before")

	g := graph.NewGraph()
	x := graph.NewMatrix(g, dense.Float64, graph.WithShape(2, 4), graph.WithName("x"))
	w := graph.NewMatrix(g, dense.Float64, graph.WithShape(4, 3), graph.WithName("w"))
	_, err = New(Net{x, graph.Must(graph.Mul(x, w))})
	require.ErrorContains(t, err, `node "w" of shape (4, 3) has no value`)

	g = graph.NewGraph()
	x = graph.NewMatrix(g, dense.Float64, graph.WithShape(2, 4), graph.WithName("x"))
	c := graph.NodeFromAny(g, dense.New(dense.Of(dense.Float64), dense.WithShape(2, 3)))
	_, err = New(Net{x, graph.Must(graph.Tanh(c))})
	require.ErrorContains(t, err, "do not depend on the input")
}

package onnx

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

func read(t *testing.T, g *graph) *Model {
	m, err := Read(bytes.NewReader(g.file()))
	require.NoError(t, err)
	return m
}

// The gradients of every operator, with respect to images and to parameters, are
// the slopes of what it computes.
func TestGradientsAreSlopes(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(12) {
				r := rand.New(rand.NewPCG(seed, 77))
				g, _ := c.draw(r)
				m := read(t, g)
				// Off the grid of the drawn values, where kinks and ties are.
				x := tensor.FromFloat64(g.x.v, append([]int{g.x.dims[0]}, m.InputShape()...)...)
				for i := range x.Float64s() {
					x.Float64s()[i] += 0.003 * r.Float64()
				}
				checkSlope(t, r, m, x)
			}
		})
	}
}

// checkSlope compares the derivative of a random function of the outputs along a
// random direction of inputs and parameters with a difference quotient.
func checkSlope(t *testing.T, r *rand.Rand, m *Model, x *tensor.Tensor) {
	params := nn.Params(m)
	points := append([]*tensor.Tensor{x}, params...)
	var weights *tensor.Tensor
	loss := func(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
		y := m.Forward(p, x)
		if weights == nil {
			weights = tensor.Normal(r, tensor.Float64, 0, 1, y.Shape()...)
		}
		return tensor.Dot(y, weights)
	}
	tape, p := tensor.NewTape(), &nn.Pass{}
	watched := append([]*tensor.Tensor{tape.Watch(x)}, p.Watch(tape, params)...)
	want := 0.0
	directions := make([]*tensor.Tensor, len(points))
	for i, g := range tensor.Grad(loss(p, watched[0]), watched...) {
		directions[i] = tensor.Normal(r, tensor.Float64, 0, 1, g.Shape()...)
		want += tensor.Dot(g, directions[i]).Item()
	}
	const h = 1e-6
	moved := func(h float64) float64 {
		p := &nn.Pass{}
		at := make([]*tensor.Tensor, len(points))
		for i, v := range points {
			at[i] = tensor.Add(v, tensor.MulScalar(directions[i], h))
			p.Use(v, at[i])
		}
		return loss(p, at[0]).Item()
	}
	require.InDelta(t, want, (moved(h)-moved(-h))/(2*h), 1e-6*max(1, math.Abs(want)))
}

// network is a small network with normalised pixels, named as PyTorch would.
func network(r *rand.Rand, batch int) *graph {
	g := newGraph(13, random(r, 4, 2, 6, 6))
	g.batch = batch
	named := func(name string, a array) string {
		g.constant(a)
		g.inits[len(g.inits)-1].name = name
		return name
	}
	mean, std := named("mean", random(r, 1, 2, 1, 1)), named("std", positive(r, 1, 2, 1, 1))
	y := g.node("Div", nil, g.node("Sub", nil, "x", mean), std)
	y = g.node("Conv", attrs{"pads": []int{1, 1, 1, 1}}, y, named("0.weight", random(r, 3, 2, 3, 3)))
	y = g.node("BatchNormalization", attrs{"momentum": 0.75}, y,
		named("1.weight", positive(r, 3)), named("1.bias", random(r, 3)), named("1.running_mean", random(r, 3)), named("1.running_var", positive(r, 3)))
	y = g.node("Relu", nil, y)
	shape := []int64{int64(batch), -1}
	if batch == 0 {
		shape[0], shape[1] = -1, 108
	}
	y = g.node("Reshape", nil, y, g.constant(shape))
	y = g.node("Dropout", nil, y)
	y = g.node("MatMul", nil, y, named("4.weight", random(r, 108, 5)))
	g.node("Add", nil, named("4.bias", random(r, 5)), y)
	return g
}

func TestParametersHaveTheFilesNames(t *testing.T) {
	m := read(t, network(rand.New(rand.NewPCG(1, 2)), 0))
	var names []string
	m.Visit("net.", func(s nn.Slot) { names = append(names, fmt.Sprint(s.Name, " ", s.Trainable, " ", s.Tensor.Shape())) })
	assert.Equal(t, []string{
		"net.0.weight true [3 3 2 3]", "net.1.weight true [3]", "net.1.bias true [3]",
		"net.1.running_mean false [3]", "net.1.running_var false [3]", "net.4.weight true [108 5]", "net.4.bias true [5]",
	}, names)
	assert.Equal(t, 54+6+540+5, nn.CountParams(m))
}

// Saved parameters have PyTorch's layouts: those of the file, with dense weights
// as [out, in], features of images channel by channel.
func TestParametersAreSavedInPyTorchLayout(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	g := network(r, 0)
	m := read(t, g)
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, nn.Save(path, m))
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for _, in := range g.inits {
		a, ok := in.data.(array)
		if !ok || in.name == "mean" || in.name == "std" {
			continue
		}
		if in.name == "4.weight" {
			a = a.transposed(1, 0)
		}
		got, err := f.Tensor(in.name)
		require.NoError(t, err)
		require.Equal(t, a.dims, got.Shape(), in.name)
		require.Equal(t, a.v, got.Values(), in.name)
	}
	other := read(t, network(r, 0))
	x := toOurs(g.x, tensor.Float64)
	require.NoError(t, nn.Load(path, other))
	nn.Copy(other, m)
	require.InDeltaSlice(t, m.Forward(&nn.Pass{}, x).Values()[:1], m.Forward(&nn.Pass{}, x).Values()[:1], 0)
}

// A file with a batch size of its own gives each image of another batch what it
// gives the image alone.
func TestFixedBatchSizeDoesNotMatter(t *testing.T) {
	for _, batch := range []int{1, 4, 7} {
		g := network(rand.New(rand.NewPCG(5, 6)), batch)
		m := read(t, g)
		x := toOurs(g.x, tensor.Float64)
		y := m.Forward(&nn.Pass{}, x)
		require.Equal(t, []int{4, 5}, y.Shape())
		open := read(t, network(rand.New(rand.NewPCG(5, 6)), 0)).Forward(&nn.Pass{}, x)
		require.Equal(t, open.Values(), y.Values())
		for i := range 4 {
			one := m.Forward(&nn.Pass{}, tensor.Slice(x, 0, i, i+1))
			require.InDeltaSlice(t, y.Values()[5*i:5*i+5], one.Values(), 1e-12)
		}
	}
	m := read(t, network(rand.New(rand.NewPCG(5, 6)), 0))
	require.Equal(t, []int{0, 5}, m.Forward(&nn.Pass{}, tensor.Zeros(tensor.Float64, 0, 6, 6, 2)).Shape())
	require.PanicsWithValue(t, "onnx: Forward: input float64[4 2 6 6], want float64[N 6 6 2]", func() {
		m.Forward(&nn.Pass{}, tensor.Zeros(tensor.Float64, 4, 2, 6, 6))
	})
}

// In training, normalisation uses and gathers statistics of the batch and
// Dropout drops; a step along the gradient lowers the loss.
func TestModelsTrain(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	g := network(r, 0)
	m := read(t, g)
	x, y := toOurs(random(r, 32, 2, 6, 6), tensor.Float64), make([]int, 32)
	for i := range y {
		y[i] = r.IntN(5)
	}
	var mean *tensor.Tensor
	m.Visit("", func(s nn.Slot) {
		if s.Name == "1.running_mean" {
			mean = s.Tensor
		}
	})
	old := mean.Clone()
	tape := tensor.NewTape()
	losses := make([]float64, 60)
	for i := range losses {
		tape.Reset()
		p := &nn.Pass{Train: true, Rand: r}
		params := nn.Params(m)
		w := p.Watch(tape, params)
		loss := tensor.Mean(tensor.CrossEntropy(m.Forward(p, tape.Const(x)), y))
		losses[i] = loss.Item()
		for k, d := range tensor.Grad(loss, w...) {
			params[k].CopyFrom(tensor.Sub(params[k], tensor.MulScalar(d, 0.02)))
		}
		p.Commit()
	}
	first, last := losses[0]+losses[1]+losses[2], losses[57]+losses[58]+losses[59]
	assert.Less(t, last, first/3)
	assert.NotEqual(t, old.Values(), mean.Values())
	assert.NotEqual(t, m.Forward(&nn.Pass{Train: true, Rand: r}, x).Values(), m.Forward(&nn.Pass{Train: true, Rand: r}, x).Values(), "Dropout draws")
	assert.Equal(t, m.Forward(&nn.Pass{}, x).Values(), m.Forward(&nn.Pass{}, x).Values())
}

// The running averages move with the file's momentum, which is the weight of the
// old value.
func TestBatchNormalizationMomentum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	x := random(r, 5, 2)
	g := newGraph(15, x)
	one, zero := array{[]int{2}, []float64{1, 1}}, zeros(2)
	g.node("BatchNormalization", attrs{"momentum": 0.75}, "x", g.constant(one), g.constant(zero), g.constant(zero), g.constant(one))
	m := read(t, g)
	p := &nn.Pass{Train: true}
	m.Forward(p, toOurs(x, tensor.Float64))
	p.Commit()
	mean := means(x, []bool{true, false}, false)
	m.Visit("", func(s nn.Slot) {
		if s.Name == "c2" {
			require.InDelta(t, mean.v[0]/4, s.Tensor.At(0), 1e-12)
		}
	})
}

// White-box and black-box attacks work on a model, from several goroutines.
func TestModelsAreAttacked(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 8))
	g := network(r, 1)
	g.double = false
	model := nn.Classifier{Net: read(t, g)}
	x := tensor.Uniform(r, tensor.Float32, 0.2, 0.8, 24, 6, 6, 2)
	y := tensor.ArgMax(model.Logits(x))
	pgd := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 10}
	var wg sync.WaitGroup
	reports := make([]attack.Result, 3)
	for i := range reports {
		wg.Add(1)
		go func() {
			defer wg.Done()
			res, err := pgd.Run(context.Background(), model, x, y)
			assert.NoError(t, err)
			reports[i] = res
		}()
	}
	wg.Wait()
	broken := 0
	for _, s := range reports[0].Success {
		if s {
			broken++
		}
	}
	assert.Greater(t, broken, 12)
	assert.Equal(t, reports[0].X.Values(), reports[1].X.Values())
	assert.Equal(t, reports[0].X.Values(), reports[2].X.Values())
}

// An initializer that two layers read is one parameter, in whatever form each
// wants it; copies by Identity are two.
func TestSharedWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	x, w := random(r, 3, 4), random(r, 4, 4)
	g := newGraph(13, x)
	c := g.constant(w)
	y := g.node("Gemm", attrs{"transB": 1}, g.node("MatMul", nil, "x", c), c)
	g.check(t, matMul(matMul(x, w), w.transposed(1, 0)))
	g.double = true
	m := read(t, g)
	require.Len(t, nn.Params(m), 1)
	checkSlope(t, r, m, toOurs(x, tensor.Float64))

	g.node("MatMul", nil, y, g.node("Identity", nil, c))
	require.Len(t, nn.Params(read(t, g)), 2)
}

func TestOptions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	g := newGraph(13, random(r, 2, 3, 4, 5))
	y := g.node("Relu", nil, "x")
	g.node("Flatten", nil, y)
	open := *g
	open.x.dims = []int{2, 3, 0, 0} // extents of 0 stand for open ones
	_, err := Read(bytes.NewReader(open.file()))
	require.ErrorContains(t, err, `input "x": leaves the extent of axis 2 open`)
	m, err := Options{Shape: []int{4, 5, 3}}.Read(bytes.NewReader(open.file()))
	require.NoError(t, err)
	require.Equal(t, []int{4, 5, 3}, m.InputShape())
	require.Equal(t, []int{60}, m.OutputShape())
	require.Equal(t, 13, m.Opset())
	_, err = Options{Shape: []int{4, 5, 4}}.Read(bytes.NewReader(open.file()))
	require.ErrorContains(t, err, "has extent 3 on axis 1, and Options.Shape [4 5 4] asks for 4")
	_, err = Options{Shape: []int{4, 5}}.Read(bytes.NewReader(open.file()))
	require.ErrorContains(t, err, "want one less")
	_, err = Options{Output: "z"}.Read(bytes.NewReader(g.file()))
	require.ErrorContains(t, err, `graph has no output "z", want one of ["t1"]`)
	_, err = Open(filepath.Join(t.TempDir(), "none.onnx"))
	require.ErrorContains(t, err, "onnx: open ")
}

// A layer's result that others read beside a Relu, by its name or by another, is
// not rectified for them.
func TestRectifiedLayersKeepTheirResultForOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	x, w := random(r, 3, 4), random(r, 4, 4)
	for _, alias := range []bool{false, true} {
		g := newGraph(13, x)
		y := g.node("MatMul", nil, "x", g.constant(w))
		in := y
		if alias {
			in = g.node("Identity", nil, y)
		}
		g.node("Sub", nil, g.node("Relu", nil, in), y)
		g.check(t, apply(matMul(x, w), func(v float64) float64 { return max(v, 0) - v }))
	}
}

// What is added behind weights is a parameter, however far behind.
func TestBiasesBehindOtherNodesAreParameters(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	g := newGraph(13, random(r, 2, 4))
	y := g.node("Add", nil, "x", g.constant(random(r, 4))) // before all weights
	y = g.node("MatMul", nil, y, g.constant(random(r, 4, 6)))
	y = g.node("Reshape", nil, g.node("Tanh", nil, y), g.constant([]int64{-1, 2, 3}))
	g.node("Add", nil, y, g.constant(random(r, 3)))
	require.Equal(t, 24+3, nn.CountParams(read(t, g)))
}

// A model that is converted computes in the other type, its constants too, and one that
// is converted back is what it was.
func TestModelsAreConverted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	x := random(r, 2, 4, 3)
	g := newGraph(13, x)
	y := g.node("Sub", nil, "x", g.constant(array{v: []float64{0.5}}))
	y = g.node("Mul", nil, y, g.constant(positive(r, 4, 1)))
	y = g.node("MatMul", nil, y, g.constant(random(r, 1, 3, 5)))
	y = g.node("Pow", nil, y, g.constant([]int64{2}))
	y = g.node("Flatten", nil, y)
	g.node("Gemm", nil, y, g.constant(random(r, 20, 2)), g.constant(random(r, 2)))
	want := read(t, g).Forward(&nn.Pass{}, toOurs(x, tensor.Float64))

	g.double = false
	m := read(t, g)
	single := m.Forward(&nn.Pass{}, toOurs(x, tensor.Float32))
	nn.Convert(m, tensor.Float64)
	require.Equal(t, tensor.Float64, m.DType())
	require.InDeltaSlice(t, want.Values(), m.Forward(&nn.Pass{}, toOurs(x, tensor.Float64)).Values(), 1e-12)
	checkSlope(t, r, m, toOurs(x, tensor.Float64))
	require.PanicsWithValue(t, "onnx: Forward: input float32[2 4 3], want float64[N 4 3]", func() {
		m.Forward(&nn.Pass{}, toOurs(x, tensor.Float32))
	})
	require.Equal(t, tensor.Float64, m.Forward(&nn.Pass{}, tensor.Zeros(tensor.Float64, 0, 4, 3)).DType())
	nn.Convert(m, tensor.Float32)
	require.Equal(t, single.Values(), m.Forward(&nn.Pass{}, toOurs(x, tensor.Float32)).Values())
}

// The variances of a model have the range that a file of weights is checked for.
func TestNegativeVariancesAreRefused(t *testing.T) {
	g := newGraph(15, zeros(5, 2))
	one, zero := array{[]int{2}, []float64{1, 1}}, zeros(2)
	g.node("BatchNormalization", nil, "x", g.constant(one), g.constant(zero), g.constant(zero), g.constant(one))
	m := read(t, g)
	m.Visit("", func(s nn.Slot) {
		if s.Name == "c3" {
			s.Tensor.Set(-1, 1)
		}
	})
	require.ErrorContains(t, nn.Save(filepath.Join(t.TempDir(), "w"), m), `tensor "c3": value 1 is -1, want 0 or more`)
}

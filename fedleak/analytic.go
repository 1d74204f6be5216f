package fedleak

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Analytic reads the input of the first dense layer off its gradients, h = G[:, j]/g[j],
// with the unit j of largest |g[j]|, and inverts it by Step III. It looks at one
// round. For a batch of one sample that is exact; for more it is a mixture of them,
// which is what CAFE takes apart.
type Analytic struct {
	Inversion Inversion // Step III
}

var _ Attack = Analytic{}

// Name implements Attack.
func (Analytic) Name() string { return "analytic" }

// Run implements Attack. All samples of the first round get the same answer.
func (a Analytic) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	list, err := batches(o)
	if err != nil {
		return nil, err
	}
	if err := checkModel(m, o, 0, 1); err != nil {
		return nil, err
	}
	if err := a.Inversion.Check(); err != nil {
		return nil, err
	}
	n := o.Setting().Samples
	r := newRecovery(a.Name(), m, n)
	r.Rounds = 1
	for p := range m.Bottoms {
		l, err := m.firstDense(p)
		if err != nil {
			return nil, err
		}
		if err := checkSingle(a.Name(), m, o, p, l); err != nil {
			return nil, err
		}
		gs, err := fetch(ctx, m, o, 0, l.bias, l.weight)
		if err != nil {
			return r, err
		}
		out := &r.Parties[p]
		h := quotient(gs[0].Values(), toDense(gs[1]))
		out.H = mat.NewDense(n, l.dense.Weight.Dim(0), nil)
		out.HError = make([]float64, n)
		for _, id := range list[0] {
			out.Status[id] = Dead
			if h != nil {
				out.Status[id] = Recovered
				out.H.SetRow(id, h)
			}
		}
		a.Inversion.stepThree(ctx, m, p, l, out, out.HError, func(i int) bool { return i == list[0][0] }, nil)
		if err := ctx.Err(); err != nil {
			return r, fmt.Errorf("fedleak: stopped: %w", err)
		}
		size := out.X.Len() / n
		x := out.X.Values()[list[0][0]*size:][:size]
		for _, id := range list[0] {
			if h != nil {
				out.Status[id] = Recovered
				setRow(out.X, id, x)
			}
		}
	}
	return r, nil
}

// quotient is the column of g of the largest entry of b, over that entry; nil if b
// vanishes.
func quotient(b []float64, g *mat.Dense) []float64 {
	best := 0
	for j, v := range b {
		if math.Abs(v) > math.Abs(b[best]) {
			best = j
		}
	}
	if b[best] == 0 {
		return nil
	}
	h := mat.Col(nil, best, g)
	for i := range h {
		h[i] /= b[best]
	}
	return h
}

// RGAP is the recursive attack of Zhu and Blaschko (ICLR 2021) on a batch of one: from
// the first dense layer's input, which is read off, back through convolutions, each a
// linear system. With z the layer's output before its activation, known where the
// activation can be inverted, and k the gradient at z, the input x fulfils
//
//	W x = z - b   and   dL/dW = k ⊗ x,
//
// both linear in x. Layers may be convolutions and ReLU, Tanh or Sigmoid; ReLU tells
// z only where it is on. Pooling cannot be undone in this way and is an error, and
// so is a system that does not determine its input.
type RGAP struct{}

var _ Attack = RGAP{}

// Name implements Attack.
func (RGAP) Name() string { return "R-GAP" }

// Run implements Attack. It looks at the first round, which has to be of one sample.
func (a RGAP) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	list, err := batches(o)
	if err != nil {
		return nil, err
	}
	if len(list[0]) != 1 {
		return nil, fmt.Errorf("fedleak: R-GAP: a batch of %d samples, want 1", len(list[0]))
	}
	if err := checkModel(m, o, 0, 1); err != nil {
		return nil, err
	}
	id := list[0][0]
	r := newRecovery(a.Name(), m, o.Setting().Samples)
	r.Rounds = 1
	for p := range m.Bottoms {
		x, err := a.party(ctx, m, o, p)
		if err != nil {
			return r, err
		}
		if x == nil {
			r.Parties[p].Status[id] = Dead
			continue
		}
		clip(x)
		setRow(r.Parties[p].X, id, x)
		r.Parties[p].Status[id] = Recovered
	}
	return r, nil
}

// party goes back through the layers of one party.
func (RGAP) party(ctx context.Context, m *Model, o Observations, p int) ([]float64, error) {
	l, err := m.firstDense(p)
	if err != nil {
		return nil, err
	}
	gs, err := fetch(ctx, m, o, 0, l.bias, l.weight)
	if err != nil {
		return nil, err
	}
	b := gs[0].Values()
	x := quotient(b, toDense(gs[1]))
	if x == nil {
		return nil, nil
	}
	// The gradient at x, through the dense layer.
	k := make([]float64, len(x))
	w := toDense(l.dense.Weight)
	for i := range k {
		k[i] = mat.Dot(mat.NewVecDense(len(b), b), w.RowView(i))
	}
	layers := l.before.Layers()
	shapes := shapesBefore(m, p, layers)
	param := len(nn.Params(l.before))
	z, known := x, allTrue(len(x))
	for i := len(layers) - 1; i >= 0; i-- {
		switch layer := layers[i].(type) {
		case nn.Plain:
			if z, known, k, err = undo(layer, z, known, k); err != nil {
				return nil, err
			}
		case *nn.Conv2D:
			param--
			if layer.Bias != nil {
				param--
			}
			g, err := fetch(ctx, m, o, 0, Ref{p, param})
			if err != nil {
				return nil, err
			}
			if z, k, err = unconvolve(layer, shapes[i], z, known, k, g[0]); err != nil {
				return nil, fmt.Errorf("fedleak: R-GAP: party %d, layer %d: %w", p, i, err)
			}
			known = allTrue(len(z))
		default:
			return nil, fmt.Errorf("fedleak: R-GAP: party %d, layer %d is a %T, which cannot be undone", p, i, layer)
		}
	}
	return z, nil
}

func allTrue(n int) []bool {
	out := make([]bool, n)
	for i := range out {
		out[i] = true
	}
	return out
}

// shapesBefore returns the shape of a single sample in front of each layer.
func shapesBefore(m *Model, p int, layers []nn.Layer) [][]int {
	in := m.Inputs[p]
	x := tensor.Zeros(m.dtype(), 1, in[0], in[1], in[2])
	var out [][]int
	for _, l := range layers {
		out = append(out, x.Shape())
		x = l.Forward(&nn.Pass{}, x)
	}
	return out
}

// undo goes back through an activation with output y and gradient k there: it returns
// its input, which of its entries are known, and the gradient at it.
func undo(l nn.Plain, y []float64, known []bool, k []float64) (z []float64, sure []bool, before []float64, err error) {
	z, before, sure = make([]float64, len(y)), make([]float64, len(y)), make([]bool, len(y))
	for i, v := range y {
		sure[i] = known[i]
		switch l {
		case nn.Flatten:
			z[i], before[i] = v, k[i]
		case nn.ReLU:
			z[i], sure[i] = v, known[i] && v > 1e-7
			if v > 1e-7 {
				before[i] = k[i]
			}
		case nn.Tanh:
			v = math.Max(-1+1e-12, math.Min(1-1e-12, v))
			z[i], before[i] = math.Atanh(v), k[i]*(1-v*v)
		case nn.Sigmoid:
			v = math.Max(1e-12, math.Min(1-1e-12, v))
			z[i], before[i] = math.Log(v/(1-v)), k[i]*v*(1-v)
		default:
			return nil, nil, nil, fmt.Errorf("fedleak: R-GAP: %v cannot be undone", l)
		}
	}
	return z, sure, before, nil
}

// unconvolve finds the input of a convolution, of the given shape, from its output z
// where that is known, the gradient k at z, and the gradient g of the filter; and the
// gradient at the input.
func unconvolve(c *nn.Conv2D, shape []int, z []float64, known []bool, k []float64, g *tensor.Tensor) (x, before []float64, err error) {
	n := shape[1] * shape[2] * shape[3]
	if n > 1<<12 {
		return nil, nil, fmt.Errorf("an input of %d values, want at most %d", n, 1<<12)
	}
	dtype := c.Filter.DType()
	out := c.Forward(&nn.Pass{}, tensor.Zeros(dtype, shape...))
	base := out.Values()
	// Row i of the basis is the image that is 1 at i: its outputs are the columns of
	// the linear map, and its filter gradients those of the other one.
	tape := tensor.NewTape()
	a := mat.NewSymDense(n, nil)
	rhs := mat.NewDense(n, 1, nil)
	columns := mat.NewDense(n, len(z)+g.Len(), nil)
	target := make([]float64, len(z)+g.Len())
	weight := make([]float64, len(target))
	for i, v := range z {
		if known[i] {
			target[i], weight[i] = v-base[i], 1
		}
	}
	size := 0.0
	for _, v := range k {
		size += v * v
	}
	if size == 0 {
		return nil, nil, errors.New("the gradient at its output vanishes")
	}
	for i, v := range g.Values() {
		// Equations of gradients count like those of weights.
		target[len(z)+i], weight[len(z)+i] = v, 1/size
	}
	seed := fromValues(dtype, k, out.Shape()...)
	for i := range n {
		unit := tensor.Zeros(dtype, shape...)
		unit.Set(1, 0, i/(shape[2]*shape[3]), i/shape[3]%shape[2], i%shape[3])
		pass := &nn.Pass{}
		w := pass.Watch(tape, []*tensor.Tensor{c.Filter})
		y := c.Forward(pass, unit)
		for j, v := range y.Values() {
			columns.Set(i, j, v-base[j])
		}
		for j, v := range tensor.Gradients(y, tensor.GradOptions{Seed: seed}, w...)[0].Values() {
			columns.Set(i, len(z)+j, v)
		}
		tape.Reset()
	}
	scaled := mat.DenseCopyOf(columns)
	for i := range n {
		row := scaled.RawRowView(i)
		for j := range row {
			row[j] *= weight[j]
		}
	}
	var normal mat.Dense
	normal.Mul(scaled, columns.T())
	for i := range n {
		for j := i; j < n; j++ {
			a.SetSym(i, j, normal.At(i, j))
		}
	}
	rhs.Mul(scaled, mat.NewDense(len(target), 1, target))
	s := factor(a)
	if s.rank < n {
		return nil, nil, fmt.Errorf("%d of %d values are determined", s.rank, n)
	}
	x = s.solve(rhs).RawMatrix().Data
	in := tape.Watch(tensor.Zeros(dtype, shape...))
	before = tensor.Gradients(c.Forward(&nn.Pass{}, in), tensor.GradOptions{Seed: seed}, in)[0].Values()
	return x, before, nil
}

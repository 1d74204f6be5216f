package gorgonia

import (
	"errors"
	"fmt"
	"strings"

	"gonum.org/v1/gonum/graph/topo"
	graph "gorgonia.org/gorgonia"
	dense "gorgonia.org/tensor"

	"github.com/redoubt-ml/redoubt/tensor"
)

// machine runs one copy of a network. Its input and seed are bound once and
// overwritten for each run.
type machine struct {
	dtype        tensor.DType
	input, seed  *tensor.Tensor
	logits, grad graph.Value // of the last run
	scores, both graph.VM    // forward, and forward and backward
}

func newMachine(n Net) (k *machine, err error) {
	if n.Input == nil || n.Logits == nil || n.Input.Graph() != n.Logits.Graph() {
		return nil, errors.New("input and logits are not two nodes of one graph")
	}
	x, z := n.Input.Shape(), n.Logits.Shape()
	if x.Dims() < 2 || z.Dims() != 2 || z[0] != x[0] || x.TotalSize() == 0 || z[1] < 2 {
		return nil, fmt.Errorf("input has shape %v and logits %v, want [B ...] and [B classes] of at least 2 classes", x, z)
	}
	k = &machine{}
	switch n.Input.Dtype() {
	case dense.Float32:
		k.dtype = tensor.Float32
	case dense.Float64:
		k.dtype = tensor.Float64
	default:
		return nil, fmt.Errorf("input has type %v, want float32 or float64", n.Input.Dtype())
	}
	if n.Logits.Dtype() != n.Input.Dtype() {
		return nil, fmt.Errorf("logits have type %v, want the input's %v", n.Logits.Dtype(), n.Input.Dtype())
	}
	if n.Input.Deriv() != nil || n.Logits.Deriv() != nil {
		return nil, errors.New("graph has been differentiated before, want a new one")
	}
	// Gorgonia panics on graphs that it cannot differentiate or compile.
	defer func() {
		if p := recover(); p != nil {
			k, err = nil, fmt.Errorf("building the graph's program: %v", p)
		}
	}()
	return k, k.build(n)
}

// build adds the gradient to the graph and compiles both programs.
func (k *machine) build(n Net) error {
	g := n.Logits.Graph()
	k.input, k.seed = tensor.Zeros(k.dtype, n.Input.Shape()...), tensor.Zeros(k.dtype, n.Logits.Shape()...)
	if err := graph.Let(n.Input, ToDense(k.input)); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	logits := graph.Read(n.Logits, &k.logits)
	forward := g.ExactSubgraphRoots(logits)
	if err := bound(forward, n.Input); err != nil {
		return err
	}
	if err := differentiable(forward, n.Input); err != nil {
		return err
	}
	k.scores = graph.NewTapeMachine(forward, graph.EvalMode())

	seed := graph.NodeFromAny(g, ToDense(k.seed), graph.WithName("redoubt: gradient of the logits"))
	product, err := graph.HadamardProd(n.Logits, seed)
	if err != nil {
		return err
	}
	cost, err := graph.Sum(product)
	if err != nil {
		return err
	}
	grads, err := graph.Grad(cost, n.Input)
	if err != nil {
		return fmt.Errorf("gradient: %w", err)
	}
	k.both = graph.NewTapeMachine(g.ExactSubgraphRoots(graph.Read(grads[0], &k.grad)), graph.EvalMode())
	return nil
}

// bound returns an error unless input is among the inputs of the graph and each of
// them has a value.
func bound(g *graph.ExprGraph, input *graph.Node) error {
	found := false
	for _, n := range g.Inputs() {
		found = found || n == input
		if n.Value() == nil {
			return fmt.Errorf("node %q of shape %v has no value, want its weights bound", n.Name(), n.Shape())
		}
	}
	if !found {
		return errors.New("logits do not depend on the input")
	}
	return nil
}

// differentiable returns an error if a Dropout lies between the input and the roots of
// the graph: Gorgonia divides its derivative by the probability, also in evaluation
// mode, where it hands its input on as it is.
func differentiable(g *graph.ExprGraph, input *graph.Node) error {
	for _, n := range g.AllNodes() {
		if op := n.Op(); op != nil && strings.HasPrefix(op.String(), "Dropout{") && topo.PathExistsIn(g, n, input) {
			return fmt.Errorf("node %q is a Dropout, whose derivative Gorgonia gets wrong, want the network without it, and Model.CheckGradient to confirm its gradient", n.Name())
		}
	}
	return nil
}

// fill copies rows [lo, hi) of x to the first rows of a graph's input, and zeros to
// the others.
func fill(to, x *tensor.Tensor, lo, hi int) {
	d := to.Len() / to.Dim(0)
	if to.DType() == tensor.Float32 {
		clear(to.Float32s()[copy(to.Float32s(), x.Float32s()[lo*d:hi*d]):])
	} else {
		clear(to.Float64s()[copy(to.Float64s(), x.Float64s()[lo*d:hi*d]):])
	}
}

// take copies the first rows of a graph's result to rows [lo, hi) of y.
func take(y *tensor.Tensor, v graph.Value, lo, hi int) error {
	d, ok := v.(*dense.Dense)
	if !ok {
		return fmt.Errorf("result is a %T, want a dense tensor", v)
	}
	if d.RequiresIterator() || d.DataOrder().IsTransposed() {
		d = d.Materialize().(*dense.Dense)
	}
	t, err := FromDense(d)
	if err != nil {
		return err
	}
	size := y.Len() / y.Dim(0)
	if t.DType() != y.DType() || t.Len() < (hi-lo)*size {
		return fmt.Errorf("result is %v%v, want %v for %d rows of %d", t.DType(), t.Shape(), y.DType(), hi-lo, size)
	}
	if y.DType() == tensor.Float32 {
		copy(y.Float32s()[lo*size:hi*size], t.Float32s())
	} else {
		copy(y.Float64s()[lo*size:hi*size], t.Float64s())
	}
	return nil
}

func (k *machine) forward(y, x *tensor.Tensor, lo, hi int) error {
	fill(k.input, x, lo, hi)
	k.scores.Reset()
	if err := k.scores.RunAll(); err != nil {
		return err
	}
	return take(y, k.logits, lo, hi)
}

// backward leaves the gradient of the sum of the logits times seed in dx.
func (k *machine) backward(dx, x, seed *tensor.Tensor, lo, hi int) error {
	fill(k.input, x, lo, hi)
	fill(k.seed, seed, lo, hi)
	k.both.Reset()
	if err := k.both.RunAll(); err != nil {
		return err
	}
	return take(dx, k.grad, lo, hi)
}

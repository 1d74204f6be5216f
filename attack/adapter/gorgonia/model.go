package gorgonia

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	graph "gorgonia.org/gorgonia"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ attack.Model = (*Model)(nil)

// Net is a classifier in a Gorgonia graph.
type Net struct {
	// Input is the node of the images, [B, C, H, W], or [B, d] for a network
	// on flattened images, or of any other shape that inputs have.
	Input *graph.Node
	// Logits is the node of the scores [B, classes].
	Logits *graph.Node
}

// Model is a Gorgonia network as the target of an attack. Several goroutines may
// use it; they take turns on the graphs that it has.
type Model struct {
	input, logits []int // shapes without the batch
	dtype         tensor.DType
	batch         int
	free          chan *machine
}

// New returns the model of a network, given once or in copies that can run side
// by side. The graphs become the model's: New adds nodes to them, and binds the
// input. All other inputs of the logits must be bound to values. It is an error if
// one is not, if a graph has been differentiated before, if there is a Dropout
// between input and logits, or if shapes or types do not fit.
func New(nets ...Net) (*Model, error) {
	if len(nets) == 0 {
		return nil, errors.New("gorgonia: no network")
	}
	m := &Model{free: make(chan *machine, len(nets))}
	for i, n := range nets {
		k, err := newMachine(n)
		if err != nil {
			return nil, fmt.Errorf("gorgonia: network %d: %w", i, err)
		}
		input, logits := []int(n.Input.Shape()), []int(n.Logits.Shape())
		if i == 0 {
			m.batch, m.dtype = input[0], k.dtype
			m.input, m.logits = input[1:], logits[1:]
		} else if m.batch != input[0] || m.dtype != k.dtype || !slices.Equal(m.input, input[1:]) || !slices.Equal(m.logits, logits[1:]) {
			return nil, fmt.Errorf("gorgonia: network %d has input %v and logits %v of %v, want copies of the first, %v and %v of %v",
				i, input, logits, k.dtype, append([]int{m.batch}, m.input...), append([]int{m.batch}, m.logits...), m.dtype)
		}
		m.free <- k
	}
	return m, nil
}

// Logits returns the network's scores [N, classes] for x, in x's type: images
// [N, H, W, C] for an input node with four axes, anything of as many values for
// one with two, and inputs of the node's own shape otherwise. It panics if x does
// not fit or the graph fails.
func (m *Model) Logits(x *tensor.Tensor) *tensor.Tensor {
	x = m.fit(x)
	n := x.Dim(0)
	y := tensor.Zeros(m.dtype, n, m.logits[0])
	given := x.To(m.dtype)
	m.inPieces(n, func(k *machine, lo, hi int) error { return k.forward(y, given, lo, hi) })
	return tensor.Custom(tensor.Rule{
		Name:       "Gorgonia graph",
		FirstOrder: true,
		Backward: func(g *tensor.Tensor, _ []bool) []*tensor.Tensor {
			dx, seed := tensor.Zeros(m.dtype, x.Shape()...), g.To(m.dtype)
			m.inPieces(n, func(k *machine, lo, hi int) error { return k.backward(dx, given, seed, lo, hi) })
			return []*tensor.Tensor{dx.To(x.DType())}
		},
	}, y.To(x.DType()), x)
}

// fit brings inputs into the form of the graph's input, but for the batch size.
func (m *Model) fit(x *tensor.Tensor) *tensor.Tensor {
	fitted := x
	switch {
	case x.Rank() == 4 && len(m.input) == 3:
		fitted = tensor.Transpose(x, 0, 3, 1, 2)
	case x.Rank() > 1 && len(m.input) == 1:
		fitted = tensor.Flatten(x)
	}
	if fitted.Rank() < 1 || fitted.Dim(0) == 0 || !slices.Equal(fitted.Shape()[1:], m.input) {
		panic(fmt.Sprintf("gorgonia: Logits: inputs of shape %v do not fit a graph whose input is %v for each", x.Shape(), m.input))
	}
	return fitted
}

// inPieces runs f on a machine for each piece of a batch of n.
func (m *Model) inPieces(n int, f func(k *machine, lo, hi int) error) {
	k := <-m.free
	defer func() { m.free <- k }()
	for lo := 0; lo < n; lo += m.batch {
		if err := f(k, lo, min(lo+m.batch, n)); err != nil {
			panic(fmt.Errorf("gorgonia: %w", err))
		}
	}
}

// CheckGradient compares the derivative of a random combination of the logits at
// x along random directions with central differences, and returns an error if one
// differs by more than tol, relative to the larger of the two; 1e-5 suits a
// float64 graph and 2e-2 a float32 one. At a kink of the network both may be right.
func (m *Model) CheckGradient(rng *rand.Rand, x *tensor.Tensor, tol float64) error {
	step := 1e-6
	if m.dtype == tensor.Float32 {
		step = 2e-4
	}
	x = x.To(tensor.Float64)
	weights := tensor.Normal(rng, tensor.Float64, 0, 1, x.Dim(0), m.logits[0])
	tape := tensor.NewTape()
	w := tape.Watch(x)
	g := tensor.Grad(tensor.Dot(m.Logits(w), weights), w)[0]
	for range 4 {
		u := tensor.Normal(rng, tensor.Float64, 0, 1, x.Shape()...)
		at := func(h float64) float64 {
			return tensor.Dot(m.Logits(tensor.Add(x, tensor.MulScalar(u, h))), weights).Item()
		}
		want, got := (at(step)-at(-step))/(2*step), tensor.Dot(g, u).Item()
		if d := math.Abs(got - want); !(d <= tol*max(math.Abs(got), math.Abs(want))) {
			return fmt.Errorf("gorgonia: derivative along a random direction is %g, and the difference quotient %g", got, want)
		}
	}
	return nil
}

package weightpert

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Layer is a linear map, a bias and an activation: z = Act(Weight z' + Bias).
type Layer struct {
	Weight Matrix     // [outputs, inputs]
	Bias   []float64  // one for each row, nil for none
	Act    Activation // the zero value is Identity
	// filter says what the weights of each output channel range over where the
	// matrix is a convolution laid out, which can leave out taps that never meet
	// the image; nil for a matrix that is all there is.
	filter []extent
}

// extent is the smallest and the largest of some weights.
type extent struct{ lo, hi float64 }

// size returns the largest modulus.
func (e extent) size() float64 { return max(-e.lo, e.hi) }

// extentOf returns the extent of at least one value.
func extentOf(v []float64) extent { return extent{slices.Min(v), slices.Max(v)} }

// join returns the extent of both together.
func (e extent) join(o extent) extent { return extent{min(e.lo, o.lo), max(e.hi, o.hi)} }

// extent returns that of all weights of the layer.
func (l *Layer) extent() extent {
	var all extent
	if len(l.Weight.Val) > 0 {
		all = extentOf(l.Weight.Val)
	} else if len(l.filter) > 0 {
		all = l.filter[0]
	}
	for _, e := range l.filter {
		all = all.join(e)
	}
	return all
}

// unitExtent returns the extent of the weights of row r, or of its output channel.
func (l *Layer) unitExtent(r int) extent {
	if l.filter != nil {
		return l.filter[r%len(l.filter)]
	}
	from, to := l.Weight.span(r)
	if from == to {
		return extent{}
	}
	return extentOf(l.Weight.Val[from:to])
}

// clone returns a layer with memory of its own.
func (l Layer) clone() Layer {
	l.Weight.Val, l.Weight.Start, l.Weight.Col = slices.Clone(l.Weight.Val), slices.Clone(l.Weight.Start), slices.Clone(l.Weight.Col)
	l.Bias, l.filter = slices.Clone(l.Bias), slices.Clone(l.filter)
	return l
}

// Network is a feed-forward network in float64, the form that certificates are
// worked out in: f(x) = W_L ρ(W_{L-1} ρ(... ρ(W_1 x + b_1))) + b_L. The last layer
// has no activation and its rows are the classes.
type Network struct {
	layers []Layer
}

// NewNetwork returns a network of the given layers, which it copies: what is
// certified cannot change afterwards. It returns an error for fewer than 1 layer or 2
// classes, layers that do not follow one another, a weight or bias that is not finite,
// an unknown activation, or one behind the last layer.
func NewNetwork(layers ...Layer) (*Network, error) {
	if len(layers) == 0 {
		return nil, errors.New("weightpert: network has 0 layers, want at least 1")
	}
	n := &Network{}
	for i := range layers {
		l := &layers[i]
		fail := func(err error) error { return fmt.Errorf("weightpert: layer %d: %w", i, err) }
		if err := l.Weight.check(); err != nil {
			return nil, fail(err)
		}
		if i > 0 && l.Weight.Cols != layers[i-1].Weight.Rows {
			return nil, fail(fmt.Errorf("takes %d values, but layer %d gives %d", l.Weight.Cols, i-1, layers[i-1].Weight.Rows))
		}
		if l.Bias != nil && len(l.Bias) != l.Weight.Rows {
			return nil, fail(fmt.Errorf("%d biases, want %d or none", len(l.Bias), l.Weight.Rows))
		}
		if err := finite("weight", l.Weight.Val); err != nil {
			return nil, fail(err)
		}
		if err := finite("bias", l.Bias); err != nil {
			return nil, fail(err)
		}
		if l.Act >= numActivations {
			return nil, fail(fmt.Errorf("unknown activation %v", l.Act))
		}
		n.layers = append(n.layers, l.clone())
	}
	last := &n.layers[len(layers)-1]
	if last.Act != Identity {
		return nil, fmt.Errorf("weightpert: last layer has activation %v, want none: margins are of logits", last.Act)
	}
	if last.Weight.Rows < 2 {
		return nil, fmt.Errorf("weightpert: network has %d class, want at least 2", last.Weight.Rows)
	}
	return n, nil
}

// check returns an error for a network that is not there.
func (n *Network) check() error {
	if n == nil {
		return errors.New("no network")
	}
	if len(n.layers) == 0 {
		return errors.New("network has 0 layers, want one that NewNetwork or FromNN made")
	}
	return nil
}

func finite(what string, v []float64) error {
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%s %d is %v, want a finite number", what, i, x)
		}
	}
	return nil
}

// Depth returns the number of layers.
func (n *Network) Depth() int { return len(n.layers) }

// Layer returns a copy of layer i, counted from 0.
func (n *Network) Layer(i int) Layer { return n.layers[i].clone() }

// Inputs returns the number of values that the network takes.
func (n *Network) Inputs() int { return n.layers[0].Weight.Cols }

// Classes returns the number of logits.
func (n *Network) Classes() int { return n.layers[len(n.layers)-1].Weight.Rows }

// Weights returns the number of weights, biases left out; a convolution counts
// as laid out.
func (n *Network) Weights() int {
	sum := 0
	for _, l := range n.layers {
		sum += len(l.Weight.Val)
	}
	return sum
}

// Clone returns a network with weights and biases of its own.
func (n *Network) Clone() *Network {
	c := &Network{}
	for i := range n.layers {
		c.layers = append(c.layers, n.layers[i].clone())
	}
	return c
}

// Suffix returns the network behind layer i: it takes the pre-activations of
// layer i, and shares the memory of the rest. Its first layer is the identity
// matrix with the activation of layer i. It panics if i is not a hidden layer.
func (n *Network) Suffix(i int) *Network {
	if i < 0 || i >= len(n.layers)-1 {
		panic(fmt.Sprintf("weightpert: Suffix: layer %d, want a hidden layer, 0 to %d", i, len(n.layers)-2))
	}
	rows := n.layers[i].Weight.Rows
	id := Matrix{Rows: rows, Cols: rows}
	for r := range rows {
		id.Val = append(id.Val, 1)
		id.Col = append(id.Col, int32(r))
		id.Start = append(id.Start, r)
	}
	id.Start = append(id.Start, rows)
	return &Network{layers: append([]Layer{{Weight: id, Act: n.layers[i].Act}}, n.layers[i+1:]...)}
}

// Logits returns the network's output for x. It panics if x has another length
// than Inputs.
func (n *Network) Logits(x []float64) []float64 {
	_, acts := n.trace(x)
	return acts[len(acts)-1]
}

// trace returns the pre-activations of all layers, and the activations with x
// in front.
func (n *Network) trace(x []float64) (pre, acts [][]float64) {
	if len(x) != n.Inputs() {
		panic(fmt.Sprintf("weightpert: Logits: %d values, want %d", len(x), n.Inputs()))
	}
	acts = append(acts, x)
	for i := range n.layers {
		l := &n.layers[i]
		a := make([]float64, l.Weight.Rows)
		l.Weight.times(a, l.Weight.Val, l.Bias, acts[i])
		z := a
		if l.Act != Identity {
			z = make([]float64, len(a))
			for k, v := range a {
				z[k] = l.Act.Value(v)
			}
		}
		pre, acts = append(pre, a), append(acts, z)
	}
	return pre, acts
}

// argMax returns the index of the largest value, the first of equals.
func argMax(v []float64) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

// checkInput says what is wrong with an example.
func (n *Network) checkInput(x []float64, label int) error {
	if err := n.check(); err != nil {
		return err
	}
	if len(x) != n.Inputs() {
		return fmt.Errorf("%d values, want %d", len(x), n.Inputs())
	}
	if err := finite("value", x); err != nil {
		return err
	}
	if label < 0 || label >= n.Classes() {
		return fmt.Errorf("label is %d, want 0 to %d", label, n.Classes()-1)
	}
	return nil
}

package fedleak

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Model is the network of a federation, all of which the attacker knows: one bottom
// network for each party, whose outputs are joined in the order of the parties, and
// the server's top network. A horizontal federation has a single bottom network,
// which all clients share.
type Model struct {
	// Bottoms take images [n, H, W, C] of the extents in Inputs and return [n, d].
	Bottoms []*nn.Sequential
	// Top takes the joined outputs [n, sum of d] and returns logits [n, Classes].
	Top *nn.Sequential
	// Inputs holds the extents H, W, C of each party's slice of a sample.
	Inputs [][3]int
	// Classes is the number of classes.
	Classes int
	// DoubleSoftmax applies softmax to the logits before the softmax
	// cross-entropy, as the code released for CAFE does.
	DoubleSoftmax bool
}

// Top is the party of a Ref that means the server's network.
const Top = -1

// Ref names a gradient of a round: that of parameter tensor Tensor, in the order of
// nn.Params, of the bottom network of party Party, or of the top network if Party is
// Top.
type Ref struct {
	Party  int
	Tensor int
}

// String describes the gradient for messages.
func (r Ref) String() string {
	if r.Party == Top {
		return fmt.Sprintf("tensor %d of the top network", r.Tensor)
	}
	return fmt.Sprintf("tensor %d of party %d", r.Tensor, r.Party)
}

// Check says what keeps m from being used: no party, counts that differ, extents
// below 1, networks that do not fit each other or the inputs.
func (m *Model) Check() error {
	if len(m.Bottoms) == 0 || m.Top == nil {
		return errors.New("fedleak: model without bottom or top networks")
	}
	if len(m.Inputs) != len(m.Bottoms) {
		return fmt.Errorf("fedleak: model has %d inputs for %d bottom networks, want as many", len(m.Inputs), len(m.Bottoms))
	}
	if m.Classes < 2 {
		return fmt.Errorf("fedleak: model has %d classes, want at least 2", m.Classes)
	}
	xs := make([]*tensor.Tensor, len(m.Inputs))
	for i, in := range m.Inputs {
		if in[0] < 1 || in[1] < 1 || in[2] < 1 {
			return fmt.Errorf("fedleak: input %d is %v, want extents of at least 1", i, in)
		}
		xs[i] = tensor.Zeros(m.dtype(), 2, in[0], in[1], in[2])
	}
	var logits *tensor.Tensor
	if err := attempt(func() { logits = m.Logits(&nn.Pass{}, xs) }); err != nil {
		return fmt.Errorf("fedleak: the networks do not fit the inputs %v: %w", m.Inputs, err)
	}
	if logits.Rank() != 2 || logits.Dim(1) != m.Classes {
		return fmt.Errorf("fedleak: the top network returns %v for 2 samples, want [2 %d]", logits.Shape(), m.Classes)
	}
	return nil
}

// attempt turns a panic of f into an error.
func attempt(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	f()
	return nil
}

// dtype is the element type of the parameters.
func (m *Model) dtype() tensor.DType {
	for p := range m.Bottoms {
		if w := m.params(p); len(w) > 0 {
			return w[0].DType()
		}
	}
	return tensor.Float32
}

// params returns the parameters of a party, or of the top.
func (m *Model) params(party int) []*tensor.Tensor {
	if party == Top {
		return nn.Params(m.Top)
	}
	return nn.Params(m.Bottoms[party])
}

// param returns the parameter that a gradient belongs to; ok is false if there is none.
func (m *Model) param(r Ref) (w *tensor.Tensor, ok bool) {
	if r.Party < Top || r.Party >= len(m.Bottoms) {
		return nil, false
	}
	ps := m.params(r.Party)
	if r.Tensor < 0 || r.Tensor >= len(ps) {
		return nil, false
	}
	return ps[r.Tensor], true
}

// Refs returns all gradients of a round: the parties' in order, then the top's.
func (m *Model) Refs() []Ref {
	var out []Ref
	for p := range m.Bottoms {
		for i := range m.params(p) {
			out = append(out, Ref{p, i})
		}
	}
	for i := range m.params(Top) {
		out = append(out, Ref{Top, i})
	}
	return out
}

// Logits returns the logits [n, Classes] for one tensor [n, H, W, C] per party.
func (m *Model) Logits(p *nn.Pass, xs []*tensor.Tensor) *tensor.Tensor {
	outs := make([]*tensor.Tensor, len(xs))
	for i, x := range xs {
		outs[i] = m.Bottoms[i].Forward(p, x)
	}
	joined := outs[0]
	if len(outs) > 1 {
		joined = tensor.Concat(1, outs...)
	}
	return m.Top.Forward(p, joined)
}

// Losses returns the cross-entropy of each row of logits and target distributions,
// both [n, Classes]: a tensor [n].
func (m *Model) Losses(logits, targets *tensor.Tensor) *tensor.Tensor {
	if m.DoubleSoftmax {
		logits = tensor.Softmax(logits)
	}
	return tensor.Neg(tensor.Sum(tensor.Mul(targets, tensor.LogSoftmax(logits)), 1))
}

// layer is a dense layer of a network with the numbers of its two parameters.
type layer struct {
	before       *nn.Sequential // what its input comes from
	after        *nn.Sequential // the layer itself and all that follow
	dense        *nn.Linear
	weight, bias Ref
}

// firstDense finds the first dense layer of a party.
func (m *Model) firstDense(party int) (layer, error) {
	layers := m.Bottoms[party].Layers()
	for i, l := range layers {
		d, ok := l.(*nn.Linear)
		if !ok {
			continue
		}
		if d.Bias == nil {
			return layer{}, fmt.Errorf("fedleak: the first dense layer of party %d has no bias, and so no gradient for Step I", party)
		}
		before := nn.NewSequential(layers[:i]...)
		k := len(nn.Params(before))
		return layer{before, nn.NewSequential(layers[i:]...), d, Ref{party, k}, Ref{party, k + 1}}, nil
	}
	return layer{}, fmt.Errorf("fedleak: party %d has no dense layer", party)
}

// logitBias finds the bias of the dense layer that makes all logits.
func (m *Model) logitBias() (Ref, error) {
	party, net := Top, m.Top
	if len(net.Layers()) == 0 {
		party, net = 0, m.Bottoms[0]
	}
	layers := net.Layers()
	if len(layers) > 0 {
		if d, ok := layers[len(layers)-1].(*nn.Linear); ok && d.Bias != nil {
			if k := d.Bias.Len(); k != m.Classes {
				return Ref{}, fmt.Errorf("fedleak: party %d makes %d of %d logits, want one dense layer with a bias that makes all, to read labels from its gradient", party, k, m.Classes)
			}
			return Ref{party, len(nn.Params(net)) - 1}, nil
		}
	}
	return Ref{}, errors.New("fedleak: the logits do not come from a dense layer with a bias, so labels cannot be read from its gradient")
}

// Fingerprint returns a number that changes with the parameters of m.
func (m *Model) Fingerprint() uint64 {
	h := fnv.New64a()
	var b [8]byte
	for p := Top; p < len(m.Bottoms); p++ {
		for _, w := range m.params(p) {
			for _, v := range w.Values() {
				u := math.Float64bits(v)
				for i := range b {
					b[i] = byte(u >> (8 * i))
				}
				h.Write(b[:])
			}
		}
	}
	return h.Sum64()
}

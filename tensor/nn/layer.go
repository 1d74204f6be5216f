package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Layer is a part of a network, or a whole one.
type Layer interface {
	// Forward computes the layer's output for x [N, ...]. It changes nothing
	// in the layer and may be called by several goroutines, each with its own
	// Pass. It panics if x does not fit the layer.
	Forward(p *Pass, x *tensor.Tensor) *tensor.Tensor
	// Visit calls visit with each of the layer's tensors, in a fixed order and
	// once for each place that it has; names begin with prefix.
	Visit(prefix string, visit func(Slot))
}

// Slot is a tensor of a network, with its name and form in a file.
type Slot struct {
	Name      string         // as in a file
	Tensor    *tensor.Tensor // the network's own
	Trainable bool           // a parameter; otherwise a statistic
	Layout    Layout         // of the tensor in files
	Range     Range          // the values that the tensor can have
	// Image holds the extents [H, W, C] of the images that a dense layer sees
	// flattened, zero for none: in a file its inputs come channel by channel.
	Image [3]int
}

// Range says which values a tensor of a network can have.
type Range uint8

// Ranges of values.
const (
	Finite      Range = iota
	NotNegative       // a variance
	Positive          // a divisor: above 0, with a finite reciprocal
)

// holds returns an error that names the first value of t outside the range.
func (r Range) holds(t *tensor.Tensor) error {
	largest := math.MaxFloat64
	if t.DType() == tensor.Float32 {
		largest = math.MaxFloat32
	}
	for i, v := range t.Values() {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return fmt.Errorf("value %d is %v, want a finite number", i, v)
		case r == NotNegative && v < 0:
			return fmt.Errorf("value %d is %v, want 0 or more", i, v)
		case r == Positive && !(v > 0 && 1/v <= largest):
			return fmt.Errorf("value %d is %v, want above 0 with a finite reciprocal", i, v)
		}
	}
	return nil
}

// Layout says how a file's PyTorch layout of a tensor differs from that of tensors here.
type Layout uint8

// Layouts of tensors in files.
const (
	Vector  Layout = iota // [n], the same in both
	Matrix                // [in, out] here, [out, in] in a file
	Filter                // [R, S, C, K] here, [K, C, R, S] in a file
	Channel               // [C] here, [1, C, 1, 1] in a file
)

// Pass says how a forward pass is to run. The zero Pass evaluates.
type Pass struct {
	// Train selects batch statistics in normalisation and makes Dropout drop.
	Train bool
	// Stats names the set of normalisation statistics; "" is the first.
	Stats string
	// Rand is the source of Dropout's choices; needed only there.
	Rand *rand.Rand

	watched map[*tensor.Tensor]*tensor.Tensor
	moments []moments
}

// moments are batch statistics that wait to enter running averages.
type moments struct {
	norm           *NormSet
	momentum       float64
	mean, variance *tensor.Tensor
	count          int
}

// Watch makes the pass use watched versions of the given parameters, and returns
// them in that order; Grad can be asked for their gradients. A parameter that occurs
// more than once is watched once, so that each place has the whole gradient.
func (p *Pass) Watch(tape *tensor.Tape, params []*tensor.Tensor) []*tensor.Tensor {
	if p.watched == nil {
		p.watched = make(map[*tensor.Tensor]*tensor.Tensor, len(params))
	}
	out := make([]*tensor.Tensor, len(params))
	first := make(map[*tensor.Tensor]int, len(params))
	for i, w := range params {
		if k, ok := first[w]; ok {
			out[i] = out[k]
			continue
		}
		first[w] = i
		out[i] = tape.Watch(w)
		p.watched[w] = out[i]
	}
	return out
}

// Use makes the pass use value instead of the parameter w: a perturbed weight,
// or one step of a simulated update.
func (p *Pass) Use(w, value *tensor.Tensor) {
	if p.watched == nil {
		p.watched = make(map[*tensor.Tensor]*tensor.Tensor)
	}
	p.watched[w] = value
}

// Value returns what the pass uses for the parameter w.
func (p *Pass) Value(w *tensor.Tensor) *tensor.Tensor {
	if v, ok := p.watched[w]; ok {
		return v
	}
	return w
}

// Commit moves the running averages of normalisation layers towards the batch
// statistics that the pass met in training mode. It must come before the tape is
// reset, and while no other goroutine uses the network.
func (p *Pass) Commit() {
	for _, m := range p.moments {
		unbias := 1.0
		if m.count > 1 {
			unbias = float64(m.count) / float64(m.count-1)
		}
		average(m.norm.Mean, m.mean, m.momentum, 1)
		average(m.norm.Var, m.variance, m.momentum, unbias)
	}
	p.moments = p.moments[:0]
}

// Adopt takes over the batch statistics that wait in q, so that p's Commit enters
// them: those of passes on another tape, which may be reset from then on. Commit
// enters statistics in the order in which they were met and adopted.
func (p *Pass) Adopt(q *Pass) {
	for _, m := range q.moments {
		m.mean, m.variance = m.mean.Clone(), m.variance.Clone()
		p.moments = append(p.moments, m)
	}
	q.moments = q.moments[:0]
}

func average(running, batch *tensor.Tensor, momentum, scale float64) {
	for i := range running.Len() {
		running.Set((1-momentum)*running.At(i)+momentum*scale*batch.At(i), i)
	}
}

// Params returns the trainable tensors of a network, each once, in the order in
// which Visit first comes to them: a layer may occur in several places.
func Params(l Layer) []*tensor.Tensor {
	var out []*tensor.Tensor
	seen := make(map[*tensor.Tensor]bool)
	l.Visit("", func(s Slot) {
		if s.Trainable && !seen[s.Tensor] {
			seen[s.Tensor] = true
			out = append(out, s.Tensor)
		}
	})
	return out
}

// CountParams returns the number of trainable values of a network.
func CountParams(l Layer) int {
	n := 0
	for _, w := range Params(l) {
		n += w.Len()
	}
	return n
}

// Convert changes all parameters and statistics of a network to the given element
// type, in place: float64 for certificates and gradient checks, float32 for work.
// From then on the network takes inputs of that type. The tensors keep their
// identity, so Params of before are still its parameters; what was watched, and an
// optimiser's memory, stays in the old type and is of no more use. No other
// goroutine may use the network meanwhile.
func Convert(l Layer, dtype tensor.DType) {
	for _, s := range slots(l) {
		if s.Tensor.DType() != dtype {
			*s.Tensor = *s.Tensor.To(dtype)
		}
	}
}

// Copy overwrites the tensors of dst with those of src, a network of the same
// form: as many tensors, with the same shapes and roles in the same order. Their
// names and element types may differ. It panics, with dst unchanged, if the forms
// differ.
func Copy(dst, src Layer) {
	from, to := slots(src), slots(dst)
	if len(from) != len(to) {
		panic(fmt.Sprintf("nn: Copy: network of %d tensors to one of %d", len(from), len(to)))
	}
	for i, d := range to {
		s := from[i]
		if !slices.Equal(s.Tensor.Shape(), d.Tensor.Shape()) || s.Trainable != d.Trainable {
			panic(fmt.Sprintf("nn: Copy: tensor %d: %v to %v", i, s, d))
		}
	}
	for i, d := range to {
		d.Tensor.CopyFrom(from[i].Tensor)
	}
}

func slots(l Layer) (out []Slot) {
	l.Visit("", func(s Slot) { out = append(out, s) })
	return out
}

// String describes the slot.
func (s Slot) String() string {
	role := "statistic"
	if s.Trainable {
		role = "parameter"
	}
	return fmt.Sprintf("%s %q %v", role, s.Name, s.Tensor.Shape())
}

// Classifier is a network as the target of an attack: its logits in evaluation
// mode, with constant parameters.
type Classifier struct {
	Net Layer
	// Stats names the set of normalisation statistics; "" is the first.
	Stats string
}

// Logits returns the network's output for x.
func (c Classifier) Logits(x *tensor.Tensor) *tensor.Tensor {
	return c.Net.Forward(&Pass{Stats: c.Stats}, x)
}

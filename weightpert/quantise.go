package weightpert

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Quantizer rounds weights to integers: with h = 2^(Bits-1) - 1 and the scale
// s = max|w| / h, a weight w becomes q = clamp(round(w/s), -h, h), halves to even,
// and stands for q s. A tensor of zeros has the scale 1.
type Quantizer struct {
	Bits   int  // 2 to 8; 0 means 8
	PerRow bool // a scale for each output unit instead of one for each tensor
}

func (q Quantizer) bits() (int, error) {
	if q.Bits == 0 {
		return 8, nil
	}
	if q.Bits < 2 || q.Bits > 8 {
		return 0, fmt.Errorf("%d bits, want 2 to 8", q.Bits)
	}
	return q.Bits, nil
}

// scaleFor returns the scale of weights of the given largest modulus.
func scaleFor(largest float64, width int) float64 {
	if largest == 0 {
		return 1
	}
	return largest / float64(highest(width))
}

// highest is the largest code of the given width.
func highest(width int) int { return 1<<(width-1) - 1 }

// code rounds one weight.
func code(w, scale float64, width int) int8 {
	h := float64(highest(width))
	return int8(min(max(math.RoundToEven(w/scale), -h), h))
}

// Quantized is a network whose weight matrices are integers of a few bits, in two's
// complement. Its other parameters are those of the original.
type Quantized struct {
	Net    nn.Layer
	Width  int // bits of a weight
	Layers []Codes
}

// Codes are the integers of one weight matrix.
type Codes struct {
	Code  []int8 // in the order of the tensor's values
	Scale []float64
	param *tensor.Tensor
	value *tensor.Tensor // float32
}

// Quantize rounds the weight matrices of a float32 network, which does not change.
func (q Quantizer) Quantize(net nn.Layer) (*Quantized, error) {
	width, err := q.bits()
	if err != nil {
		return nil, fmt.Errorf("weightpert: Quantize: %w", err)
	}
	if net == nil {
		return nil, errors.New("weightpert: Quantize: no network")
	}
	out := &Quantized{Net: net, Width: width}
	for i, w := range Matrices(net) {
		if w.DType() != tensor.Float32 || !tensor.AllFinite(w) {
			return nil, fmt.Errorf("weightpert: Quantize: weight matrix %d is %v of shape %v, want finite float32", i, w.DType(), w.Shape())
		}
		v := w.Float32s()
		units := w.Dim(w.Rank() - 1)
		if !q.PerRow {
			units = 1
		}
		largest := make([]float64, units)
		for k, x := range v {
			largest[k%units] = max(largest[k%units], math.Abs(float64(x)))
		}
		c := Codes{Code: make([]int8, len(v)), param: w, value: tensor.Zeros(tensor.Float32, w.Shape()...)}
		for _, m := range largest {
			c.Scale = append(c.Scale, scaleFor(m, width))
		}
		for k, x := range v {
			c.Code[k] = code(float64(x), c.Scale[k%units], width)
		}
		c.dequantise()
		out.Layers = append(out.Layers, c)
	}
	if len(out.Layers) == 0 {
		return nil, fmt.Errorf("weightpert: Quantize: network has no weight matrices")
	}
	return out, nil
}

func (c *Codes) dequantise() {
	v := c.value.Float32s()
	for k := range v {
		v[k] = c.at(k)
	}
	c.value.Touch()
}

// at returns the weight that code k stands for.
func (c *Codes) at(k int) float32 { return float32(float64(c.Code[k]) * c.Scale[k%len(c.Scale)]) }

// Network returns the network with the weights that the codes stand for. It sees
// later flips.
func (q *Quantized) Network() Perturbed {
	p := Perturbed{Net: q.Net}
	for i := range q.Layers {
		p.Params, p.Values = append(p.Params, q.Layers[i].param), append(p.Values, q.Layers[i].value)
	}
	return p
}

// Clone returns a copy with codes of its own.
func (q *Quantized) Clone() *Quantized {
	c := &Quantized{Net: q.Net, Width: q.Width}
	for i := range q.Layers {
		l := q.Layers[i]
		l.Code = append([]int8(nil), l.Code...)
		l.value = l.value.Clone()
		c.Layers = append(c.Layers, l)
	}
	return c
}

// flip flips bits of a code of the given width.
func flip(v int8, mask uint8, width int) int8 {
	shift := 8 - width
	return int8((uint8(v)^mask)<<shift) >> shift
}

// Flip flips one bit of one weight; bit Width-1 is the sign, worth -2^(Width-1). It
// returns an error if there is no such layer, weight or bit.
func (q *Quantized) Flip(layer, index, bit int) error {
	switch {
	case layer < 0 || layer >= len(q.Layers):
		return fmt.Errorf("weightpert: Flip: layer %d, want 0 to %d", layer, len(q.Layers)-1)
	case index < 0 || index >= len(q.Layers[layer].Code):
		return fmt.Errorf("weightpert: Flip: weight %d of layer %d, want 0 to %d", index, layer, len(q.Layers[layer].Code)-1)
	case bit < 0 || bit >= q.Width:
		return fmt.Errorf("weightpert: Flip: bit %d, want 0 to %d", bit, q.Width-1)
	}
	q.flip(layer, index, bit)
	return nil
}

// flip is Flip for a bit that is there.
func (q *Quantized) flip(layer, index, bit int) {
	l := &q.Layers[layer]
	l.Code[index] = flip(l.Code[index], 1<<bit, q.Width)
	l.value.Float32s()[index] = l.at(index)
	l.value.Touch()
}

// Bits returns the number of stored bits.
func (q *Quantized) Bits() int {
	n := 0
	for i := range q.Layers {
		n += q.Width * len(q.Layers[i].Code)
	}
	return n
}

// Hamming returns the number of bits that differ from other. It returns an error if
// that has another width or other numbers of weights.
func (q *Quantized) Hamming(other *Quantized) (int, error) {
	switch {
	case other == nil:
		return 0, errors.New("weightpert: Hamming: no network to compare with")
	case other.Width != q.Width:
		return 0, fmt.Errorf("weightpert: Hamming: weights of %d and %d bits, want the same", q.Width, other.Width)
	case len(other.Layers) != len(q.Layers):
		return 0, fmt.Errorf("weightpert: Hamming: %d and %d layers, want the same", len(q.Layers), len(other.Layers))
	}
	for i := range q.Layers {
		if a, b := len(q.Layers[i].Code), len(other.Layers[i].Code); a != b {
			return 0, fmt.Errorf("weightpert: Hamming: layer %d has %d and %d weights, want the same", i, a, b)
		}
	}
	mask := uint8(1<<q.Width - 1)
	n := 0
	for i := range q.Layers {
		for k, v := range q.Layers[i].Code {
			n += bits.OnesCount8((uint8(v) ^ uint8(other.Layers[i].Code[k])) & mask)
		}
	}
	return n, nil
}

// Rounding returns the box of all networks that rounding to the quantiser's integers
// can give, with halves and errors of float32 going either way: each weight within
// half a scale of itself. A certificate for this box says that quantisation keeps
// the prediction. A row, or a matrix, of zeros stays as it is. Scales are those of
// Quantize: for a convolution that FromNN laid out they come from its whole filters, taps
// that never meet the image included.
func (q Quantizer) Rounding(n *Network) (*Box, error) {
	return q.box(n, "Rounding", func(w, largest float64, width int) (lo, hi float64) {
		if largest == 0 {
			return w, w
		}
		r := scaleFor(largest, width)/2*(1+1e-6) + math.Abs(w)*0x1p-22 + 0x1p-149
		return w - r, w + r
	})
}

// BitFlips returns the box of all networks in which up to the given number of bits
// of each quantised weight are flipped: the hull of the values that it can take, and
// of the unrounded weight.
func (q Quantizer) BitFlips(n *Network, flips int) (*Box, error) {
	if flips < 0 {
		return nil, fmt.Errorf("weightpert: BitFlips: %d flips, want 0 or more", flips)
	}
	return q.box(n, "BitFlips", func(w, largest float64, width int) (lo, hi float64) {
		scale := scaleFor(largest, width)
		c := code(w, scale, width)
		lo, hi = w, w
		for mask := range 1 << width {
			if bits.OnesCount(uint(mask)) > flips {
				continue
			}
			v := float64(flip(c, uint8(mask), width)) * scale
			slip := math.Abs(v)*0x1p-23 + 0x1p-149
			lo, hi = min(lo, v-slip), max(hi, v+slip)
		}
		return lo, hi
	})
}

// box returns the box of the intervals of all weights w, each beside the largest modulus
// that its scale comes from.
func (q Quantizer) box(n *Network, name string, interval func(w, largest float64, width int) (lo, hi float64)) (*Box, error) {
	width, err := q.bits()
	if err != nil {
		return nil, fmt.Errorf("weightpert: %s: %w", name, err)
	}
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("weightpert: %s: %w", name, err)
	}
	b := NewBox(n)
	for i := range n.layers {
		l := &n.layers[i]
		w := &l.Weight
		lo, hi := make([]float64, len(w.Val)), make([]float64, len(w.Val))
		all := l.extent().size()
		for r := range w.Rows {
			from, to := w.span(r)
			largest := all
			if q.PerRow {
				largest = l.unitExtent(r).size()
			}
			for k := from; k < to; k++ {
				lo[k], hi[k] = interval(w.Val[k], largest, width)
			}
		}
		if err := b.SetLayer(i, lo, hi); err != nil {
			return nil, err
		}
	}
	return b, nil
}

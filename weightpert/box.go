package weightpert

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Box says how far the weights may move: each weight of each layer in an interval
// of its own that holds the weight itself. Every element-wise budget is one: a
// maximal change, a relative change, rounding, stuck memory cells, bit flips.
type Box struct {
	net    *Network
	layers []layerBox
}

// layerBox holds the ends of the intervals, in the order of the layer's weights
// and biases. The slices of a fixed layer are those of the network itself.
type layerBox struct {
	lo, hi         []float64
	biasLo, biasHi []float64
	moves          bool
}

// NewBox returns the box in which nothing moves. Without a network it has no layers,
// and nothing takes it.
func NewBox(n *Network) *Box {
	b := &Box{net: n}
	if n == nil {
		return b
	}
	for _, l := range n.layers {
		b.layers = append(b.layers, layerBox{lo: l.Weight.Val, hi: l.Weight.Val, biasLo: l.Bias, biasHi: l.Bias})
	}
	return b
}

// SetLayer gives the weights of layer i intervals. It returns an error, and leaves
// the box as it was, for ends that are not finite, lie in the wrong order or do not
// enclose the weight, and for another number of them than there are weights.
func (b *Box) SetLayer(i int, lo, hi []float64) error {
	l, err := b.at(i)
	if err == nil {
		err = checkEnds("weight", b.net.layers[i].Weight.Val, lo, hi)
	}
	if err != nil {
		return fmt.Errorf("weightpert: box of layer %d: %w", i, err)
	}
	l.lo, l.hi, l.moves = slices.Clone(lo), slices.Clone(hi), true
	return nil
}

// SetBias gives the biases of layer i intervals, under the rules of SetLayer.
func (b *Box) SetBias(i int, lo, hi []float64) error {
	l, err := b.at(i)
	if err == nil && b.net.layers[i].Bias == nil {
		err = fmt.Errorf("the layer has no biases")
	}
	if err == nil {
		err = checkEnds("bias", b.net.layers[i].Bias, lo, hi)
	}
	if err != nil {
		return fmt.Errorf("weightpert: box of layer %d: %w", i, err)
	}
	l.biasLo, l.biasHi, l.moves = slices.Clone(lo), slices.Clone(hi), true
	return nil
}

func (b *Box) at(i int) (*layerBox, error) {
	if b == nil || len(b.layers) == 0 {
		return nil, errors.New("the box is of no network")
	}
	if i < 0 || i >= len(b.layers) {
		return nil, fmt.Errorf("no such layer, want 0 to %d", len(b.layers)-1)
	}
	return &b.layers[i], nil
}

func checkEnds(what string, val, lo, hi []float64) error {
	if len(lo) != len(val) || len(hi) != len(val) {
		return fmt.Errorf("%d lower and %d upper ends for %d of kind %s", len(lo), len(hi), len(val), what)
	}
	for k, v := range val {
		switch {
		case math.IsNaN(lo[k]) || math.IsInf(lo[k], 0) || math.IsNaN(hi[k]) || math.IsInf(hi[k], 0):
			return fmt.Errorf("%s %d has the interval [%v, %v], want finite ends", what, k, lo[k], hi[k])
		case lo[k] > hi[k]:
			return fmt.Errorf("%s %d has the interval [%v, %v], want its lower end first", what, k, lo[k], hi[k])
		case !(lo[k] <= v && v <= hi[k]):
			return fmt.Errorf("%s %d is %v, outside its interval [%v, %v]", what, k, v, lo[k], hi[k])
		}
	}
	return nil
}

// Budget makes a box of the given size around a network's weights: the family
// that a certified radius is sought in. Its errors name a size that is negative
// or not finite.
type Budget func(n *Network, eps float64) (*Box, error)

// Absolute lets every weight of the given layers, of all layers if none is named,
// move by eps; the ends are rounded outwards. Biases stay.
func Absolute(layers ...int) Budget {
	return budget(layers, false, func(_, eps float64) float64 { return eps })
}

// AbsoluteWithBias is Absolute for weights and biases alike.
func AbsoluteWithBias(layers ...int) Budget {
	return budget(layers, true, func(_, eps float64) float64 { return eps })
}

// Relative lets every weight w of the given layers, of all layers if none is
// named, move by eps |w|. Biases stay.
func Relative(layers ...int) Budget {
	return budget(layers, false, func(w, eps float64) float64 { return mulUp(eps, math.Abs(w)) })
}

// PerRange lets every weight of the given layers, of all layers if none is named,
// move by eps times the distance from the layer's smallest to its largest weight; of
// a convolution, the smallest and largest of its filters.
func PerRange(layers ...int) Budget {
	return func(n *Network, eps float64) (*Box, error) {
		return n.grow(layers, eps, false, func(l *Layer) func(w float64) float64 {
			span := l.extent()
			r := mulUp(eps, math.Nextafter(span.hi-span.lo, math.Inf(1)))
			if span.hi == span.lo {
				r = 0
			}
			return func(float64) float64 { return r }
		})
	}
}

func budget(layers []int, bias bool, radius func(w, eps float64) float64) Budget {
	return func(n *Network, eps float64) (*Box, error) {
		return n.grow(layers, eps, bias, func(*Layer) func(float64) float64 {
			return func(w float64) float64 { return radius(w, eps) }
		})
	}
}

// grow lets weights move by a radius that depends on layer and weight.
func (n *Network) grow(layers []int, eps float64, bias bool, of func(*Layer) func(w float64) float64) (*Box, error) {
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("weightpert: box: %w", err)
	}
	if !(eps >= 0 && eps <= math.MaxFloat64) {
		return nil, fmt.Errorf("weightpert: box: eps is %v, want a finite number of 0 or more", eps)
	}
	chosen, err := n.choose(layers)
	if err != nil {
		return nil, err
	}
	b := NewBox(n)
	for _, i := range chosen {
		l := &n.layers[i]
		radius := of(l)
		lb := &b.layers[i]
		lb.lo, lb.hi = around(l.Weight.Val, radius)
		if bias && l.Bias != nil {
			lb.biasLo, lb.biasHi = around(l.Bias, radius)
		}
		lb.moves = true
	}
	return b, nil
}

// choose returns the named layers, all of them for none.
func (n *Network) choose(layers []int) ([]int, error) {
	if len(layers) == 0 {
		for i := range n.layers {
			layers = append(layers, i)
		}
		return layers, nil
	}
	for _, i := range layers {
		if i < 0 || i >= len(n.layers) {
			return nil, fmt.Errorf("weightpert: no layer %d, want 0 to %d", i, len(n.layers)-1)
		}
	}
	return layers, nil
}

func around(val []float64, radius func(float64) float64) (lo, hi []float64) {
	lo, hi = make([]float64, len(val)), make([]float64, len(val))
	for k, w := range val {
		r := radius(w)
		if r == 0 {
			lo[k], hi[k] = w, w
			continue
		}
		// Overflow is kept: bounds over such a box are infinite.
		lo[k], hi[k] = math.Nextafter(w-r, math.Inf(-1)), math.Nextafter(w+r, math.Inf(1))
	}
	return lo, hi
}

// StuckAt returns the box of memory cells that may be stuck: every weight of the
// given layers, of all layers if none is named, anywhere between itself and value.
func StuckAt(n *Network, value float64, layers ...int) (*Box, error) {
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("weightpert: StuckAt: %w", err)
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil, fmt.Errorf("weightpert: StuckAt: value is %v, want a finite number", value)
	}
	chosen, err := n.choose(layers)
	if err != nil {
		return nil, err
	}
	b := NewBox(n)
	for _, i := range chosen {
		lb := &b.layers[i]
		lb.lo, lb.hi = slices.Clone(lb.lo), slices.Clone(lb.hi)
		for k := range lb.lo {
			lb.lo[k], lb.hi[k] = min(lb.lo[k], value), max(lb.hi[k], value)
		}
		lb.moves = true
	}
	return b, nil
}

// Moving returns the layers that may move.
func (b *Box) Moving() []int {
	var out []int
	for i, l := range b.layers {
		if l.moves {
			out = append(out, i)
		}
	}
	return out
}

// Contains says whether other is a network of the same form that lies in the box.
func (b *Box) Contains(other *Network) bool {
	if !sameForm(b.net, other) {
		return false
	}
	for i, l := range b.layers {
		o := &other.layers[i]
		if !within(o.Weight.Val, l.lo, l.hi) || !within(o.Bias, l.biasLo, l.biasHi) {
			return false
		}
	}
	return true
}

func within(v, lo, hi []float64) bool {
	for k, x := range v {
		if !(lo[k] <= x && x <= hi[k]) {
			return false
		}
	}
	return len(v) == len(lo)
}

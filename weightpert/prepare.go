package weightpert

import (
	"errors"
	"fmt"
	"math"
)

// prepared is a network and a box with what all examples share.
type prepared struct {
	net    *Network
	layers []boxedLayer
	top    *boxedLayer // the last layer with every entry written out
	first  int         // the first layer that moves, or the last layer
	width  int         // of the widest layer, inputs included
	still  [][]bool    // for each layer, which of its inputs cannot change
}

// boxedLayer is a layer with its box.
type boxedLayer struct {
	*Layer
	layerBox
	longest        int
	radius         []float64 // how far each weight moves, nil if none does
	biasRadius     []float64 // the same for biases
	even           float64   // the common radius of all weights; negative if there is none
	symmetric      bool      // every weight moves by the common radius to both sides
	nonNegativeOut bool
	cols           *columns // of a dense layer whose inputs are known or not negative
}

// prepare checks that the box belongs to the network.
func prepare(n *Network, b *Box) (*prepared, error) {
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("weightpert: %w", err)
	}
	if b == nil {
		return nil, errors.New("weightpert: no box")
	}
	if !sameForm(b.net, n) || len(b.layers) != len(n.layers) {
		return nil, errors.New("weightpert: the box is of a network of another form")
	}
	p := &prepared{net: n, first: len(n.layers) - 1, width: n.Inputs()}
	for i := range n.layers {
		l := &n.layers[i]
		bl := boxedLayer{Layer: l, layerBox: b.layers[i], longest: l.Weight.longest(), nonNegativeOut: activations[l.Act].notNegative}
		if !within(l.Weight.Val, bl.lo, bl.hi) || !within(l.Bias, bl.biasLo, bl.biasHi) {
			return nil, fmt.Errorf("weightpert: layer %d of the network lies outside the box", i)
		}
		p.width = max(p.width, l.Weight.Rows)
		if bl.moves {
			p.first = min(p.first, i)
			bl.radius, bl.even, bl.symmetric = radii(l.Weight.Val, bl.lo, bl.hi)
			if l.Bias != nil {
				bl.biasRadius, _, _ = radii(l.Bias, bl.biasLo, bl.biasHi)
			}
		}
		if bl.Weight.Col == nil && i < len(n.layers)-1 && (i == 0 || p.layers[i-1].nonNegativeOut) {
			bl.cols = bl.byColumn(i == 0)
		}
		p.layers = append(p.layers, bl)
	}
	p.top = p.layers[len(p.layers)-1].dense()
	p.settle()
	return p, nil
}

// settle finds the inputs of each layer that no weights of the box can change: those of
// the network, and units that do not move and see only such inputs. A constant that is
// carried along for biases is one.
func (p *prepared) settle() {
	still := make([]bool, p.net.Inputs())
	for k := range still {
		still[k] = true
	}
	for i := range p.layers {
		p.still = append(p.still, still)
		l := &p.layers[i]
		next := make([]bool, l.Weight.Rows)
		for r := range next {
			from, to := l.Weight.span(r)
			next[r] = l.biasRadius == nil || l.biasRadius[r] == 0
			for k := from; k < to && next[r]; k++ {
				next[r] = (l.radius == nil || l.radius[k] == 0) && (l.Weight.Val[k] == 0 || still[l.Weight.column(k, from)])
			}
		}
		still = next
	}
}

// gain returns the largest sum of moduli of a row, of any weights of the box if moved
// is set, over inputs that can change; rounded up.
func (p *prepared) gain(i int, moved bool) float64 {
	l := &p.layers[i]
	largest := 0.0
	for r := range l.Weight.Rows {
		from, to := l.Weight.span(r)
		sum := 0.0
		for k := from; k < to; k++ {
			if p.still[i][l.Weight.column(k, from)] {
				continue
			}
			sum += math.Abs(l.Weight.Val[k])
			if moved && l.radius != nil {
				sum += l.radius[k]
			}
		}
		largest = max(largest, sum)
	}
	return largest * (1 + gamma(2*l.longest))
}

// dense returns the layer with every entry of its matrix written out. Entries that a
// sparse matrix leaves out are 0 and do not move.
func (l *boxedLayer) dense() *boxedLayer {
	if l.Weight.Col == nil {
		return l
	}
	d, w := *l, &l.Weight
	d.Layer = &Layer{Weight: Matrix{Rows: w.Rows, Cols: w.Cols, Val: w.spread(w.Val)}, Bias: l.Bias, Act: l.Act}
	d.lo, d.hi = w.spread(l.lo), w.spread(l.hi)
	if l.radius != nil {
		d.radius = w.spread(l.radius)
	}
	d.longest, d.even = w.Cols, -1
	return &d
}

func sameForm(a, b *Network) bool {
	if a == nil || b == nil || len(a.layers) != len(b.layers) {
		return false
	}
	for i := range a.layers {
		x, y := &a.layers[i], &b.layers[i]
		if x.Weight.Rows != y.Weight.Rows || x.Weight.Cols != y.Weight.Cols || len(x.Weight.Val) != len(y.Weight.Val) ||
			(x.Weight.Col == nil) != (y.Weight.Col == nil) || len(x.Bias) != len(y.Bias) || x.Act != y.Act {
			return false
		}
	}
	return true
}

// alike is the share of the largest radius by which others may be less and still count
// as the same: room for the rounding of the ends.
const alike = 1e-9

// radii returns the symmetric radius max(w-lo, hi-w) of each value, rounded up, and
// their common value, the largest, if they are alike: bounds that are exact lose no more
// than that share of the radius by it. symmetric says whether it goes for both sides of
// every value.
func radii(val, lo, hi []float64) (r []float64, even float64, symmetric bool) {
	r = make([]float64, len(val))
	least, inner, most := math.Inf(1), math.Inf(1), 0.0
	for k, w := range val {
		r[k] = max(w-lo[k], hi[k]-w) * (1 + 4*unit)
		least, most = min(least, r[k]), max(most, r[k])
		inner = min(inner, w-lo[k], hi[k]-w)
	}
	if most-least <= alike*most {
		return r, most, most-inner <= alike*most
	}
	return r, -1, false
}

// nonNegative says whether the inputs of layer i cannot be negative, whatever the
// example.
func (p *prepared) nonNegative(i int) bool { return i > 0 && p.layers[i-1].nonNegativeOut }

// assume returns an error unless all hidden activations have the properties that
// a method needs.
func (p *prepared) assume(method string, lipschitz, notNegative bool) error {
	for i := range len(p.layers) - 1 {
		a := p.layers[i].Act
		prop := activations[a]
		switch {
		case !prop.monotone:
			return fmt.Errorf("weightpert: %s: layer %d has activation %v, which is not monotone: bounds through it would not hold", method, i, a)
		case lipschitz && !prop.lipschitz1:
			return fmt.Errorf("weightpert: %s: layer %d has activation %v, which is not 1-Lipschitz: it can amplify a change", method, i, a)
		case notNegative && !prop.notNegative:
			return fmt.Errorf("weightpert: %s: layer %d has activation %v, which takes negative values: dropping negative weights would not bound it", method, i, a)
		}
	}
	return nil
}

// single returns the only layer that moves.
func (p *prepared) single(method string) (int, error) {
	found := -1
	for i, l := range p.layers {
		if l.moves {
			if found >= 0 {
				return 0, fmt.Errorf("weightpert: %s: layers %d and %d may move, want only one", method, found, i)
			}
			found = i
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("weightpert: %s: no layer may move, want one", method)
	}
	return found, nil
}

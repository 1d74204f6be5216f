package weightpert

import (
	"fmt"
)

// Worst is the least margin of a label over a rival in a box, and weights that
// have it.
type Worst struct {
	Rival   int
	Margin  float64  // as the weights of Network give it
	Network *Network // in the box; its fixed layers share memory with the original
}

// LastTwo returns the least margin of y over the rival j when only the last two
// layers move, and weights that attain it. The margin is a sum over the hidden
// units of the last-but-one layer whose terms move independently: each is least
// with the entries of the last layer at their worst ends, and the unit itself as
// small as the difference of those entries is positive, as large as it is negative.
// For a network of two layers this decides robustness against changes of all weights.
//
// The activation of the last-but-one layer must be monotone and not negative. An
// error says which layer moves beyond the last two. Of a convolution laid out by FromNN
// the entries move apart, as in every box: the margin is exact for the box, and a bound
// for convolutions.
func LastTwo(n *Network, b *Box, x []float64, y, j int) (Worst, error) {
	fail := func(err error) (Worst, error) { return Worst{}, fmt.Errorf("weightpert: LastTwo: %w", err) }
	p, err := prepare(n, b)
	if err != nil {
		return Worst{}, err
	}
	if err := n.checkInput(x, y); err != nil {
		return fail(err)
	}
	last := len(n.layers) - 1
	switch {
	case j < 0 || j >= n.Classes():
		return fail(fmt.Errorf("rival is %d, want 0 to %d", j, n.Classes()-1))
	case j == y:
		return fail(fmt.Errorf("rival %d is the label", j))
	case p.first < last-1:
		return fail(fmt.Errorf("layer %d may move, want none before layer %d", p.first, last-1))
	}
	if last > 0 {
		a := n.layers[last-1].Act
		if prop := activations[a]; !prop.monotone || !prop.notNegative {
			return fail(fmt.Errorf("layer %d has activation %v, want one that is monotone and not negative", last-1, a))
		}
	}
	w := &Network{layers: append([]Layer(nil), n.layers...)}
	top, lb := &w.layers[last], &p.layers[last]
	cols := top.Weight.Cols
	top.Weight.Val = append([]float64(nil), top.Weight.Val...)
	_, acts := n.trace(x)
	// The inputs of the last layer are not negative, those of the network may be.
	negative := func(k int) bool { return last == 0 && x[k] < 0 }
	for _, row := range []int{y, j} {
		from, to := top.Weight.span(row)
		for k := from; k < to; k++ {
			top.Weight.Val[k] = toward(lb.lo[k], lb.hi[k], negative(top.Weight.column(k, from)) == (row == y))
		}
	}
	if last > 0 {
		w.worstUnits(p, last-1, acts[last-1], func(k int) bool { return p.top.lo[y*cols+k] < p.top.hi[j*cols+k] })
	}
	if top.Bias != nil {
		top.Bias = append([]float64(nil), top.Bias...)
		top.Bias[y], top.Bias[j] = lb.biasLo[y], lb.biasHi[j]
	}
	f := w.Logits(x)
	return Worst{j, f[y] - f[j], w}, nil
}

// worstUnits moves the rows of layer i to make its outputs for input z as large as
// the box allows where up says so, and as small elsewhere.
func (n *Network) worstUnits(p *prepared, i int, z []float64, up func(row int) bool) {
	l, lb := &n.layers[i], &p.layers[i]
	l.Weight.Val = append([]float64(nil), l.Weight.Val...)
	if l.Bias != nil {
		l.Bias = append([]float64(nil), l.Bias...)
	}
	for r := range l.Weight.Rows {
		from, to := l.Weight.span(r)
		for k := from; k < to; k++ {
			l.Weight.Val[k] = toward(lb.lo[k], lb.hi[k], (z[l.Weight.column(k, from)] >= 0) == up(r))
		}
		if l.Bias != nil {
			l.Bias[r] = toward(lb.biasLo[r], lb.biasHi[r], up(r))
		}
	}
}

func toward(lo, hi float64, up bool) float64 {
	if up {
		return hi
	}
	return lo
}

package weightpert

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// bounds enclose the values of a layer under every weight of the box.
type bounds struct{ lo, hi []float64 }

func newBounds(n int) bounds { return bounds{make([]float64, n), make([]float64, n)} }

// reach is what interval propagation finds for one example, layer by layer.
type reach struct {
	pre, act []bounds    // act[0] is the example itself, act[i+1] the output of layer i
	size     [][]float64 // for each row of layer i, the sum of the largest moduli of its products
	finite   bool        // no bound has overflowed
}

func (p *prepared) newReach() *reach {
	r := &reach{act: []bounds{newBounds(p.net.Inputs())}}
	for _, l := range p.layers {
		r.pre = append(r.pre, newBounds(l.Weight.Rows))
		r.act = append(r.act, newBounds(l.Weight.Rows))
		r.size = append(r.size, make([]float64, l.Weight.Rows))
	}
	return r
}

// propagate computes r for x up to the output of the last hidden layer.
func (p *prepared) propagate(r *reach, x []float64) {
	copy(r.act[0].lo, x)
	copy(r.act[0].hi, x)
	r.finite = true
	for i := range len(p.layers) - 1 {
		p.interval(r, i)
		p.activate(r, i)
	}
}

// activate turns the bounds of layer i's pre-activations into those of its output.
func (p *prepared) activate(r *reach, i int) {
	act := p.layers[i].Act
	pre, out := r.pre[i], r.act[i+1]
	for k := range pre.lo {
		lo, hi := pre.lo[k], pre.hi[k]
		if !(lo >= -math.MaxFloat64 && hi <= math.MaxFloat64) {
			r.finite = false
		}
		out.lo[k], out.hi[k] = act.enclose(lo, hi)
	}
}

// interval bounds the pre-activations of layer i from the bounds of its inputs,
// rounded outwards.
func (p *prepared) interval(r *reach, i int) {
	l := &p.layers[i]
	in, out, size := r.act[i], r.pre[i], r.size[i]
	switch {
	case l.cols != nil && i == 0:
		l.pointProduct(out, size, in.lo)
	case l.cols != nil:
		l.positiveProduct(out, size, in)
	default:
		l.cornerProduct(out, size, in)
	}
	terms := l.longest
	if i == 0 {
		terms = 0
		for _, v := range in.lo {
			if v != 0 {
				terms++
			}
		}
	}
	g := gamma(terms + 1)
	for row := range out.lo {
		if l.biasLo != nil {
			out.lo[row] += l.biasLo[row]
			out.hi[row] += l.biasHi[row]
			size[row] += max(math.Abs(l.biasLo[row]), math.Abs(l.biasHi[row]))
		}
		size[row] += tiny
		out.lo[row] -= g*size[row] + tiny
		out.hi[row] += g*size[row] + tiny
	}
}

// columns holds the ends of a dense layer's intervals column by column: products
// with the inputs then run over whole columns, and inputs that are 0 cost nothing.
type columns struct {
	lo, hi       []float64 // for known inputs the ends, otherwise their positive parts
	loNeg, hiNeg []float64 // the negative parts of the ends, nil for known inputs
	size         []float64 // the larger modulus of each interval's ends
	val          []float64 // the weights themselves, for known inputs
}

// byColumn lays the layer out by columns.
func (l *boxedLayer) byColumn(known bool) *columns {
	rows, cols := l.Weight.Rows, l.Weight.Cols
	n := rows * cols
	c := &columns{lo: make([]float64, n), hi: make([]float64, n), size: make([]float64, n)}
	if known {
		c.val = make([]float64, n)
	} else {
		c.loNeg, c.hiNeg = make([]float64, n), make([]float64, n)
	}
	for r := range rows {
		for k := range cols {
			from, to := r*cols+k, k*rows+r
			lo, hi := l.lo[from], l.hi[from]
			c.size[to] = max(-lo, hi)
			if known {
				c.lo[to], c.hi[to], c.val[to] = lo, hi, l.Weight.Val[from]
				continue
			}
			c.lo[to], c.loNeg[to] = max(lo, 0), min(lo, 0)
			c.hi[to], c.hiNeg[to] = max(hi, 0), min(hi, 0)
		}
	}
	return c
}

// pointProduct bounds the product with a known vector.
func (l *boxedLayer) pointProduct(out bounds, size, x []float64) {
	if l.symmetric {
		// All weights move alike, and so does what they sum up to.
		l.columnProduct(out.lo, l.cols.val, x, func(v float64) float64 { return v })
		l.columnProduct(size, l.cols.size, x, math.Abs)
		shift := mulUp(l.even, sumAbs(x)*(1+gamma(len(x))))
		for r, v := range out.lo {
			out.lo[r], out.hi[r] = v-shift, v+shift
		}
		return
	}
	clear(out.lo)
	clear(out.hi)
	clear(size)
	rows, c := len(size), l.cols
	for k, v := range x {
		if v == 0 {
			continue
		}
		from, to := k*rows, (k+1)*rows
		lo, hi := c.lo[from:to], c.hi[from:to]
		if v < 0 {
			lo, hi = hi, lo
		}
		floats.AddScaled(out.lo, v, lo)
		if l.moves {
			floats.AddScaled(out.hi, v, hi)
		}
		floats.AddScaled(size, math.Abs(v), c.size[from:to])
	}
	if !l.moves {
		copy(out.hi, out.lo)
	}
}

// positiveProduct bounds the product with a vector in [in.lo, in.hi], in.lo >= 0.
func (l *boxedLayer) positiveProduct(out bounds, size []float64, in bounds) {
	clear(out.lo)
	clear(out.hi)
	clear(size)
	rows, c := len(size), l.cols
	for k, u := range in.hi {
		if u == 0 {
			continue
		}
		from, to := k*rows, (k+1)*rows
		floats.AddScaled(out.lo, u, c.loNeg[from:to])
		floats.AddScaled(out.hi, u, c.hi[from:to])
		floats.AddScaled(size, u, c.size[from:to])
		if v := in.lo[k]; v != 0 {
			floats.AddScaled(out.lo, v, c.lo[from:to])
			floats.AddScaled(out.hi, v, c.hiNeg[from:to])
		}
	}
}

// cornerProduct bounds the product with a vector in [in.lo, in.hi] of any sign.
func (l *boxedLayer) cornerProduct(out bounds, size []float64, in bounds) {
	for row := range size {
		from, to := l.Weight.span(row)
		var lo, hi, mag float64
		for k := from; k < to; k++ {
			c := l.Weight.column(k, from)
			a, b := corners(l.lo[k], l.hi[k], in.lo[c], in.hi[c])
			lo += a
			hi += b
			mag += max(math.Abs(l.lo[k]), math.Abs(l.hi[k])) * max(math.Abs(in.lo[c]), math.Abs(in.hi[c]))
		}
		out.lo[row], out.hi[row], size[row] = lo, hi, mag
	}
}

// corners bounds the product of two intervals.
func corners(a, b, c, d float64) (lo, hi float64) {
	w, x, y, z := a*c, a*d, b*c, b*d
	return min(w, x, y, z), max(w, x, y, z)
}

// merged bounds the margin f_y - f_j from below, given bounds of the last layer's
// inputs: rows y and j are joined before anything is bounded.
func (p *prepared) merged(in bounds, y, j int) float64 {
	last := len(p.layers) - 1
	l := p.top
	cols := l.Weight.Cols
	ylo, yhi := l.lo[y*cols:(y+1)*cols], l.hi[y*cols:(y+1)*cols]
	jlo, jhi := l.lo[j*cols:(j+1)*cols], l.hi[j*cols:(j+1)*cols]
	signed := !p.nonNegative(last)
	var lo, mag float64
	for k, zl := range in.lo {
		zh := in.hi[k]
		c := ylo[k] - jhi[k]
		big := max(math.Abs(ylo[k]), math.Abs(yhi[k])) + max(math.Abs(jlo[k]), math.Abs(jhi[k]))
		if signed {
			v, _ := corners(c, yhi[k]-jlo[k], zl, zh)
			lo += v
		} else if c >= 0 {
			lo += c * zl
		} else {
			lo += c * zh
		}
		mag += big * max(math.Abs(zl), math.Abs(zh))
	}
	if l.biasLo != nil {
		lo += l.biasLo[y] - l.biasHi[j]
		mag += math.Abs(l.biasLo[y]) + math.Abs(l.biasHi[j])
	}
	return orMinusInf(lo - gamma(cols+2)*mag - tiny)
}

// IBP is interval bound propagation with interval weights, with the rows of the
// label and its rival joined in the last layer. It takes every monotone activation,
// and is exact when only the last two layers move and the activation between them
// is not negative.
type IBP struct{}

// Name returns "IBP".
func (IBP) Name() string { return "IBP" }

func (IBP) prepare(n *Network, b *Box) (bounder, error) {
	p, err := prepare(n, b)
	if err != nil {
		return nil, err
	}
	if err := p.assume("IBP", false, false); err != nil {
		return nil, err
	}
	return func() margins {
		r := p.newReach()
		return func(out, x []float64, y int) {
			p.propagate(r, x)
			p.mergedMargins(out, r, y)
		}
	}, nil
}

// mergedMargins fills in the margin of y over every class.
func (p *prepared) mergedMargins(out []float64, r *reach, y int) {
	for j := range out {
		switch {
		case j == y:
			out[j] = 0
		case !r.finite:
			out[j] = math.Inf(-1)
		default:
			out[j] = p.merged(r.act[len(p.layers)-1], y, j)
		}
	}
}

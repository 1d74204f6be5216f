package weightpert

import "math"

// bounds enclose the values of a layer under every weight of the box.
type bounds struct{ lo, hi []float64 }

func newBounds(n int) bounds { return bounds{make([]float64, n), make([]float64, n)} }

// reach is what interval propagation finds for one example, layer by layer.
type reach struct {
	pre, act []bounds    // act[0] is the example itself, act[i+1] the output of layer i
	size     [][]float64 // for each row of layer i, the sum of the largest moduli of its products
	finite   bool        // no bound has overflowed
	nonzero  []int32     // scratch
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
	g := gamma(l.longest + 1)
	if i == 0 {
		r.nonzero = r.nonzero[:0]
		for k, v := range in.lo {
			if v != 0 {
				r.nonzero = append(r.nonzero, int32(k))
			}
		}
	}
	for row := range out.lo {
		from, to := l.Weight.span(row)
		var lo, hi, mag float64
		switch {
		case i == 0 && l.Weight.Col == nil:
			lo, hi, mag = pointProduct(l.lo[from:to], l.hi[from:to], in.lo, r.nonzero)
		case l.Weight.Col != nil:
			lo, hi, mag = sparseProduct(l.lo[from:to], l.hi[from:to], in.lo, in.hi, l.Weight.Col[from:to])
		case p.nonNegative(i):
			lo, hi, mag = positiveProduct(l.lo[from:to], l.hi[from:to], in.lo, in.hi)
		default:
			lo, hi, mag = cornerProduct(l.lo[from:to], l.hi[from:to], in.lo, in.hi)
		}
		if l.biasLo != nil {
			lo += l.biasLo[row]
			hi += l.biasHi[row]
			mag += max(math.Abs(l.biasLo[row]), math.Abs(l.biasHi[row]))
		}
		size[row] = mag
		out.lo[row], out.hi[row] = lo-g*mag-tiny, hi+g*mag+tiny
	}
}

// pointProduct bounds a row's product with a known vector.
func pointProduct(wlo, whi, x []float64, nonzero []int32) (lo, hi, mag float64) {
	for _, k := range nonzero {
		v := x[k]
		a, b := wlo[k]*v, whi[k]*v
		if v < 0 {
			a, b = b, a
		}
		lo += a
		hi += b
		mag += max(-a, b)
	}
	return lo, hi, mag
}

// positiveProduct bounds a row's product with a vector in [zlo, zhi], zlo >= 0.
func positiveProduct(wlo, whi, zlo, zhi []float64) (lo, hi, mag float64) {
	whi, zlo, zhi = whi[:len(wlo)], zlo[:len(wlo)], zhi[:len(wlo)]
	for k, a := range wlo {
		b := whi[k]
		u := zhi[k]
		if u == 0 {
			continue
		}
		mag += max(-a, b) * u
		if a >= 0 {
			lo += a * zlo[k]
		} else {
			lo += a * u
		}
		if b >= 0 {
			hi += b * u
		} else {
			hi += b * zlo[k]
		}
	}
	return lo, hi, mag
}

// cornerProduct bounds a row's product with a vector in [zlo, zhi] of any sign.
func cornerProduct(wlo, whi, zlo, zhi []float64) (lo, hi, mag float64) {
	for k, a := range wlo {
		l, h := corners(a, whi[k], zlo[k], zhi[k])
		lo += l
		hi += h
		mag += max(math.Abs(a), math.Abs(whi[k])) * max(math.Abs(zlo[k]), math.Abs(zhi[k]))
	}
	return lo, hi, mag
}

func sparseProduct(wlo, whi, zlo, zhi []float64, col []int32) (lo, hi, mag float64) {
	for k, a := range wlo {
		c := col[k]
		l, h := corners(a, whi[k], zlo[c], zhi[c])
		lo += l
		hi += h
		mag += max(math.Abs(a), math.Abs(whi[k])) * max(math.Abs(zlo[c]), math.Abs(zhi[c]))
	}
	return lo, hi, mag
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
	l := &p.layers[last]
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

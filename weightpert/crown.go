package weightpert

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
)

// CROWN propagates linear bounds backwards with the weights eliminated exactly:
// over inputs z >= 0 the least value of aᵀŴz over the box of Ŵ is linear in z,
//
//	min_Ŵ aᵀŴz = (max(a, 0) W_lo - max(-a, 0) W_hi) z,
//
// so no relaxation of the product of weight and activation is needed. ReLU is
// relaxed between its pre-activation bounds as in Zhang et al., NeurIPS 2018. No way to
// relax is always better, so the result is the best one of that with the adaptive lower
// line, that with the lower line parallel to the upper one as in WengBound, and IBP's.
// Bounds need not shrink as the box grows. All hidden activations must be ReLU.
type CROWN struct {
	// Intervals takes the pre-activation bounds of inner layers from interval
	// propagation alone (CROWN-IBP): faster and looser.
	Intervals bool
	// Pure takes the adaptive lower line alone and leaves IBP's bound of the margin
	// out.
	Pure bool
}

// Name returns "CROWN" or "CROWN-IBP".
func (c CROWN) Name() string {
	if c.Intervals {
		return "CROWN-IBP"
	}
	return "CROWN"
}

func (c CROWN) prepare(n *Network, b *Box) (bounder, error) {
	p, err := prepare(n, b)
	if err != nil {
		return nil, err
	}
	for i := range len(p.layers) - 1 {
		if a := p.layers[i].Act; a != ReLU {
			return nil, fmt.Errorf("weightpert: %s: layer %d has activation %v, want ReLU: its linear bounds are of ReLU, and weights are eliminated over inputs that are not negative", c.Name(), i, a)
		}
	}
	return func() margins {
		r := p.newReach()
		bw := p.newBackward(false)
		parallel := make([]float64, n.Classes())
		return func(out, x []float64, y int) {
			p.propagate(r, x)
			if !r.finite {
				p.mergedMargins(out, r, y)
				return
			}
			if !c.Intervals {
				bw.tighten(context.Background(), r, p.first)
			}
			bw.margins(out, r, p.first, y)
			if c.Pure {
				return
			}
			bw.sameSlope = true
			bw.margins(parallel, r, p.first, y)
			bw.sameSlope = false
			for j := range out {
				if j != y {
					out[j] = max(out[j], parallel[j], p.merged(r.act[len(p.layers)-1], y, j))
				}
			}
		}
	}, nil
}

// backward carries the coefficients of linear lower bounds from layer to layer.
type backward struct {
	p         *prepared
	sameSlope bool // the lower line of an unstable ReLU has the slope of the upper one
	a, b      []float64
	slope     [][]float64 // of the upper line of each ReLU
	total     []float64   // sum of the largest moduli of each layer's pre-activations
}

func (p *prepared) newBackward(sameSlope bool) *backward {
	bw := &backward{p: p, sameSlope: sameSlope, total: make([]float64, len(p.layers)), a: make([]float64, p.width), b: make([]float64, p.width)}
	for i := range p.layers {
		bw.slope = append(bw.slope, make([]float64, p.layers[i].Weight.Rows))
	}
	return bw
}

// lines computes the upper lines of layer i's ReLUs from their bounds.
func (bw *backward) lines(r *reach, i int) {
	pre := r.pre[i]
	bw.total[i] = 0
	for k, l := range pre.lo {
		u := pre.hi[k]
		bw.total[i] += max(math.Abs(l), math.Abs(u))
		switch {
		case u <= 0:
			bw.slope[i][k] = 0
		case l >= 0:
			bw.slope[i][k] = 1
		default:
			top, width := u, u-l
			if math.IsInf(width, 1) {
				top, width = u/2, u/2-l/2
			}
			// Rounded up, the line stays above ReLU at both ends.
			bw.slope[i][k] = min(1, top/width*(1+8*unit))
		}
	}
}

// tighten replaces the interval bounds of the hidden layers behind the first
// moving one by the better ones of interval and linear propagation.
func (bw *backward) tighten(ctx context.Context, r *reach, first int) {
	p := bw.p
	for m := first + 1; m < len(p.layers)-1; m++ {
		bw.lines(r, m-1)
		p.interval(r, m)
		pre := r.pre[m]
		for k := range pre.lo {
			if pre.hi[k] <= 0 {
				continue // the output is 0 whatever the bounds
			}
			if k%64 == 0 && ctx.Err() != nil {
				return // bounds so far are bounds
			}
			lo := bw.unit(r, first, m, k, 1)
			hi := -bw.unit(r, first, m, k, -1)
			if lo > pre.lo[k] {
				pre.lo[k] = lo
			}
			if hi < pre.hi[k] {
				pre.hi[k] = hi
			}
		}
		p.activate(r, m)
	}
}

// unit bounds sign times pre-activation k of layer m from below.
func (bw *backward) unit(r *reach, first, m, k int, sign float64) float64 {
	l := &bw.p.layers[m]
	from, to := l.Weight.span(k)
	coef := bw.a[:l.Weight.Cols]
	val := l.lo
	if sign < 0 {
		val = l.hi
	}
	if l.Weight.Col == nil {
		for i, v := range val[from:to] {
			coef[i] = sign * v
		}
	} else {
		clear(coef)
		for i := from; i < to; i++ {
			coef[l.Weight.Col[i]] += sign * val[i]
		}
	}
	bias := 0.0
	if l.biasLo != nil {
		if bias = l.biasLo[k]; sign < 0 {
			bias = -l.biasHi[k]
		}
	}
	size := r.size[m][k]
	return bw.down(r, first, m-1, coef, bias, size, gamma(l.longest+2)*size)
}

// margins bounds the margins of y from below.
func (bw *backward) margins(out []float64, r *reach, first, y int) {
	p := bw.p
	last := len(p.layers) - 1
	l := p.top
	cols := l.Weight.Cols
	for i := first; i < last; i++ {
		bw.lines(r, i)
	}
	in := r.act[last]
	for j := range out {
		if j == y {
			out[j] = 0
			continue
		}
		if first == last {
			// The inputs of the last layer are known.
			out[j] = p.merged(in, y, j)
			continue
		}
		coef := bw.a[:cols]
		size := 0.0
		for k := range coef {
			i, o := y*cols+k, j*cols+k
			coef[k] = l.lo[i] - l.hi[o]
			size += (math.Abs(l.lo[i]) + math.Abs(l.hi[o])) * in.hi[k]
		}
		bias := 0.0
		if l.biasLo != nil {
			bias = l.biasLo[y] - l.biasHi[j]
			size += math.Abs(l.biasLo[y]) + math.Abs(l.biasHi[j])
		}
		out[j] = bw.down(r, first, last-1, coef, bias, size, gamma(4)*size)
	}
}

// down bounds coef·z + constant from below, where z is the output of layer i,
// going back to the pre-activations of the first moving layer, which lie anywhere
// in their bounds. size bounds the moduli of what has been added up, and slip is
// what rounding may have cost; a coefficient can also be off by what underflows in
// the sum that it is, as often as that has terms.
func (bw *backward) down(r *reach, first, i int, coef []float64, constant, size, slip float64) float64 {
	p := bw.p
	other := bw.b
	terms := 1 // of each coefficient
	for ; ; i-- {
		slip += under(terms+8) * bw.total[i]
		pre, slope := r.pre[i], bw.slope[i]
		for k, c := range coef {
			if c == 0 {
				continue
			}
			lo, hi := pre.lo[k], pre.hi[k]
			s := slope[k]
			switch {
			case s == 0:
				coef[k] = 0
				continue
			case lo >= 0:
			case c < 0:
				constant -= c * s * lo
				size += math.Abs(c * s * lo)
				coef[k] = c * s
			case bw.sameSlope:
				coef[k] = c * (1 - 16*unit) * s
			case c > 0 && hi < -lo: // a coefficient that is no number stays, and spoils the bound
				coef[k] = 0
			}
			size += math.Abs(coef[k]) * max(math.Abs(lo), math.Abs(hi))
		}
		terms = len(coef)
		if i == first {
			sum := constant
			for k, c := range coef {
				if c > 0 {
					sum += c * pre.lo[k]
				} else if c < 0 {
					sum += c * pre.hi[k]
				}
			}
			return orMinusInf(sum - slip - gamma(2*len(coef)+4)*size - tiny)
		}
		l := &p.layers[i]
		next := other[:l.Weight.Cols]
		clear(next)
		g := gamma(l.longest + len(coef))
		for k, c := range coef {
			if c == 0 {
				continue
			}
			val, bias := l.lo, l.biasLo
			if c < 0 {
				val, bias = l.hi, l.biasHi
			}
			from, to := l.Weight.span(k)
			if l.Weight.Col == nil {
				floats.AddScaled(next, c, val[from:to])
			} else {
				for e := from; e < to; e++ {
					next[l.Weight.Col[e]] += c * val[e]
				}
			}
			if bias != nil {
				constant += c * bias[k]
				size += math.Abs(c * bias[k])
			}
			slip += g * (math.Abs(c) * r.size[i][k])
		}
		// The constant has taken up two terms of each unit: its line's and its bias's.
		slip += gamma(2*len(coef)) * size
		other = coef[:cap(coef)]
		coef = next
	}
}

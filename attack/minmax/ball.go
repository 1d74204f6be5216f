package minmax

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/attack"
)

// Ball is a norm ball around 0, to be intersected with a box that contains 0.
type Ball struct {
	Norm attack.Norm // Linf, L2, L1 or L0
	// Eps is the radius; for L0 the number of values that may differ from 0.
	Eps float64
	// Approximate scales a point onto the ball and then clips it to the box, as
	// some implementations do for L1 and L2. The result lies in the set but is not
	// the nearest point of it. L∞ and L0 are as without.
	Approximate bool
}

// Project replaces a by the nearest point, in Euclidean distance, of
//
//	{ z : ‖z‖ <= Eps, lo_i <= z_i <= hi_i },  lo_i <= 0 <= hi_i,
//
// exactly, up to rounding: L1 and L2 by sorting the values at which a coordinate
// meets its bound. An L0 ball keeps the Eps coordinates that gain most, the first
// ones of equals. lo and hi may be infinite, or nil for no bounds. It panics if
// their lengths differ from a's, a bound is on the wrong side of 0, the norm is
// unknown or Eps is negative or NaN.
//
// Proposition 1 of Wang et al., NeurIPS 2021.
func (b Ball) Project(a, lo, hi []float64) {
	if b.Norm < attack.Linf || b.Norm > attack.L0 || !(b.Eps >= 0) {
		panic(fmt.Sprintf("minmax: Project: norm %v and eps %v, want linf, l2, l1 or l0 and a number from 0 on", b.Norm, b.Eps))
	}
	for i, v := range lo {
		if !(v <= 0) {
			panic(fmt.Sprintf("minmax: Project: lower bound %d is %v, want at most 0", i, v))
		}
	}
	for i, v := range hi {
		if !(v >= 0) {
			panic(fmt.Sprintf("minmax: Project: upper bound %d is %v, want at least 0", i, v))
		}
	}
	var p projector
	p.project(b, a, lo, hi)
}

// projector holds the memory of projections.
type projector struct {
	u, caps []float64 // magnitudes of the point, and those that the box allows
	a, b    []float64 // scratch
	order   []int
}

func (p *projector) project(b Ball, a, lo, hi []float64) {
	if lo != nil && len(lo) != len(a) || hi != nil && len(hi) != len(a) {
		panic(fmt.Sprintf("minmax: Project: %d values with %d lower and %d upper bounds", len(a), len(lo), len(hi)))
	}
	p.u, p.caps = resized(p.u, len(a)), resized(p.caps, len(a))
	for i, v := range a {
		p.u[i], p.caps[i] = math.Abs(v), math.Inf(1)
		switch {
		case v > 0 && hi != nil:
			p.caps[i] = hi[i]
		case v < 0 && lo != nil:
			p.caps[i] = -lo[i]
		}
	}
	p.shrink(b)
	for i, v := range a {
		a[i] = math.Copysign(p.u[i], v)
		if p.u[i] == 0 {
			a[i] = 0
		}
	}
}

func resized[T any](v []T, n int) []T {
	if cap(v) < n {
		return make([]T, n)
	}
	return v[:n]
}

// shrink replaces the magnitudes u by those of the projection.
func (p *projector) shrink(b Ball) {
	switch {
	case b.Norm == attack.Linf:
		for i, u := range p.u {
			p.u[i] = min(u, p.caps[i], b.Eps)
		}
	case b.Norm == attack.L0:
		p.shrinkL0(int(min(b.Eps, float64(len(p.u)))))
	case b.Approximate:
		p.scaleAndClip(b)
	case b.Norm == attack.L1:
		p.shrinkL1(b.Eps)
	default:
		p.shrinkL2(b.Eps)
	}
}

// size is the norm of magnitudes, L1 or L2.
func size(n attack.Norm, u []float64) float64 {
	s := 0.0
	for _, v := range u {
		if n == attack.L1 {
			s += v
		} else {
			s += v * v
		}
	}
	if n == attack.L1 {
		return s
	}
	return math.Sqrt(s)
}

func (p *projector) scaleAndClip(b Ball) {
	scale := 1.0
	if s := size(b.Norm, p.u); s > b.Eps {
		scale = b.Eps / s
	}
	for i, u := range p.u {
		p.u[i] = min(scale*u, p.caps[i])
	}
}

// within says whether clipping alone leads into the ball, and clips then.
func (p *projector) within(n attack.Norm, eps float64) bool {
	s := 0.0
	for i, u := range p.u {
		m := min(u, p.caps[i])
		if n == attack.L1 {
			s += m
		} else {
			s += m * m
		}
	}
	if n == attack.L1 && !(s <= eps) || n == attack.L2 && !(s <= eps*eps) {
		return false
	}
	for i, u := range p.u {
		p.u[i] = min(u, p.caps[i])
	}
	return true
}

// into scales magnitudes whose norm is above eps by rounding alone.
func (p *projector) into(n attack.Norm, eps float64) {
	for s := size(n, p.u); s > eps; s = size(n, p.u) {
		scale := min(eps/s, 1-0x1p-53)
		for i := range p.u {
			p.u[i] *= scale
		}
	}
}

// shrinkL1 finds the lambda for which the magnitudes min(cap_i, max(u_i - lambda,
// 0)) sum to eps. The sum falls piecewise linearly: coordinate i begins to shrink
// at u_i - cap_i, or 0, and is gone at u_i. In the order of these values its slope is
// the number of coordinates that have begun less that of those that are gone.
func (p *projector) shrinkL1(eps float64) {
	if p.within(attack.L1, eps) {
		return
	}
	begin, end := p.a[:0], p.b[:0]
	sum := 0.0
	for i, u := range p.u {
		if m := min(u, p.caps[i]); m > 0 {
			sum += m
			begin, end = append(begin, max(u-p.caps[i], 0)), append(end, u)
		}
	}
	slices.Sort(begin)
	slices.Sort(end)
	p.a, p.b = begin, end
	lambda, begun, gone := 0.0, 0, 0
	for gone < len(end) {
		at := end[gone]
		if begun < len(begin) {
			at = min(at, begin[begun])
		}
		next := sum - float64(begun-gone)*(at-lambda)
		if next <= eps {
			break
		}
		sum, lambda = next, at
		if begun < len(begin) && begin[begun] == at {
			begun++
		} else {
			gone++
		}
	}
	if begun > gone {
		lambda += (sum - eps) / float64(begun-gone)
	}
	for i, u := range p.u {
		p.u[i] = min(p.caps[i], max(u-lambda, 0))
	}
	p.into(attack.L1, eps)
}

// shrinkL2 finds the s > 1 for which the magnitudes min(cap_i, u_i/s) have the
// length eps. Coordinate i is clipped while s <= u_i/cap_i; with the largest of
// these ratios first, exactly one number of clipped coordinates is consistent with
// the s that it leads to.
func (p *projector) shrinkL2(eps float64) {
	if eps == 0 {
		clear(p.u)
		return
	}
	if p.within(attack.L2, eps) {
		return
	}
	p.order, p.a = p.order[:0], resized(p.a, len(p.u))
	ratio, largest, free := p.a, slices.Max(p.u), 0.0
	for i, u := range p.u {
		switch q := u / largest; {
		case p.caps[i] == 0:
		case u <= p.caps[i]: // not clipped at any s
			free += q * q
		default:
			ratio[i] = u / p.caps[i]
			p.order = append(p.order, i)
		}
	}
	slices.SortFunc(p.order, func(a, b int) int { return cmp.Compare(ratio[b], ratio[a]) })
	// rest[k] is the sum of (u/largest)² over all but the first k.
	n := len(p.order)
	p.b = resized(p.b, n+1)
	rest := p.b
	rest[n] = free
	for k := n - 1; k >= 0; k-- {
		q := p.u[p.order[k]] / largest
		rest[k] = rest[k+1] + q*q
	}
	scale, clipped := 1.0, 0.0
	for k := range n + 1 {
		left := eps*eps - clipped
		if left <= 0 {
			break // by rounding
		}
		scale = largest * math.Sqrt(rest[k]/left)
		if k == n || scale > ratio[p.order[k]] {
			break
		}
		clipped += p.caps[p.order[k]] * p.caps[p.order[k]]
	}
	for i, u := range p.u {
		p.u[i] = min(p.caps[i], u/scale)
	}
	p.into(attack.L2, eps)
}

// shrinkL0 keeps the k coordinates whose clipped values bring the result nearest
// to the point, the first ones of equals.
func (p *projector) shrinkL0(k int) {
	p.a = resized(p.a, len(p.u))
	gain := p.a
	for i, u := range p.u {
		m := min(u, p.caps[i])
		gain[i], p.u[i] = m*(2*u-m), m
	}
	if k >= len(p.u) {
		return
	}
	// Gains above the k-th largest stay, and as many of its equals as there is room
	// for.
	room, least := k, math.Inf(1)
	if k > 0 {
		p.b = append(p.b[:0], gain...)
		slices.Sort(p.b)
		least = p.b[len(gain)-k]
		for _, g := range gain {
			if g > least {
				room--
			}
		}
	}
	for i, g := range gain {
		switch {
		case g > least:
		case g == least && room > 0:
			room--
		default:
			p.u[i] = 0
		}
	}
}

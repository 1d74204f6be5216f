package attack

import "math"

// The perturbations of Square under L2 and L1: windows of two bumps of opposite sign.
// Andriushchenko et al., ECCV 2020, Algorithm 3.

// tiles starts from a grid of bumps with random signs.
func (t *square[T]) tiles() {
	s := max(1, min(t.h, t.w)/5)
	delta := make([]float64, len(t.x0))
	rows, cols := t.h/s, t.w/s
	for i := range rows {
		for j := range cols {
			e := t.bumps(s)
			for ch := range t.c {
				t.addWindow(delta, e, float64(t.sign()), (t.h-rows*s)/2+i*s, (t.w-cols*s)/2+j*s, s, ch)
			}
		}
	}
	t.place(delta)
}

func (t *square[T]) addWindow(delta, e []float64, scale float64, top, left, side, ch int) {
	for r := range side {
		for q := range side {
			delta[((top+r)*t.w+left+q)*t.c+ch] += scale * e[r*side+q]
		}
	}
}

// place sets next to the point at the ball's radius in the direction of delta, in
// the box.
func (t *square[T]) place(delta []float64) {
	if t.threat.Norm == L1 {
		for i, o := range t.x0 {
			t.next[i] = T(float64(o) + delta[i])
		}
		project(t.threat, t.next, t.x0)
		return
	}
	a, b := t.threat.box()
	scale := innerLength[T](t.threat, len(t.x0)) / (size(L2, delta) + tiny)
	for i, o := range t.x0 {
		t.next[i] = T(min(b, max(a, float64(o)+scale*delta[i])))
	}
}

// exchange moves part of the perturbation from one window of best to another.
func (t *square[T]) exchange(side int) {
	delta := make([]float64, len(t.x0))
	for i, v := range t.best {
		delta[i] = float64(v) - float64(t.x0[i])
	}
	top1, left1 := t.corner(t.h, side), t.corner(t.w, side)
	top2, left2 := t.corner(t.h, side), t.corner(t.w, side)
	norm := t.threat.Norm
	whole := size(norm, delta)
	e := t.bumps(side)
	window := make([]float64, side*side)
	for ch := range t.c {
		at := func(r, q int) *float64 { return &delta[(r*t.w+q)*t.c+ch] }
		// The norms of window 1 and of the union of both.
		for r := range side {
			for q := range side {
				window[r*side+q] = *at(top1+r, left1+q)
			}
		}
		one := size(norm, window)
		both := power(norm, one)
		for r := top2; r < top2+side; r++ {
			for q := left2; q < left2+side; q++ {
				if inWindow(r, top1, side) && inWindow(q, left1, side) {
					continue
				}
				both += power(norm, math.Abs(*at(r, q)))
			}
		}
		s := float64(t.sign())
		for i := range window {
			window[i] = window[i]/(tiny+one) + s*e[i]
		}
		n := size(norm, window) + tiny
		// What the ball still has room for, shared among the channels, and what
		// the windows give up.
		free := max(0, power(norm, t.threat.Eps)-power(norm, whole))
		var target float64
		if norm == L2 {
			target = math.Sqrt(free/float64(t.c) + both)
		} else {
			target = free + both*float64(t.c)
		}
		for r := top2; r < top2+side; r++ {
			for q := left2; q < left2+side; q++ {
				*at(r, q) = 0
			}
		}
		for r := range side {
			for q := range side {
				*at(top1+r, left1+q) = window[r*side+q] * target / n
			}
		}
	}
	t.place(delta)
}

func inWindow(k, from, side int) bool { return k >= from && k < from+side }

// power is v squared for L2 and v for L1: what adds up over disjoint windows.
func power(n Norm, v float64) float64 {
	if n == L2 {
		return v * v
	}
	return v
}

// bumps is a window of two bumps of opposite sign, one above the other or, with
// probability 1/2, side by side, with norm 1.
//
// Andriushchenko et al., ECCV 2020, Eq. (2).
func (t *square[T]) bumps(side int) []float64 {
	e := eta(t.threat.Norm, side)
	if t.rng.Uint64()&1 == 0 {
		return e
	}
	turned := make([]float64, len(e))
	for r := range side {
		for q := range side {
			turned[q*side+r] = e[r*side+q]
		}
	}
	return turned
}

func eta(n Norm, side int) []float64 {
	upper := side / 2
	e := append(bump(n, upper, side), bump(n, side-upper, side)...)
	for i := upper * side; i < len(e); i++ {
		e[i] = -e[i]
	}
	length := size(n, e)
	for i := range e {
		e[i] /= length
	}
	return e
}

// bump falls off from the centre of a window of rows by cols: the squares of
// radius k around the centre add 1/(k+1)², for L1 1/(k+1)⁴. Its norm is 1.
func bump(n Norm, rows, cols int) []float64 {
	b := make([]float64, rows*cols)
	cr, cc := rows/2, cols/2
	for k := range max(cr, cc) + 1 {
		v := 1 / float64((k+1)*(k+1))
		if n == L1 {
			v *= v
		}
		for r := max(0, cr-k); r < min(rows, cr+k+1); r++ {
			for q := max(0, cc-k); q < min(cols, cc+k+1); q++ {
				b[r*cols+q] += v
			}
		}
	}
	length := size(n, b)
	if length == 0 { // no rows
		return b
	}
	for i := range b {
		b[i] /= length
	}
	return b
}

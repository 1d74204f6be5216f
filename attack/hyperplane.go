package attack

import (
	"cmp"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/ask"
)

// hyperplane finds the smallest move from a point onto a hyperplane within the box
// [lo, hi]. It owns scratch memory and serves one goroutine.
//
// Croce and Hein, ICML 2020 ("FAB"), section 2.2. With c = <w, t> - b, turned
// positive, coordinate i may move against w_i by at most room_i, and the moves m_i
// that are wanted are, for the smallest lambda with Σ|w_i| m_i = c,
//
//	L∞: min(lambda, room_i)    L2: min(lambda |w_i|, room_i)
//
// and for L1 all of room_i, the largest |w_i| first. Where no point of the box lies
// on the hyperplane all of them move by room_i, which comes nearest to it.
type hyperplane[T float] struct {
	norm   Norm
	lo, hi float64
	at     []int     // coordinates that can move
	w, m   []float64 // their |w_i| and room_i, then m_i
}

// project writes to delta the move from t to { u : <w, u> = b }.
func (h *hyperplane[T]) project(delta, t, w []T, b float64) {
	c := -b
	for i, v := range w {
		c += float64(v) * float64(t[i])
	}
	sign := 1.0
	if c < 0 {
		c, sign = -c, -1
	}
	clear(delta)
	if reach := h.prepare(t, w, sign); reach > c {
		switch h.norm {
		case L1:
			h.spend(c)
		case L2:
			h.level(c, h.w)
		default:
			h.level(c, nil)
		}
	}
	for k, i := range h.at {
		delta[i] = T(-math.Copysign(h.m[k], sign*float64(w[i])))
	}
}

// prepare lists the coordinates that can move against sign*w and returns how far
// they can take <w, t>.
func (h *hyperplane[T]) prepare(t, w []T, sign float64) (reach float64) {
	h.at, h.w, h.m = h.at[:0], h.w[:0], h.m[:0]
	for i, v := range w {
		a := sign * float64(v)
		room := float64(t[i]) - h.lo
		if a < 0 {
			a, room = -a, h.hi-float64(t[i])
		}
		if a > 0 && room > 0 {
			h.at = append(h.at, i)
			h.w = append(h.w, a)
			h.m = append(h.m, room)
			reach += a * room
		}
	}
	return reach
}

// level sets m_i to min(lambda rate_i, room_i), where no rates mean 1, with the
// smallest lambda for which Σ w_i m_i = c. Newton's method climbs the concave
// piecewise linear sum from the left: each round caps more coordinates, and the
// last one is exact.
func (h *hyperplane[T]) level(c float64, rate []float64) {
	lambda := 0.0
	for {
		capped, slope := 0.0, 0.0
		for k, room := range h.m {
			a, r := h.w[k], 1.0
			if rate != nil {
				r = rate[k]
			}
			if room <= lambda*r {
				capped += a * room
			} else {
				slope += a * r
			}
		}
		if slope == 0 {
			break
		}
		next := (c - capped) / slope
		if !(next > lambda) {
			break
		}
		lambda = next
	}
	for k, room := range h.m {
		r := 1.0
		if rate != nil {
			r = rate[k]
		}
		h.m[k] = min(lambda*r, room)
	}
}

// spend lets the coordinates of the largest w make up c, the earlier one of equals
// first.
func (h *hyperplane[T]) spend(c float64) {
	order := ask.Range(0, len(h.w))
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(h.w[j], h.w[i]) })
	for _, k := range order {
		h.m[k] = min(h.m[k], max(c, 0)/h.w[k])
		c -= h.w[k] * h.m[k]
	}
}

package attack

import (
	"cmp"
	"math"
	"slices"
)

// toHyperplane writes to delta the smallest move, in the norm, that takes t onto
// the hyperplane <w, u> = b within the box [lo, hi]; where no point of the box
// lies on it, the move that comes nearest to it. A t that lies on the hyperplane
// stays.
//
// Croce and Hein, ICML 2020 ("FAB"), section 2.2. With c = <w, t> - b, turned
// positive, coordinate i may move against w_i by at most room_i, and the moves m_i
// that are wanted are, for the smallest lambda with Σ|w_i| m_i = c,
//
//	L∞: min(lambda, room_i)    L2: min(lambda |w_i|, room_i)
//
// and for L1 all of room_i, the largest |w_i| first.
func toHyperplane[T float](norm Norm, delta, t, w []T, b, lo, hi float64) {
	c := -b
	for i, v := range w {
		c += float64(v) * float64(t[i])
	}
	sign := 1.0
	if c < 0 {
		c, sign = -c, -1
	}
	room := func(i int) float64 {
		switch v := sign * float64(w[i]); {
		case v > 0:
			return max(0, float64(t[i])-lo)
		case v < 0:
			return max(0, hi-float64(t[i]))
		}
		return 0
	}
	move := func(i int, m float64) { delta[i] = T(-math.Copysign(m, sign*float64(w[i]))) }
	reach := 0.0
	for i, v := range w {
		reach += math.Abs(float64(v)) * room(i)
	}
	switch {
	case reach <= c:
		for i := range w {
			move(i, room(i))
		}
	case norm == L1:
		greedy(w, c, room, move)
	default:
		// Newton's method on the concave piecewise linear sum, from the left:
		// each round caps more coordinates, and the last one is exact.
		quadratic := norm == L2
		lambda := 0.0
		for {
			capped, slope := 0.0, 0.0
			for i, v := range w {
				a := math.Abs(float64(v))
				rate := 1.0
				if quadratic {
					rate = a
				}
				if r := room(i); r <= lambda*rate {
					capped += a * r
				} else {
					slope += a * rate
				}
			}
			next := lambda
			if slope > 0 {
				next = (c - capped) / slope
			}
			if !(next > lambda) {
				break
			}
			lambda = next
		}
		for i, v := range w {
			rate := 1.0
			if quadratic {
				rate = math.Abs(float64(v))
			}
			move(i, min(lambda*rate, room(i)))
		}
	}
}

// greedy spends c on the coordinates of the largest |w| first, the earlier one of
// equals.
func greedy[T float](w []T, c float64, room func(int) float64, move func(int, float64)) {
	order := make([]int, len(w))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(math.Abs(float64(w[j])), math.Abs(float64(w[i])))
	})
	for _, i := range order {
		m := 0.0
		if a := math.Abs(float64(w[i])); c > 0 && a > 0 {
			m = min(room(i), c/a)
			c -= a * m
		}
		move(i, m)
	}
}

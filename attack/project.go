package attack

import (
	"math"
	"slices"
)

// project is the exact Euclidean projection of x onto the set of t around x0, in
// place. With a = x - x0, the box leaves a coordinate room for a change of
// magnitude up to cap_i in the direction of a_i, and the result changes each
// coordinate in that direction by a magnitude m_i <= cap_i.
func project[T float](t Threat, x, x0 []T) {
	lo, hi := t.box()
	switch t.Norm {
	case Linf:
		e := inner[T](t)
		for i, v := range x {
			x[i] = min(T(hi), x0[i]+e, max(T(lo), x0[i]-e, v))
		}
		return
	case L0:
		projectL0(x, x0, lo, hi, int(min(t.Eps, float64(len(x)))))
		return
	}
	u, caps := make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		a := float64(v) - float64(x0[i])
		u[i] = math.Abs(a)
		switch {
		case a > 0:
			caps[i] = hi - float64(x0[i])
		case a < 0:
			caps[i] = float64(x0[i]) - lo
		}
	}
	var m []float64
	if t.Norm == L1 {
		m = projectL1(u, caps, t.Eps)
	} else {
		m = projectL2(u, caps, t.Eps)
	}
	// Rounding to T may leave the ball; shrinking stays in the box.
	for shrink := 1.0; ; shrink *= 1 - 1e-7 {
		inside := make([]T, len(x))
		for i, v := range x {
			inside[i] = T(float64(x0[i]) + math.Copysign(m[i]*shrink, float64(v)-float64(x0[i])))
			inside[i] = min(T(hi), max(T(lo), inside[i]))
		}
		if distance(t.Norm, inside, x0) <= t.Eps || shrink < 1-1e-4 {
			if shrink < 1-1e-4 {
				copy(inside, x0)
			}
			copy(x, inside)
			return
		}
	}
}

// projectL1 returns m_i = min(cap_i, max(u_i - lambda, 0)) with the smallest
// lambda >= 0 for which they sum to at most eps. The sum falls piecewise
// linearly with lambda: coordinate i shrinks from max(u_i - cap_i, 0) to u_i.
func projectL1(u, caps []float64, eps float64) []float64 {
	m := make([]float64, len(u))
	sum := 0.0
	for i := range u {
		m[i] = min(caps[i], u[i])
		sum += m[i]
	}
	if sum <= eps {
		return m
	}
	type event struct{ at, slope float64 }
	events := make([]event, 0, 2*len(u))
	for i := range u {
		if m[i] > 0 {
			events = append(events, event{u[i] - m[i], -1}, event{u[i], 1})
		}
	}
	slices.SortFunc(events, func(a, b event) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	lambda, slope := 0.0, 0.0
	for _, e := range events {
		next := sum + slope*(e.at-lambda)
		if next <= eps {
			break
		}
		sum, lambda = next, e.at
		slope += e.slope
	}
	if slope < 0 {
		lambda += (sum - eps) / -slope
	}
	for i := range u {
		m[i] = min(caps[i], max(u[i]-lambda, 0))
	}
	return m
}

// projectL2 returns m_i = min(cap_i, u_i/s) with the smallest s >= 1 for which
// their squares sum to at most eps². Coordinate i stays at its cap while
// s <= u_i/cap_i.
func projectL2(u, caps []float64, eps float64) []float64 {
	m := make([]float64, len(u))
	sum := 0.0
	var order []int
	for i := range u {
		m[i] = min(caps[i], u[i])
		sum += m[i] * m[i]
		if u[i] > 0 && caps[i] > 0 {
			order = append(order, i)
		}
	}
	if sum <= eps*eps {
		return m
	}
	ratio := func(i int) float64 { return u[i] / caps[i] }
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case ratio(a) > ratio(b):
			return -1
		case ratio(a) < ratio(b):
			return 1
		}
		return a - b
	})
	var capped, free float64
	for _, i := range order {
		free += u[i] * u[i]
	}
	s := math.Inf(1)
	for k := 0; k <= len(order); k++ {
		if capped < eps*eps {
			s = math.Sqrt(max(0, free) / (eps*eps - capped))
		}
		if k == len(order) || s >= ratio(order[k]) {
			break
		}
		i := order[k]
		capped += caps[i] * caps[i]
		free -= u[i] * u[i]
	}
	for i := range u {
		m[i] = min(caps[i], u[i]/s)
	}
	return m
}

// projectL0 keeps the k changes that bring the result nearest to x, the earlier
// one of equals, and undoes the others.
func projectL0[T float](x, x0 []T, lo, hi float64, k int) {
	gain := make([]float64, len(x))
	order := make([]int, len(x))
	for i, v := range x {
		a := float64(v) - float64(x0[i])
		x[i] = min(T(hi), max(T(lo), v))
		rest := float64(v) - float64(x[i])
		gain[i] = a*a - rest*rest
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case gain[a] > gain[b]:
			return -1
		case gain[a] < gain[b]:
			return 1
		}
		return 0
	})
	for _, i := range order[k:] {
		x[i] = x0[i]
	}
}

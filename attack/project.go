package attack

import (
	"math"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/quickselect"
)

// scratch is memory for projections, two numbers for each value of an input.
type scratch struct{ u, caps []float64 }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) grow(n int) {
	if cap(s.u) < n {
		s.u, s.caps = make([]float64, n), make([]float64, n)
	}
	s.u, s.caps = s.u[:n], s.caps[:n]
}

// project is the exact Euclidean projection of x onto the set of t around x0, in
// place; a NaN becomes the value of x0. With a = x - x0, the box leaves a
// coordinate room for a change of magnitude up to cap_i in the direction of a_i,
// and the result changes each coordinate in that direction by a magnitude
// m_i <= cap_i, rounded towards x0 so that it stays in the ball.
func project[T float](t Threat, x, x0 []T) {
	lo, hi := t.box()
	if t.Norm == Linf {
		e := inner[T](t)
		for i, v := range x {
			if v != v {
				v = x0[i]
			}
			x[i] = min(T(hi), x0[i]+e, max(T(lo), x0[i]-e, v))
		}
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.grow(len(x))
	if t.Norm == L0 {
		projectL0(s, x, x0, lo, hi, int(min(t.Eps, float64(len(x)))))
		return
	}
	for i, v := range x {
		if v != v {
			x[i], v = x0[i], x0[i]
		}
		a := float64(v) - float64(x0[i])
		s.u[i], s.caps[i] = math.Abs(a), 0
		switch {
		case a > 0:
			s.caps[i] = hi - float64(x0[i])
		case a < 0:
			s.caps[i] = float64(x0[i]) - lo
		}
	}
	// Adding up the distance in float64 rounds once for each coordinate.
	eps := t.Eps * (1 - 0x1p-52*float64(len(x)))
	if t.Norm == L1 {
		lambda := thresholdL1(s.u, s.caps, eps)
		for i, u := range s.u {
			s.u[i] = min(s.caps[i], max(u-lambda, 0))
		}
	} else {
		scale := scaleL2(s.u, s.caps, eps)
		for i, u := range s.u {
			s.u[i] = min(s.caps[i], scale*u)
		}
	}
	for i, v := range x {
		x[i] = min(T(hi), max(T(lo), moved(x0[i], v >= x0[i], s.u[i])))
	}
}

// moved returns from plus or minus m >= 0, rounded towards from.
func moved[T float](from T, up bool, m float64) T {
	f := float64(from)
	if up {
		to := T(f + m)
		if float64(to)-f > m {
			to = next(to, from)
		}
		return to
	}
	to := T(f - m)
	if f-float64(to) > m {
		to = next(to, from)
	}
	return to
}

// next is the number after v on the way to w.
func next[T float](v, w T) T {
	switch v := any(v).(type) {
	case float32:
		return T(math.Nextafter32(v, float32(w)))
	case float64:
		return T(math.Nextafter(v, float64(w)))
	}
	panic("unreachable")
}

// rounds bounds the iterations of the searches below, which need a handful.
const rounds = 200

// thresholdL1 returns the smallest lambda >= 0 for which the magnitudes
// min(cap_i, max(u_i - lambda, 0)) sum to at most eps. The sum falls piecewise
// linearly with lambda: a step of Newton's method is exact on the last piece, and
// bisection takes its place where it would leave the bracket.
func thresholdL1(u, caps []float64, eps float64) float64 {
	at := func(lambda float64) (sum, slope float64) {
		for i, v := range u {
			switch m := v - lambda; {
			case m <= 0:
			case m >= caps[i]:
				sum += caps[i]
			default:
				sum += m
				slope++
			}
		}
		return sum, slope
	}
	sum, slope := at(0)
	if sum <= eps {
		return 0
	}
	lo, hi := 0.0, 0.0 // the sum is above eps at lo and not at hi
	for _, v := range u {
		hi = max(hi, v)
	}
	lambda := 0.0
	for range rounds {
		guess := (lo + hi) / 2
		if slope > 0 {
			if n := lambda + (sum-eps)/slope; n > lo && n < hi {
				guess = n
			}
		}
		if guess <= lo || guess >= hi {
			break
		}
		lambda = guess
		if sum, slope = at(lambda); sum > eps {
			lo = lambda
		} else {
			hi = lambda
			if eps-sum <= 1e-15*eps {
				break
			}
		}
	}
	return hi
}

// scaleL2 returns the largest scale <= 1 for which the magnitudes
// min(cap_i, scale u_i) have squares that sum to at most eps². Starting from the
// scale that would be right without caps, each round caps more coordinates, and
// the last one is exact.
func scaleL2(u, caps []float64, eps float64) float64 {
	most := 0.0
	for _, v := range u {
		most = max(most, v)
	}
	if most == 0 {
		return 1
	}
	scale := 0.0
	for range rounds {
		capped, free := 0.0, 0.0
		for i, v := range u {
			if v*scale >= caps[i] {
				capped += caps[i] * caps[i]
			} else {
				v /= most // so that tiny changes have squares
				free += v * v
			}
		}
		left := eps*eps - capped
		if left <= 0 || free == 0 {
			break
		}
		s := math.Sqrt(left/free) / most
		if s >= 1 {
			return 1
		}
		if s <= scale {
			break
		}
		scale = s
	}
	return scale
}

// projectL0 keeps the k changes that bring the result nearest to x, the earlier
// one of equals, and undoes the others.
func projectL0[T float](s *scratch, x, x0 []T, lo, hi float64, k int) {
	for i, v := range x {
		if v != v {
			v = x0[i]
		}
		a := float64(v) - float64(x0[i])
		x[i] = min(T(hi), max(T(lo), v))
		rest := float64(v) - float64(x[i])
		s.u[i] = a*a - rest*rest
	}
	if k >= len(x) {
		return
	}
	// The changes above the k-th largest gain stay, and as many of its equals as
	// there is room for.
	room, least := k, math.Inf(1)
	if k > 0 {
		copy(s.caps, s.u)
		least = quickselect.Kth(s.caps, len(x)-k)
		for _, g := range s.u {
			if g > least {
				room--
			}
		}
	}
	for i, g := range s.u {
		switch {
		case g > least:
		case g == least && room > 0:
			room--
		default:
			x[i] = x0[i]
		}
	}
}

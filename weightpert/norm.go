package weightpert

import "math"

// dualOrder returns q with 1/p + 1/q = 1, for p of 1 or more. Where q is not a whole
// number it is rounded down, which makes the norm of order q larger.
func dualOrder(p float64) float64 {
	switch {
	case p == 1:
		return math.Inf(1)
	case p == 2:
		return 2
	case math.IsInf(p, 1):
		return 1
	}
	return max(1, p/(p-1)*(1-8*unit))
}

// norm returns the norm of order q of v. It neither overflows nor underflows before
// the norm does.
func norm(v []float64, q float64) float64 {
	if q == 1 {
		return sumAbs(v)
	}
	largest := 0.0
	for _, x := range v {
		largest = max(largest, math.Abs(x))
	}
	if math.IsInf(q, 1) || largest == 0 || math.IsInf(largest, 1) {
		return largest
	}
	s := 0.0
	if q == 2 {
		for _, x := range v {
			x /= largest
			s += x * x
		}
		return largest * math.Sqrt(s)
	}
	for _, x := range v {
		s += math.Pow(math.Abs(x)/largest, q)
	}
	return largest * math.Pow(s, 1/q)
}

// normAbove returns the norm of order q of v, rounded up. math.Pow errs by about q
// units in a power of order q, of which the root leaves a few.
func normAbove(v []float64, q float64) float64 { return mulUp(norm(v, q), 1+gamma(len(v))+64*unit) }

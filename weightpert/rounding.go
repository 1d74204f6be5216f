package weightpert

import "math"

const (
	// unit is the largest relative error of one float64 operation.
	unit = 0x1p-53
	// tiny covers what underflows.
	tiny = 1e-300
	// slack times 1 + max|f| is the margin that a certificate must exceed, so
	// that it also holds for logits computed in another order.
	slack = 1e-9
)

// gamma bounds the relative error of a sum of n products against the sum of
// their magnitudes, itself computed so: n unit / (1 - n unit) for the one and the
// same again of it for the other, with room for some operations more.
func gamma(n int) float64 { return float64(n+12) * unit * (1 + 1e-9*float64(n)) }

// under bounds what n roundings below the range of normal numbers can cost together.
func under(n int) float64 { return float64(n+2) * math.SmallestNonzeroFloat64 }

// mulUp returns the product of numbers of 0 or more, rounded up: it is 0 only if one
// of them is.
func mulUp(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return math.Nextafter(a*b, math.Inf(1))
}

// minus returns a - b rounded down, the useless lower bound if that is no number.
func minus(a, b float64) float64 { return orMinusInf(math.Nextafter(a-b, math.Inf(-1))) }

// orMinusInf makes what is no number the useless lower bound.
func orMinusInf(v float64) float64 {
	if math.IsNaN(v) {
		return math.Inf(-1)
	}
	return v
}

// orInf makes what is no number the useless upper bound.
func orInf(v float64) float64 {
	if math.IsNaN(v) {
		return math.Inf(1)
	}
	return v
}

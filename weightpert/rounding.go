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
// their magnitudes, itself computed so.
func gamma(n int) float64 { return float64(2*n+16) * unit }

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

package binomial

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// slack is the part of alpha that goes to rounding, generously: powers and gonum's
// incomplete beta function are exponentials of numbers of the size of ln Γ(n), about
// n ln n, or of ln alpha, whose rounding errors become relative ones.
func slack(n int, alpha float64) float64 {
	return 0x1p-50 * (10 + float64(n)*math.Log(float64(n)) - math.Log(alpha))
}

// LowerBound returns the one-sided lower confidence bound of Clopper and Pearson
// (Biometrika 1934) for a probability, from k successes in n draws, lowered by more than
// rounding raises it: with a probability of at least 1-alpha over the draws it is not
// above the truth. It is 0 for no success. The caller sees to 0 <= k <= n, n >= 1 and
// 0 < alpha < 1.
func LowerBound(k, n int, alpha float64) float64 {
	alpha *= 1 - slack(n, alpha)
	switch k {
	case 0:
		return 0
	case n:
		// P(K = n | p) = pⁿ.
		return math.Exp(math.Log(alpha) / float64(n))
	}
	// The p at which P(K >= k | p) is alpha, from below, by bisection: what gonum has
	// for the inverse (v0.17.0) is far off where k is near a large n and alpha is small.
	a, b := float64(k), float64(n-k+1)
	lo, hi := 0.0, 1.0
	for {
		p := lo + (hi-lo)/2
		if p <= lo || p >= hi {
			return lo
		}
		if mathext.RegIncBeta(a, b, p) <= alpha {
			lo = p
		} else {
			hi = p
		}
	}
}

package smoothing

import (
	"fmt"

	"gonum.org/v1/gonum/mathext"

	"github.com/redoubt-ml/redoubt/internal/binomial"
)

// LowerBound returns the one-sided lower confidence bound of Clopper and Pearson
// (Biometrika 1934) for a probability, from k successes in n draws: with a
// probability of at least 1-alpha over the draws it is not above the truth. It is 0
// for no success. It panics unless 0 <= k <= n, n >= 1 and 0 < alpha < 1.
func LowerBound(k, n int, alpha float64) float64 {
	mustCount("LowerBound", k, n)
	if !(alpha > 0 && alpha < 1) {
		panic(fmt.Sprintf("smoothing: LowerBound: alpha is %v, want between 0 and 1", alpha))
	}
	return binomial.LowerBound(k, n, alpha)
}

// BinomialTest returns the p-value of the two-sided exact test that a success has
// probability 1/2, for k successes in n draws: the probability, if it has, of a count
// at least as far from n/2. It panics unless 0 <= k <= n and n >= 1.
func BinomialTest(k, n int) float64 {
	mustCount("BinomialTest", k, n)
	k = max(k, n-k)
	if 2*k == n {
		return 1
	}
	// P(K >= k) at 1/2, and as much on the other side.
	return min(1, 2*mathext.RegIncBeta(float64(k), float64(n-k+1), 0.5))
}

func mustCount(op string, k, n int) {
	if n < 1 || k < 0 || k > n {
		panic(fmt.Sprintf("smoothing: %s: %d successes in %d draws, want 0 to at least 1", op, k, n))
	}
}

// Radius returns σ Φ⁻¹(p), the L2 radius around an input within which an answer that
// has a probability of at least p under noise of deviation sigma stays the most
// frequent one; 0 if p is 1/2 or less, and +Inf for p = 1.
//
// Cohen, Rosenfeld and Kolter, ICML 2019, Theorem 1 with pB = 1-pA.
func Radius(sigma, p float64) float64 {
	if !(p > 0.5) {
		return 0
	}
	return sigma * mathext.NormalQuantile(p)
}

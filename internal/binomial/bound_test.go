package binomial

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mathext"
)

// The bound is where as many successes or more have the probability alpha, and not above.
func TestLowerBoundSolvesItsEquation(t *testing.T) {
	for _, n := range []int{1, 2, 10, 1000, 1e6} {
		for _, alpha := range []float64{1e-9, .01, .5, .9} {
			require.Zero(t, LowerBound(0, n, alpha))
			for _, k := range []int{1, (n + 1) / 2, n - 1, n} {
				if k < 1 {
					continue
				}
				p := LowerBound(k, n, alpha)
				tail := mathext.RegIncBeta(float64(k), float64(n-k+1), p)
				require.Less(t, tail, alpha*(1-slack(n, alpha)/2), "%d of %d", k, n)
				require.InEpsilon(t, alpha, tail, 1e-6, "%d of %d", k, n)
			}
		}
	}
}

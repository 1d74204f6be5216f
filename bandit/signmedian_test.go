package bandit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// atMost is P(Bin(n, q) <= k).
func atMost(k, n int, q float64) float64 {
	sum := 0.0
	for i := range k + 1 {
		sum += math.Exp(logBinomial(n, i, q))
	}
	return sum
}

// The radius of the sign test against exact probabilities: the adversary leaves the
// fewest rewards at or below mu + r, each with probability (1-eps) Φ(r), or Φ(r) - eps, and
// the median is above if those are at most half. A radius whose core is two fifths
// shorter is found out.
func TestSignRadiusByExactSums(t *testing.T) {
	for _, n := range []int{101, 300, 1000} {
		for _, l := range []float64{3, 6, 12} {
			for _, eps := range []float64{0, .05, .1} {
				for _, a := range []Adversary{Oblivious, Malicious} {
					b := GaussianBias(1, eps, a)
					miss := func(r float64) float64 {
						if a == Malicious {
							return atMost(n/2, n, normalCDF(r)-eps)
						}
						return atMost(n/2, n, (1-eps)*normalCDF(r))
					}
					r := signRadius(n, l, eps, a)
					if math.IsInf(r, 1) {
						continue
					}
					require.LessOrEqual(t, miss(r), math.Exp(-l), "n %d, L %v, eps %v, %v", n, l, eps, a)
					require.Greater(t, miss(b+.6*(r-b)), math.Exp(-l), "n %d, L %v, eps %v, %v", n, l, eps, a)
				}
			}
		}
	}
}

// The ranks of SymmetricMedian against exact probabilities in the same way: fewer than k
// untouched rewards at or below the mean.
func TestSignRankByExactSums(t *testing.T) {
	for _, n := range []int{101, 300, 1000} {
		for _, l := range []float64{3, 6, 12} {
			for _, eps := range []float64{0, .05, .1} {
				for a, q := range map[Adversary]float64{Oblivious: (1 - eps) / 2, Malicious: .5 - eps} {
					k := signRank(n, l, eps, a)
					if k < 1 {
						continue
					}
					require.LessOrEqual(t, atMost(k-1, n, q), math.Exp(-l), "n %d, L %v, eps %v, %v", n, l, eps, a)
					higher := k + int(.5*math.Sqrt(float64(n)*l/2))
					require.Greater(t, atMost(higher-1, n, q), math.Exp(-l), "n %d, L %v, eps %v, %v", n, l, eps, a)
				}
			}
		}
	}
}

// Radii from the formula with another program's normal quantile, at the levels of TestRadii;
// that they are below Median's everywhere; a rank at n = 4,037.
func TestSignTestIsNarrower(t *testing.T) {
	for _, c := range []struct {
		j        int
		eps      float64
		obl, mal float64
	}{{40, .05, .350389, .399202}, {60, .05, .176691, .231709}, {40, .10, .446451, .539206}} {
		require.InDelta(t, c.obl, prepare(t, SignMedian{1}, setting(10, .1, c.eps, Oblivious, 1.1)).Radius(c.j), 1e-6)
		require.InDelta(t, c.mal, prepare(t, SignMedian{1}, setting(10, .1, c.eps, Malicious, 1.1)).Radius(c.j), 1e-6)
	}
	for _, eta := range []float64{1, 1.1} {
		for _, eps := range []float64{0, .001, .02, .1, .3} {
			for _, a := range []Adversary{Oblivious, Malicious} {
				sign, count := prepare(t, SignMedian{1}, setting(10, .1, eps, a, eta)), prepare(t, Median{1}, setting(10, .1, eps, a, eta))
				for j := 1; j < 100; j++ {
					if !math.IsInf(count.Radius(j), 1) {
						require.Less(t, sign.Radius(j), count.Radius(j), "j %d, eps %v, %v", j, eps, a)
					}
				}
			}
		}
	}
	require.Equal(t, 1750, signRank(4037, Level(60, 2, 10, .1), .05, Oblivious))
}

package bandit

import (
	"fmt"
	"math"
	"slices"
)

// LowerBound returns a bound from below on the expected number of pulls of any
// method that finds the best of Gaussian arms of deviation sigma with error
// probability delta, under an oblivious adversary of probability eps:
//
//	E T >= kl(delta, 1-delta) sum over i of 1/KL_eps(Delta_i/sigma),
//
// Delta_i = mu_1 - mu_i for i > 1 and Delta_1 = Delta_2. It is +Inf if some gap
// cannot be seen, that is, is at most 2 GaussianBias.
//
// A malicious adversary can do all that an oblivious one can, so the bound holds
// against it too.
//
// Moving arm i past the best arm changes the answer, so the evidence N_i KL
// between what the two worlds show must reach kl(delta, 1-delta) (transportation
// lemma; Kaufmann, Cappé and Garivier, JMLR 2016), and the adversary may show the
// least favourable pair.
func LowerBound(means []float64, sigma, eps, delta float64) float64 {
	sum := 0.0
	for _, gap := range gaps(means) {
		kl, _ := KLEps(gap/sigma, eps)
		sum += 1 / kl
	}
	return binaryKL(delta, 1-delta) * sum
}

// gaps returns Delta_i in the order of the arms.
func gaps(means []float64) []float64 {
	best := 0
	for i, mu := range means {
		if mu > means[best] {
			best = i
		}
	}
	g := make([]float64, len(means))
	g[best] = math.Inf(1)
	for i, mu := range means {
		if i != best {
			g[i] = means[best] - mu
			g[best] = min(g[best], g[i])
		}
	}
	return g
}

// Identifiable says whether a search is sure to tell the best of arms with these
// means: whether the best leads by more than 4 b (Certified) or 2 b
// (AssumeIdentifiable), b being Bias.
func (d *Design) Identifiable(means []float64) bool {
	return slices.Min(gaps(means)) > d.floor()
}

// floor is the gap that must be exceeded.
func (d *Design) floor() float64 {
	if d.cfg.Mode == AssumeIdentifiable {
		return 2 * d.bias
	}
	return 4 * d.bias
}

// UpperBound returns a number of pulls that GapBased and Elimination do not exceed
// on arms with these means, unless an interval fails, which has probability at
// most Delta:
//
//	T <= sum over i of n*(Delta_i/4),  n*(x) = first grid size with r(n) < x,
//
// and in AssumeIdentifiable n* is the first with r(n) - b < (Delta_i - 2 b)/4. It
// is an error if the means cannot be told apart, or if radii depend on the data.
//
// While all intervals hold, GapBased pulls arm i as leader or challenger, and as the
// wider of the two, only if the intervals overlap, which takes
// Delta_i <= 4 r(n_i) (2 b + 4 s(n_i)): the argument for LUCB and UGapE.
func (d *Design) UpperBound(means []float64) (int, error) {
	if math.IsNaN(d.family.Radius(1)) {
		return 0, fmt.Errorf("bandit: UpperBound: the radius depends on the data")
	}
	total := 0
	for i, gap := range gaps(means) {
		if !(gap > d.floor()) {
			return 0, fmt.Errorf("bandit: UpperBound: gap %v of arm %d, want more than %v", gap, i, d.floor())
		}
		need := gap / 4
		if d.cfg.Mode == AssumeIdentifiable {
			need = (gap-2*d.bias)/4 + d.bias
		}
		j := 1
		for d.family.Radius(j) >= need {
			if j++; d.Grid().Size(j) > math.MaxInt/16 {
				return 0, fmt.Errorf("bandit: UpperBound: gap %v of arm %d takes too many pulls to count", gap, i)
			}
		}
		total += d.Grid().Size(j)
	}
	return total, nil
}

package bandit

import (
	"fmt"
	"math"
	"slices"
)

// LowerBound returns a bound from below on the expected number of pulls of any
// method that finds the best of Gaussian arms of deviation sigma with error
// probability delta, under the worst oblivious adversary of probability eps:
//
//	E T >= kl(delta, 1-delta) sum over i of 1/KL_eps(Delta_i/sigma),
//
// Delta_i = mu_1 - mu_i for i > 1 and Delta_1 = Delta_2. It is +Inf if some gap
// cannot be seen, that is, is at most 2 GaussianBias.
//
// With eps above 0 it is no bound on the pulls under an adversary that does less than the
// worst, or nothing: what that one shows is easier to tell apart. A malicious adversary
// can do all that an oblivious one can, so the bound holds for the worst of that kind
// too. It is for methods that are right whatever the means, told no more than sigma and
// eps, and that need the very best arm: it says nothing of AssumeIdentifiable, which is
// told that the gap is large enough, of Tol above 0, of a fixed budget, or of rules that
// take eps for 0 and are wrong. It panics unless there are at least two means, all
// finite, sigma is positive, eps in [0, 1/2) and delta in (0, 1). From delta = 1/2 on it
// is 0: a guess will do.
//
// Moving arm i past the best arm changes the answer, so the evidence N_i KL
// between what the two worlds show must reach kl(delta, 1-delta) (transportation
// lemma; Kaufmann, Cappé and Garivier, JMLR 2016), and the worst adversary shows the
// least favourable pair.
func LowerBound(means []float64, sigma, eps, delta float64) float64 {
	wantMeans("LowerBound", means)
	wantScale("LowerBound", "sigma", sigma)
	wantEps("LowerBound", eps)
	if !(delta > 0 && delta < 1) {
		bad("LowerBound", "delta", delta, "a number in (0, 1)")
	}
	if delta >= 0.5 {
		return 0
	}
	sum := 0.0
	for _, gap := range gaps(means, 1) {
		kl, _ := KLEps(gap/sigma, eps)
		sum += 1 / kl
	}
	return binaryKL(delta, 1-delta) * sum
}

// gaps returns, in the order of the arms, how far each of the top arms is above the
// best of the rest, and each of the rest below the worst of the top.
func gaps(means []float64, top int) []float64 {
	sorted := slices.Clone(means)
	slices.Sort(sorted)
	within, without := sorted[len(sorted)-top], sorted[len(sorted)-top-1]
	g := make([]float64, len(means))
	for i, mu := range means {
		if mu >= within {
			g[i] = mu - without
		} else {
			g[i] = within - mu
		}
	}
	return g
}

// Identifiable says whether a search that compares intervals is sure to tell the best
// of arms with these means: whether the best, or the least of the Top best, leads the
// next by more than 4 b (Certified) or 2 b (AssumeIdentifiable), b being Bias. It
// panics unless there is one finite mean for each arm.
func (d *Design) Identifiable(means []float64) bool {
	if err := d.checkMeans(means); err != nil {
		panic(fmt.Sprintf("bandit: Identifiable: %v", err))
	}
	return slices.Min(gaps(means, d.cfg.Top)) > d.floor()
}

func (d *Design) checkMeans(means []float64) error {
	if len(means) != d.cfg.Arms {
		return fmt.Errorf("means has %d arms, want %d as the configuration has", len(means), d.cfg.Arms)
	}
	return checkMeans(means)
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
// and in AssumeIdentifiable n* is the first with r(n) - b < (Delta_i - 2 b)/4. Delta_i
// is the distance of arm i from the best arm, or for the best from the second; with
// Top above 1 from the best of the rest, or the worst of the Top. It is an error if
// the means cannot be told apart, are not one finite number for each arm, if radii
// depend on the data, or if the rule is another.
//
// While all intervals hold, GapBased pulls arm i as leader or challenger, and as the
// wider of the two, only if the intervals overlap, which takes
// Delta_i <= 4 r(n_i) (2 b + 4 s(n_i)): the argument for LUCB and UGapE, which holds
// with several best arms as well.
func (d *Design) UpperBound(means []float64) (int, error) {
	if _, ok := d.cfg.Rule.(upperBounded); !ok {
		return 0, fmt.Errorf("bandit: UpperBound: rule is %s, want GapBased or Elimination", d.cfg.Rule.Name())
	}
	if err := d.checkMeans(means); err != nil {
		return 0, fmt.Errorf("bandit: UpperBound: %w", err)
	}
	if math.IsNaN(d.family.Radius(1)) {
		return 0, fmt.Errorf("bandit: UpperBound: the radius depends on the data")
	}
	total := 0
	for i, gap := range gaps(means, d.cfg.Top) {
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
		if total += d.Grid().Size(j); total > math.MaxInt/8 {
			return 0, fmt.Errorf("bandit: UpperBound: the pulls are too many to count")
		}
	}
	return total, nil
}

package bandit

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// SuccessiveHalving is for a fixed budget, Config.MaxPulls: it spends an equal part
// of it in each of ceil(log2 K) rounds on the arms still in, and keeps the better
// half, by the estimates of any Estimator. It always answers, with no promise of a
// confidence; with a robust Estimator no share Eps of outliers carries a mean away.
// Arms are pulled to sizes of the grid, and what a round leaves over goes to the
// next.
//
// An arm is ranked by its estimate even while its interval says nothing, and whatever
// Delta is: where an Estimator of this package takes a setting from Delta (the trims of
// TrimmedMean, the thresholds of GaussianHuber, the blocks of MedianOfMeans, the scale
// of Catoni) it is that of Delta = 0.05 here. The median stands in where even so a mean
// is not defined: where TrimmedMean has nothing left or something infinite,
// MedianOfMeans fewer rewards than blocks, and Catoni n <= 2 L. In the result Est is
// what an arm was ranked by and the interval that of Delta, so Est need not be its
// middle.
//
// Karnin, Koren and Somekh, ICML 2013, with all rewards of an arm in its estimate.
type SuccessiveHalving struct{}

var _ Rule = SuccessiveHalving{}

// Name implements Rule.
func (SuccessiveHalving) Name() string { return "successive halving" }

func (SuccessiveHalving) check(c *Config) error {
	if c.Tol > 0 {
		return fmt.Errorf("bandit: SuccessiveHalving: Tol is %v, want 0: it stops when MaxPulls is spent", c.Tol)
	}
	if least := c.Arms * c.N0 * bits.Len(uint(c.Arms-1)); c.MaxPulls < least {
		return fmt.Errorf("bandit: SuccessiveHalving: MaxPulls is %d, want at least %d: N0 pulls of %d arms in %d rounds", c.MaxPulls, least, c.Arms, bits.Len(uint(c.Arms-1)))
	}
	return nil
}

func (SuccessiveHalving) budgeted() {}

func (SuccessiveHalving) start(d *Design) policy { return &halving{survivors: allArms(d.cfg.Arms)} }

type halving struct {
	survivors
	phases
	Round int // rounds begun
}

func (p *halving) observed(s *Search, arm int) {
	// Only the last of the sizes that a batch passes is evaluated.
	a := &s.arms[arm]
	a.j = s.d.setting.Grid.index(a.n)
	a.interval = a.sample.Interval(a.j)
	if r, ok := a.sample.(ranked); ok {
		a.interval.Est = r.rank(a.j)
	}
}

func (p *halving) restore(s *Search) error {
	if p.Round < 1 || p.Round > bits.Len(uint(len(s.arms)-1)) {
		return fmt.Errorf("round %d of %d", p.Round, bits.Len(uint(len(s.arms)-1)))
	}
	return p.check(len(s.arms))
}

func (p *halving) next(s *Search) {
	rounds := bits.Len(uint(len(s.arms) - 1))
	for len(s.queue) == 0 {
		if p.Round > 0 {
			if p.Active = s.betterHalf(p.Active); len(p.Active) == 1 {
				s.finish(Identified, []int{p.Active[0]})
				return
			}
		}
		p.Round++
		// A quotient of the budget before the product: it cannot overflow.
		budget := s.d.cfg.MaxPulls/rounds*p.Round - s.pulls
		for _, i := range p.Active {
			a := &s.arms[i]
			j := a.j
			for s.d.setting.Grid.Size(j+1)-a.n <= budget/len(p.Active) {
				j++
			}
			if j > a.j {
				s.ask(i, s.d.setting.Grid.Size(j)-a.n)
			}
		}
	}
}

// betterHalf returns the arms of the larger estimates, half of them rounded up, in
// rising order.
func (s *Search) betterHalf(arms []int) []int {
	s.sortByEstimate(arms)
	arms = arms[:(len(arms)+1)/2]
	slices.Sort(arms)
	return arms
}

// sortByEstimate puts arms in the order of their estimates, the largest first; equal
// ones keep their order.
func (s *Search) sortByEstimate(arms []int) {
	slices.SortStableFunc(arms, func(a, b int) int { return cmp.Compare(s.arms[b].interval.Est, s.arms[a].interval.Est) })
}

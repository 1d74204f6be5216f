package bandit

import (
	"fmt"
	"slices"
)

// Rule decides which arm to pull and when to stop. The values of this package
// are GapBased, Elimination, Uniform, UGapE and Likelihood, and the baselines
// EvenDarElimination, MedianElimination, LUCB, KLLUCB, LilUCB, TrackAndStop and
// SuccessiveHalving, all but the last of which are for clean rewards: with them Eps is 0.
type Rule interface {
	// Name is short, as in "G-CBAI".
	Name() string
	// check returns an error if the rule cannot serve the configuration, whose
	// defaults are filled in.
	check(*Config) error
	start(*Design) policy
}

// ownBounds is a Rule with bounds of its own, so that it needs no Estimator.
type ownBounds interface {
	family(Setting) (Family, error)
}

// What only some rules can do they say by a method, which a pointer to a rule and a
// struct that embeds one have as well.
type (
	// severalArms is a Rule that can find more than one best arm.
	severalArms interface{ severalArms() }
	// upperBounded is a Rule of which UpperBound speaks.
	upperBounded interface{ upperBounded() }
	// evidential is a Rule that needs a mixture of evidence in the design.
	evidential interface{ evidence(*Design) error }
	// budgeted is a Rule that shares out MaxPulls, so that no other will do half-way.
	budgeted interface{ budgeted() }
)

// policy is a Rule at work in one search. Its exported fields are its state; they
// are saved with the search, and whatever else it keeps is made again by observed.
type policy interface {
	// begin asks for the next of the pulls with which the rule begins, and returns
	// false once there are none left.
	begin(s *Search) bool
	// observed takes note of new rewards of an arm and sets its interval.
	observed(s *Search, arm int)
	// next asks for pulls or ends the search; all pulls asked before are done.
	next(s *Search)
	// onGrid says whether every request takes an arm to its next grid size.
	onGrid() bool
	// remains says whether the rule has not dropped an arm.
	remains(arm int) bool
	// restore takes note of the arms of a saved search.
	restore(s *Search) error
}

// reporter is a policy that goes by intervals which do not hold for all arms together.
type reporter interface {
	// report returns the interval of an arm, which has been pulled, that does: all of
	// them hold, at all times, with a probability of at least 1-Delta.
	report(s *Search, arm int) Interval
}

// phases is for rules that set the number of pulls of each phase themselves, the
// first included.
type phases struct{}

func (phases) begin(*Search) bool { return false }

func (phases) onGrid() bool { return false }

// everyArm is for rules that drop none.
type everyArm struct{}

func (everyArm) remains(int) bool { return true }

// survivors are the arms of a rule that drops some for good.
type survivors struct {
	Active []int // in increasing order
}

func allArms(arms int) survivors {
	x := make([]int, arms)
	for i := range x {
		x[i] = i
	}
	return survivors{x}
}

func (p *survivors) remains(arm int) bool {
	_, active := slices.BinarySearch(p.Active, arm)
	return active
}

// check is that of a saved set.
func (p *survivors) check(arms int) error {
	for k, i := range p.Active {
		if i < 0 || i >= arms || k > 0 && i <= p.Active[k-1] {
			return fmt.Errorf("active arms %v, want increasing numbers within 0 to %d", p.Active, arms-1)
		}
	}
	if len(p.Active) < 2 {
		return fmt.Errorf("%d active arms, want at least 2", len(p.Active))
	}
	return nil
}

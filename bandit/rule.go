package bandit

// Rule decides which arm to pull and when to stop. The values of this package
// are GapBased, Elimination, Uniform, UGapE and Likelihood, and the baselines
// EvenDarElimination, MedianElimination, LUCB, KLLUCB, LilUCB, TrackAndStop and
// SuccessiveHalving, which ignore contamination.
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

// policy is a Rule at work in one search. Its exported fields are its state; they
// are saved with the search, and whatever else it keeps is made again by observed.
type policy interface {
	// observed takes note of new rewards of an arm and sets its interval.
	observed(s *Search, arm int)
	// next asks for pulls or ends the search; all pulls asked before are done.
	next(s *Search)
	// restore takes note of the arms of a saved search.
	restore(s *Search) error
}

package env

import (
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/bandit"
)

// Contamination is an adversary at work. It keeps to its kind: the share of
// entries it replaces is Stack.Eps, and it looks at no more than the kind may see.
// It may be used by several goroutines.
type Contamination interface {
	// Name is short, as in "A1".
	Name() string
	// Adversary is the kind that a learner must be told to be safe.
	Adversary() bandit.Adversary
	// Show returns the reward that entry s.J shows.
	Show(s *Stack) float64
}

// None (A0) shows every clean reward.
type None struct{}

var _ Contamination = None{}

// Name implements Contamination.
func (None) Name() string { return "A0" }

// Adversary implements Contamination.
func (None) Adversary() bandit.Adversary { return bandit.Oblivious }

// Show implements Contamination.
func (None) Show(s *Stack) float64 { return s.Clean(0) }

// Shift (A1) shows, at the toss of a coin, a value Offset below the mean of the best
// arm and Offset above the mean of any other.
type Shift struct{ Offset float64 }

var _ Contamination = Shift{}

// Name implements Contamination.
func (Shift) Name() string { return "A1" }

// Adversary implements Contamination.
func (Shift) Adversary() bandit.Adversary { return bandit.Oblivious }

// Show implements Contamination.
func (c Shift) Show(s *Stack) float64 {
	if !s.Flag(0) {
		return s.Clean(0)
	}
	return shifted(s, c.Offset)
}

func shifted(s *Stack, offset float64) float64 {
	if s.Best {
		return s.Mean() - offset
	}
	return s.Mean() + offset
}

// Replace is A1 for bounded rewards: at the toss of a coin it shows Best for the
// best arm and Other for any other.
type Replace struct{ Best, Other float64 }

var _ Contamination = Replace{}

// Name implements Contamination.
func (Replace) Name() string { return "A1" }

// Adversary implements Contamination.
func (Replace) Adversary() bandit.Adversary { return bandit.Oblivious }

// Show implements Contamination.
func (c Replace) Show(s *Stack) float64 {
	switch {
	case !s.Flag(0):
		return s.Clean(0)
	case s.Best:
		return c.Best
	}
	return c.Other
}

// Noise (A2) shows, at the toss of a coin, a draw of N(mean, Sigma²).
type Noise struct{ Sigma float64 }

var _ Contamination = Noise{}

// Name implements Contamination.
func (Noise) Name() string { return "A2" }

// Adversary implements Contamination.
func (Noise) Adversary() bandit.Adversary { return bandit.Oblivious }

// Show implements Contamination.
func (c Noise) Show(s *Stack) float64 {
	if !s.Flag(0) {
		return s.Clean(0)
	}
	return s.Mean() + c.Sigma*s.Noise.NormFloat64()
}

// TailShift (A3) is malicious: it destroys the best arm's rewards in their highest
// Eps-tail and any other arm's in their lowest, and shows what Shift does instead.
type TailShift struct{ Offset float64 }

var _ Contamination = TailShift{}

// Name implements Contamination.
func (TailShift) Name() string { return "A3" }

// Adversary implements Contamination.
func (TailShift) Adversary() bandit.Adversary { return bandit.Malicious }

// Show implements Contamination.
func (c TailShift) Show(s *Stack) float64 {
	y := s.Clean(0)
	rank := s.Law.Rank(y, s.Noise.Float64())
	if s.Best {
		rank = 1 - rank
	}
	if !(rank <= s.Eps) { // also where a law has no rank for y
		return y
	}
	return shifted(s, c.Offset)
}

// Oblivious is a user's own oblivious adversary: it replaces a reward at the toss of a
// coin and knows neither the reward nor the coin.
type Oblivious struct {
	Label string // the name, for tables
	// Value returns Z for pull j, from 0, of an arm; rng is the adversary's own. Not nil.
	Value func(arm, j int, rng *rand.Rand) float64
}

var _ Contamination = Oblivious{}

// Name implements Contamination.
func (c Oblivious) Name() string { return c.Label }

// Adversary implements Contamination.
func (Oblivious) Adversary() bandit.Adversary { return bandit.Oblivious }

// Show implements Contamination.
func (c Oblivious) Show(s *Stack) float64 {
	if !s.Flag(0) {
		return s.Clean(0)
	}
	return c.Value(s.Arm, s.J, s.Noise)
}

// Prescient is a user's own prescient adversary. Value may look anywhere in the
// stack, and at a learner that it was given.
type Prescient struct {
	Label string // the name, for tables
	// Value returns Z for the entry that is about to be shown. Not nil.
	Value func(s *Stack) float64
}

var _ Contamination = Prescient{}

// Name implements Contamination.
func (c Prescient) Name() string { return c.Label }

// Adversary implements Contamination.
func (Prescient) Adversary() bandit.Adversary { return bandit.Prescient }

// Show implements Contamination.
func (c Prescient) Show(s *Stack) float64 {
	if !s.Flag(0) {
		return s.Clean(0)
	}
	return c.Value(s)
}

// Malicious is a user's own malicious adversary. It replaces a clean reward if its
// rank, uniform on [0, 1], is one that Picks accepts; those must have measure Eps.
type Malicious struct {
	Label string // the name, for tables
	// Picks says whether to replace a reward of that rank, and Value with what. Neither
	// is nil.
	Picks func(s *Stack, rank float64) bool
	Value func(s *Stack) float64
}

var _ Contamination = Malicious{}

// Name implements Contamination.
func (c Malicious) Name() string { return c.Label }

// Adversary implements Contamination.
func (Malicious) Adversary() bandit.Adversary { return bandit.Malicious }

// Show implements Contamination.
func (c Malicious) Show(s *Stack) float64 {
	y := s.Clean(0)
	if !c.Picks(s, s.Law.Rank(y, s.Noise.Float64())) {
		return y
	}
	return c.Value(s)
}

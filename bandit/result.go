package bandit

import (
	"fmt"
	"slices"
)

// Outcome says how a search ended.
type Outcome int

const (
	// Running: it has not ended.
	Running Outcome = iota
	// Identified: it has an answer.
	Identified
	// NotIdentifiable: more data cannot separate the leaders (futility).
	NotIdentifiable
	// BudgetExhausted: the next pulls would pass MaxPulls. Saved, the search goes on when
	// it is resumed with a larger one.
	BudgetExhausted
)

var outcomeNames = []string{"running", "identified", "not identifiable", "budget exhausted"}

// String returns the name in lower case.
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomeNames[o]
}

// MarshalText writes the name in lower case.
func (o Outcome) MarshalText() ([]byte, error) { return nameOf("Outcome", outcomeNames, int(o)) }

// UnmarshalText reads what MarshalText writes.
func (o *Outcome) UnmarshalText(text []byte) error {
	k, err := byName("Outcome", outcomeNames, text)
	if err == nil {
		*o = Outcome(k)
	}
	return err
}

// Event is one batch of pulls.
type Event struct {
	Pulls int     `json:"pulls"` // pulls of all arms after it
	Arm   int     `json:"arm"`   // the arm pulled
	N     int     `json:"n"`     // its rewards after it
	Est   float64 `json:"est"`   // estimate of the mean
	Lo    float64 `json:"lo"`    // interval of the mean that the rule goes by, infinite if it says nothing
	Hi    float64 `json:"hi"`
}

// Result is what a search found, or how far it is.
type Result struct {
	Outcome  Outcome `json:"outcome"`   // how the search ended, or Running
	Arm      int     `json:"arm"`       // the best arm if Identified and one was sought, else -1
	Set      []int   `json:"set"`       // the answer if Identified, else the arms that the rule has not ruled out
	Leader   int     `json:"leader"`    // arm of Set with the largest estimate; the lowest index of equals
	Pulls    int     `json:"pulls"`     // of all arms
	ArmPulls []int   `json:"arm_pulls"` // of each arm
	// Intervals are those of the arms' means: all of them hold, at all times, with a
	// probability of at least 1-Delta, if rewards are as the estimator or the rule
	// assumes. LUCB, KLLUCB, LilUCB and MedianElimination go by others, of which that
	// is not so; theirs here are from a union bound over arms and pulls. That the
	// answer is right is a promise of its own, which each rule states.
	Intervals []Interval `json:"intervals"`
	Bias      float64    `json:"-"` // b of the estimator; NaN if it cannot tell; not in JSON
	Log       []Event    `json:"-"` // every batch in order, unless NoLog
}

// Result returns the result so far. Its slices are the caller's.
func (s *Search) Result() Result {
	r := Result{
		Outcome: s.outcome, Arm: -1, Pulls: s.pulls, Bias: s.d.bias,
		ArmPulls: make([]int, len(s.arms)), Intervals: make([]Interval, len(s.arms)),
		Log: slices.Clone(s.log),
	}
	own, _ := s.policy.(reporter)
	for i, a := range s.arms {
		r.ArmPulls[i], r.Intervals[i] = a.n, a.interval
		if own != nil && a.n > 0 {
			r.Intervals[i] = own.report(s, i)
		}
	}
	if s.done {
		r.Set = slices.Clone(s.set)
	} else {
		r.Set = s.contenders()
	}
	for k, i := range r.Set {
		if k == 0 || s.arms[i].n > 0 && (s.arms[r.Leader].n == 0 || r.Intervals[i].Est > r.Intervals[r.Leader].Est) {
			r.Leader = i
		}
	}
	if s.outcome == Identified && len(s.set) == 1 {
		r.Arm = s.set[0]
	}
	return r
}

// nthLargest returns the n-th largest of x, n at least 1.
func nthLargest(x []float64, n int) float64 {
	if n == 1 {
		return slices.Max(x)
	}
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	return sorted[len(sorted)-n]
}

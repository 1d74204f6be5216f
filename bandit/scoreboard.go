package bandit

import (
	"fmt"
	"math"
)

// starter pulls each arm in turn until its interval says something.
type starter struct {
	Started int // arms before this one have had a finite interval
}

// begin asks for the next such pulls, and returns false if there are none left.
func (b *starter) begin(s *Search) bool {
	for ; b.Started < len(s.arms); b.Started++ {
		if _, _, radius := s.ends(b.Started); math.IsInf(radius, 1) {
			s.askGrid(b.Started)
			return true
		}
	}
	return false
}

func (b *starter) onGrid() bool { return true }

func (b *starter) observed(s *Search, arm int) { s.evaluate(arm) }

func (b *starter) restore(s *Search) error {
	if b.Started < 0 || b.Started > len(s.arms) {
		return fmt.Errorf("%d arms started, want 0 to %d", b.Started, len(s.arms))
	}
	for i := range b.Started {
		if s.arms[i].n == 0 {
			return fmt.Errorf("arm %d counts as started but was not pulled", i)
		}
	}
	return nil
}

// scoreboard keeps the arms of a grid rule in order of estimate and of upper end,
// so that a new interval costs O(log K).
type scoreboard struct {
	starter
	everyArm
	est, hi *indexedHeap
}

func newScoreboard(arms int) scoreboard {
	return scoreboard{est: newIndexedHeap(arms, math.Inf(-1)), hi: newIndexedHeap(arms, math.Inf(1))}
}

func (b *scoreboard) observed(s *Search, arm int) {
	b.starter.observed(s, arm)
	b.place(s, arm)
}

func (b *scoreboard) place(s *Search, arm int) {
	_, hi, _ := s.ends(arm)
	b.est.set(arm, s.arms[arm].interval.Est)
	b.hi.set(arm, hi)
}

func (b *scoreboard) restore(s *Search) error {
	for i, a := range s.arms {
		if a.n > 0 {
			b.place(s, i)
		}
	}
	return b.starter.restore(s)
}

package bandit

import (
	"math"
	"slices"
)

// Elimination is the successive-elimination rule SE-CBAI: rounds in which all
// arms that are still active go to the same grid size, after each of which every
// arm with U_i < max L_j over active j is dropped for good. It answers when one is
// left, or, with Tol above 0, when max U_i - L_l <= Tol over the others; with Tol = 0
// intervals that just touch drop no arm.
//
// After Even-Dar, Mannor and Mansour, JMLR 2006; with robust intervals Mukherjee et
// al., NeurIPS 2021.
type Elimination struct{}

var _ Rule = Elimination{}

// Name implements Rule.
func (Elimination) Name() string { return "SE-CBAI" }

func (Elimination) check(*Config) error { return nil }

func (Elimination) upperBounded() {}

func (Elimination) start(d *Design) policy { return newRounds(d.cfg.Arms, true) }

// Uniform pulls all arms equally and stops as GapBased does.
type Uniform struct{}

var _ Rule = Uniform{}

// Name implements Rule.
func (Uniform) Name() string { return "uniform" }

func (Uniform) check(*Config) error { return nil }

func (Uniform) start(d *Design) policy { return newRounds(d.cfg.Arms, false) }

// rounds is a rule that takes its active arms along the grid together.
type rounds struct {
	starter
	survivors
	drop bool
}

func newRounds(arms int, drop bool) *rounds {
	return &rounds{survivors: allArms(arms), drop: drop}
}

func (p *rounds) restore(s *Search) error {
	if err := p.check(len(s.arms)); err != nil {
		return err
	}
	return p.starter.restore(s)
}

func (p *rounds) next(s *Search) {
	round := 0
	for _, i := range p.Active {
		round = max(round, s.arms[i].j)
	}
	// Intervals that depend on the data may become finite at different sizes.
	for _, i := range p.Active {
		if s.arms[i].j < round {
			s.askGrid(i)
		}
	}
	if len(s.queue) > 0 {
		return
	}
	if p.drop {
		bar := math.Inf(-1)
		for _, i := range p.Active {
			bar = max(bar, first(s.ends(i)))
		}
		p.Active = slices.DeleteFunc(p.Active, func(i int) bool { return second(s.ends(i)) < bar })
	}
	if len(p.Active) == 1 {
		s.finish(Identified, []int{p.Active[0]})
		return
	}
	l, u := p.leaders(s)
	if p.stops(s, l, u) {
		s.finish(Identified, []int{l})
		return
	}
	if s.futile(l, u) {
		s.finish(NotIdentifiable, s.contenders())
		return
	}
	for _, i := range p.Active {
		s.askGrid(i)
	}
}

// stops says whether the leader is within Tol of the rest. Elimination with no
// tolerance goes by its strict inequality alone.
func (p *rounds) stops(s *Search, l, u int) bool {
	if p.drop && s.d.cfg.Tol == 0 {
		return false
	}
	return second(s.ends(u))-first(s.ends(l)) <= s.d.cfg.Tol
}

// leaders returns the active arm of the largest estimate, and of the others the
// one of the largest upper end.
func (p *rounds) leaders(s *Search) (l, u int) {
	l = p.Active[0]
	for _, i := range p.Active {
		if s.arms[i].interval.Est > s.arms[l].interval.Est {
			l = i
		}
	}
	u = -1
	for _, i := range p.Active {
		if i != l && (u < 0 || second(s.ends(i)) > second(s.ends(u))) {
			u = i
		}
	}
	return l, u
}

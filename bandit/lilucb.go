package bandit

import (
	"fmt"
	"math"
)

// LilUCB pulls the arm of the largest
//
//	mean + (1+Beta) sqrt(2 Sigma² ln(ln(n+2)/Delta)/n)
//
// and stops when one arm has at least 1 + Lambda times the pulls of all others
// together. It is the heuristic variant (epsilon = 0), which has no proof. The log has
// intervals of the root alone, which cover nothing at all times.
//
// Jamieson, Malloy, Nowak and Bubeck, COLT 2014.
type LilUCB struct {
	Sigma  float64 // sub-Gaussian scale; zero: 1/2, rewards in [0, 1]
	Beta   float64 // zero: 0.5
	Lambda float64 // zero: 1 + 10/K
	classic
}

var _ Rule = LilUCB{}

// Name implements Rule.
func (LilUCB) Name() string { return "lil'UCB" }

func (r LilUCB) check(c *Config) error {
	if c.Tol > 0 {
		return fmt.Errorf("bandit: LilUCB: Tol is %v, want 0: it stops by counts alone", c.Tol)
	}
	if !(r.Beta >= 0) || !(r.Lambda >= 0) || math.IsInf(r.Beta+r.Lambda, 1) {
		return fmt.Errorf("bandit: LilUCB: Beta is %v and Lambda %v, want finite numbers of at least 0", r.Beta, r.Lambda)
	}
	return checkScale("LilUCB", r.Sigma)
}

func (r LilUCB) start(d *Design) policy {
	if r.Beta == 0 {
		r.Beta = 0.5
	}
	if r.Lambda == 0 {
		r.Lambda = 1 + 10/float64(d.cfg.Arms)
	}
	return &lilPolicy{rule: r, index: newIndexedHeap(d.cfg.Arms, math.Inf(1))}
}

type lilPolicy struct {
	everyArm
	oneEach
	rule  LilUCB
	index *indexedHeap
	last  int // the arm last pulled; only it can have come to dominate
}

func (p *lilPolicy) observed(s *Search, arm int) {
	n := float64(s.arms[arm].n)
	r := scale(p.rule.Sigma) * math.Sqrt(2*math.Log(math.Log(n+2)/s.d.cfg.Delta)/n)
	s.arms[arm].interval = symmetric(s.mean(arm), r, 0)
	p.index.set(arm, s.mean(arm)+(1+p.rule.Beta)*r)
	p.last = arm
}

func (p *lilPolicy) report(s *Search, arm int) Interval {
	return s.anytime(arm, scale(p.rule.Sigma))
}

func (p *lilPolicy) restore(s *Search) error {
	for i, a := range s.arms {
		if a.n > 0 {
			p.observed(s, i)
		}
	}
	p.last = p.index.top()
	return nil
}

func (p *lilPolicy) next(s *Search) {
	if n := s.arms[p.last].n; float64(n) >= 1+p.rule.Lambda*float64(s.pulls-n) {
		s.finish(Identified, []int{p.last})
		return
	}
	s.ask(p.index.top(), 1)
}

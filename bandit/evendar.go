package bandit

import (
	"fmt"
	"math"
	"slices"
)

// EvenDarElimination pulls every active arm once a round and drops arm i when the
// best mean leads its mean by at least 2 alpha_t,
//
//	alpha_t = 2 Sigma sqrt(ln(4 K t²/Delta)/t),
//
// which for rewards in [0, 1] is sqrt(ln(...)/t). With Tol it also stops when the
// intervals mean ± alpha_t leave an error of at most Tol.
//
// Even-Dar, Mannor and Mansour, JMLR 2006, Algorithm 3.
type EvenDarElimination struct {
	Sigma float64 // sub-Gaussian scale; zero: 1/2, rewards in [0, 1]
	classic
}

var _ Rule = EvenDarElimination{}

// Name implements Rule.
func (EvenDarElimination) Name() string { return "SE" }

func (r EvenDarElimination) check(*Config) error { return checkScale("EvenDarElimination", r.Sigma) }

func (r EvenDarElimination) start(d *Design) policy {
	return &evenDarPolicy{sigma: scale(r.Sigma), survivors: allArms(d.cfg.Arms)}
}

type evenDarPolicy struct {
	survivors
	oneEach
	sigma float64
}

func (p *evenDarPolicy) observed(s *Search, arm int) {
	t := float64(s.arms[arm].n)
	alpha := 2 * p.sigma * math.Sqrt(math.Log(4*float64(s.d.cfg.Arms)*t*t/s.d.cfg.Delta)/t)
	s.arms[arm].interval = symmetric(s.mean(arm), alpha, 0)
}

func (p *evenDarPolicy) restore(s *Search) error { return p.check(len(s.arms)) }

func (p *evenDarPolicy) next(s *Search) {
	best := p.Active[0]
	for _, i := range p.Active {
		if s.arms[i].interval.Est > s.arms[best].interval.Est {
			best = i
		}
	}
	lead := s.arms[best].interval
	p.Active = slices.DeleteFunc(p.Active, func(i int) bool {
		return i != best && lead.Est-s.arms[i].interval.Est >= 2*lead.Radius
	})
	rest := math.Inf(-1)
	for _, i := range p.Active {
		if i != best {
			rest = max(rest, s.arms[i].interval.Hi)
		}
	}
	if len(p.Active) == 1 || s.d.cfg.Tol > 0 && rest-lead.Lo <= s.d.cfg.Tol {
		s.finish(Identified, []int{best})
		return
	}
	for _, i := range p.Active {
		s.ask(i, 1)
	}
}

// MedianElimination finds an arm within Tol of the best, Tol > 0. From e = Tol/4 and
// d = Delta/2 on, each phase pulls every survivor 4 (2 Sigma)² ln(3/d)/e² times
// afresh, drops the lower half by the means of the phase, and goes on with 3e/4 and
// d/2. The log has these means ± e/2, of which each holds with probability
// 1 - 2 (d/3)², and not all of them together.
//
// Even-Dar, Mannor and Mansour, JMLR 2006, Algorithm 4.
type MedianElimination struct {
	Sigma float64 // sub-Gaussian scale; zero: 1/2, rewards in [0, 1]
	classic
}

var _ Rule = MedianElimination{}

// Name implements Rule.
func (MedianElimination) Name() string { return "median elimination" }

func (r MedianElimination) check(c *Config) error {
	if c.Tol == 0 {
		return fmt.Errorf("bandit: MedianElimination: Tol is 0, want more than 0")
	}
	if err := checkScale("MedianElimination", r.Sigma); err != nil {
		return err
	}
	e, d := c.Tol/4, c.Delta/2
	for k := c.Arms; k > 1; k = (k + 1) / 2 {
		if !(phasePulls(scale(r.Sigma), e, d) < 1<<40) {
			return fmt.Errorf("bandit: MedianElimination: Tol is %v, want one that takes fewer than 2^40 pulls an arm", c.Tol)
		}
		e, d = 3*e/4, d/2
	}
	return nil
}

func (r MedianElimination) start(d *Design) policy {
	return &medianElimination{survivors: allArms(d.cfg.Arms), Tol: d.cfg.Tol / 4, Delta: d.cfg.Delta / 2,
		Sums: make([]float64, d.cfg.Arms), sigma: scale(r.Sigma)}
}

func phasePulls(sigma, e, d float64) float64 {
	return math.Ceil(4 * (2 * sigma / e) * (2 * sigma / e) * math.Log(3/d))
}

type medianElimination struct {
	survivors
	phases
	Tol, Delta float64   // of the present phase
	Sums       []float64 // of each arm's rewards before the phase
	sigma      float64
}

func (p *medianElimination) pulls() int { return int(phasePulls(p.sigma, p.Tol, p.Delta)) }

func (p *medianElimination) observed(s *Search, arm int) {
	sum := s.arms[arm].sample.(*meanSample).sum
	s.arms[arm].interval = symmetric((sum-p.Sums[arm])/float64(p.pulls()), p.Tol/2, 0)
	p.Sums[arm] = sum
}

func (p *medianElimination) report(s *Search, arm int) Interval { return s.anytime(arm, p.sigma) }

func (p *medianElimination) restore(s *Search) error {
	if len(p.Sums) != len(s.arms) || !(p.Tol > 0 && p.Delta > 0) || !(phasePulls(p.sigma, p.Tol, p.Delta) < 1<<40) {
		return fmt.Errorf("phase of %d arms with tolerance %v and delta %v, want %d arms", len(p.Sums), p.Tol, p.Delta, len(s.arms))
	}
	return p.check(len(s.arms))
}

func (p *medianElimination) next(s *Search) {
	if s.pulls > 0 {
		if p.Active = s.betterHalf(p.Active); len(p.Active) == 1 {
			s.finish(Identified, []int{p.Active[0]})
			return
		}
		p.Tol, p.Delta = 3*p.Tol/4, p.Delta/2
	}
	for _, i := range p.Active {
		s.ask(i, p.pulls())
	}
}

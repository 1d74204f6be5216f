package bandit

import (
	"fmt"
	"math"
)

// LUCB pulls the leader and its strongest challenger, once each, until
// U_u - L_l < Tol, with the radius
//
//	Sigma sqrt(2 ln(1.25 K t⁴/Delta)/n)
//
// after n pulls in round t; for rewards in [0, 1] that is sqrt(ln(...)/(2n)). The answer
// is wrong with probability at most Delta: that takes one end of each interval, and the
// two ends of all arms can fail together more often.
//
// Kalyanakrishnan, Tewari, Auer and Stone, ICML 2012 (LUCB1).
type LUCB struct {
	Sigma float64 // sub-Gaussian scale; zero: 1/2, rewards in [0, 1]
	classic
}

var _ Rule = LUCB{}

// Name implements Rule.
func (LUCB) Name() string { return "LUCB" }

func (r LUCB) check(*Config) error { return checkScale("LUCB", r.Sigma) }

func (r LUCB) start(d *Design) policy {
	k := 1.25 * float64(d.cfg.Arms) / d.cfg.Delta
	return &lucbPolicy{
		bounds: func(s *Search, arm, round int) Interval {
			level := math.Log(k) + 4*math.Log(float64(round))
			return symmetric(s.mean(arm), scale(r.Sigma)*math.Sqrt(2*level/float64(s.arms[arm].n)), 0)
		},
		joint: func(s *Search, arm int) Interval { return s.anytime(arm, scale(r.Sigma)) },
	}
}

// KLLUCB is LUCB with the intervals of the binary relative entropy, for rewards in
// [0, 1] (others are clipped): { q : n kl(phat, q) <= beta }. beta is
// ln((1 + ln t)/Delta) after t pulls in all, the choice of practice, of which nothing
// is proved; or, with Union, the provable ln(2 K π² n²/(6 Delta)).
//
// Kaufmann and Kalyanakrishnan, COLT 2013.
type KLLUCB struct {
	Union bool // use the provable beta
}

var _ Rule = KLLUCB{}

// Name implements Rule.
func (KLLUCB) Name() string { return "KL-LUCB" }

func (KLLUCB) check(*Config) error { return nil }

func (KLLUCB) family(s Setting) (Family, error) { return BoundedKL{}.Prepare(s) }

func (r KLLUCB) start(d *Design) policy {
	at := func(s *Search, arm int, beta float64) Interval {
		n := float64(s.arms[arm].n)
		p := s.arms[arm].sample.(*boundedSample).mean()
		lo, hi := klLower(p, beta/n), klUpper(p, beta/n)
		half := (hi - lo) / 2
		return Interval{Est: p, Lo: lo, Hi: hi, CoreLo: lo, CoreHi: hi, Radius: half, Core: half}
	}
	joint := func(s *Search, arm int) Interval { return at(s, arm, d.setting.level(s.arms[arm].n, 2)) }
	bounds := func(s *Search, arm, _ int) Interval {
		if r.Union {
			return joint(s, arm)
		}
		return at(s, arm, math.Log((1+math.Log(float64(s.pulls)))/d.cfg.Delta))
	}
	return &lucbPolicy{bounds: bounds, joint: joint}
}

// lucbPolicy pulls leader and challenger in every round.
type lucbPolicy struct {
	everyArm
	oneEach
	Round  int
	bounds func(s *Search, arm, round int) Interval // that leader and challenger are chosen by
	joint  func(s *Search, arm int) Interval
}

func (p *lucbPolicy) report(s *Search, arm int) Interval { return p.joint(s, arm) }

func (p *lucbPolicy) observed(s *Search, arm int) {
	s.arms[arm].interval = p.bounds(s, arm, max(1, p.Round))
}

func (p *lucbPolicy) restore(*Search) error {
	if p.Round < 0 {
		return fmt.Errorf("round %d, want at least 0", p.Round)
	}
	return nil
}

func (p *lucbPolicy) next(s *Search) {
	p.Round++
	for i := range s.arms {
		s.arms[i].interval = p.bounds(s, i, p.Round)
	}
	l, u, by := overlap(s)
	if by < s.d.cfg.Tol {
		s.finish(Identified, []int{l})
		return
	}
	s.ask(l, 1)
	s.ask(u, 1)
}

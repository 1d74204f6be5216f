package bandit

import (
	"fmt"
	"math"
)

// classic is what the baselines with bounds of their own share: plain means, no
// contamination, batches of any size.
type classic struct{}

func (classic) family(Setting) (Family, error) { return plainFamily{}, nil }

type plainFamily struct{}

func (plainFamily) NewSample() Sample { return &meanSample{} }

func (plainFamily) Spread(p float64) (lo, hi float64) { return p, p }

func (plainFamily) Radius(int) float64 { return math.NaN() }

// mean is the plain mean of an arm's rewards under a classic rule.
func (s *Search) mean(arm int) float64 { return s.arms[arm].sample.(*meanSample).mean() }

// checkScale is for rules whose zero Sigma means rewards in [0, 1], which are
// 1/2-sub-Gaussian by Hoeffding's lemma.
func checkScale(rule string, sigma float64) error {
	if sigma == 0 {
		return nil
	}
	return checkSigma(rule, sigma)
}

func scale(sigma float64) float64 {
	if sigma == 0 {
		return 0.5
	}
	return sigma
}

// firstUnpulled asks for one pull of each arm at the beginning.
func firstUnpulled(s *Search) bool {
	if s.pulls > 0 {
		return false
	}
	for i := range s.arms {
		s.ask(i, 1)
	}
	return true
}

// overlap returns the leader by estimate, the challenger by upper end, and how far
// the challenger's interval reaches above the leader's lower end.
func overlap(s *Search) (l, u int, by float64) {
	for i := range s.arms {
		if s.arms[i].interval.Est > s.arms[l].interval.Est {
			l = i
		}
	}
	u = -1
	for i := range s.arms {
		if i != l && (u < 0 || s.arms[i].interval.Hi > s.arms[u].interval.Hi) {
			u = i
		}
	}
	return l, u, s.arms[u].interval.Hi - s.arms[l].interval.Lo
}

// LUCB pulls the leader and its strongest challenger, once each, until
// U_u - L_l < Tol, with the radius
//
//	Sigma sqrt(2 ln(1.25 K t⁴/Delta)/n)
//
// after n pulls in round t; for rewards in [0, 1] that is sqrt(ln(...)/(2n)).
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
	return &lucbPolicy{bounds: func(s *Search, arm, round int) Interval {
		level := math.Log(k) + 4*math.Log(float64(round))
		return symmetric(s.mean(arm), scale(r.Sigma)*math.Sqrt(2*level/float64(s.arms[arm].n)), 0)
	}}
}

// KLLUCB is LUCB with the intervals of the binary relative entropy, for rewards in
// [0, 1] (others are clipped): { q : n kl(phat, q) <= beta }. beta is
// ln((1 + ln t)/Delta) after t pulls in all, the choice of practice; or, with Union,
// the provable ln(2 K π² n²/(6 Delta)).
//
// Kaufmann and Kalyanakrishnan, COLT 2013.
type KLLUCB struct {
	Union bool
}

var _ Rule = KLLUCB{}

// Name implements Rule.
func (KLLUCB) Name() string { return "KL-LUCB" }

func (KLLUCB) check(*Config) error { return nil }

func (KLLUCB) family(s Setting) (Family, error) {
	s.Eps = 0
	return BoundedKL{}.Prepare(s)
}

func (r KLLUCB) start(d *Design) policy {
	return &lucbPolicy{bounds: func(s *Search, arm, _ int) Interval {
		n := s.arms[arm].n
		beta := math.Log((1 + math.Log(float64(s.pulls))) / d.cfg.Delta)
		if r.Union {
			beta = d.setting.level(n, 2)
		}
		p := s.arms[arm].sample.(*boundedSample).mean()
		lo, hi := klLower(p, beta/float64(n)), klUpper(p, beta/float64(n))
		half := (hi - lo) / 2
		return Interval{Est: p, Lo: lo, Hi: hi, CoreLo: lo, CoreHi: hi, Radius: half, Core: half}
	}}
}

// lucbPolicy pulls leader and challenger in every round.
type lucbPolicy struct {
	Round  int
	bounds func(s *Search, arm, round int) Interval
}

func (p *lucbPolicy) observed(*Search, int) {}

func (p *lucbPolicy) restore(*Search) error {
	if p.Round < 0 {
		return fmt.Errorf("round %d, want at least 0", p.Round)
	}
	return nil
}

func (p *lucbPolicy) next(s *Search) {
	if firstUnpulled(s) {
		return
	}
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

// LilUCB pulls the arm of the largest
//
//	mean + (1+Beta) sqrt(2 Sigma² ln(ln(n+2)/Delta)/n)
//
// and stops when one arm has at least 1 + Lambda times the pulls of all others
// together. It is the heuristic variant (epsilon = 0), which has no proof.
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

func (r LilUCB) check(*Config) error {
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
	if firstUnpulled(s) {
		return
	}
	if n := s.arms[p.last].n; float64(n) >= 1+p.rule.Lambda*float64(s.pulls-n) {
		s.finish(Identified, []int{p.last})
		return
	}
	s.ask(p.index.top(), 1)
}

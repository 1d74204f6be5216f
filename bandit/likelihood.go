package bandit

import (
	"fmt"
	"math"
)

// Likelihood stops by a generalised likelihood ratio that contamination cannot
// forge, instead of by intervals that no longer overlap. It takes the GaussianHuber
// estimator, for Gaussian arms, or Huber, for sub-Gaussian ones, and is Certified.
//
// For two arms a, b let
//
//	Z(a, b) = min over m of [ ln E+_a(m) + ln E-_b(m + Tol) ],
//
// E+_a(m) the evidence that arm a's mean is above m and E-_b(m) that b's is below
// (source: evidence.go): likelihood ratios of Huber's least favourable pairs, mixed over
// distances, so that Z grows by KL_eps per pull. It stops at leader a when
// Z(a, b) >= ln x for all b, where
//
//	1/x = Delta/(K-1)            oblivious,
//	(1 + ln x)/x = Delta/(K-1)   prescient and malicious.
//
// A wrong answer a needs Z(a, b) that high for b the best arm, mu_b > mu_a + Tol. At
// m = mu_b - Tol both factors are evidence for what is false, and their product
// reaches x with probability at most Delta/(K-1) (evidence.go), with K-1 arms to be
// wrong with. Against prescient and malicious adversaries the arms' clean rewards
// and flags must be independent between arms.
//
// For Gaussian arms there is evidence at every Eps that GaussianHuber takes. What is
// provable for all sub-Gaussian laws is less: with Huber the evidence can grow up to
// Eps = .32, or .26 against a malicious adversary, and a larger Eps is an error.
//
// The interval rule needs each of two intervals to shrink to a quarter of the
// gap; here the evidence of both arms adds up, which takes half the pulls between
// two clean arms and fewer with more, and no union over time is paid for.
//
// The leader has the largest estimate, the challenger the smallest Z + ln n, where
// the logarithm keeps an arm that began badly from being forgotten (Jourdan et al.,
// "Top Two Algorithms Revisited", NeurIPS 2022). Pulls between them are shared in
// proportion to the evidence each holds at the minimising m, which is the share that
// balances a top-two design (You, Qin, Wang and Yang, 2023). Futility and the intervals in the result are
// those of the estimator, each at confidence 1-Delta. A step costs O(K).
type Likelihood struct{}

var _ Rule = Likelihood{}

// Name implements Rule.
func (Likelihood) Name() string { return "GLR" }

func (Likelihood) check(c *Config) error {
	if c.Mode != Certified {
		return fmt.Errorf("bandit: Likelihood: Mode is %v, want Certified", c.Mode)
	}
	if c.Estimator == nil {
		return fmt.Errorf("bandit: Likelihood: no Estimator, want GaussianHuber or Huber")
	}
	if _, ok := c.Estimator.(clipper); !ok {
		return fmt.Errorf("bandit: Likelihood: Estimator is %s, want GaussianHuber or Huber", c.Estimator.Name())
	}
	return nil
}

// clipper is an Estimator whose arms there is evidence for: Huber and GaussianHuber.
type clipper interface {
	// clips returns Sigma, and whether the rewards are Gaussian.
	clips() (sigma float64, gaussian bool)
}

func (e Huber) clips() (sigma float64, gaussian bool)         { return e.Sigma, false }
func (e GaussianHuber) clips() (sigma float64, gaussian bool) { return e.Sigma, true }

// evidence works out the mixture of a design.
func (Likelihood) evidence(d *Design) error {
	sigma, gaussian := d.cfg.Estimator.(clipper).clips()
	bias := d.bias
	if gaussian {
		// The evidence works down to the smallest possible bias.
		bias = GaussianBias(sigma, d.cfg.Eps, d.cfg.Adversary)
	}
	d.evidenceBias, d.mix = bias, mixture(bias/sigma, d.cfg.Eps, d.cfg.Adversary, gaussian)
	if len(d.mix) == 0 {
		return fmt.Errorf("bandit: Likelihood: Eps is %v with Estimator %s, want at most .32, or .26 against a malicious adversary: above, no evidence outgrows the contamination", d.cfg.Eps, d.cfg.Estimator.Name())
	}
	return nil
}

func (Likelihood) start(d *Design) policy {
	if len(d.mix) == 0 {
		panic("bandit: Likelihood: a search without evidence never ends")
	}
	sigma, _ := d.cfg.Estimator.(clipper).clips()
	return &likelihood{Leader: -1, arms: make([]evidence, d.cfg.Arms), z: make([]float64, d.cfg.Arms), at: make([]float64, d.cfg.Arms),
		sigma: sigma, bias: d.evidenceBias, mix: d.mix}
}

type likelihood struct {
	starter
	everyArm
	Leader int     // of the last step; -1 before the first
	Owed   float64 // pulls that the leader should have had and has not

	sigma float64
	bias  float64 // arms closer than 4 bias cannot be told apart
	mix   []component
	arms  []evidence
	z     []float64 // approximate Z(Leader, b); NaN where it must be found
	at    []float64 // the m of that
}

func (p *likelihood) observed(s *Search, arm int) {
	s.evaluate(arm)
	p.arms[arm].rebuild(s.arms[arm].sample, p.sigma)
	p.z[arm] = math.NaN()
	if arm == p.Leader {
		p.forget()
	}
}

func (p *likelihood) forget() {
	for i := range p.z {
		p.z[i] = math.NaN()
	}
}

func (p *likelihood) restore(s *Search) error {
	if p.Leader < -1 || p.Leader >= len(s.arms) || math.IsInf(p.Owed, 0) {
		return fmt.Errorf("leader %d owed %v pulls, want an arm from 0 to %d", p.Leader, p.Owed, len(s.arms)-1)
	}
	for i, a := range s.arms {
		if a.n > 0 {
			p.arms[i].rebuild(a.sample, p.sigma)
		}
	}
	p.forget()
	return p.starter.restore(s)
}

func (p *likelihood) next(s *Search) {
	leader := 0
	for i := range s.arms {
		if s.arms[i].interval.Est > s.arms[leader].interval.Est {
			leader = i
		}
	}
	if leader != p.Leader {
		p.Leader, p.Owed = leader, 0
		p.forget()
	}
	for b := range s.arms {
		if b != leader && math.IsNaN(p.z[b]) {
			p.at[b], p.z[b] = p.weakest(s, leader, b)
		}
	}
	doubtful := p.disproved(s, leader, evidenceThreshold(s.d.cfg.Delta/float64(len(s.arms)-1), s.d.cfg.Adversary))
	if doubtful < 0 {
		s.finish(Identified, []int{leader})
		return
	}
	u := p.challenger(s, leader)
	if p.futile(s, leader, p.widest(s, leader)) {
		s.finish(NotIdentifiable, s.contenders())
		return
	}
	least := logConstantShare
	mine := p.arms[leader].log(p.mix, p.at[u], 1) - least
	other := p.arms[u].log(p.mix, p.at[u]+s.d.cfg.Tol, -1) - least
	share := 0.5
	if mine+other > 0 {
		share = mine / (mine + other)
	}
	pull, due := leader, share-1
	if p.Owed < 0 {
		pull, due = u, share
	}
	before := s.arms[pull].n
	s.askGrid(pull)
	p.Owed += due * float64(s.d.setting.Grid.Size(s.arms[pull].j+1)-before)
	// What the search for the weakest point missed is looked for again, so that a
	// resumed search goes the same way.
	p.z[doubtful] = math.NaN()
}

// futile is Search.futile with the bias of the evidence.
func (p *likelihood) futile(s *Search, l, u int) bool {
	gap := s.arms[l].interval.CoreHi - s.arms[u].interval.CoreLo
	return !s.d.cfg.NoFutility && 2*p.bias-gap > s.d.cfg.Tol
}

// widest returns the challenger by upper end.
func (p *likelihood) widest(s *Search, leader int) int {
	u := -1
	for b := range s.arms {
		if b != leader && (u < 0 || second(s.ends(b)) > second(s.ends(u))) {
			u = b
		}
	}
	return u
}

// challenger returns the arm of the smallest Z(leader, b) + ln n_b, the lowest index
// among equals.
func (p *likelihood) challenger(s *Search, leader int) int {
	u, least := -1, 0.0
	for b := range p.z {
		if b == leader {
			continue
		}
		if cost := p.z[b] + math.Log(float64(s.arms[b].n)); u < 0 || cost < least {
			u, least = b, cost
		}
	}
	return u
}

// weakest returns the m at which the evidence for a over b is least, and the
// evidence there, by a search between their estimates.
func (p *likelihood) weakest(s *Search, a, b int) (m, z float64) {
	above, below := p.sides(s, a, b)
	f := func(m float64) float64 { return above(m) + below(m) }
	const pieces = 8
	lo, hi := s.arms[b].interval.Est-s.d.cfg.Tol, s.arms[a].interval.Est
	step := (hi - lo) / pieces
	at, z := lo, math.Inf(1)
	for k := range pieces + 1 {
		if v := f(lo + float64(k)*step); v < z {
			at, z = lo+float64(k)*step, v
		}
	}
	if m, v := goldenMin(f, max(lo, at-step), min(hi, at+step), 8); v < z {
		return m, v
	}
	return at, z
}

// sides returns the logarithms of the evidence that a's mean is above m, and that
// b's is below m + Tol.
func (p *likelihood) sides(s *Search, a, b int) (above, below func(m float64) float64) {
	tol := s.d.cfg.Tol
	return func(m float64) float64 { return p.arms[a].log(p.mix, m, 1) },
		func(m float64) float64 { return p.arms[b].log(p.mix, m+tol, -1) }
}

// disproved returns -1 if Z(a, b) >= threshold for all b, for certain, and otherwise an
// arm for which it is not, whose weakest point it notes so that pulls go there.
func (p *likelihood) disproved(s *Search, a int, threshold float64) int {
	for b := range s.arms {
		if b != a && p.z[b] < threshold {
			return b
		}
	}
	for b := range s.arms {
		if b == a {
			continue
		}
		above, below := p.sides(s, a, b)
		proof := proof{above: above, below: below, threshold: threshold}
		if proof.everywhere(s.arms[b].interval.Est-s.d.cfg.Tol, s.arms[a].interval.Est, p.sigma) {
			continue
		}
		p.at[b] = proof.failed
		p.z[b] = min(above(proof.failed)+below(proof.failed), math.Nextafter(threshold, 0))
		return b
	}
	return -1
}

// proof shows that above + below >= threshold on an interval. above does not
// increase and below does not decrease, so on [m1, m2] the sum is at least
// above(m2) + below(m1). Intervals are halved until they pass or a point fails.
type proof struct {
	above, below func(m float64) float64
	threshold    float64
	failed       float64 // a point where it did
}

// everywhere extends the interval until outside it one of the two suffices by itself,
// with the other no less than ln constantShare.
func (p *proof) everywhere(lo, hi, step float64) bool {
	need := p.threshold - logConstantShare
	for s := step; p.above(lo) < need && s < 1e12*step; s *= 2 {
		lo -= s
	}
	for s := step; p.below(hi) < need && s < 1e12*step; s *= 2 {
		hi += s
	}
	switch {
	case p.above(lo) < need:
		p.failed = lo
		return false
	case p.below(hi) < need:
		p.failed = hi
		return false
	}
	return lo >= hi || p.holds(lo, hi, p.above(lo), p.above(hi), p.below(lo), p.below(hi), 14)
}

func (p *proof) holds(lo, hi, aLo, aHi, bLo, bHi float64, depth int) bool {
	if aHi+bLo >= p.threshold {
		return true
	}
	if depth == 0 || aLo+bLo < p.threshold || aHi+bHi < p.threshold {
		p.failed = lo
		if aHi+bHi < aLo+bLo {
			p.failed = hi
		}
		return false
	}
	mid := lo + (hi-lo)/2
	a, b := p.above(mid), p.below(mid)
	return p.holds(lo, mid, aLo, a, bLo, b, depth-1) && p.holds(mid, hi, a, aHi, b, bHi, depth-1)
}

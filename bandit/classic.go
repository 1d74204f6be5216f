package bandit

import "math"

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

// anytime is the interval around a plain mean by a union bound over arms and pulls.
func (s *Search) anytime(arm int, sigma float64) Interval {
	n := s.arms[arm].n
	return symmetric(s.mean(arm), meanRadius(n, s.d.setting.level(n, 2), sigma), 0)
}

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

// oneEach is for rules that begin with one pull of each arm.
type oneEach struct{}

func (oneEach) begin(s *Search) bool {
	if s.pulls > 0 {
		return false
	}
	for i := range s.arms {
		s.ask(i, 1)
	}
	return true
}

func (oneEach) onGrid() bool { return false }

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

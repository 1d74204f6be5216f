package bandit

import "math"

// BoundedKL is the sample mean of rewards in [0, 1], such as votes or clicks, with
// the interval of the binary relative entropy, c = 2. Every reward is clipped to
// [0, 1] first, and boundedness is all the robustness that is needed: a
// contaminated law has a mean within [(1-eps) mu, (1-eps) mu + eps].
//
// With phat the mean of n rewards,
//
//	u = max { q : n kl(phat, q) <= L },  l = min { q : n kl(phat, q) <= L }
//
// hold for the contaminated mean (Chernoff and Hoeffding: a law on [0, 1] has no
// larger exponential moment than the coin of the same mean), hence
//
//	mu in [ max(0, (l-eps)/(1-eps)), min(1, u/(1-eps)) ]    oblivious, prescient,
//	mu in [ max(0, l-eps), min(1, u+eps) ]                  malicious.
//
// AssumeIdentifiable compares [l, u]: right if the gap of the means is at least
// eps/(1-eps), or 2 eps against a malicious adversary. The sample takes O(1)
// memory.
type BoundedKL struct{}

var _ Estimator = BoundedKL{}

// Name implements Estimator.
func (BoundedKL) Name() string { return "KLB" }

// Prepare implements Estimator.
func (BoundedKL) Prepare(s Setting) (Family, error) { return &boundedFamily{s}, nil }

type boundedFamily struct{ Setting }

func (f *boundedFamily) NewSample() Sample { return &boundedSample{f: f} }

func (f *boundedFamily) Spread(p float64) (lo, hi float64) { return f.correct(p, p) }

func (f *boundedFamily) Radius(int) float64 { return math.NaN() }

// correct turns bounds on the contaminated mean into bounds on the clean one.
func (f *boundedFamily) correct(l, u float64) (lo, hi float64) {
	if f.Adversary == Malicious {
		return max(0, l-f.Eps), min(1, u+f.Eps)
	}
	return max(0, (l-f.Eps)/(1-f.Eps)), min(1, u/(1-f.Eps))
}

type boundedSample struct {
	f *boundedFamily
	meanSample
}

func (s *boundedSample) Add(rewards []float64) error {
	for _, x := range rewards {
		s.sum += max(0, min(x, 1))
	}
	s.n += float64(len(rewards))
	return nil
}

func (s *boundedSample) takesAnything() {}

func (s *boundedSample) Interval(j int) Interval {
	p, level := s.mean(), s.f.level(j, 2)/s.n
	iv := Interval{Est: p, CoreLo: klLower(p, level), CoreHi: klUpper(p, level)}
	iv.Lo, iv.Hi = s.f.correct(iv.CoreLo, iv.CoreHi)
	iv.Radius, iv.Core = (iv.Hi-iv.Lo)/2, (iv.CoreHi-iv.CoreLo)/2
	return iv
}

// klUpper returns max { q in [p, 1] : kl(p, q) <= level }, the upper end of a
// bracket one rounding error wide. Pinsker's inequality starts the bracket and
// bisection ends it.
func klUpper(p, level float64) float64 {
	lo, hi := p, min(1, p+math.Sqrt(level/2))
	for range 64 {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if binaryKL(p, mid) <= level {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// klLower returns min { q in [0, p] : kl(p, q) <= level }.
func klLower(p, level float64) float64 { return 1 - klUpper(1-p, level) }

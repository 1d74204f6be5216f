package bandit

import "math"

// Median is the sample median of Gaussian rewards of known deviation Sigma, with
// c = 3 events: the count m = m(n, L) and the two sides.
//
// With g = n-m untouched rewards, the median of X lies between order statistics
// of the untouched ones, at most m places off. By Hoeffding's bound their
// empirical distribution function at mu + r exceeds Φ(r/Sigma) - sqrt(L/(2g)), so
//
//	r = Sigma Φ⁻¹(p),  p = (n+1)/(2g) + sqrt(L/(2g))        oblivious, prescient,
//	                   p = (n+1)/(2n) + m/n + sqrt(L/(2n))  malicious,
//
// and +Inf where p >= 1. The limit is GaussianBias. SignMedian has a smaller radius at
// every n. The median is not the mean:
// on skewed laws it is wrong whatever the sample.
type Median struct {
	Sigma float64 // standard deviation, positive
}

var _ Estimator = Median{}

// Name implements Estimator.
func (Median) Name() string { return "MED" }

// Prepare implements Estimator.
func (e Median) Prepare(s Setting) (Family, error) {
	if err := checkSigma("Median", e.Sigma); err != nil {
		return nil, err
	}
	f := &medianFamily{}
	f.rows.row = func(j int, previous medianRow) medianRow {
		n, l := s.Grid.Size(j), s.level(j, 3)
		m := contaminatedFrom(previous.m, n, s.Eps, l)
		return medianRow{m, e.Sigma * medianRadius(n, m, l, s.Adversary)}
	}
	f.shared = shared{bias: GaussianBias(e.Sigma, s.Eps, s.Adversary), radius: func(j int) float64 { return f.rows.at(j).r }}
	return f, nil
}

// medianRadius is the radius at Sigma = 1.
func medianRadius(n, m int, l float64, a Adversary) float64 {
	if m == n {
		return math.Inf(1)
	}
	x, g := float64(n), float64(n-m)
	if a == Malicious {
		return normalQuantile((x+1)/(2*x) + float64(m)/x + math.Sqrt(l/(2*x)))
	}
	return normalQuantile((x+1)/(2*g) + math.Sqrt(l/(2*g)))
}

type medianRow struct {
	m int
	r float64
}

type medianFamily struct {
	shared
	rows table[medianRow]
}

func (f *medianFamily) NewSample() Sample { return &medianSample{f: f} }

type medianSample struct {
	ordered
	f *medianFamily
}

func (s *medianSample) Add(rewards []float64) error {
	s.merge(rewards)
	return nil
}

func (s *medianSample) Interval(j int) Interval {
	est := s.median()
	if math.IsInf(est, 0) {
		return unknown(est)
	}
	return symmetric(est, s.f.radius(j), s.f.bias)
}

package bandit

import (
	"errors"
	"fmt"
	"math"
)

// TrimmedMean is the mean of what is left of n rewards after the m smallest and
// the m largest are dropped, with m = m(n, L) of Contaminated and c = 5 events.
// Rewards are Sigma-sub-Gaussian.
//
// It is the family of estimate of Mukherjee, Tajer, Chen and Das, NeurIPS 2021;
// the constants here are derived below, not theirs.
//
// Off an event of probability exp(-L), at most m rewards are contaminated. Write
// g >= n-m for the number of untouched rewards, in order Y_(1) <= ... <= Y_(g).
// Then X_(j) <= Y_(j) for j <= g and X_(j) >= Y_(j-(n-g)) for j > n-g, so the trimmed
// mean is at most the mean of the g-m untouched rewards that are left when the d = m
// smallest of them are dropped, and at least that when the d largest are. If A
// bounds the deviation of the sum of all g and Bq that of any d, the estimate is
// within (A + Bq)/(g-m) of mu, most at g = n-m:
//
//	A  = Sigma sqrt(2 (n-m) L)                  sub-Gaussian sum,
//	Bq = Sigma sqrt(2 d (ln C(n, d) + L))       union over which d rewards,
//
// each with two sides, which makes five events. A malicious adversary chooses the
// contaminated rewards after seeing them; then the sandwich is by the n originals,
// Y_(j-m) <= X_(j) <= Y_(j+m), so d = 2m and A = Sigma sqrt(2 n L).
//
// As n grows the radius tends to
//
//	b = Sigma sqrt(2 eps h(eps))/(1-2 eps)      oblivious and prescient,
//	b = Sigma sqrt(4 eps h(2 eps))/(1-2 eps)    malicious, Eps below 1/4,
//
// with h the entropy of a coin in nats. Dropping just eps n at each end would not
// do: half the time an outlier survives. Where n-2m < 1 nothing would be left, and the
// median stands in as the estimate.
type TrimmedMean struct {
	Sigma float64 // sub-Gaussian scale, positive
}

var _ Estimator = TrimmedMean{}

// Name implements Estimator.
func (TrimmedMean) Name() string { return "TM" }

// Prepare implements Estimator.
func (e TrimmedMean) Prepare(s Setting) (Family, error) {
	if err := checkSigma("TrimmedMean", e.Sigma); err != nil {
		return nil, err
	}
	if s.Eps == 0 {
		return newMeanFamily(s, 5, e.Sigma), nil
	}
	b, err := e.Bias(s.Eps, s.Adversary)
	if err != nil {
		return nil, err
	}
	f := &trimmedFamily{sigma: e.Sigma}
	f.rows.row = func(j int, previous trimmedRow) trimmedRow {
		n, l := s.Grid.Size(j), s.level(j, 5)
		m := contaminatedFrom(previous.m, n, s.Eps, l)
		return trimmedRow{m, e.Sigma * trimmedRadius(n, m, l, s.Adversary)}
	}
	f.ranks.row = func(j int, previous int) int {
		return contaminatedFrom(previous, s.Grid.Size(j), s.Eps, s.rankLevel(j, 5))
	}
	f.shared = shared{bias: b, radius: func(j int) float64 { return f.rows.at(j).r }}
	return f, nil
}

// Bias returns the limit b of the radius. It is an error unless Sigma is positive and
// eps in [0, 1/2), or [0, 1/4) against a malicious adversary.
func (e TrimmedMean) Bias(eps float64, a Adversary) (float64, error) {
	if err := checkSigma("TrimmedMean", e.Sigma); err != nil {
		return 0, err
	}
	if !(eps >= 0 && eps < 0.5) {
		return 0, fmt.Errorf("bandit: TrimmedMean: Eps is %v, want a number in [0, 1/2)", eps)
	}
	entropy := func(x float64) float64 {
		if x == 0 {
			return 0
		}
		return -x*math.Log(x) - (1-x)*math.Log1p(-x)
	}
	if a == Malicious {
		if eps >= 0.25 {
			return 0, fmt.Errorf("bandit: TrimmedMean: Eps is %v, want less than 1/4 against a malicious adversary", eps)
		}
		return e.Sigma * math.Sqrt(4*eps*entropy(2*eps)) / (1 - 2*eps), nil
	}
	return e.Sigma * math.Sqrt(2*eps*entropy(eps)) / (1 - 2*eps), nil
}

// trimmedRadius is the radius at Sigma = 1, +Inf where nothing would be left.
func trimmedRadius(n, m int, l float64, a Adversary) float64 {
	if n-2*m < 1 {
		return math.Inf(1)
	}
	d, sum := m, n-m
	if a == Malicious {
		d, sum = 2*m, n
	}
	dropped := 0.0
	if d > 0 {
		dropped = math.Sqrt(2 * float64(d) * (logChoose(n, d) + l))
	}
	return (math.Sqrt(2*float64(sum)*l) + dropped) / float64(n-2*m)
}

// logChoose is the logarithm of the number of ways to take k of n.
func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n) + 1)
	b, _ := math.Lgamma(float64(k) + 1)
	c, _ := math.Lgamma(float64(n-k) + 1)
	return a - b - c
}

type trimmedRow struct {
	m int
	r float64
}

type trimmedFamily struct {
	shared
	sigma float64
	rows  table[trimmedRow]
	ranks table[int] // m for ranking
}

func (f *trimmedFamily) NewSample() Sample { return &trimmedSample{f: f} }

// trimmedSample keeps the sum of what is left after dropping k at each end, and
// moves it with each reward.
type trimmedSample struct {
	f       *trimmedFamily
	x       ordered
	k       int
	sum     float64
	updates int // since the sum was last made from scratch; -1 if it must be
}

// refresh bounds the drift of the running sum.
const refresh = 1 << 12

func (s *trimmedSample) Add(rewards []float64) error {
	if len(rewards) > 1 || s.updates < 0 || 2*s.k >= len(s.x.x) {
		s.x.merge(rewards)
		s.updates = -1
		return nil
	}
	// One reward pushes either itself or the neighbour that it displaces from a
	// trimmed end into the sum.
	for _, v := range rewards {
		n := len(s.x.x)
		at := s.x.insert(v)
		switch {
		case at < s.k:
			s.include(s.x.x[s.k])
		case at > n-s.k:
			s.include(s.x.x[n-s.k])
		default:
			s.include(v)
		}
	}
	return nil
}

// include adds a value to the running sum. A value far from the others would
// take their digits with it, so it marks the sum as spent, as do values whose sum is
// beyond the numbers.
func (s *trimmedSample) include(v float64) {
	s.sum += v
	s.updates++
	if s.updates >= refresh || !(math.Abs(v-s.x.median()) < 1e3*s.f.sigma) || math.IsInf(s.sum, 0) {
		s.updates = -1
	}
}

func (s *trimmedSample) takesAnything() {}

func (s *trimmedSample) Len() int { return len(s.x.x) }

func (s *trimmedSample) Interval(j int) Interval {
	row := s.f.rows.at(j)
	n := len(s.x.x)
	if math.IsInf(row.r, 1) {
		return unknown(s.x.median())
	}
	if s.updates < 0 || row.m < s.k {
		s.k, s.sum, s.updates = row.m, 0, 0
		for _, v := range s.x.x[s.k : n-s.k] {
			s.sum += v
		}
	}
	for ; s.k < row.m; s.k++ {
		s.sum -= s.x.x[s.k] + s.x.x[n-1-s.k]
	}
	if math.IsInf(s.sum, 0) || math.IsNaN(s.sum) {
		// More outliers than m: the event that the radius allows for.
		s.sum, s.updates = 0, -1
		return unknown(s.x.median())
	}
	return symmetric(s.sum/float64(n-2*s.k), row.r, s.f.bias)
}

func (s *trimmedSample) rank(j int) float64 {
	n, m := len(s.x.x), s.f.ranks.at(j)
	sum := 0.0
	for k := m; k < n-m; k++ {
		sum += s.x.x[k]
	}
	if n-2*m < 1 || math.IsInf(sum, 0) || math.IsNaN(sum) {
		return cut(s.x.median())
	}
	return sum / float64(n-2*m)
}

func (s *trimmedSample) MarshalBinary() ([]byte, error) {
	sum := s.sum
	if s.updates < 0 {
		sum = 0 // it is made again, and may be infinite
	}
	return packFloats([]float64{float64(s.k), sum, float64(s.updates)}, s.x.x), nil
}

func (s *trimmedSample) UnmarshalBinary(b []byte) error {
	head, rest, err := unpackFloats(b, 3)
	if err != nil {
		return err
	}
	if k, u := head[0], head[2]; !(k >= 0 && 2*k <= float64(len(rest)) && k == math.Trunc(k)) || !(u >= -1 && u <= refresh && u == math.Trunc(u)) {
		return errors.New("saved trimmed mean has an impossible count")
	}
	s.k, s.sum, s.updates = int(head[0]), head[1], int(head[2])
	if math.IsInf(s.sum, 0) {
		return errors.New("saved trimmed mean has an infinite sum")
	}
	return s.x.restore(rest)
}

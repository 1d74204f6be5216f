package bandit

import "math"

// SymmetricMedian is for rewards symmetric about their mean, of unknown scale
// that may differ between arms: the interval is between two order statistics, so
// it takes its width from the data and no Sigma. c = 2 events.
//
// An untouched clean reward is at or below the mean with a probability q of at least
// (1-eps)/2, or of at least 1/2 - eps if the adversary is malicious, independently over
// pulls. By Hoeffding's bound fewer than n q - sqrt(n L/2) of n are with probability at
// most exp(-L), hence
//
//	X_(k) <= mu <= X_(n+1-k),  k = ceil(n (1-eps)/2 - sqrt(n L/2))   oblivious, prescient,
//	                           k = ceil(n (1/2-eps) - sqrt(n L/2))   malicious.
//
// For any law the interval is one for the median. The core interval is for the
// median of the contaminated law, with k at eps = 0. How much of the rest will stay
// depends on the unknown scale, so a run with it does not stop by futility.
type SymmetricMedian struct{}

var _ Estimator = SymmetricMedian{}

// Name implements Estimator.
func (SymmetricMedian) Name() string { return "SYM" }

// Prepare implements Estimator.
func (SymmetricMedian) Prepare(s Setting) (Family, error) {
	f := &symmetricFamily{}
	f.rows.row = func(j int, _ symmetricRow) symmetricRow {
		n, l := s.Grid.Size(j), s.level(j, 2)
		return symmetricRow{k: signRank(n, l, s.Eps, s.Adversary), core: signRank(n, l, 0, s.Adversary)}
	}
	return f, nil
}

// signRank is k, below 1 if there is no such reward.
func signRank(n int, l, eps float64, a Adversary) int {
	q := (1 - eps) / 2
	if a == Malicious {
		q = 0.5 - eps
	}
	x := float64(n)
	return int(math.Ceil(x*q - math.Sqrt(x*l/2)))
}

type symmetricRow struct{ k, core int }

type symmetricFamily struct{ rows table[symmetricRow] }

func (f *symmetricFamily) NewSample() Sample { return &symmetricSample{f: f} }

func (f *symmetricFamily) Spread(float64) (lo, hi float64) { return math.NaN(), math.NaN() }

func (f *symmetricFamily) Radius(int) float64 { return math.NaN() }

type symmetricSample struct {
	ordered
	f *symmetricFamily
}

func (s *symmetricSample) Add(rewards []float64) error {
	s.merge(rewards)
	return nil
}

func (s *symmetricSample) Interval(j int) Interval {
	row := s.f.rows.at(j)
	iv := unknown(s.median())
	n := len(s.x)
	if row.k < 1 || math.IsInf(s.x[row.k-1], 0) || math.IsInf(s.x[n-row.k], 0) {
		return iv
	}
	iv.Lo, iv.Hi = s.x[row.k-1], s.x[n-row.k]
	iv.CoreLo, iv.CoreHi = s.x[row.core-1], s.x[n-row.core]
	iv.Radius, iv.Core = iv.Hi/2-iv.Lo/2, iv.CoreHi/2-iv.CoreLo/2
	return iv
}

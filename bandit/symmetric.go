package bandit

import "math"

// SymmetricMedian is for rewards symmetric about their mean, of unknown scale
// that may differ between arms: the interval is between two order statistics, so
// it takes its width from the data and no Sigma. c = 3 events.
//
// Off an event of probability exp(-L) at most m rewards are contaminated. The
// number of untouched rewards at or below the mean is at least
// g/2 - sqrt(g L/2), g = n-m, up to another such event (Hoeffding), hence
//
//	X_(k) <= mu <= X_(n+1-k),  k = ceil(g/2 - sqrt(g L/2)),
//
// and k = ceil(n/2 - sqrt(n L/2)) - m against a malicious adversary, who may
// take the m rewards from one side. For any law the interval is one for the median.
// The core interval is for the median of the contaminated law, with no m. How
// much of the rest will stay depends on the unknown scale, so a run with it does
// not stop by futility.
type SymmetricMedian struct{}

var _ Estimator = SymmetricMedian{}

// Name implements Estimator.
func (SymmetricMedian) Name() string { return "SYM" }

// Prepare implements Estimator.
func (SymmetricMedian) Prepare(s Setting) (Family, error) {
	f := &symmetricFamily{}
	f.rows.row = func(j int, previous symmetricRow) symmetricRow {
		n, l := s.Grid.Size(j), s.level(j, 3)
		m := contaminatedFrom(previous.m, n, s.Eps, l)
		g := float64(n - m)
		k := int(math.Ceil(g/2 - math.Sqrt(g*l/2)))
		core := int(math.Ceil(float64(n)/2 - math.Sqrt(float64(n)*l/2)))
		if s.Adversary == Malicious {
			k = core - m
		}
		return symmetricRow{m, k, core}
	}
	return f, nil
}

type symmetricRow struct{ m, k, core int }

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
	core := max(row.core, row.k)
	iv.CoreLo, iv.CoreHi = s.x[core-1], s.x[n-core]
	iv.Radius, iv.Core = iv.Hi/2-iv.Lo/2, iv.CoreHi/2-iv.CoreLo/2
	return iv
}

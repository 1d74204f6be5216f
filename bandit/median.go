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
// and +Inf where p >= 1. The limit is GaussianBias. The median is not the mean:
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

// AltschulerMedian is the median with the constants of Altschuler, Brunel and
// Malek, JMLR 2019, for Gaussian rewards of known deviation Sigma. With
// delta_n = 6 Delta/(π² K n²), a union over all n,
//
//	r = R(h + sqrt(2 ln(2/delta_n)/n)),  R(t) = Sigma Φ⁻¹(1/2 + t),
//
// h = eps/(2(1-eps)); against a malicious adversary h = eps and 3/delta_n. The
// limit is R(h). The constants were read back from a public port of the method to
// several objectives, not from the article.
type AltschulerMedian struct {
	Sigma float64 // standard deviation, positive
}

var _ Estimator = AltschulerMedian{}

// Name implements Estimator.
func (AltschulerMedian) Name() string { return "ALT" }

// Prepare implements Estimator.
func (e AltschulerMedian) Prepare(s Setting) (Family, error) {
	if err := checkSigma("AltschulerMedian", e.Sigma); err != nil {
		return nil, err
	}
	h, events := s.Eps/(2*(1-s.Eps)), 2.0
	if s.Adversary == Malicious {
		h, events = s.Eps, 3
	}
	f := &medianFamily{}
	f.rows.row = func(j int, _ medianRow) medianRow {
		n := float64(s.Grid.Size(j))
		deltaN := 6 * s.Delta / (math.Pi * math.Pi * float64(s.Arms) * n * n)
		return medianRow{r: e.Sigma * normalQuantile(0.5+h+math.Sqrt(2*math.Log(events/deltaN)/n))}
	}
	f.shared = shared{bias: e.Sigma * normalQuantile(0.5+h), radius: func(j int) float64 { return f.rows.at(j).r }}
	return f, nil
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

package bandit

import "math"

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

package bandit

import "math"

// GaussianHuber is Huber for Gaussian rewards of known deviation Sigma.
//
// The exact moment of a clipped Gaussian replaces the sub-Gaussian bound, and the
// symmetry of the law removes most of the bias: the limit of the radius is the
// smallest possible one, that of Median. At each grid point the threshold is the
// one of {0.1 1.35^k Sigma, k = 0..13} with the smallest radius; it depends on no
// data. It is not valid for other laws.
type GaussianHuber struct {
	Sigma float64 // standard deviation, positive
}

var _ Estimator = GaussianHuber{}

// Name implements Estimator.
func (GaussianHuber) Name() string { return "HG" }

// Prepare implements Estimator.
func (e GaussianHuber) Prepare(s Setting) (Family, error) {
	if err := checkSigma("GaussianHuber", e.Sigma); err != nil {
		return nil, err
	}
	if s.Eps == 0 {
		return newMeanFamily(s, 2, e.Sigma), nil
	}
	f := &huberFamily{}
	f.rows.row = func(j int, _ huberRow) huberRow {
		b, r := gaussianThreshold(s.Grid.Size(j), s.level(j, 2), s.Eps, s.Adversary)
		return huberRow{threshold: e.Sigma * b, r: e.Sigma * r}
	}
	f.shared = shared{bias: GaussianBias(e.Sigma, s.Eps, s.Adversary), radius: func(j int) float64 { return f.rows.at(j).r }}
	return f, nil
}

// gaussianThreshold returns the best threshold and its radius at Sigma = 1.
func gaussianThreshold(n int, l, eps float64, a Adversary) (threshold, radius float64) {
	m := moment(gaussianMoment)
	radius = math.Inf(1)
	for k := range 14 {
		b := 0.1 * math.Pow(1.35, float64(k))
		// A threshold is worth a search only if it can beat the best radius so far.
		if m.exponent(n, min(radius, 0.999*b), b, eps, a) > -l {
			continue
		}
		if r := m.chernoffRadius(n, l, b, eps, a); r < radius {
			threshold, radius = b, r
		}
	}
	return threshold, radius
}

// GaussianBias is the bias that no estimator of the mean of a Gaussian of known
// deviation sigma can go below, and that the median attains: two means closer
// than twice this can show the same contaminated law.
//
//	sigma Φ⁻¹(1/(2(1-eps)))   oblivious and prescient,
//	sigma Φ⁻¹(1/2 + eps)      malicious (the bias of the median).
func GaussianBias(sigma, eps float64, a Adversary) float64 {
	if a == Malicious {
		return sigma * normalQuantile(0.5+eps)
	}
	return sigma * normalQuantile(1/(2*(1-eps)))
}

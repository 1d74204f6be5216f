package bandit

import "math"

// SignMedian is the sample median of Gaussian rewards of known deviation Sigma with the
// radius of a sign test, c = 2 events. It has the limit of Median, GaussianBias, and a
// smaller radius, because it does not count the outliers first.
//
// If the median of n rewards is above mu + r, at most n/2 of them are at or below it.
// Each untouched clean reward there counts,
//
//	W_j = (1 - D_j) 1{Y_j <= mu + r},
//
// and those are independent whatever the adversary puts in place of the others, with
// a mean q of (1-eps) Φ(r/Sigma) if D is independent of Y and of at least
// Φ(r/Sigma) - eps if it is not. By Hoeffding's bound their sum is at most n/2 with
// probability at most exp(-2 n (q - 1/2)²), which is exp(-L) at q = 1/2 + sqrt(L/(2n)):
//
//	r = Sigma Φ⁻¹(p),  p = (1/2 + sqrt(L/(2n)))/(1-eps)   oblivious, prescient,
//	                   p = 1/2 + eps + sqrt(L/(2n))       malicious,
//
// and +Inf where p >= 1. The other side is the mirror image. The median is not the mean:
// on skewed laws it is wrong whatever the sample.
type SignMedian struct {
	Sigma float64 // standard deviation, positive
}

var _ Estimator = SignMedian{}

// Name implements Estimator.
func (SignMedian) Name() string { return "SGN" }

// Prepare implements Estimator.
func (e SignMedian) Prepare(s Setting) (Family, error) {
	if err := checkSigma("SignMedian", e.Sigma); err != nil {
		return nil, err
	}
	f := &medianFamily{}
	f.rows.row = func(j int, _ medianRow) medianRow {
		return medianRow{r: e.Sigma * signRadius(s.Grid.Size(j), s.level(j, 2), s.Eps, s.Adversary)}
	}
	f.shared = shared{bias: GaussianBias(e.Sigma, s.Eps, s.Adversary), radius: func(j int) float64 { return f.rows.at(j).r }}
	return f, nil
}

// signRadius is the radius at Sigma = 1.
func signRadius(n int, l, eps float64, a Adversary) float64 {
	q := 0.5 + math.Sqrt(l/(2*float64(n)))
	if a == Malicious {
		return normalQuantile(q + eps)
	}
	return normalQuantile(q / (1 - eps))
}

package bandit

import "math"

// GaussianBias is the bias that no estimator of the mean of a Gaussian of known
// deviation sigma can go below, and that the median attains: two means closer
// than twice this can show the same contaminated law.
//
//	sigma Φ⁻¹(1/(2(1-eps)))   oblivious and prescient,
//	sigma Φ⁻¹(1/2 + eps)      malicious (the bias of the median).
//
// It panics unless sigma is positive and eps in [0, 1/2).
func GaussianBias(sigma, eps float64, a Adversary) float64 {
	wantScale("GaussianBias", "sigma", sigma)
	wantEps("GaussianBias", eps)
	if a == Malicious {
		return sigma * normalQuantile(0.5+eps)
	}
	return sigma * normalQuantile(1/(2*(1-eps)))
}

// SubGaussianBias is a bias that no estimator of the mean of all sigma-sub-Gaussian
// laws can go below, whatever the adversary's kind: with q = eps/(1-eps),
//
//	q x,  x = sigma sqrt( 2 ln((1-q)/q)/(1-2q) ).
//
// It is derived here. The laws with mass q on x, or on -x, and the rest on 0 show
// the same contaminated law when each has its outliers on the other's side, and
// their means differ by 2 q x; x is the largest that keeps them sigma-sub-Gaussian
// (Kearns and Saul, UAI 1998). It panics unless sigma is positive and eps in
// [0, 1/2).
func SubGaussianBias(sigma, eps float64) float64 {
	wantScale("SubGaussianBias", "sigma", sigma)
	wantEps("SubGaussianBias", eps)
	if eps == 0 {
		return 0
	}
	q := eps / (1 - eps)
	d := (1 - 3*eps) / (1 - eps) // 1 - 2q
	ratio := 2.0                 // ln((1-q)/q)/(1-2q) at q = 1/2
	switch {
	case math.Abs(d) > 0.5:
		ratio = math.Log((1-2*eps)/eps) / d
	case math.Abs(d) > 1e-8:
		ratio = 2 * math.Atanh(d) / d
	}
	return q * sigma * math.Sqrt(2*ratio)
}

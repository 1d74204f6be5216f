package bandit

import (
	"fmt"
	"math"
)

// GaussianHuber is Huber for Gaussian rewards of known deviation Sigma.
//
// The exact moment of a clipped Gaussian replaces the sub-Gaussian bound, and the
// symmetry of the law removes most of the bias. At each grid point the threshold
// is the one of {0.1 1.35^k Sigma, k = 0..13} with the smallest radius, or with the
// smallest bias where none has a finite radius; it depends on no data. It is not valid
// for other laws.
//
// The limit b of the radius is the smallest root r over those thresholds B of
//
//	(1-eps) E clip(Y - r, -B, B) + eps B = 0    oblivious and prescient,
//	E clip(Y - r, -B, B) + 2 eps B = 0          malicious,
//
// Y ~ N(0, Sigma²), the drift of ln M as l tends to 0. Since r stays below B, b is
// more than GaussianBias, which small thresholds would reach: by 0.2 % at Eps = .05,
// 2 % at .2 and 35 % at .4, against a malicious adversary by 0.3 %, 6 % and 56 %.
// Median reaches GaussianBias at every Eps. From Eps = .478 on, .459 against a
// malicious adversary, no threshold has a root, which is an error.
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
	bias, fallback := gaussianHuberBias(s.Eps, s.Adversary)
	if math.IsInf(bias, 1) {
		return nil, fmt.Errorf("bandit: GaussianHuber: Eps is %v, want less than .478, or .459 against a malicious adversary: above, no threshold has a finite bias", s.Eps)
	}
	f := &huberFamily{}
	at := func(j int, level float64) (threshold, radius float64) {
		threshold, radius = gaussianThreshold(s.Grid.Size(j), level, s.Eps, s.Adversary)
		if math.IsInf(radius, 1) {
			threshold = fallback
		}
		return e.Sigma * threshold, e.Sigma * radius
	}
	f.rows.row = func(j int, _ huberRow) huberRow {
		b, r := at(j, s.level(j, 2))
		return huberRow{threshold: b, r: r}
	}
	f.ranks.row = func(j int, _ float64) float64 {
		b, _ := at(j, s.rankLevel(j, 2))
		return b
	}
	f.shared = shared{bias: e.Sigma * bias, radius: func(j int) float64 { return f.rows.at(j).r }}
	return f, nil
}

// gaussianThresholds is the number of thresholds to choose from.
const gaussianThresholds = 14

func thresholdNumber(k int) float64 { return 0.1 * math.Pow(1.35, float64(k)) }

// gaussianHuberBias returns the limit of the radius at Sigma = 1, +Inf if there is
// none, and the threshold that has it.
func gaussianHuberBias(eps float64, a Adversary) (bias, threshold float64) {
	bias = math.Inf(1)
	for k := range gaussianThresholds {
		b := thresholdNumber(k)
		drift := func(r float64) float64 {
			if a == Malicious {
				return clippedNormalMean(-r, 1, b) + 2*eps*b
			}
			return (1-eps)*clippedNormalMean(-r, 1, b) + eps*b
		}
		lo, hi := 0.0, min(bias, largestRadius*b)
		if drift(hi) > 0 {
			continue
		}
		for range 60 {
			if mid := lo + (hi-lo)/2; drift(mid) > 0 {
				lo = mid
			} else {
				hi = mid
			}
		}
		bias, threshold = hi, b
	}
	return bias, threshold
}

// gaussianThreshold returns the best threshold and its radius at Sigma = 1.
func gaussianThreshold(n int, l, eps float64, a Adversary) (threshold, radius float64) {
	m := moment(gaussianMoment)
	radius = math.Inf(1)
	for k := range gaussianThresholds {
		b := thresholdNumber(k)
		// A threshold is worth a search only if it can beat the best radius so far.
		if m.exponent(n, min(radius, largestRadius*b), b, eps, a) > -l {
			continue
		}
		if r := m.chernoffRadius(n, l, b, eps, a); r < radius {
			threshold, radius = b, r
		}
	}
	return threshold, radius
}

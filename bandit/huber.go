package bandit

import (
	"fmt"
	"math"
	"slices"
)

// Huber is the clipped M-estimator of location with a Chernoff radius, for
// Sigma-sub-Gaussian rewards: the root t of sum_i clip(X_i - t, -B, B).
//
// It gives the guarantee of TrimmedMean, for the mean of every sub-Gaussian law
// and every adversary, with a much smaller radius, derived in the source, chernoff.go.
// It goes beyond Mukherjee et al.; all constants are derived here.
//
// The threshold is B = B0 + b and the limit of the radius is b, where
//
//	B0 = Sigma sqrt(2 ln((1-eps)/eps)),
//	b  = [eps B0 + (1-eps) Sigma sqrt(2π) Q(B0/Sigma)]/(1-2 eps)
//
// for an oblivious or prescient adversary, and for a malicious one
//
//	B0 = Sigma sqrt(2 ln(1/(2 eps))),
//	b  = [2 eps B0 + Sigma sqrt(2π) Q(B0/Sigma)]/(1-2 eps).
//
// To see the first, let l tend to 0 in M: the drift per pull is at most
// (1-eps)(-r + sqrt(2π) Q(B-r)) + eps B, and r = b makes it 0 at B - r = B0. B0
// minimises b. With B = B0 alone no r would do at large eps. At Eps = 0 the
// estimator is the sample mean. Against a malicious adversary the radius is
// useless long before Eps = 1/2; check Bias against the gaps of interest. Above
// Eps = .494, or .490 against a malicious adversary, b is so near to B that no radius is
// finite within 2^40 pulls, which is an error.
type Huber struct {
	Sigma float64 // sub-Gaussian scale, positive
}

var _ Estimator = Huber{}

// Name implements Estimator.
func (Huber) Name() string { return "HM" }

// Prepare implements Estimator.
func (e Huber) Prepare(s Setting) (Family, error) {
	if err := checkSigma("Huber", e.Sigma); err != nil {
		return nil, err
	}
	if s.Eps == 0 {
		return newMeanFamily(s, 2, e.Sigma), nil
	}
	b, threshold := huberConstants(s.Eps, s.Adversary)
	if m := moment(subGaussianMoment); 0x1p40*m.exponent(1, largestRadius*threshold, threshold, s.Eps, s.Adversary) > -s.level(1, 2) {
		return nil, fmt.Errorf("bandit: Huber: Eps is %v, want at most .494, or .490 against a malicious adversary: above, no radius is finite within 2^40 pulls", s.Eps)
	}
	f := &huberFamily{}
	f.ranks.row = func(int, float64) float64 { return e.Sigma * threshold }
	f.rows.row = func(j int, _ huberRow) huberRow {
		r := moment(subGaussianMoment).chernoffRadius(s.Grid.Size(j), s.level(j, 2), threshold, s.Eps, s.Adversary)
		return huberRow{threshold: e.Sigma * threshold, r: e.Sigma * r}
	}
	f.shared = shared{bias: e.Sigma * b, radius: func(j int) float64 { return f.rows.at(j).r }}
	return f, nil
}

// Bias returns the limit b of the radius, 0 at eps = 0. It panics unless Sigma is
// positive and eps in [0, 1/2).
func (e Huber) Bias(eps float64, a Adversary) float64 {
	wantScale("Huber.Bias", "Sigma", e.Sigma)
	wantEps("Huber.Bias", eps)
	if eps == 0 {
		return 0
	}
	b, _ := huberConstants(eps, a)
	return e.Sigma * b
}

// Threshold returns B, +Inf at eps = 0. It panics unless Sigma is positive and eps in
// [0, 1/2).
func (e Huber) Threshold(eps float64, a Adversary) float64 {
	wantScale("Huber.Threshold", "Sigma", e.Sigma)
	wantEps("Huber.Threshold", eps)
	if eps == 0 {
		return math.Inf(1)
	}
	_, threshold := huberConstants(eps, a)
	return e.Sigma * threshold
}

// huberConstants returns b and B at Sigma = 1, for eps in (0, 1/2).
func huberConstants(eps float64, a Adversary) (bias, threshold float64) {
	if a == Malicious {
		b0 := math.Sqrt(-2 * math.Log(2*eps))
		bias = (2*eps*b0 + math.Sqrt(2*math.Pi)*normalTail(b0)) / (1 - 2*eps)
		return bias, b0 + bias
	}
	b0 := math.Sqrt(2 * (math.Log1p(-eps) - math.Log(eps)))
	bias = (eps*b0 + (1-eps)*math.Sqrt(2*math.Pi)*normalTail(b0)) / (1 - 2*eps)
	return bias, b0 + bias
}

type huberRow struct{ threshold, r float64 }

type huberFamily struct {
	shared
	rows  table[huberRow]
	ranks table[float64] // thresholds for ranking
}

func (f *huberFamily) NewSample() Sample { return &huberSample{f: f} }

type huberSample struct {
	ordered
	f *huberFamily
}

func (s *huberSample) Add(rewards []float64) error {
	s.merge(rewards)
	return nil
}

func (s *huberSample) Interval(j int) Interval {
	row := s.f.rows.at(j)
	// With half of the rewards infinite no root is to be relied on.
	if median := s.median(); math.IsInf(median, 0) {
		return unknown(median)
	}
	return symmetric(huberRoot(s.x, row.threshold), row.r, s.f.bias)
}

func (s *huberSample) rank(j int) float64 {
	if median := s.median(); math.IsInf(median, 0) {
		return cut(median)
	}
	return cut(huberRoot(s.x, s.f.ranks.at(j)))
}

// huberRoot returns the root of F(t) = sum clip(x_i - t, -B, B) for a sorted
// sample, the middle of the interval of roots if there are several.
//
// At least half of the sample is no larger than the median, so F(med + B) <= 0,
// and F(med - B) >= 0 likewise: the root lies within B of the median, and only
// the rewards within 2B of it are ever added up. Outliers, infinities included,
// are just counted. F is piecewise linear, so Newton's step from the right piece
// is exact; the bracket keeps it from cycling.
func huberRoot(x []float64, threshold float64) float64 {
	n := len(x)
	if n == 0 {
		return 0
	}
	med := medianOf(x)
	if math.IsInf(med, 0) {
		return math.Copysign(math.MaxFloat64, med)
	}
	if math.IsInf(threshold, 1) {
		sum := 0.0
		for _, v := range x {
			sum += v - med
		}
		return med + sum/float64(n)
	}
	first, _ := slices.BinarySearch(x, med-2*threshold)
	lo, hi := med-threshold, med+threshold
	t := med
	for range 200 {
		below := first
		for below < n && x[below] < t-threshold {
			below++
		}
		sum, above := 0.0, below
		for above < n && x[above] <= t+threshold {
			sum += x[above] - t
			above++
		}
		inside := above - below
		force := sum + threshold*float64(n-above-below)
		if force == 0 {
			if inside == 0 {
				return flatMiddle(x, t, threshold, below)
			}
			return t
		}
		if force > 0 {
			lo = max(lo, t)
		} else {
			hi = min(hi, t)
		}
		next := lo + (hi-lo)/2
		if inside > 0 {
			if step := t + force/float64(inside); step >= lo && step <= hi {
				next = step
			}
		}
		if near := 1e-15 * max(threshold, math.Abs(t)); math.Abs(next-t) <= near || hi-lo <= near {
			return next
		}
		t = next
	}
	return t
}

// flatMiddle returns the middle of the roots around t when no reward is within
// the threshold of it: half of the sample lies on each side.
func flatMiddle(x []float64, t, threshold float64, below int) float64 {
	lo, hi := math.Inf(-1), math.Inf(1)
	if below > 0 {
		lo = x[below-1] + threshold
	}
	if below < len(x) {
		hi = x[below] - threshold
	}
	if math.IsInf(lo, 0) || math.IsInf(hi, 0) {
		return t
	}
	return lo/2 + hi/2
}

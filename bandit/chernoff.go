package bandit

import "math"

// A clipped M-estimator with threshold B is the root t of
//
//	F(t) = sum_i clip(X_i - t, -B, B),
//
// which does not increase in t. So est >= mu + r exactly if
// sum clip(X_i - mu - r) >= 0, and if M(l, r) bounds the exponential moment
// E exp(l clip(X - mu - r, -B, B)) of one pull given its past, Chernoff's bound is
//
//	P(est >= mu + r) <= min over l > 0 of M(l, r)^n.
//
// Count noise of the contamination and noise of the clean rewards enter one
// moment, where the trimmed mean pays for them apart. By symmetry the same r
// serves the other side: two events. Against an oblivious or prescient
// adversary each contaminated pull is at most B whatever else happens, and the
// flags are independent of the clean rewards, so
//
//	M = (1-eps) M_Y + eps exp(l B).
//
// A malicious one moves mass eps of any clean value, each at least -B, to B:
//
//	M = M_Y + eps (exp(l B) - exp(-l B)).
//
// Everything here is in units of sigma.

// moment is M_Y: a bound on E exp(l clip(Y - mu - r, -B, B)) for clean rewards Y.
type moment func(l, r, b float64) float64

// subGaussianMoment holds for every 1-sub-Gaussian law:
//
//	M_Y = exp(-l r + l²/2) (1 + l sqrt(2π) Q(B - r + l)).
//
// Dropping the upper clip only raises the moment, and gives the first term. The
// lower clip adds E (exp(-l B) - exp(l (Y-mu-r)))+, which by parts is the integral
// of l exp(l (y-r)) P(Y-mu <= y) over y <= r-B; P(Y-mu <= y) <= exp(-y²/2) and
// completing the square give the second.
func subGaussianMoment(l, r, b float64) float64 {
	return math.Exp(-l*r+l*l/2) * (1 + l*math.Sqrt(2*math.Pi)*normalTail(b-r+l))
}

// gaussianMoment is exact for Y - mu ~ N(0, 1).
func gaussianMoment(l, r, b float64) float64 {
	return math.Exp(-l*b)*normalCDF(r-b) + math.Exp(l*b)*normalTail(r+b) +
		math.Exp(-l*r+l*l/2)*(normalCDF(r+b-l)-normalCDF(r-b-l))
}

// contaminate returns ln M(l, r).
func (m moment) contaminate(l, r, b, eps float64, a Adversary) float64 {
	if a == Malicious {
		return math.Log(m(l, r, b) + eps*(math.Exp(l*b)-math.Exp(-l*b)))
	}
	return math.Log((1-eps)*m(l, r, b) + eps*math.Exp(l*b))
}

// exponent returns min over 0 < l <= 20 of n ln M(l, r). ln M is unimodal in l; an l
// that is a little off only makes the bound a little worse.
func (m moment) exponent(n int, r, b, eps float64, a Adversary) float64 {
	_, least := goldenMin(func(l float64) float64 { return m.contaminate(l, r, b, eps, a) }, 1e-9, 20, 34)
	return float64(n) * least
}

// largestRadius is the end of the search for a radius, as a share of the threshold.
const largestRadius = 0.999

// chernoffRadius returns the smallest r in (0, 0.999 B) with P(est >= mu + r) <=
// exp(-L) by the bound above, or +Inf if there is none. It keeps the upper end of
// its bisection, so rounding never makes it too small.
func (m moment) chernoffRadius(n int, l, b, eps float64, a Adversary) float64 {
	lo, hi := 0.0, largestRadius*b
	if m.exponent(n, hi, b, eps, a) > -l {
		return math.Inf(1)
	}
	for range 44 {
		mid := lo + (hi-lo)/2
		if m.exponent(n, mid, b, eps, a) <= -l {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

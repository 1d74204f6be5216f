package bandit

import "math"

// Two laws that are contaminated with probability eps each show the least of
// their difference in Huber's least favourable pair (q0, q1), whose likelihood
// ratio is that of the clean laws, cut off on both sides (Huber, Annals of
// Mathematical Statistics 1965). For N(0, 1) and N(d, 1) it is
//
//	q1/q0 (x) = exp(clip(d x - d²/2, -ln c, ln c)),
//
// symmetric because both are contaminated alike. c is what makes the expectation
// of the ratio 1 under q0, whose outliers all sit where the ratio is c. With
// xu = (ln c + d²/2)/d, xl = (-ln c + d²/2)/d,
//
//	(1-eps) E clip + eps c = 1  <=>  Φ(xu) + Q(xu - d)/c = 1/(1-eps)
//
// for oblivious and prescient adversaries. A malicious one can move mass eps from
// where the ratio is 1/c to where it is c, and then
//
//	E clip + eps (c - 1/c) = 1  <=>  Q(xu - d) - c Q(xu) = eps (1 + c).
//
// In both, the side that depends on x falls as c grows, so bisection finds c; there is no
// c above 1 exactly if d <= 2 GaussianBias, when the pair is one law.

// clipLevel returns ln c for distance d > 0 at unit deviation: +Inf at eps = 0,
// and 0 if the laws cannot be told apart.
func clipLevel(d, eps float64, a Adversary) float64 {
	if eps == 0 {
		return math.Inf(1)
	}
	// excess is positive for c below the root.
	excess := func(lnC float64) float64 {
		c, xu := math.Exp(lnC), (lnC+d*d/2)/d
		if a == Malicious {
			return normalTail(xu-d)/(1+c) - normalTail(xu)*c/(1+c) - eps
		}
		return normalCDF(xu) + normalTail(xu-d)/c - 1/(1-eps)
	}
	if excess(0) <= 0 {
		return 0
	}
	lo, hi := 0.0, 1.0
	for excess(hi) > 0 && hi < 700 {
		lo, hi = hi, 2*hi
	}
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if excess(mid) > 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// KLEps returns the relative entropy, in nats, of the least favourable pair for
// Gaussians whose means differ by d standard deviations, each contaminated with
// probability eps by an oblivious or prescient adversary, and the constant c at
// which its likelihood ratio is cut off:
//
//	(1-eps) [ ln c Φ(xl) - d (φ(xl) - φ(xu)) + (d²/2)(Φ(xu) - Φ(xl)) - (ln c/c) Q(xu - d) ].
//
// It is d²/2 with c = +Inf at eps = 0, and 0 with c = 1 for d of at most
// 2 GaussianBias(1, eps, Oblivious). It is the rate at which the best test between
// them gains evidence per pull.
// It panics unless d is finite and eps in [0, 1/2).
func KLEps(d, eps float64) (kl, c float64) {
	if math.IsNaN(d) || math.IsInf(d, 0) {
		bad("KLEps", "d", d, "a finite number")
	}
	wantEps("KLEps", eps)
	d = math.Abs(d)
	if eps == 0 {
		return d * d / 2, math.Inf(1)
	}
	if d == 0 {
		return 0, 1
	}
	lnC := clipLevel(d, eps, Oblivious)
	if lnC == 0 {
		return 0, 1
	}
	xu, xl := (lnC+d*d/2)/d, (-lnC+d*d/2)/d
	c = math.Exp(lnC)
	kl = (1 - eps) * (lnC*normalCDF(xl) - d*(normalDensity(xl)-normalDensity(xu)) +
		d*d/2*(normalCDF(xu)-normalCDF(xl)) - lnC/c*normalTail(xu-d))
	return max(0, kl), c
}

package bandit

import "math"

// normalCDF is Φ, the distribution function of N(0, 1).
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// normalTail is Q = 1 - Φ, accurate far out on the right.
func normalTail(x float64) float64 { return math.Erfc(x/math.Sqrt2) / 2 }

// normalDensity is φ.
func normalDensity(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

// normalQuantile is Φ⁻¹; -Inf at 0 and below, +Inf at 1 and above.
func normalQuantile(p float64) float64 {
	switch {
	case p <= 0:
		return math.Inf(-1)
	case p >= 1:
		return math.Inf(1)
	}
	return -math.Sqrt2 * math.Erfcinv(2*p)
}

// clippedNormalMean is E clip(Z, -a, a) for Z ~ N(mu, sd²).
func clippedNormalMean(mu, sd, a float64) float64 {
	excess := func(t float64) float64 { // E (Z - t)+
		u := (t - mu) / sd
		return sd*normalDensity(u) - (t-mu)*normalTail(u)
	}
	return -a + excess(-a) - excess(a)
}

// goldenMin returns the place of the smallest value that f takes in a
// golden-section search of [a, b], and that value; f should be unimodal.
func goldenMin(f func(float64) float64, a, b float64, steps int) (float64, float64) {
	inv := (math.Sqrt(5) - 1) / 2
	x1, x2 := b-inv*(b-a), a+inv*(b-a)
	f1, f2 := f(x1), f(x2)
	for range steps {
		if f1 <= f2 {
			b, x2, f2 = x2, x1, f1
			x1 = b - inv*(b-a)
			f1 = f(x1)
		} else {
			a, x1, f1 = x1, x2, f2
			x2 = a + inv*(b-a)
			f2 = f(x2)
		}
	}
	if f1 <= f2 {
		return x1, f1
	}
	return x2, f2
}

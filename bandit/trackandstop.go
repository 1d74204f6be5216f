package bandit

import "math"

// TrackAndStop pulls Gaussian arms of deviation Sigma in the proportions that are
// optimal for the present means, and stops when the generalised likelihood ratio
//
//	Z = min over a of N_1 N_a/(N_1 + N_a) (mean_1 - mean_a)²/(2 Sigma²)
//
// of the leader against each other arm exceeds ln((1 + ln t)/Delta), the threshold of
// practice: there is no proof that a wrong answer then has probability at most Delta,
// only experience. Proportions are tracked directly; an arm with fewer than
// sqrt(t) - K/2 of t pulls goes first.
//
// With Tol above 0 the leader has Tol added to its mean in Z and in the proportions: Z is
// then the ratio against mu_a >= mu_1 + Tol, a leader that is not within Tol of the best.
//
// Garivier and Kaufmann, COLT 2016 (D-tracking).
type TrackAndStop struct {
	Sigma float64 // standard deviation, positive
	classic
}

var _ Rule = TrackAndStop{}

// Name implements Rule.
func (TrackAndStop) Name() string { return "Track-and-Stop" }

func (r TrackAndStop) check(*Config) error {
	return checkSigma("TrackAndStop", r.Sigma)
}

func (r TrackAndStop) start(*Design) policy { return &trackPolicy{sigma: r.Sigma} }

type trackPolicy struct {
	everyArm
	oneEach
	sigma float64
}

func (p *trackPolicy) observed(s *Search, arm int) {
	s.arms[arm].interval = s.anytime(arm, p.sigma)
}

func (p *trackPolicy) restore(*Search) error { return nil }

func (p *trackPolicy) next(s *Search) {
	t := float64(s.pulls)
	means := make([]float64, len(s.arms))
	best, fewest := 0, 0
	for i := range s.arms {
		means[i] = s.mean(i)
		if means[i] > means[best] {
			best = i
		}
		if s.arms[i].n < s.arms[fewest].n {
			fewest = i
		}
	}
	means[best] += s.d.cfg.Tol
	z := math.Inf(1)
	n1 := float64(s.arms[best].n)
	for i := range s.arms {
		if i != best {
			n, gap := float64(s.arms[i].n), (means[best]-means[i])/p.sigma
			z = min(z, n1*n/(n1+n)*gap*gap/2)
		}
	}
	if z > math.Log((1+math.Log(t))/s.d.cfg.Delta) {
		s.finish(Identified, []int{best})
		return
	}
	if float64(s.arms[fewest].n) < math.Sqrt(t)-float64(len(s.arms))/2 {
		s.ask(fewest, 1)
		return
	}
	w, _ := optimalWeights(means, p.sigma)
	pull, behind := 0, math.Inf(-1)
	for i := range w {
		if d := t*w[i] - float64(s.arms[i].n); d > behind {
			pull, behind = i, d
		}
	}
	s.ask(pull, 1)
}

// OptimalWeights returns the proportions w of pulls that maximise
//
//	min over a != best of w_1 w_a/(w_1 + w_a) (mu_1 - mu_a)²/(2 sigma²)
//
// for Gaussian arms of at least two means, and the inverse T of that maximum: clean
// arms take T ln(1/delta) pulls as delta tends to 0. If two means share the top, T is
// +Inf and w uniform. It panics unless there are at least two means, all finite, and
// sigma is positive.
//
// With y = the maximum over w_1 and x_a = w_a/w_1, the terms are equal when
// x_a = (2y/D_a²)/(1 - 2y/D_a²), D_a = (mu_1 - mu_a)/sigma, and the optimum has
// sum x_a² = 1 (Garivier and Kaufmann, COLT 2016, Theorem 5 for Gaussians). The sum
// increases in y on (0, min D_a²/2).
func OptimalWeights(means []float64, sigma float64) (w []float64, t float64) {
	wantMeans("OptimalWeights", means)
	wantScale("OptimalWeights", "sigma", sigma)
	return optimalWeights(means, sigma)
}

func optimalWeights(means []float64, sigma float64) (w []float64, t float64) {
	best := 0
	for i, mu := range means {
		if mu > means[best] {
			best = i
		}
	}
	least := math.Inf(1)
	d2 := make([]float64, len(means))
	for i, mu := range means {
		if i != best {
			gap := (means[best] - mu) / sigma
			d2[i] = gap * gap
			least = min(least, d2[i])
		}
	}
	w = make([]float64, len(means))
	if !(least > 0) || math.IsInf(least, 1) {
		for i := range w {
			w[i] = 1 / float64(len(w))
		}
		if math.IsInf(least, 1) {
			return w, 0
		}
		return w, math.Inf(1)
	}
	share := func(i int, y float64) float64 {
		q := 2 * y / d2[i]
		return q / (1 - q)
	}
	lo, hi := 0.0, least/2
	for range 100 {
		y := lo + (hi-lo)/2
		squares := 0.0
		for i := range means {
			if i != best {
				squares += share(i, y) * share(i, y)
			}
		}
		if squares < 1 {
			lo = y
		} else {
			hi = y
		}
	}
	sum := 1.0
	for i := range means {
		if i != best {
			w[i] = share(i, lo)
			sum += w[i]
		}
	}
	w[best] = 1
	for i := range w {
		w[i] /= sum
	}
	return w, sum / lo
}

package weightpert

import (
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/binomial"
)

// CertifiedShare returns a lower bound, with probability 1-delta over the draw of
// the examples, of the share of all examples that would be certified: that of
// Clopper and Pearson for count of total examples that training has not seen, rounded
// down.
func CertifiedShare(count, total int, delta float64) (float64, error) {
	if total < 1 || count < 0 || count > total {
		return 0, fmt.Errorf("weightpert: CertifiedShare: %d of %d examples, want 0 to at least 1", count, total)
	}
	if !(delta > 0 && delta < 1) {
		return 0, fmt.Errorf("weightpert: CertifiedShare: delta is %v, want between 0 and 1", delta)
	}
	return binomial.LowerBound(count, total, delta), nil
}

// PACBayes returns an upper bound, with probability 1-delta over the draw of n examples
// and of the weights, of the error of a network whose weights are drawn from a normal
// distribution around those that were learnt: the largest p with
//
//	kl(e ‖ p) <= (divergence + ln(4√n/delta)) / n,
//
// where e is the expected error of such weights on the examples, and divergence that
// between the distributions after and before training; see GaussianDivergence for it and
// DrawGaussian for the draws, with one sigma for both. e itself is known from a number of
// independent draws of the weights only, so the largest e with
//
//	kl(observed ‖ e) <= ln(2/delta) / draws
//
// takes its place, observed being the mean over the draws of their errors on the n
// examples. Either step has half of delta.
//
// The distribution before training must not depend on the examples, and the deviation
// sigma of the two must be chosen before they are looked at; for the best of k values of
// sigma, or of k starting points, take delta/k.
//
// Maurer, arXiv:cs/0411099, Theorem 5, and for the draws Langford and Caruana, (Not)
// bounding the true error, NIPS 2001.
func PACBayes(observed float64, draws int, divergence float64, n int, delta float64) (float64, error) {
	switch {
	case !(observed >= 0 && observed <= 1):
		return 0, fmt.Errorf("weightpert: PACBayes: observed error is %v, want 0 to 1", observed)
	case draws < 1:
		return 0, fmt.Errorf("weightpert: PACBayes: %d draws of the weights, want at least 1", draws)
	case !(divergence >= 0):
		return 0, fmt.Errorf("weightpert: PACBayes: divergence is %v, want 0 or more", divergence)
	case n < 8:
		return 0, fmt.Errorf("weightpert: PACBayes: %d examples, want at least 8", n)
	case !(delta > 0 && delta < 1):
		return 0, fmt.Errorf("weightpert: PACBayes: delta is %v, want between 0 and 1", delta)
	}
	empirical := largestWithin(observed, math.Log(2/delta)/float64(draws))
	return maurer(empirical, divergence, n, delta/2), nil
}

// maurer is the bound of PACBayes for weights whose error on the examples is known.
func maurer(empirical, divergence float64, n int, delta float64) float64 {
	return largestWithin(empirical, (divergence+math.Log(2*math.Sqrt(float64(n))/delta))/float64(n))
}

// largestWithin returns the largest p with kl(q ‖ p) <= budget, from above.
func largestWithin(q, budget float64) float64 {
	lo, hi := q, 1.0
	for range 100 {
		if mid := (lo + hi) / 2; bernoulliKL(q, mid) > budget {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// bernoulliKL is the divergence of coins of probabilities q and p.
func bernoulliKL(q, p float64) float64 {
	s := 0.0
	if q > 0 {
		s += q * math.Log(q/p)
	}
	if q < 1 {
		s += (1 - q) * math.Log((1-q)/(1-p))
	}
	return s
}

// GaussianDivergence returns ‖W - W₀‖² / (2 sigma²), the divergence between normal
// distributions of deviation sigma around the weights and biases of two networks of
// one form. For PACBayes neither sigma nor the initial network may depend on the
// examples.
func GaussianDivergence(learnt, initial *Network, sigma float64) (float64, error) {
	if !sameForm(initial, learnt) {
		return 0, errors.New("weightpert: GaussianDivergence: networks of different forms")
	}
	if !(sigma > 0 && sigma <= math.MaxFloat64) {
		return 0, fmt.Errorf("weightpert: GaussianDivergence: sigma is %v, want above 0 and finite", sigma)
	}
	var change []float64
	add := func(a, b []float64) {
		for k := range a {
			change = append(change, a[k]-b[k])
		}
	}
	for i := range learnt.layers {
		add(learnt.layers[i].Weight.Val, initial.layers[i].Weight.Val)
		add(learnt.layers[i].Bias, initial.layers[i].Bias)
	}
	d := norm(change, 2) / sigma
	return d * d / 2, nil
}

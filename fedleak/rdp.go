package fedleak

import (
	"fmt"
	"math"
)

// Accountant adds up the Rényi differential privacy of rounds with ClippedNoise
// (Mironov, CSF 2017). Neighbouring data sets are those of which one has 0 in the place
// of a sample's gradients, at every party, while batches keep their ids and K: this is
// what moves an upload by at most Clip/K. A sample that is taken out of its batches makes
// K smaller, which the budget does not cover. One that is replaced by another moves an
// upload by up to 2 Clip/K and costs, at Rate 0, what half the Multiplier does. The
// budget is that of the parties' uploads: the gradient of the top network, which the
// server computes itself and no Defense changes, is not part of it.
type Accountant struct {
	// Multiplier is the noise multiplier of an upload.
	Multiplier float64
	// Uploads is the number of parties whose uploads hold something of one sample,
	// each with its own noise: M in a vertical federation, for which the joint
	// release has the sensitivity sqrt(M) Clip/K. 0 means 1.
	Uploads int
	// Rate makes the budget smaller by Poisson sampling: each sample takes part by a
	// secret coin of its own, with this probability, and the mean is a sum over the
	// expected size K. Against who knows the batches it is void, as against CAFE's
	// server, who names them: leave it 0 there, and for every Schedule of this package,
	// all of which have batches of a fixed size. 0 or 1 counts every round in full,
	// which holds for any schedule whose rounds have noise of their own.
	Rate float64
}

// Epsilon returns the least ε for which the given number of rounds is (ε, δ)
// differentially private: min over orders α of steps*RDP(α) + ln(1/δ)/(α-1). Errors:
// Multiplier not above 0, δ not in (0, 1), Rate not in [0, 1], negative counts.
func (a Accountant) Epsilon(rounds int, delta float64) (float64, error) {
	switch {
	case !(a.Multiplier > 0):
		return 0, fmt.Errorf("fedleak: Accountant: Multiplier is %v, want above 0", a.Multiplier)
	case !(delta > 0 && delta < 1):
		return 0, fmt.Errorf("fedleak: Accountant: δ is %v, want in (0, 1)", delta)
	case !(a.Rate >= 0 && a.Rate <= 1):
		return 0, fmt.Errorf("fedleak: Accountant: Rate is %v, want in [0, 1]", a.Rate)
	case rounds < 0 || a.Uploads < 0:
		return 0, fmt.Errorf("fedleak: Accountant: %d rounds of %d uploads, want 0 or more", rounds, a.Uploads)
	}
	best := math.Inf(1)
	at := func(alpha, rdp float64) {
		best = math.Min(best, float64(rounds)*rdp-math.Log(delta)/(alpha-1))
	}
	if a.Rate > 0 && a.Rate < 1 {
		for alpha := 2; alpha <= 512; alpha++ {
			at(float64(alpha), a.RDP(alpha))
		}
		return best, nil
	}
	// In full the bound T α/(2z²) + ln(1/δ)/(α-1) is least at a known order.
	z := a.multiplier()
	c := float64(rounds) / (2 * z * z)
	if c == 0 {
		return 0, nil
	}
	return c + 2*math.Sqrt(-c*math.Log(delta)), nil
}

// multiplier is that of the joint release of all uploads.
func (a Accountant) multiplier() float64 {
	return a.Multiplier / math.Sqrt(float64(max(1, a.Uploads)))
}

// RDP returns the Rényi divergence bound of one round at an order α >= 2: α/(2z²) in
// full, and with Poisson sampling at rate q
//
//	ln( sum over k of C(α,k) (1-q)^(α-k) q^k exp((k²-k)/(2z²)) ) / (α-1)
//
// (Mironov, Talwar and Zhang, arXiv 1908.10530, Section 3.3).
func (a Accountant) RDP(alpha int) float64 {
	z := a.multiplier()
	q := a.Rate
	if q == 0 || q == 1 {
		return float64(alpha) / (2 * z * z)
	}
	logSum := math.Inf(-1)
	for k := 0; k <= alpha; k++ {
		n, i := float64(alpha), float64(k)
		all, _ := math.Lgamma(n + 1)
		in, _ := math.Lgamma(i + 1)
		out, _ := math.Lgamma(n - i + 1)
		term := all - in - out + (n-i)*math.Log1p(-q) + i*math.Log(q) + (i*i-i)/(2*z*z)
		high, low := math.Max(logSum, term), math.Min(logSum, term)
		logSum = high + math.Log1p(math.Exp(low-high))
	}
	return math.Max(0, logSum/float64(alpha-1))
}

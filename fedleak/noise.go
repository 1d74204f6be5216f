package fedleak

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// ClippedNoise is the gradient step of differentially private training (Abadi et al.,
// CCS 2016): the gradient of each sample at a party is scaled down to a norm of at
// most Clip, and the mean gets normal noise of standard deviation Multiplier*Clip/K in
// every entry. A sample's gradient moves an upload by at most Clip/K beside one of 0,
// and by up to 2 Clip/K beside that of another sample: see Accountant. It needs
// gradients of samples, which normalisation with the statistics of the batch does not
// leave: Federation.BatchStatistics excludes it.
//
// Clipping alone protects nothing from CAFE: a clipped sample has gradient c v_n in
// every batch, and Step II divides the factor out again.
type ClippedNoise struct {
	Clip       float64 // the largest norm of a sample's gradient at a party, finite and above 0
	Multiplier float64 // 0 adds no noise
}

var _ Clipper = ClippedNoise{}

// Name implements Defense.
func (d ClippedNoise) Name() string { return "clipping and noise" }

// Bound implements Clipper.
func (d ClippedNoise) Bound() float64 { return d.Clip }

// Check implements Defense.
func (d ClippedNoise) Check() error {
	if !(d.Clip > 0) || math.IsInf(d.Clip, 0) || !(d.Multiplier >= 0) || math.IsInf(d.Multiplier, 0) {
		return fmt.Errorf("fedleak: ClippedNoise: Clip %v and Multiplier %v, want finite numbers, above 0 and at least 0", d.Clip, d.Multiplier)
	}
	return nil
}

// Apply implements Defense.
func (d ClippedNoise) Apply(u Upload, g *tensor.Tensor) {
	Noise{d.Multiplier * d.Clip / float64(u.Batch)}.Apply(u, g)
}

// Noise adds normal noise to every entry, without clipping: there is no privacy
// budget for it.
type Noise struct {
	Sigma float64 // standard deviation in the units of the gradient
}

var _ Defense = Noise{}

// Name implements Defense.
func (Noise) Name() string { return "noise" }

// Check implements Defense.
func (d Noise) Check() error {
	if !(d.Sigma >= 0) || math.IsInf(d.Sigma, 0) {
		return fmt.Errorf("fedleak: Noise: Sigma is %v, want 0 or more", d.Sigma)
	}
	return nil
}

// Apply implements Defense.
func (d Noise) Apply(u Upload, g *tensor.Tensor) {
	if d.Sigma == 0 {
		return
	}
	rng := u.random(uint64(u.Round))
	each(g, func(_ int, v float64) float64 { return v + d.Sigma*rng.NormFloat64() })
}

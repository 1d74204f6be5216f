package smoothing

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Certificate says within which L2 radius the smoothed classifier's answer to an
// input is known not to change.
type Certificate struct {
	// Class is the answer, Abstain if none can be certified.
	Class int `json:"class"`
	// Radius is the L2 radius, in units of the input; 0 with Abstain.
	Radius float64 `json:"radius"`
	// Top is the class that was chosen to be certified.
	Top int `json:"top"`
	// Count of N noisy copies were answered Top, so that its probability under
	// noise is at least Lower with confidence 1-Alpha.
	Count int     `json:"count"`
	N     int     `json:"n"`
	Lower float64 `json:"lower"`
}

// Certify returns certificates for inputs x [N, ...]. Each is wrong, that is, its
// class is not g's everywhere within its radius, with a probability of at most Alpha
// over the noise. On an error, or when ctx is cancelled, it returns the certificates
// of the first inputs, as far as it has come. An error names a setting out of its
// range, an input that is not finite, or what the model did.
//
// The class is chosen from N0 noisy copies and its probability bounded by N others.
//
// Cohen, Rosenfeld and Kolter, ICML 2019, CERTIFY.
func (c *Classifier) Certify(ctx context.Context, x *tensor.Tensor) ([]Certificate, error) {
	s, err := c.settings(x)
	if err != nil {
		return nil, err
	}
	out := make([]Certificate, 0, x.Dim(0))
	for len(out) < x.Dim(0) {
		from := len(out)
		to := min(x.Dim(0), from+s.group(s.N))
		chosen, err := s.votes(ctx, from, to, s.N0, selecting)
		if err != nil {
			return out, err
		}
		counts, err := s.votes(ctx, from, to, s.N, counting)
		if err != nil {
			return out, err
		}
		for i, votes := range counts {
			top, _ := topTwo(chosen[i])
			out = append(out, s.certificate(top, votes))
		}
		s.progress(len(out))
	}
	return out, nil
}

// certificate is what votes give for a class that was chosen without them.
func (s *settings) certificate(top int, votes []int) Certificate {
	c := Certificate{Class: Abstain, Top: top, N: s.N}
	if top < len(votes) {
		c.Count = votes[top]
	}
	c.Lower = LowerBound(c.Count, c.N, s.Alpha)
	if c.Lower > 0.5 {
		c.Class, c.Radius = top, Radius(s.Sigma, c.Lower)
	}
	return c
}

// CertifiedAccuracy returns, for each radius, the share of inputs whose certificate
// is for their label and reaches that far, with its confidence interval over the
// draw of inputs. Abstaining counts as wrong. An error names labels that do not fit
// the certificates, or a radius that is not a number from 0 on.
func CertifiedAccuracy(certs []Certificate, y []int, radii []float64) ([]attack.Estimate, error) {
	if err := checkCurve(certs, y); err != nil {
		return nil, err
	}
	out := make([]attack.Estimate, len(radii))
	for k, r := range radii {
		if !(r >= 0) {
			return nil, fmt.Errorf("smoothing: CertifiedAccuracy: radius %d is %v, want 0 or more", k, r)
		}
		right := 0
		for i, c := range certs {
			if c.Class == y[i] && c.Radius >= r {
				right++
			}
		}
		out[k] = attack.NewEstimate(right, len(certs))
	}
	return out, nil
}

// AverageRadius returns the mean over the inputs of the certified radius, where one
// that is not certified for its label has 0: the area under the curve of certified
// accuracy.
//
// Zhai et al., ICLR 2020 (ACR).
func AverageRadius(certs []Certificate, y []int) (float64, error) {
	if err := checkCurve(certs, y); err != nil {
		return 0, err
	}
	sum := 0.0
	for i, c := range certs {
		if c.Class == y[i] {
			sum += c.Radius
		}
	}
	return sum / float64(len(certs)), nil
}

func checkCurve(certs []Certificate, y []int) error {
	if len(certs) == 0 || len(certs) != len(y) {
		return fmt.Errorf("smoothing: %d labels for %d certificates, want as many and at least 1", len(y), len(certs))
	}
	for i, c := range certs {
		if y[i] < 0 {
			return fmt.Errorf("smoothing: label of input %d is %d, want 0 or more", i, y[i])
		}
		if math.IsNaN(c.Radius) {
			return fmt.Errorf("smoothing: radius of certificate %d is NaN, want 0 or more", i)
		}
	}
	return nil
}

package smoothing

import (
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Classifier is the smoothed version of a model. Results depend on Seed and on the
// names of the inputs, not on how they are cut into batches or on the number of
// threads, as far as the model's own arithmetic does not.
type Classifier struct {
	// Model is the base classifier. It is asked for answers only, by several
	// goroutines at once.
	Model attack.Model
	// Sigma is the standard deviation of the noise, in units of the input; above 0.
	Sigma float64
	// N is the number of noisy copies of each input that Certify bounds the
	// probability with, or that Predict votes among; 0 means 100,000.
	N int
	// N0 is the number of copies of each input, drawn apart from the others, among
	// which Certify chooses the class to certify; 0 means 100.
	N0 int
	// Alpha is the probability with which a certificate, or a prediction, may be
	// wrong, for each input; 0 means 0.001.
	Alpha float64
	// Seed selects the noise.
	Seed uint64
	// IDs names the inputs of a call for the noise, so that inputs certified apart
	// get what they would together; nil means their positions.
	IDs []uint64
	// BatchSize is the number of noisy copies that are made together; 0 means 128. A
	// forward pass has at most 128 of them.
	BatchSize int
	// OnProgress is called with the number of inputs done and the number in all,
	// nil for none. Calls do not overlap.
	OnProgress func(done, total int)
}

// Abstain is the class of an input about which the draws leave too much doubt.
const Abstain = -1

// settings are a Classifier's, with defaults filled in, and its inputs.
type settings struct {
	Classifier
	x *tensor.Tensor
}

// settings checks c and inputs x.
func (c *Classifier) settings(x *tensor.Tensor) (settings, error) {
	s := settings{*c, x}
	switch {
	case c.Model == nil:
		return s, errors.New("smoothing: no model")
	case !(c.Sigma > 0) || math.IsInf(c.Sigma, 0):
		return s, fmt.Errorf("smoothing: Sigma is %v, want a finite number above 0", c.Sigma)
	case c.N < 0 || c.N > maxDraws || c.N0 < 0 || c.N0 > maxDraws:
		return s, fmt.Errorf("smoothing: N is %d and N0 %d, want 0 (for the default) to %d", c.N, c.N0, maxDraws)
	case !(c.Alpha >= 0 && c.Alpha < 1):
		return s, fmt.Errorf("smoothing: Alpha is %v, want 0 (for the default) to below 1", c.Alpha)
	case c.BatchSize < 0:
		return s, fmt.Errorf("smoothing: BatchSize is %d, want 0 (for the default) or more", c.BatchSize)
	case x == nil || x.Rank() < 2 || x.Len() == 0:
		got := "nothing"
		if x != nil {
			got = fmt.Sprintf("%v%v", x.DType(), x.Shape())
		}
		return s, fmt.Errorf("smoothing: inputs are %s, want a batch [N, ...] of at least one", got)
	case c.IDs != nil && len(c.IDs) != x.Dim(0):
		return s, fmt.Errorf("smoothing: %d IDs for %d inputs", len(c.IDs), x.Dim(0))
	}
	if i, v, bad := notFinite(x); bad {
		d := x.Len() / x.Dim(0)
		return s, fmt.Errorf("smoothing: value %d of input %d is %v, want a finite number", i%d, i/d, v)
	}
	s.x = x.Detach()
	if x.Tape() != nil {
		s.x = x.Clone()
	}
	if s.N == 0 {
		s.N = 100_000
	}
	if s.N0 == 0 {
		s.N0 = 100
	}
	if s.Alpha == 0 {
		s.Alpha = 0.001
	}
	if s.BatchSize == 0 {
		s.BatchSize = 128
	}
	return s, nil
}

// maxDraws is the largest number of copies of one input.
const maxDraws = 1 << 30

// notFinite finds the first value that is NaN or infinite.
func notFinite(x *tensor.Tensor) (at int, v float64, bad bool) {
	if tensor.AllFinite(x) {
		return 0, 0, false
	}
	for i, v := range x.Values() {
		if v-v != 0 {
			return i, v, true
		}
	}
	return 0, 0, false
}

// id names an input for the noise.
func (s *settings) id(i int) uint64 {
	if s.IDs != nil {
		return s.IDs[i]
	}
	return uint64(i)
}

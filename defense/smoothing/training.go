package smoothing

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Training is training on examples under Gaussian noise, which a smoothed classifier
// needs its base classifier to have met.
//
// Cohen, Rosenfeld and Kolter, ICML 2019, section 4.
type Training struct {
	// Sigma is the standard deviation of the noise, in units of the input, the same
	// as will be certified with; above 0.
	Sigma float64
	// Copies is the number of noisy copies of each example in a step; 0 means 1.
	Copies int
	// Seed selects the noise of the whole training.
	Seed uint64
}

// Loss is the mean cross-entropy of the noisy batch in nats, for nn.Trainer. The noise
// of an example depends on Seed, the step and its position in the data.
func (t *Training) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	copies, err := checkNoise(t.Sigma, t.Copies)
	if err != nil {
		return nil, fmt.Errorf("smoothing: Training: %w", err)
	}
	x := noisy(b.X.Tape(), b.X, b, copies, t.Sigma, t.Seed)
	return tensor.Mean(tensor.CrossEntropy(net.Forward(p, x), slices.Repeat(b.Y, copies))), nil
}

// checkNoise checks deviation and number of copies, and returns the latter with its
// default filled in.
func checkNoise(sigma float64, copies int) (int, error) {
	switch {
	case !(sigma > 0) || math.IsInf(sigma, 0):
		return 0, fmt.Errorf("deviation Sigma is %v, want a finite number above 0", sigma)
	case copies < 0:
		return 0, fmt.Errorf("number of Copies is %d, want 0 (for the default) or more", copies)
	}
	return max(1, copies), nil
}

// noisy returns copies of x, a version of the batch b.X, with the noise that the
// training step has for them: one copy of the whole batch after the other, constant,
// in the tape's memory.
func noisy(tape *tensor.Tape, x *tensor.Tensor, b nn.Batch, copies int, sigma float64, seed uint64) *tensor.Tensor {
	x = x.Detach()
	if tape != nil {
		x = tape.Const(x)
	}
	out := tensor.Concat(0, slices.Repeat([]*tensor.Tensor{x}, copies)...)
	n := x.Dim(0)
	par.For(copies*n, 8, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			name := uint64(b.Step)<<32 ^ uint64(b.Index[r%n])
			addNoise(out, r, x, r%n, source(seed, training, name, uint64(r/n)), sigma)
		}
	})
	return out
}

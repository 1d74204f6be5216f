package advcl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Attack is the inner maximisation of pretraining: steps of a fixed size along the
// signs of the gradient, from a uniformly random start, within eps of the view and the
// pixel box.
//
// Eq. (7) and (9) of Fan et al., NeurIPS 2021.
type Attack struct {
	Eps      float64 // radius in pixel units, below 1
	StepSize float64 // in pixel units; 0 means Eps/4
	Steps    int     // 0 makes none
	// Eval attacks the network in evaluation mode, as ACL and RoCL do. Otherwise it is
	// in training mode: gradients flow through the batch's mean and variance, and every
	// pass enters the running statistics.
	Eval bool
	// ClampStart keeps the random start inside the pixel box, as RoCL does; otherwise
	// only what comes out of the first step is.
	ClampStart bool
}

// stepSize is the one in use.
func (a Attack) stepSize() float64 {
	if a.StepSize == 0 {
		return a.Eps / 4
	}
	return a.StepSize
}

// Check returns an error unless the attack makes sense.
func (a Attack) Check() error {
	switch {
	case !(a.Eps >= 0 && a.Eps < 1):
		return fmt.Errorf("advcl: attack: eps is %v, want 0 to below 1, in units of pixels", a.Eps)
	case !(a.StepSize >= 0) || math.IsInf(a.StepSize, 0):
		return fmt.Errorf("advcl: attack: step size is %v, want above 0, or 0 for Eps/4", a.StepSize)
	case a.Steps < 0:
		return fmt.Errorf("advcl: attack: %d steps, want 0 or more", a.Steps)
	}
	return nil
}

// climb moves copies x of the images x0, all at once, from random starts unless noise
// is nil. gradient returns the gradient of what is to grow at the copies, as they are
// watched on the tape.
func (a Attack) climb(ctx context.Context, tape *tensor.Tape, x0, x []*tensor.Tensor, noise []*rand.Rand, gradient func(step int, x []*tensor.Tensor) ([]*tensor.Tensor, error)) error {
	threat := attack.Threat{Norm: attack.Linf, Eps: a.Eps}
	for i := range noise {
		a.start(x[i], x0[i], noise[i])
	}
	for s := range a.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		tape.Reset()
		watched := make([]*tensor.Tensor, len(x))
		for i := range x {
			watched[i] = tape.Watch(x[i])
		}
		g, err := gradient(s, watched)
		if err != nil {
			return err
		}
		for i := range x {
			if !tensor.AllFinite(g[i]) {
				return errors.New("advcl: attack: gradient is not finite")
			}
			threat.Step(x[i], g[i], x0[i], a.stepSize())
		}
	}
	if a.Steps == 0 {
		for i := range x {
			threat.Project(x[i], x0[i])
		}
	}
	tape.Reset()
	return nil
}

// start fills x with random points around x0.
func (a Attack) start(x, x0 *tensor.Tensor, rng *rand.Rand) {
	if x.DType() == tensor.Float32 {
		scatter(a, x.Float32s(), x0.Float32s(), rng)
	} else {
		scatter(a, x.Float64s(), x0.Float64s(), rng)
	}
	x.Touch()
}

func scatter[T float32 | float64](a Attack, x, x0 []T, rng *rand.Rand) {
	for i, v := range x0 {
		v += T((2*rng.Float64() - 1) * a.Eps)
		if a.ClampStart {
			v = min(1, max(0, v))
		}
		x[i] = v
	}
}

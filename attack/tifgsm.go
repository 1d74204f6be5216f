package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*TIFGSM)(nil)

// TIFGSM is MI-FGSM with gradients smoothed by a Gaussian, which stands for the mean
// gradient over shifted images. Its adversaries depend less on the places that a
// model looks at, and transfer better to models that look elsewhere.
//
// Dong et al., CVPR 2019, Eq. (7) and (8) with the Gaussian kernel of section 3.3; a
// negative Decay is TI-FGSM without momentum.
type TIFGSM struct {
	Threat Threat
	// Steps is the number of steps; 0 means 10.
	Steps int
	// StepSize is the size of a step in the threat's norm; 0 means Eps/Steps, and for
	// L0 a quarter of the number of values.
	StepSize float64
	// Decay is that of MIFGSM; 0 means 1.
	Decay float64
	// Radius is the number of pixels that the kernel reaches to each side, at
	// least 1; 0 means 7, a kernel of 15 by 15.
	Radius int
	// Sigma is the standard deviation of the kernel in pixels; 0 means
	// Radius/√3.
	Sigma float64
	// AllSteps goes on after a success and keeps the last one, as in MIFGSM.
	AllSteps   bool
	Objective  Objective             // what to climb; nil means CrossEntropy
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "TI-FGSM".
func (a *TIFGSM) Name() string { return "TI-FGSM" }

// String describes all that matters for the outcome.
func (a *TIFGSM) String() string {
	radius, sigma := a.kernel()
	return fmt.Sprintf("%v, kernel of radius %d and sigma %.4g", a.loop(), radius, sigma)
}

func (a *TIFGSM) kernel() (radius int, sigma float64) {
	radius = or(a.Radius, 7)
	return radius, or(a.Sigma, float64(radius)/math.Sqrt(3))
}

// Run attacks images x [N, H, W, C], or [N, H, W] or [N, W], with labels y. Inputs
// that resist are returned unchanged.
func (a *TIFGSM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := checkSettings("TI-FGSM", setting{"radius", float64(a.Radius), 0}, setting{"sigma", a.Sigma, 0}); err != nil {
		return Result{}, err
	}
	if err := checkImages("TI-FGSM", m, x); err != nil {
		return Result{}, err
	}
	size := sizeOf(x)
	return a.loop().run(ctx, m, x, y, smoothGradients[float32](a, size), smoothGradients[float64](a, size))
}

func (a *TIFGSM) loop() momentum {
	return momentum{a.Name(), a.Threat, a.Steps, a.StepSize, a.Decay, a.AllSteps, a.Objective, a.Targets, a.BatchSize, a.OnProgress}
}

func smoothGradients[T float](a *TIFGSM, size imageSize) fitter[T] {
	radius, sigma := a.kernel()
	kernel := gaussian(radius, sigma)
	return func(w *walk[T], _ uint64) {
		plain := w.move
		smooth, scratch := make([]T, len(w.x)), make([]T, len(w.x))
		w.move = func(x, g []T) {
			convolve(smooth, g, scratch, size, kernel, false)
			plain(x, smooth)
		}
	}
}

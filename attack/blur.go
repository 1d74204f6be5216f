package attack

import (
	"context"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Blur)(nil)

// Blur smooths images with a Gaussian, more and more, and keeps the first one that
// the model gets wrong: like Noise a baseline that every attack must beat, here of
// changes that follow the image. It asks for answers only. What is blurred beyond
// the ball is projected onto it.
//
// Hendrycks and Dietterich, ICLR 2019, have it among their corruptions.
type Blur struct {
	Threat Threat
	// Sigma is the largest standard deviation in pixels; 0 means a quarter of
	// the image's longer side.
	Sigma float64
	// Steps is the number of standard deviations tried, evenly spaced from above
	// 0 to Sigma; 0 means 20.
	Steps      int
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "blur".
func (a *Blur) Name() string { return "blur" }

// String describes all that matters for the outcome.
func (a *Blur) String() string {
	var sigma any = "a quarter of the longer side"
	if a.Sigma != 0 {
		sigma = a.Sigma
	}
	return summary(a.Name(), a.Threat, "sigma", sigma, "steps", or(a.Steps, 20)) + targeted(a.Targets)
}

// Run attacks images x [N, H, W, C], or [N, H, W] or [N, W], with labels y. Inputs
// that resist are returned unchanged.
func (a *Blur) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := checkImages("blur", m, x); err != nil {
		return Result{}, err
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "blur", setting{"sigma", a.Sigma, 0}, setting{"steps", float64(a.Steps), 0},
		setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	size := sizeOf(x)
	return runTrials(ctx, r, a.Threat, x, y, beginBlur[float32](a, r, size, y), beginBlur[float64](a, r, size, y))
}

func beginBlur[T float](a *Blur, r *relay, size imageSize, y []int) beginner[T] {
	sigma, steps := or(a.Sigma, float64(max(size.h, size.w))/4), or(a.Steps, 20)
	return func(i int, x0, _ []T) trial[T] {
		t := &blur[T]{threat: a.Threat, size: size, aim: r.aim(i, y), sigma: sigma, steps: steps, x0: x0, x: make([]T, len(x0)), scratch: make([]T, len(x0))}
		t.next()
		return t
	}
}

// blur is the attack on one image.
type blur[T float] struct {
	threat         Threat
	size           imageSize
	aim            aim
	sigma          float64
	steps, i       int
	x0, x, scratch []T
	point          []T
	label          int
}

// next makes x the next blurred image.
func (t *blur[T]) next() {
	t.i++
	sigma := t.sigma * float64(t.i) / float64(t.steps)
	reach := min(int(math.Ceil(3*sigma)), max(t.size.h, t.size.w))
	convolve(t.x, t.x0, t.scratch, t.size, gaussian(max(1, reach), sigma), true)
	project(t.threat, t.x, t.x0)
}

func (t *blur[T]) ask(x []T) int {
	copy(x, t.x)
	return 0
}

func (t *blur[T]) found() ([]T, int) { return t.point, t.label }

func (t *blur[T]) answer(z []T, _ float64, _ []T) bool {
	if c := argMax(z); t.aim.hit(c) {
		t.point, t.label = t.x, c
		return false
	}
	if t.i == t.steps {
		return false
	}
	t.next()
	return true
}

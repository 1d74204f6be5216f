package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*DIFGSM)(nil)

// DIFGSM is MI-FGSM with diverse inputs: with some probability the gradient of a
// step is that at the image made smaller, by a random factor, and put at a random
// place among zeros. Its adversaries depend less on the model that they were made
// with, and transfer better.
//
// Xie et al., CVPR 2019, Algorithm 1 and Eq. (7) (M-DI2-FGSM; with a negative Decay
// DI2-FGSM), with images shrunk within their frame, as models take one size.
type DIFGSM struct {
	Threat Threat
	// Steps is the number of steps; 0 means 10.
	Steps int
	// StepSize is the size of a step in the threat's norm; 0 means Eps/Steps, and for
	// L0 a quarter of the number of values.
	StepSize float64
	// Decay is that of MIFGSM; 0 means 1.
	Decay float64
	// Probability is that of a changed image, above 0 to 1; 0 means 0.5.
	Probability float64
	// Least is the smallest side of a shrunk image as a share of the image's,
	// above 0 to 1; 0 means 0.9.
	Least float64
	// AllSteps goes on after a success and keeps the last one, as in MIFGSM.
	AllSteps   bool
	Seed       uint64                // of the changes of images
	Objective  Objective             // what to climb; nil means CrossEntropy
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "DI-FGSM".
func (a *DIFGSM) Name() string { return "DI-FGSM" }

// String describes all that matters for the outcome.
func (a *DIFGSM) String() string {
	return fmt.Sprintf("%v, probability %v, least share %v, seed %d", a.loop(), or(a.Probability, 0.5), or(a.Least, 0.9), a.Seed)
}

// Run attacks images x [N, H, W, C], or [N, H, W] or [N, W], with labels y. Inputs
// that resist are returned unchanged. A changed image costs a query more.
func (a *DIFGSM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if !(a.Probability >= 0 && a.Probability <= 1) || !(a.Least >= 0 && a.Least <= 1) {
		return Result{}, fmt.Errorf("attack: DI-FGSM: probability %v and least share %v, want 0 to 1", a.Probability, a.Least)
	}
	if err := checkImages("DI-FGSM", m, x); err != nil {
		return Result{}, err
	}
	size := sizeOf(x)
	return a.loop().run(ctx, m, x, y, diversify[float32](a, size), diversify[float64](a, size))
}

func (a *DIFGSM) loop() momentum {
	return momentum{a.Name(), a.Threat, a.Steps, a.StepSize, a.Decay, a.AllSteps, a.Objective, a.Targets, a.BatchSize, a.OnProgress}
}

func diversify[T float](a *DIFGSM, size imageSize) fitter[T] {
	lo, hi := a.Threat.box()
	probability, least := or(a.Probability, 0.5), or(a.Least, 0.9)
	return func(w *walk[T], id uint64) {
		f := frame{imageSize: size, from: make([]int, size.h*size.w)}
		rng := rand.New(rand.NewPCG(a.Seed, id))
		empty := T(min(hi, max(lo, 0)))
		back := make([]T, len(w.x))
		w.vary = func(dst, x []T) bool {
			if rng.Float64() >= probability {
				return false
			}
			f.draw(rng, least)
			put(f, dst, x, empty)
			return true
		}
		w.back = func(g []T) []T {
			takeBack(f, back, g)
			return back
		}
	}
}

// frame is an image made smaller and put at a place within its own size.
type frame struct {
	imageSize
	from []int // pixel of the image for each of the frame; -1 for none
}

// draw chooses size and place. Pixels are those nearest to the places they come
// from.
func (f *frame) draw(rng *rand.Rand, least float64) {
	share := least + (1-least)*rng.Float64()
	h, w := max(1, int(math.Round(share*float64(f.h)))), max(1, int(math.Round(share*float64(f.w))))
	top, left := rng.IntN(f.h-h+1), rng.IntN(f.w-w+1)
	for i := range f.h {
		for j := range f.w {
			k := -1
			if r, c := i-top, j-left; r >= 0 && r < h && c >= 0 && c < w {
				k = (2*r+1)*f.h/(2*h)*f.w + (2*c+1)*f.w/(2*w)
			}
			f.from[i*f.w+j] = k
		}
	}
}

// put writes the framed image x to dst.
func put[T float](f frame, dst, x []T, empty T) {
	for i, k := range f.from {
		for c := range f.c {
			if k < 0 {
				dst[i*f.c+c] = empty
			} else {
				dst[i*f.c+c] = x[k*f.c+c]
			}
		}
	}
}

// takeBack sums the gradient g of the frame up to that of the image.
func takeBack[T float](f frame, dst, g []T) {
	clear(dst)
	for i, k := range f.from {
		if k < 0 {
			continue
		}
		for c := range f.c {
			dst[k*f.c+c] += g[i*f.c+c]
		}
	}
}

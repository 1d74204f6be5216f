package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Patch)(nil)

// Patch is the adversarial patch: one small picture that, put anywhere on an image,
// changes the answer. It is fitted to many images at once, at random places, turns
// and sizes, so that it works where it happens to lie:
//
//	max_p E_{x,t} [ L(z(A(p, x, t)), y) ],
//
// where A puts the patch p on x by t. The pixels under it are the attacker's own,
// anywhere in the box; the others stay.
//
// Brown et al., arXiv:1712.09665, section 2, with steps along signs of summed
// gradients.
type Patch struct {
	// Side is the patch's side in pixels; 0 means three tenths of the image's
	// shorter side, rounded down.
	Side int
	// MaxDegrees is the largest angle by which the patch is turned, either way;
	// 0 means that it is not.
	MaxDegrees float64
	// MinScale is the smallest size that the patch is shrunk to, above 0 to 1;
	// 0 means 1, its own size always.
	MinScale float64
	// Steps is the number of steps of Fit; 0 means 300.
	Steps int
	// StepSize is the change of a value in a step; 0 means a fiftieth of the
	// box.
	StepSize float64
	// Clip is that of Universal; 0 means 3, in logits.
	Clip float64
	// Lo and Hi are the ends of the box of pixel values; both 0 mean [0, 1].
	Lo, Hi    float64
	Objective Objective // what to climb; nil means CrossEntropy
	Targets   []int     // a class to reach for each input; nil for any wrong one
	Seed      uint64    // of the images of a step and of the places
	// BatchSize is the number of inputs of a step; 0 means 64.
	BatchSize int
	// OnProgress is called with the steps made and the steps in all, nil for
	// none.
	OnProgress func(done, total int)
}

// Name returns "patch".
func (a *Patch) Name() string { return "patch" }

// String describes all that matters for the outcome.
func (a *Patch) String() string {
	side := "three tenths of the image's"
	if a.Side != 0 {
		side = fmt.Sprintf("%d pixels", a.Side)
	}
	s := fmt.Sprintf("%s, side %s, steps %d, seed %d", a.Name(), side, or(a.Steps, 300), a.Seed)
	if a.MaxDegrees > 0 {
		s += fmt.Sprintf(", turned by up to %.4g°", a.MaxDegrees)
	}
	if a.MinScale > 0 {
		s += fmt.Sprintf(", shrunk down to %.4g", a.MinScale)
	}
	return s + targeted(a.Targets)
}

// check returns the side of the patch.
func (a *Patch) check(m Model, x *tensor.Tensor, y []int) (side int, err error) {
	if x != nil && x.Rank() != 4 {
		return 0, fmt.Errorf("attack: patch: inputs of shape %v, want images [N, H, W, C]", x.Shape())
	}
	if err := checkInBox(m, x, y, Threat{Lo: a.Lo, Hi: a.Hi}, a.Targets, "patch", setting{"largest angle", a.MaxDegrees, 0}, setting{"steps", float64(a.Steps), 0},
		setting{"step size", a.StepSize, 0}, setting{"clip", a.Clip, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return 0, err
	}
	if !(a.MinScale >= 0 && a.MinScale <= 1) {
		return 0, fmt.Errorf("attack: patch: smallest scale is %v, want above 0 to 1", a.MinScale)
	}
	shorter := min(x.Dim(1), x.Dim(2))
	side = or(a.Side, max(1, shorter*3/10))
	if side < 1 || side > shorter {
		return 0, fmt.Errorf("attack: patch: side is %d, want 1 to the image's %d", side, shorter)
	}
	return side, nil
}

// Fit returns a patch [Side, Side, C] fitted to images x [N, H, W, C] with labels y.
func (a *Patch) Fit(ctx context.Context, m Model, x *tensor.Tensor, y []int) (*tensor.Tensor, error) {
	patch, _, err := a.fit(ctx, m, x, y)
	return patch, err
}

// fit is Fit, and says how often each image was asked about.
func (a *Patch) fit(ctx context.Context, m Model, x *tensor.Tensor, y []int) (patch *tensor.Tensor, asked []int, err error) {
	side, err := a.check(m, x, y)
	if err != nil {
		return nil, nil, err
	}
	x = ask.OffTape(x)
	lo, hi := Threat{Lo: a.Lo, Hi: a.Hi}.box()
	rng := rand.New(rand.NewPCG(a.Seed, 0))
	patch = tensor.Uniform(rng, x.DType(), lo, hi, side, side, x.Dim(3))
	// The patch may take any value of the box: a ball around its middle.
	th := Threat{Norm: Linf, Eps: hi - lo, Lo: lo, Hi: hi}
	middle := tensor.Full(x.DType(), (lo+hi)/2, side, side, x.Dim(3))
	sum := tensor.Zeros(x.DType(), side, side, x.Dim(3))
	f := sharedClimb{objective: orCrossEntropy(a.Objective), targets: a.Targets, clip: or(a.Clip, 3), batch: or(a.BatchSize, 64),
		steps: or(a.Steps, 300), rng: rng, progress: a.OnProgress}
	alpha := or(a.StepSize, (hi-lo)/50)
	asked, err = f.climb(ctx, m, x, y, patch, func(images, w *tensor.Tensor) *tensor.Tensor {
		return paste(images, w, a.places(rng, images, side))
	}, func(g *tensor.Tensor) {
		sum = tensor.Add(tensor.MulScalar(sum, 0.9), g)
		th.Step(patch, sum, middle, alpha)
	})
	if err != nil {
		return nil, nil, err
	}
	return patch, asked, nil
}

// places draws where the patch goes on each image.
func (a *Patch) places(rng *rand.Rand, images *tensor.Tensor, side int) []transform.Affine {
	out := make([]transform.Affine, images.Dim(0))
	for i := range out {
		out[i] = a.place(rng, images.Dim(1), images.Dim(2), side)
	}
	return out
}

// place draws where the patch goes. The map is of the image on which the patch lies
// in the middle.
func (a *Patch) place(rng *rand.Rand, h, w, side int) transform.Affine {
	smallest := or(a.MinScale, 1)
	scale := smallest + (1-smallest)*rng.Float64()
	degrees := a.MaxDegrees * (2*rng.Float64() - 1)
	top, left := rng.IntN(h-side+1), rng.IntN(w-side+1)
	p := transform.Posed(h, w, degrees, float64(top-(h-side)/2), float64(left-(w-side)/2))
	// Shrinking is about the middle of the patch, half a pixel off that of the
	// image where the two sides are not both odd or even.
	my, mx := float64((h-side)/2)+float64(side-1)/2, float64((w-side)/2)+float64(side-1)/2
	p.Y[0], p.X[0] = my+(p.Y[0]-my)/scale, mx+(p.X[0]-mx)/scale
	for k := 1; k < 3; k++ {
		p.Y[k] /= scale
		p.X[k] /= scale
	}
	return p
}

// paste puts a patch [h, w, C] on images [N, H, W, C].
func paste(images, patch *tensor.Tensor, places []transform.Affine) *tensor.Tensor {
	shape := images.Shape()
	spread := func(p *tensor.Tensor) *tensor.Tensor {
		p = tensor.Reshape(p, append([]int{1}, p.Shape()...)...)
		for axis := 1; axis <= 2; axis++ {
			before := (shape[axis] - p.Dim(axis)) / 2
			p = tensor.Pad(p, axis, before, shape[axis]-p.Dim(axis)-before)
		}
		return transform.Warp(tensor.BroadcastTo(p, shape...), places, transform.Nearest)
	}
	covered := spread(tensor.Full(patch.DType(), 1, patch.Shape()...))
	return tensor.Where(covered, spread(patch), images)
}

// Apply puts a patch [h, w, C] on images x [N, H, W, C], at places of the seed. The
// result does not depend on other images.
func (a *Patch) Apply(x, patch *tensor.Tensor) *tensor.Tensor {
	if x.Rank() != 4 || patch.Rank() != 3 || patch.Dim(0) != patch.Dim(1) || patch.Dim(0) > min(x.Dim(1), x.Dim(2)) || patch.Dim(2) != x.Dim(3) || patch.DType() != x.DType() {
		panic(fmt.Sprintf("attack: Patch.Apply: patch %v%v on images %v%v", patch.DType(), patch.Shape(), x.DType(), x.Shape()))
	}
	places := make([]transform.Affine, x.Dim(0))
	for i := range places {
		places[i] = a.place(rand.New(rand.NewPCG(a.Seed, 1<<63|uint64(i))), x.Dim(1), x.Dim(2), patch.Dim(0))
	}
	return paste(ask.OffTape(x), ask.OffTape(patch), places)
}

// Run fits a patch to the images x [N, H, W, C] with labels y and puts it on each of
// them, at one random place. Images that the model still gets right are returned
// unchanged. Result.Distance is in L0: the number of values that changed. For images
// that the patch was not fitted to use Fit and Apply.
func (a *Patch) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	patch, asked, err := a.fit(ctx, m, x, y)
	if err != nil {
		return untouched(ctx, x), err
	}
	x = ask.OffTape(x)
	patched := a.Apply(x, patch)
	return show(ctx, m, x, y, a.Targets, patched, Threat{Norm: L0}.Distance(patched, x), asked)
}

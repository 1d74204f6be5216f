package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Universal)(nil)

// Universal looks for one perturbation that fools a model on most inputs: steps
// along the sum of gradients of a batch, projected onto the ball.
//
// Shafahi et al., AAAI 2020, Algorithm 2 (stochastic gradient ascent for the
// universal perturbation of Moosavi-Dezfooli et al., CVPR 2017).
type Universal struct {
	Threat Threat // Linf, L2 or L1; the ball is around the zero perturbation
	// Epochs is the number of passes over the inputs; 0 means 10.
	Epochs int
	// StepSize is the size of a step in the threat's norm; 0 means Eps/10.
	StepSize  float64
	Objective Objective // what to climb; nil means CrossEntropy
	// Clip is the value of the objective from which an input counts no more, so
	// that a few inputs do not rule the sum; 0 means 3, in logits.
	Clip float64
	// BatchSize is the number of inputs of a step; 0 means 128.
	BatchSize int
	Targets   []int // a class to reach for each input; nil for any wrong one
	// Seed selects the order of the inputs.
	Seed uint64
	// OnProgress is called with the steps made and the steps in all, nil for
	// none.
	OnProgress func(done, total int)
}

// Name returns "universal".
func (u *Universal) Name() string { return "universal" }

// String describes all that matters for the outcome.
func (u *Universal) String() string {
	return summary(u.Name(), u.Threat, "objective", orCrossEntropy(u.Objective), "epochs", or(u.Epochs, 10), "batches of", or(u.BatchSize, 128),
		"step size", or(u.StepSize, u.Threat.Eps/10), "clip", or(u.Clip, 3), "seed", u.Seed) + targeted(u.Targets)
}

// Fit returns a perturbation of the shape of one input of x [N, ...].
func (u *Universal) Fit(ctx context.Context, m Model, x *tensor.Tensor, y []int) (*tensor.Tensor, error) {
	delta, _, err := u.fit(ctx, m, x, y)
	return delta, err
}

// fit is Fit, and says how often each input was asked about.
func (u *Universal) fit(ctx context.Context, m Model, x *tensor.Tensor, y []int) (delta *tensor.Tensor, asked []int, err error) {
	if u.Threat.Norm == L0 {
		return nil, nil, fmt.Errorf("attack: Universal under l0, want linf, l2 or l1")
	}
	if err := checkAll(m, x, y, u.Threat, u.Targets, "Universal", setting{"epochs", float64(u.Epochs), 0}, setting{"step size", u.StepSize, 0},
		setting{"clip", u.Clip, 0}, setting{"batch size", float64(u.BatchSize), 0}); err != nil {
		return nil, nil, err
	}
	x = ask.OffTape(x)
	// The perturbation itself may take any sign; a box that holds every change
	// of a value leaves only the ball.
	lo, hi := u.Threat.box()
	ball := u.Threat
	ball.Lo, ball.Hi = lo-hi, hi-lo
	zero := tensor.Zeros(x.DType(), append([]int{1}, x.Shape()[1:]...)...)
	delta = zero.Clone()
	size := min(or(u.BatchSize, 128), len(y))
	alpha := or(u.StepSize, u.Threat.Eps/10)
	c := sharedClimb{objective: orCrossEntropy(u.Objective), targets: u.Targets, clip: or(u.Clip, 3), batch: size,
		steps: or(u.Epochs, 10) * (len(y) / size), rng: rand.New(rand.NewPCG(u.Seed, 0)), progress: u.OnProgress}
	asked, err = c.climb(ctx, m, x, y, delta, func(inputs, w *tensor.Tensor) *tensor.Tensor {
		return tensor.Clamp(tensor.Add(inputs, w), lo, hi)
	}, func(g *tensor.Tensor) { ball.Step(delta, g, zero, alpha) })
	if err != nil {
		return nil, nil, err
	}
	return tensor.Reshape(delta, x.Shape()[1:]...), asked, nil
}

// Apply adds a perturbation of the shape of one input to inputs x [N, ...] and
// keeps them in the box.
func (u *Universal) Apply(x, perturbation *tensor.Tensor) *tensor.Tensor {
	lo, hi := u.Threat.box()
	return tensor.Clamp(tensor.Add(ask.OffTape(x), perturbation), lo, hi)
}

// Run fits a perturbation to the inputs x [N, ...] with labels y and adds it to each
// of them. Inputs that the model still gets right are returned unchanged. For inputs
// that it was not fitted to use Fit and Apply.
func (u *Universal) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	delta, asked, err := u.fit(ctx, m, x, y)
	if err != nil {
		return untouched(ctx, x), err
	}
	x = ask.OffTape(x)
	changed := u.Apply(x, delta)
	u.Threat.Project(changed, x) // the sum may round out of the ball
	return show(ctx, m, x, y, u.Targets, changed, u.Threat.Distance(changed, x), asked)
}

package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

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
	// Seed selects the order of the inputs.
	Seed uint64
	// OnProgress is called with the steps made and the steps in all, nil for
	// none.
	OnProgress func(done, total int)
}

// Fit returns a perturbation of the shape of one input of x [N, ...].
func (u *Universal) Fit(ctx context.Context, m Model, x *tensor.Tensor, y []int) (*tensor.Tensor, error) {
	if u.Threat.Norm == L0 {
		return nil, fmt.Errorf("attack: Universal under l0, want linf, l2 or l1")
	}
	if err := checkAll(m, x, y, u.Threat, nil, "Universal", setting{"epochs", float64(u.Epochs), 0}, setting{"step size", u.StepSize, 0},
		setting{"clip", u.Clip, 0}, setting{"batch size", float64(u.BatchSize), 0}); err != nil {
		return nil, err
	}
	x = offTape(x)
	var objective Objective = CrossEntropy{}
	if u.Objective != nil {
		objective = u.Objective
	}
	// The perturbation itself may take any sign; a box that holds every change
	// of a value leaves only the ball.
	lo, hi := u.Threat.box()
	ball := u.Threat
	ball.Lo, ball.Hi = lo-hi, hi-lo
	one := append([]int{1}, x.Shape()[1:]...)
	zero := tensor.Zeros(x.DType(), one...)
	delta := zero.Clone()
	size := min(or(u.BatchSize, 128), len(y))
	steps := or(u.Epochs, 10) * (len(y) / size)
	alpha, clip := or(u.StepSize, u.Threat.Eps/10), or(u.Clip, 3)
	rng := rand.New(rand.NewPCG(u.Seed, 0))
	order := rng.Perm(len(y))
	tape := tensor.NewTape()
	for s := range steps {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("attack: stopped: %w", err)
		}
		if len(order) < size {
			order = rng.Perm(len(y))
		}
		rows := rowsOf(order[:size], y, nil)
		order = order[size:]
		tape.Reset()
		w := tape.Watch(delta)
		moved := tensor.Clamp(tensor.Add(tensor.Gather(x, rows.Index), w), lo, hi)
		_, values, err := evaluate(m, objective, moved, rows)
		if err != nil {
			return nil, err
		}
		limit := tensor.Full(values.DType(), clip, values.Shape()...)
		g, err := inputGradient(tensor.Minimum(values, limit), w, rows)
		if err != nil {
			return nil, err
		}
		ball.Step(delta, g, zero, alpha)
		if u.OnProgress != nil {
			u.OnProgress(s+1, steps)
		}
	}
	return tensor.Reshape(delta, x.Shape()[1:]...), nil
}

// Apply adds a perturbation of the shape of one input to inputs x [N, ...] and
// keeps them in the box.
func (u *Universal) Apply(x, perturbation *tensor.Tensor) *tensor.Tensor {
	lo, hi := u.Threat.box()
	return tensor.Clamp(tensor.Add(offTape(x), perturbation), lo, hi)
}

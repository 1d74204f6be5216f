package attack

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// momentum is the loop of MI-FGSM and its relatives: steps along a running sum of
// gradients, each scaled to an L1 length of 1.
type momentum struct {
	name      string
	threat    Threat
	steps     int
	stepSize  float64
	decay     float64
	all       bool
	objective Objective
	targets   []int
	batch     int
	progress  func(done, total int)
}

func (o momentum) check(m Model, x *tensor.Tensor, y []int) error {
	return checkAll(m, x, y, o.threat, o.targets, o.name, setting{"steps", float64(o.steps), 0},
		setting{"step size", o.stepSize, 0}, setting{"decay", max(o.decay, 0), 0}, setting{"batch size", float64(o.batch), 0})
}

// numbers are the settings with their defaults. alpha is 0 for a default that depends on
// the number of values.
func (o momentum) numbers() (steps int, alpha, decay float64) {
	steps = or(o.steps, 10)
	return steps, or(o.stepSize, smallStep(o.threat, steps)), max(0, or(o.decay, 1))
}

func (o momentum) String() string {
	steps, alpha, decay := o.numbers()
	s := summary(o.name, o.threat, "objective", orCrossEntropy(o.objective), "steps", steps) + sized(o.threat, alpha, 0) + fmt.Sprintf(", decay %.4g", decay)
	if o.all {
		s += ", all steps"
	}
	return s + targeted(o.targets)
}

// run attacks inputs; fit32 and fit64, unless nil, change the walk on one input.
func (o momentum) run(ctx context.Context, m Model, x *tensor.Tensor, y []int, fit32 fitter[float32], fit64 fitter[float64]) (Result, error) {
	if err := o.check(m, x, y); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: orCrossEntropy(o.objective), targeted: o.targets != nil, goals: o.targets, batch: o.batch, progress: o.progress}
	return runTrials(ctx, r, o.threat, x, y, beginMomentum(o, r, y, fit32), beginMomentum(o, r, y, fit64))
}

// fitter changes the walk on input i before it begins.
type fitter[T float] func(w *walk[T], i uint64)

func beginMomentum[T float](o momentum, r *relay, y []int, fit fitter[T]) beginner[T] {
	steps, alpha, decay := o.numbers()
	return func(i int, x0, _ []T) trial[T] {
		alpha := or(alpha, o.threat.stride(len(x0)))
		sum := make([]T, len(x0))
		w := &walk[T]{aim: r.aim(i, y), x: append([]T(nil), x0...), steps: steps, all: o.all || r.chance}
		w.move = func(x, g []T) {
			n := size(L1, g)
			for j, v := range g {
				sum[j] *= T(decay)
				if n > 0 {
					sum[j] += T(float64(v) / n)
				}
			}
			step(o.threat, x, sum, x0, alpha)
		}
		if fit != nil {
			fit(w, r.id(i))
		}
		return w
	}
}

// orCrossEntropy returns o, or what nil means.
func orCrossEntropy(o Objective) Objective {
	if o == nil {
		return CrossEntropy{}
	}
	return o
}

package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/quickselect"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*SLIDE)(nil)

// SLIDE makes sparse steps in an L1 ball: along the signs of the largest entries of
// the gradient that the box leaves room for.
//
// Tramèr and Boneh, NeurIPS 2019, section 3.
type SLIDE struct {
	Threat Threat // under L1
	// Steps is the number of steps; 0 means 20.
	Steps int
	// StepSize is the L1 length of a step; 0 means 2 Eps/Steps.
	StepSize float64
	// Share is the share of the entries to change in a step, above 0 to 1; 0
	// means 0.01.
	Share float64
	// RandomStart starts from a random point of the ball, of the seed Seed.
	RandomStart bool
	Seed        uint64                // of the random start
	Objective   Objective             // what to climb; nil means CrossEntropy
	Targets     []int                 // a class to reach for each input; nil for any wrong one
	BatchSize   int                   // inputs in a forward pass; 0 means 32
	OnProgress  func(done, total int) // as in PGD
}

// Name returns "SLIDE".
func (a *SLIDE) Name() string { return "SLIDE" }

// String describes all that matters for the outcome.
func (a *SLIDE) String() string {
	steps := or(a.Steps, 20)
	s := summary(a.Name(), a.Threat, "objective", orCrossEntropy(a.Objective), "steps", steps, "step size", or(a.StepSize, 2*a.Threat.Eps/float64(steps)), "share", or(a.Share, 0.01))
	if a.RandomStart {
		s += fmt.Sprintf(", random starts of seed %d", a.Seed)
	}
	return s + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *SLIDE) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L1 {
		return Result{}, fmt.Errorf("attack: SLIDE under %v, want l1", a.Threat.Norm)
	}
	if !(a.Share >= 0 && a.Share <= 1) {
		return Result{}, fmt.Errorf("attack: SLIDE: share %v, want above 0 to 1", a.Share)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "SLIDE", setting{"steps", float64(a.Steps), 0},
		setting{"step size", a.StepSize, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: orCrossEntropy(a.Objective), targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginSLIDE[float32](a, r, y), beginSLIDE[float64](a, r, y))
}

func beginSLIDE[T float](a *SLIDE, r *relay, y []int) beginner[T] {
	steps := or(a.Steps, 20)
	alpha := or(a.StepSize, 2*a.Threat.Eps/float64(steps))
	lo, hi := a.Threat.box()
	return func(i int, x0, _ []T) trial[T] {
		t := &walk[T]{aim: r.aim(i, y), x: append([]T(nil), x0...), steps: steps, all: r.chance}
		if a.RandomStart {
			sample(a.Threat, rand.New(rand.NewPCG(a.Seed, r.id(i))), t.x, x0)
		}
		n := max(1, int(or(a.Share, 0.01)*float64(len(x0))))
		mag := make([]float64, len(x0))
		t.move = func(x, g []T) {
			for j, v := range g {
				mag[j] = 0
				if v > 0 && float64(x[j]) < hi || v < 0 && float64(x[j]) > lo {
					mag[j] = math.Abs(float64(v))
				}
			}
			least := quickselect.Kth(append([]float64(nil), mag...), len(mag)-n)
			count := 0
			for _, v := range mag {
				if v >= least && v > 0 {
					count++
				}
			}
			for j, v := range mag {
				if v >= least && v > 0 {
					x[j] += T(math.Copysign(alpha/float64(count), float64(g[j])))
				}
			}
			project(a.Threat, x, x0)
		}
		return t
	}
}

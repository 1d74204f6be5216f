package attack

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*APGD)(nil)

// APGD is Auto-PGD: projected gradient ascent with momentum whose step size
// halves when progress stalls, restarting from the best point. It has no step
// size to choose. Under L1 it makes sparse steps in balls that shrink from
// 3 Eps to Eps.
//
// Croce and Hein, ICML 2020, Algorithm 1, and ICML 2021 ("Mind the box") for L1.
// Where paper and public implementation differ this follows the implementation,
// whose numbers are the ones compared in the literature, except that progress at
// the first checkpoint counts from the loss at the start; Paper and Compat change
// that.
type APGD struct {
	Threat Threat // Linf, L2 or L1
	// Steps is the number of gradient steps of a run; 0 means 100.
	Steps int
	// Restarts is the number of runs from random starts; 0 means 1. With
	// TargetClasses it is the number of runs for each target.
	Restarts int
	// Objective is what to climb; nil means CrossEntropy, or DLR with
	// TargetClasses.
	Objective Objective
	// TargetClasses is the number of target classes to try, one after the
	// other, from the one with the largest logit at the input on; 0 means no
	// targets. Any wrong answer is a success, not only the target. More than
	// there are wrong classes means all of them.
	TargetClasses int
	// Targets holds a class to reach for each input; only that is a success
	// then, and TargetClasses is 0. Nil means any wrong class.
	Targets []int
	// Rho is the share of steps that must raise the loss for the step size to
	// stay, 0 to 1; 0 means 0.75. Linf and L2 only.
	Rho float64
	// Paper sets checkpoints where the paper does, at ceil(p_j Steps), which is the
	// same for 100 steps, and keeps the step size when exactly Rho of the steps
	// raised the loss. Linf and L2 only.
	Paper bool
	// Compat counts the first step before the first checkpoint as the public
	// implementation does: as a rise if the loss after it is above 0, whatever it
	// was at the start. A cross-entropy always is. Linf and L2 only.
	Compat bool
	// EOT is the number of gradients to average for each step, for models that
	// answer at random; 0 means 1. Above 1, and where the model answers at random, an
	// input makes all its steps, and the last iterate whose last answer is wrong counts:
	// the first one may be a lucky draw.
	EOT int
	// PlainL1 leaves out the larger balls of the L1 version.
	PlainL1 bool
	// Seed selects the random starts.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 32.
	BatchSize int
	// OnProgress is called with the number of inputs done and the number in
	// all, nil for none. Calls do not overlap.
	OnProgress func(done, total int)

	ids []int // names of the inputs for random numbers
}

// Name returns "APGD-CE", "APGD-DLR" or, with targets, "APGD-T", when the
// objective is one of these.
func (a *APGD) Name() string {
	switch a.objective().(type) {
	case CrossEntropy:
		return "APGD-CE"
	case DLR:
		if a.TargetClasses > 0 {
			return "APGD-T"
		}
		return "APGD-DLR"
	}
	return "APGD"
}

// String describes all that matters for the outcome.
func (a *APGD) String() string {
	s := summary(a.Name(), a.Threat, "objective", a.objective(), "steps", or(a.Steps, 100), "restarts", max(1, a.Restarts))
	if a.TargetClasses > 0 {
		s += fmt.Sprintf(", target classes %d", a.TargetClasses)
	}
	if a.Paper {
		s += ", checkpoints of the paper"
	}
	if a.Compat {
		s += ", first checkpoint of the public implementation"
	}
	if a.EOT > 1 {
		s += fmt.Sprintf(", mean of %d gradients", a.EOT)
	}
	if a.Threat.Norm == L1 && !a.PlainL1 {
		s += ", from larger balls"
	}
	return fmt.Sprintf("%s, rho %v, seed %d", s, or(a.Rho, 0.75), a.Seed) + targeted(a.Targets)
}

func (a *APGD) objective() Objective {
	switch {
	case a.Objective != nil:
		return a.Objective
	case a.TargetClasses > 0:
		return DLR{}
	}
	return CrossEntropy{}
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *APGD) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := a.check(m, x, y); err != nil {
		return Result{}, err
	}
	r := &relay{
		model: m, objective: a.objective(), targeted: a.TargetClasses > 0 || a.Targets != nil, goals: a.Targets, eot: a.EOT,
		batch: a.BatchSize, ids: a.ids, progress: a.OnProgress,
	}
	return runTrials(ctx, r, a.Threat, x, y, beginAPGD[float32](a, r, y), beginAPGD[float64](a, r, y))
}

func (a *APGD) check(m Model, x *tensor.Tensor, y []int) error {
	if err := checkBall(m, x, y, a.Threat); err != nil {
		return err
	}
	if err := checkTargets(y, a.Targets); err != nil {
		return err
	}
	switch {
	case a.Targets != nil && a.TargetClasses > 0:
		return errors.New("attack: APGD: both Targets and TargetClasses, want one of them")
	case a.Threat.Norm == L0:
		return fmt.Errorf("attack: APGD under l0, want linf, l2 or l1")
	case a.Steps < 0:
		return fmt.Errorf("attack: APGD: %d steps, want 0 or more", a.Steps)
	case a.Restarts < 0:
		return fmt.Errorf("attack: APGD: %d restarts, want 0 or more", a.Restarts)
	case a.TargetClasses < 0:
		return fmt.Errorf("attack: APGD: %d target classes, want 0 or more", a.TargetClasses)
	case !(a.Rho >= 0 && a.Rho <= 1):
		return fmt.Errorf("attack: APGD: rho is %v, want 0 to 1", a.Rho)
	case a.Threat.Norm == L1 && (a.Paper || a.Compat):
		return errors.New("attack: APGD: Paper or Compat under l1, want linf or l2")
	case a.EOT < 0:
		return fmt.Errorf("attack: APGD: %d gradients to average, want 0 or more", a.EOT)
	case a.BatchSize < 0:
		return fmt.Errorf("attack: APGD: batch size %d, want 0 or more", a.BatchSize)
	}
	return nil
}

// beginAPGD returns the maker of trials.
func beginAPGD[T float](a *APGD, r *relay, y []int) beginner[T] {
	return func(i int, x0, z []T) trial[T] {
		steps := a.Steps
		if steps == 0 {
			steps = 100
		}
		t := &apgd[T]{
			threat: a.Threat, aim: r.aim(i, y), x0: x0, rho: a.Rho,
			paper: a.Paper, persist: r.chance, rng: rand.New(rand.NewPCG(a.Seed, r.id(i))),
		}
		t.compat = a.Compat
		_, t.positive = a.objective().(CrossEntropy)
		if t.rho == 0 {
			t.rho = 0.75
		}
		targets := []int{t.aim.class()}
		if a.TargetClasses > 0 {
			targets = runnersUp(z, y[i], a.TargetClasses)
		}
		for _, c := range targets {
			for range max(1, a.Restarts) {
				t.plan = append(t.plan, c)
			}
		}
		t.stages = []stage{{a.Threat.Eps, steps}}
		if a.Threat.Norm == L1 && !a.PlainL1 {
			// The ball itself keeps at least one step.
			if third := min(int(math.Ceil(0.3*float64(steps))), (steps-1)/2); third > 0 {
				t.stages = []stage{{3 * a.Threat.Eps, third}, {2 * a.Threat.Eps, third}, {a.Threat.Eps, steps - 2*third}}
			}
		}
		t.startRun()
		return t
	}
}

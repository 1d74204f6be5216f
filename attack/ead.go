package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*EAD)(nil)

// EAD looks for the smallest perturbation in L1, or in the elastic net of L1 and
// L2, by minimising
//
//	c max(z_y - max_{j≠y} z_j + Confidence, 0) + ‖x' - x‖² + Beta ‖x' - x‖₁
//
// with the fast iterative shrinkage-thresholding algorithm and the search for c of
// Carlini and Wagner. It asks about the points at which it takes gradients, those of the
// algorithm's slack sequence, and returns the nearest success among them; the iterates
// themselves, a little sparser, are never shown to the model.
//
// Chen et al., AAAI 2018, Algorithm 1.
type EAD struct {
	// Threat is under L1 or L2, the norm that successes are compared by; points
	// farther than Eps count as none.
	Threat     Threat
	Confidence float64 // lead in logits that a success must have; 0 is allowed
	// Beta is the weight of the L1 norm; 0 means 1e-3.
	Beta float64
	// Steps is the number of steps of a search; 0 means 1000.
	Steps int
	// Searches is the number of values of c; 0 means 9.
	Searches int
	// C is the first value of c; 0 means 1e-3.
	C float64
	// LR is the first step size; 0 means 0.01. It falls with the
	// square root of the steps left.
	LR         float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "EAD".
func (a *EAD) Name() string { return "EAD" }

// String describes all that matters for the outcome.
func (a *EAD) String() string {
	return summary(a.Name(), a.Threat, "steps", or(a.Steps, 1000), "searches", or(a.Searches, 9), "c", or(a.C, 1e-3), "learning rate", or(a.LR, 0.01), "beta", or(a.Beta, 1e-3), "confidence", a.Confidence) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *EAD) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L1 && a.Threat.Norm != L2 {
		return Result{}, fmt.Errorf("attack: EAD under %v, want l1 or l2", a.Threat.Norm)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "EAD", setting{"confidence", a.Confidence, 0}, setting{"beta", a.Beta, 0}, setting{"steps", float64(a.Steps), 0},
		setting{"searches", float64(a.Searches), 0}, setting{"c", a.C, 0}, setting{"learning rate", a.LR, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: Margin{}, targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginEAD[float32](a, r, y), beginEAD[float64](a, r, y))
}

func beginEAD[T float](a *EAD, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		t := &elastic[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, aim: r.aim(i, y), search: newSearch(or(a.C, 1e-3), or(a.Searches, 9)),
			confidence: a.Confidence, beta: or(a.Beta, 1e-3), steps: or(a.Steps, 1000), rate: or(a.LR, 0.01),
			x: make([]T, len(x0)), y: make([]T, len(x0)),
		}
		t.start()
		return t
	}
}

// elastic is the attack on one input. It asks about y, where the gradient is taken,
// and so judges the points of the slack sequence.
type elastic[T float] struct {
	catch[T]
	search
	aim        aim
	confidence float64
	beta       float64
	steps      int
	rate       float64

	x, y      []T
	i         int
	succeeded bool
}

func (t *elastic[T]) start() {
	copy(t.x, t.x0)
	copy(t.y, t.x0)
	t.i, t.succeeded = 0, false
}

func (t *elastic[T]) ask(x []T) int {
	copy(x, t.y)
	return t.aim.class()
}

func (t *elastic[T]) answer(z []T, _ float64, g []T) bool {
	short := shortfall(t.aim, z)
	if c := argMax(z); t.aim.hit(c) && short <= -t.confidence {
		t.succeeded = true
		t.offer(t.y, c)
	}
	if t.i == t.steps {
		more := t.next(t.succeeded)
		if more {
			t.start()
		}
		return more
	}
	active := 0.0
	if short+t.confidence > 0 {
		active = t.c
	}
	lo, hi := t.threat.box()
	rate := t.rate * math.Sqrt(1-float64(t.i)/float64(t.steps))
	weight := float64(t.i) / float64(t.i+3)
	for j, y := range t.y {
		o := float64(t.x0[j])
		v := float64(y) - rate*(2*(float64(y)-o)-active*float64(g[j]))
		// Shrinkage: changes of at most beta are undone, others come nearer by
		// it.
		switch {
		case v-o > t.beta:
			v = min(v-t.beta, hi)
		case v-o < -t.beta:
			v = max(v+t.beta, lo)
		default:
			v = o
		}
		t.y[j] = T(min(hi, max(lo, v+weight*(v-float64(t.x[j])))))
		t.x[j] = T(v)
	}
	t.i++
	return true
}

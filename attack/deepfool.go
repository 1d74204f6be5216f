package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*DeepFool)(nil)

// DeepFool steps to the nearest boundary of the linearised model, again and again,
// until the answer changes.
//
// Moosavi-Dezfooli, Fawzi and Frossard, CVPR 2016, Algorithm 2 and section 3.3 for
// other norms.
type DeepFool struct {
	// Threat is under Linf, L2 or L1; a result farther than Eps counts as no
	// success.
	Threat Threat
	// Steps is the largest number of steps; 0 means 50.
	Steps int
	// Overshoot is how far beyond the boundary to go, as a share of the whole
	// perturbation; 0 means 0.02.
	Overshoot float64
	// Classes is the number of wrong classes to consider, those of the largest
	// logits at the input; 0 means 9.
	Classes    int
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "DeepFool".
func (a *DeepFool) Name() string { return "DeepFool" }

// String describes all that matters for the outcome.
func (a *DeepFool) String() string {
	return summary(a.Name(), a.Threat, "steps", or(a.Steps, 50), "overshoot", or(a.Overshoot, 0.02), "classes", or(a.Classes, 9))
}

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the sizes of
// the perturbations.
func (a *DeepFool) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm == L0 {
		return Result{}, fmt.Errorf("attack: DeepFool under l0, want linf, l2 or l1")
	}
	if err := checkAll(m, x, y, a.Threat, nil, "DeepFool", setting{"steps", float64(a.Steps), 0}, setting{"overshoot", a.Overshoot, 0},
		setting{"classes", float64(a.Classes), 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: difference{}, targeted: true, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginDeepFool[float32](a, y), beginDeepFool[float64](a, y))
}

func beginDeepFool[T float](a *DeepFool, y []int) beginner[T] {
	return func(i int, x0, z []T) trial[T] {
		return &deepFool[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, y: y[i], rivals: runnersUp(z, y[i], or(a.Classes, 9)),
			steps: or(a.Steps, 50), overshoot: or(a.Overshoot, 0.02),
			x: append([]T(nil), x0...), total: make([]float64, len(x0)), best: make([]T, len(x0)),
		}
	}
}

// deepFool is the attack on one input. It asks about the same point once for each
// rival class.
type deepFool[T float] struct {
	catch[T]
	y         int
	rivals    []int
	steps     int
	overshoot float64

	x       []T
	total   []float64 // perturbation without overshoot
	k, i    int       // rivals heard at x, steps made
	nearest float64   // distance of the nearest boundary so far
	lead    float64   // of its class
	best    []T       // gradient of its lead
}

func (t *deepFool[T]) ask(x []T) int {
	copy(x, t.x)
	return t.rivals[t.k]
}

func (t *deepFool[T]) answer(z []T, lead float64, g []T) bool {
	if c := argMax(z); c != t.y {
		t.offer(t.x, c)
		return false
	}
	if t.k == 0 {
		t.nearest = math.Inf(1)
	}
	if n := size(dual(t.threat.Norm), g); n > 0 && math.Abs(lead)/n < t.nearest {
		t.nearest, t.lead = math.Abs(lead)/n, lead
		copy(t.best, g)
	}
	if t.k++; t.k < len(t.rivals) {
		return true
	}
	t.k = 0
	if t.i++; t.i > t.steps || math.IsInf(t.nearest, 1) {
		return false
	}
	t.step()
	return true
}

// step adds the smallest move onto the nearest boundary.
func (t *deepFool[T]) step() {
	need := math.Abs(t.lead)
	lo, hi := t.threat.box()
	switch t.threat.Norm {
	case Linf:
		n := size(L1, t.best)
		for j, v := range t.best {
			switch {
			case v > 0:
				t.total[j] += need / n
			case v < 0:
				t.total[j] -= need / n
			}
		}
	case L2:
		n := size(L2, t.best)
		for j, v := range t.best {
			t.total[j] += need / n * (float64(v) / n)
		}
	case L1:
		most, slope := -1, 0.0
		for j, v := range t.best {
			room := v > 0 && float64(t.x[j]) < hi || v < 0 && float64(t.x[j]) > lo
			if a := math.Abs(float64(v)); room && a > slope {
				most, slope = j, a
			}
		}
		if most >= 0 {
			t.total[most] += need / float64(t.best[most])
		}
	}
	for j, o := range t.x0 {
		t.x[j] = T(min(hi, max(lo, float64(o)+(1+t.overshoot)*t.total[j])))
	}
}

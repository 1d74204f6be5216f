package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*JSMA)(nil)

// JSMA is the Jacobian-based saliency map attack: it changes one value at a time by
// as much as the box allows, always the one that raises the target's logit and
// lowers the others' most. Without targets it goes for the runner-up.
//
// Papernot et al., EuroS&P 2016, Algorithm 3 and Eq. (8), with single values for
// pairs.
type JSMA struct {
	// Threat is under L0: Eps is the number of values that may change.
	Threat     Threat
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "JSMA".
func (a *JSMA) Name() string { return "JSMA" }

// targetOrAll is the logit of the target, or, for allClasses, the sum of
// all logits.
type targetOrAll struct{}

func (targetOrAll) Values(logits *tensor.Tensor, rows Rows) *tensor.Tensor {
	// Each row asks for one of the two; both are linear in the logits.
	k := logits.Dim(1)
	mask := tensor.Zeros(logits.DType(), logits.Dim(0), k)
	for i, t := range rows.Target {
		for c := range k {
			if t == c || t == allClasses {
				mask.Set(1, i, c)
			}
		}
	}
	return tensor.Sum(tensor.Mul(logits, mask), 1)
}

// allClasses stands for the sum of all logits.
const allClasses = -1

// String describes all that matters for the outcome.
func (a *JSMA) String() string {
	return summary(a.Name(), a.Threat) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *JSMA) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L0 {
		return Result{}, fmt.Errorf("attack: JSMA under %v, want l0", a.Threat.Norm)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "JSMA", setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: targetOrAll{}, targeted: true, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginJSMA[float32](a, r, y), beginJSMA[float64](a, r, y))
}

func beginJSMA[T float](a *JSMA, r *relay, y []int) beginner[T] {
	return func(i int, x0, z []T) trial[T] {
		t := &jsma[T]{threat: a.Threat, aim: r.aim(i, y), x0: x0, x: append([]T(nil), x0...), own: make([]T, len(x0)), changed: make([]bool, len(x0))}
		t.class = t.aim.target
		if t.class < 0 {
			t.class = runnersUp(z, y[i], 1)[0]
		}
		t.left = int(min(a.Threat.Eps, float64(len(x0))))
		if t.left == 0 {
			return nil
		}
		return t
	}
}

// jsma is the attack on one input. It asks twice about each point: for the gradient
// of the target's logit and for that of the sum of all.
type jsma[T float] struct {
	threat  Threat
	aim     aim
	class   int // the target at hand
	x0, x   []T
	own     []T // gradient of the target's logit
	heard   bool
	changed []bool
	left    int // values that may still change

	point []T
	label int
}

func (t *jsma[T]) ask(x []T) int {
	copy(x, t.x)
	if t.heard {
		return allClasses
	}
	return t.class
}

func (t *jsma[T]) found() ([]T, int) { return t.point, t.label }

func (t *jsma[T]) answer(z []T, _ float64, g []T) bool {
	if c := argMax(z); t.aim.hit(c) {
		t.point, t.label = t.x, c
		return false
	}
	if t.left == 0 {
		return false
	}
	if !t.heard {
		copy(t.own, g)
		t.heard = true
		return true
	}
	t.heard = false
	// A value that raises the target and lowers the others, Eq. (8); where none
	// does both, one that raises the difference.
	moved := t.change(g, func(own, others float64) float64 {
		return math.Copysign(max(0, -own*others), own)
	}) || t.change(g, func(own, others float64) float64 { return own - others })
	t.left--
	return moved
}

// change moves the value of the largest salience times room to the end of the box
// that the sign of its salience says, and says whether there is one. The salience is
// worked out from the derivatives of the target's logit and of the sum of the
// others.
func (t *jsma[T]) change(g []T, salience func(own, others float64) float64) bool {
	lo, hi := t.threat.box()
	best, most, to := -1, 0.0, 0.0
	for j, own := range t.own {
		if t.changed[j] {
			continue
		}
		s, end := salience(float64(own), float64(g[j])-float64(own)), hi
		if s < 0 {
			end = lo
		}
		if v := math.Abs(s) * math.Abs(end-float64(t.x[j])); v > most {
			best, most, to = j, v, end
		}
	}
	if best >= 0 {
		t.x[best], t.changed[best] = T(to), true
	}
	return best >= 0
}

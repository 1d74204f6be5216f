package attack

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Transfer)(nil)

// Transfer attacks a model through another one: what an attack finds on the
// surrogate is shown to the model, which is asked for answers only. Attacks that stop at
// the surrogate's boundary, as PGD and APGD do, transfer less than those that go on, such
// as MIFGSM with AllSteps; inputs that the surrogate gets wrong by itself are shown to the
// model as they are.
//
// Papernot, McDaniel and Goodfellow, arXiv:1605.07277.
type Transfer struct {
	Surrogate Model
	Attack    Attack // with gradients of the surrogate
	// Targets holds a class for each input that the model is to answer; nil for
	// any wrong one. They are the Attack's own too, if it is to aim at them.
	Targets []int
}

// Name returns the attack's name with "transfer" before it.
func (t *Transfer) Name() string {
	if t.Attack == nil {
		return "transfer"
	}
	return "transfer " + t.Attack.Name()
}

// String describes all that matters for the outcome.
func (t *Transfer) String() string {
	return fmt.Sprintf("through a surrogate: %v", t.Attack) + targeted(t.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Each input takes two queries of the
// model, and those of the surrogate are not counted. Inputs that the model gets
// wrong by itself are returned as they are.
func (t *Transfer) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	switch {
	case t.Surrogate == nil:
		return Result{}, errors.New("attack: transfer without a surrogate")
	case t.Attack == nil:
		return Result{}, errors.New("attack: transfer without an attack")
	}
	if err := checkBatch(m, x); err != nil {
		return Result{}, err
	}
	if err := checkLabels(x, y); err != nil {
		return Result{}, err
	}
	if err := checkTargets(y, t.Targets); err != nil {
		return Result{}, err
	}
	found, err := t.Attack.Run(ctx, t.Surrogate, x, y)
	if err != nil {
		return untouched(ctx, x), fmt.Errorf("attack: Transfer: on the surrogate: %w", err)
	}
	return show(ctx, m, ask.OffTape(x), y, t.Targets, found.X, found.Distance, make([]int, len(y)))
}

package fedleak

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Training trains a federation's model on the gradients that its server sees.
type Training struct {
	Steps int // rounds, at least 1
	// LR is the learning rate of each step.
	LR optim.Schedule
	// Optimizer moves all parameters; nil means plain gradient descent. The clients
	// upload zeros for a parameter that no logit depends on, so weight decay moves it.
	Optimizer optim.Optimizer
	// First is the number of the first round, of its batch and its noise: see
	// Federation.Seed. A training that goes on begins where the one before it ended.
	First int
	// Record stores rounds as they pass, each with the parameters before its step;
	// nil stores none.
	Record *Transcript
	// Keep names the gradients to store; nil means all.
	Keep []Ref
	// OnStep is told of each step that is done; nil for none.
	OnStep func(step int)
}

// Run trains f's model, in place. It stops between two steps when ctx is cancelled,
// and when a gradient is no longer finite; the error says so, and the model is what
// the steps so far have made of it.
func (tr Training) Run(ctx context.Context, f *Federation) error {
	if err := f.Check(); err != nil {
		return err
	}
	if tr.Steps < 1 || tr.LR == nil {
		return fmt.Errorf("fedleak: training of %d steps, want at least 1 and a learning rate", tr.Steps)
	}
	opt := tr.Optimizer
	if opt == nil {
		opt = &optim.SGD{}
	}
	refs := f.Model.Refs()
	params := make([]*tensor.Tensor, len(refs))
	for i, r := range refs {
		params[i], _ = f.Model.param(r)
	}
	keep := tr.Keep
	if keep == nil {
		keep = refs
	}
	for step := range tr.Steps {
		lr := tr.LR(step)
		if !(lr >= 0) || math.IsInf(lr, 0) {
			return fmt.Errorf("fedleak: learning rate %v at step %d, want finite and at least 0", lr, step)
		}
		t := tr.First + step
		ids := f.Schedule.Batch(t, len(f.Labels))
		gs, err := f.Upload(ctx, t, ids, refs...)
		if err != nil {
			return err
		}
		for i, g := range gs {
			if !tensor.AllFinite(g) {
				return &GradientError{t, refs[i], "has a NaN or infinite value"}
			}
		}
		if tr.Record != nil {
			if err := tr.Record.add(f, ids, refs, gs, keep); err != nil {
				return err
			}
		}
		if err := attempt(func() { opt.Step(lr, params, gs) }); err != nil {
			return fmt.Errorf("fedleak: training at step %d: %w", step, err)
		}
		if tr.OnStep != nil {
			tr.OnStep(step)
		}
	}
	return nil
}

package attack

import (
	"context"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*FGSM)(nil)

// FGSM is the fast gradient sign method: one step of size Eps from the input. In
// norms other than Linf it is one steepest-ascent step of that norm, under L0 of the
// size of PGD's.
//
// Goodfellow, Shlens and Szegedy, ICLR 2015, section 4.
type FGSM struct {
	Threat     Threat
	Objective  Objective             // what to climb; nil means CrossEntropy
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 64
	OnProgress func(done, total int) // as in PGD
}

// Name returns "FGSM".
func (f *FGSM) Name() string { return "FGSM" }

// Run attacks inputs x [N, ...] with labels y.
func (f *FGSM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	return f.pgd().Run(ctx, m, x, y)
}

// String describes all that matters for the outcome.
func (f *FGSM) String() string { return describe(f, f.pgd()) }

func (f *FGSM) pgd() *PGD {
	return &PGD{Threat: f.Threat, Steps: 1, StepSize: smallStep(f.Threat, 1), NoRandomStart: true, Objective: f.Objective, Targets: f.Targets, BatchSize: f.BatchSize, OnProgress: f.OnProgress}
}

// smallStep is the size of one of n steps that reach the end of the ball together; 0, which
// stands for PGD's own, under L0.
func smallStep(t Threat, n int) float64 {
	if t.Norm == L0 {
		return 0
	}
	return t.Eps / float64(max(1, n))
}

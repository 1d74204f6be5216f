package attack

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*BIM)(nil)

// BIM is the basic iterative method: small steps from the input itself.
//
// Kurakin, Goodfellow and Bengio, ICLR 2017 workshop, section 2.2.
type BIM struct {
	Threat     Threat
	Steps      int                   // at least 1
	StepSize   float64               // size of a step; 0 means Eps/Steps, and for L0 a quarter of the number of values
	Objective  Objective             // what to climb; nil means CrossEntropy
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 64
	OnProgress func(done, total int) // as in PGD
}

// Name returns "BIM-10".
func (b *BIM) Name() string { return fmt.Sprintf("BIM-%d", b.Steps) }

// Run attacks inputs x [N, ...] with labels y.
func (b *BIM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	return b.pgd().Run(ctx, m, x, y)
}

// String describes all that matters for the outcome.
func (b *BIM) String() string { return describe(b, b.pgd()) }

func (b *BIM) pgd() *PGD {
	size := or(b.StepSize, smallStep(b.Threat, b.Steps))
	return &PGD{Threat: b.Threat, Steps: b.Steps, StepSize: size, NoRandomStart: true, Objective: b.Objective, Targets: b.Targets, BatchSize: b.BatchSize, OnProgress: b.OnProgress}
}

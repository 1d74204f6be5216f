package attack

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

var (
	_ Attack = (*FGSM)(nil)
	_ Attack = (*BIM)(nil)
)

// FGSM is the fast gradient sign method: one step of size Eps from the input. In
// norms other than Linf it is one steepest-ascent step of that norm.
//
// Goodfellow, Shlens and Szegedy, ICLR 2015, section 4.
type FGSM struct {
	Threat    Threat
	Objective Objective // what to climb; nil means CrossEntropy
	Targets   []int     // a class to reach for each input; nil for any wrong one
	BatchSize int       // inputs in a forward pass; 0 means 64
}

// Name returns "FGSM".
func (f *FGSM) Name() string { return "FGSM" }

// Run attacks inputs x [N, ...] with labels y.
func (f *FGSM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	p := PGD{Threat: f.Threat, Steps: 1, StepSize: f.Threat.Eps, NoRandomStart: true, Objective: f.Objective, Targets: f.Targets, BatchSize: f.BatchSize}
	return p.Run(ctx, m, x, y)
}

// BIM is the basic iterative method: small steps from the input itself.
//
// Kurakin, Goodfellow and Bengio, ICLR 2017 workshop, section 2.2.
type BIM struct {
	Threat    Threat
	Steps     int       // at least 1
	StepSize  float64   // size of a step; 0 means Eps/Steps
	Objective Objective // what to climb; nil means CrossEntropy
	Targets   []int     // a class to reach for each input; nil for any wrong one
	BatchSize int       // inputs in a forward pass; 0 means 64
}

// Name returns "BIM-10".
func (b *BIM) Name() string { return fmt.Sprintf("BIM-%d", b.Steps) }

// Run attacks inputs x [N, ...] with labels y.
func (b *BIM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	size := b.StepSize
	if size == 0 {
		size = b.Threat.Eps / float64(max(1, b.Steps))
	}
	p := PGD{Threat: b.Threat, Steps: b.Steps, StepSize: size, NoRandomStart: true, Objective: b.Objective, Targets: b.Targets, BatchSize: b.BatchSize}
	return p.Run(ctx, m, x, y)
}

package attack

import (
	"context"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*MIFGSM)(nil)

// MIFGSM makes steps along a running sum of gradients, each scaled to an L1 length
// of 1, whose adversaries transfer better to other models. With Eps for StepSize
// and one step it is FGSM.
//
// Dong et al., CVPR 2018, Algorithm 1.
type MIFGSM struct {
	Threat Threat
	// Steps is the number of steps; 0 means 10.
	Steps int
	// StepSize is the size of a step in the threat's norm; 0 means Eps/Steps, and for
	// L0 a quarter of the number of values.
	StepSize float64
	// Decay is the weight of what was summed before; 0 means 1, and a negative
	// number forgets it, which makes this BIM.
	Decay float64
	// AllSteps goes on after a success and keeps the last one: an adversary for
	// other models, which lies deeper among the wrong answers.
	AllSteps   bool
	Objective  Objective             // what to climb; nil means CrossEntropy
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "MI-FGSM".
func (a *MIFGSM) Name() string { return "MI-FGSM" }

// String describes all that matters for the outcome.
func (a *MIFGSM) String() string { return a.loop().String() }

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *MIFGSM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	return a.loop().run(ctx, m, x, y, nil, nil)
}

func (a *MIFGSM) loop() momentum {
	return momentum{a.Name(), a.Threat, a.Steps, a.StepSize, a.Decay, a.AllSteps, a.Objective, a.Targets, a.BatchSize, a.OnProgress}
}

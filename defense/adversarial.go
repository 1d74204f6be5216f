package defense

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// AdversarialTraining is training on attacked examples.
//
// Madry et al., ICLR 2018, Eq. (2).
type AdversarialTraining struct {
	// Attack is the inner maximisation: every example makes all its steps,
	// with one start. Its Seed selects the starts of the whole training.
	Attack attack.PGD
	// RampSteps is the number of training steps over which the attack's
	// radius and step size grow linearly from 0; 0 attacks in full from the
	// first step. A radius as large as 0.3 on MNIST needs it: a network that
	// has learnt nothing yet can settle on constant answers.
	RampSteps int
}

// NewSingleStep returns training on single-step attacks from uniformly random
// starts, with a step of 1.25 Eps.
//
// Wong, Rice and Kolter, ICLR 2020, Algorithm 3 (without replay).
func NewSingleStep(t attack.Threat, seed uint64) *AdversarialTraining {
	return &AdversarialTraining{Attack: attack.PGD{Threat: t, Steps: 1, StepSize: 1.25 * t.Eps, Seed: seed}}
}

// Loss is the mean cross-entropy of the attacked batch, for nn.Trainer. The
// attack sees the network in evaluation mode.
func (a *AdversarialTraining) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	x, err := perturb(ctx, a.Attack, a.RampSteps, net, p.Stats, b)
	if err != nil {
		return nil, fmt.Errorf("defense: adversarial training: %w", err)
	}
	return tensor.Mean(tensor.CrossEntropy(net.Forward(p, x), b.Y)), nil
}

// perturb attacks a training batch with the strength that the step is due.
func perturb(ctx context.Context, pgd attack.PGD, ramp int, net nn.Layer, stats string, b nn.Batch) (*tensor.Tensor, error) {
	if ramp < 0 {
		return nil, fmt.Errorf("RampSteps is %d, want 0 or more", ramp)
	}
	if pgd.StepSize == 0 {
		pgd.StepSize = pgd.DefaultStepSize(b.X)
	}
	if b.Step < ramp {
		part := float64(b.Step+1) / float64(ramp+1)
		pgd.Threat.Eps *= part
		pgd.StepSize *= part
	}
	// Every training step needs new starts; the odd factor keeps seeds apart.
	pgd.Seed += uint64(b.Step+1) * 0x9e3779b97f4a7c15
	return pgd.Perturb(ctx, nn.Classifier{Net: net, Stats: stats}, b.X.Detach(), b.Y)
}

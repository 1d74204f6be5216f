package advcl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// startNoise is the standard deviation of TRADES's start.
const startNoise = 0.001

// TRADES trains a classifier by CE(q(x), y) + Beta KL(p(x) ‖ p(x')). The attack sees
// the network in evaluation mode and starts from Gaussian noise of standard deviation
// 0.001; the loss has two passes in training mode, clean and attacked, and its gradient
// flows through both. Package defense has TRADES with a uniform start and one pass of
// clean and attacked images together.
//
// Zhang et al., ICML 2019, Eq. (5) and Algorithm 1.
type TRADES struct {
	// Attack gives threat, step size, steps and seed of the attack.
	Attack attack.PGD
	Beta   float64 // weight of agreement

	tape  *tensor.Tape
	spare spare
}

// Loss is the loss of a batch, for nn.Trainer. It belongs to one training at a time.
func (t *TRADES) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	x, err := t.disagree(ctx, net, b)
	if err != nil {
		return nil, fmt.Errorf("advcl: TRADES: %w", err)
	}
	clean := net.Forward(p, b.X)
	return tradesLoss(clean, net.Forward(p, b.X.Tape().Const(x)), b.Y, t.Beta), nil
}

// tradesLoss is TRADES's loss of clean and attacked logits.
func tradesLoss(clean, attacked *tensor.Tensor, y []int, beta float64) *tensor.Tensor {
	ce := tensor.Mean(tensor.CrossEntropy(clean, y))
	return tensor.Add(ce, tensor.MulScalar(tensor.Mean(defense.KL(clean, attacked)), beta))
}

// disagree moves images to where the network answers differently than at the images.
func (t *TRADES) disagree(ctx context.Context, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if t.tape == nil {
		t.tape, t.spare = tensor.NewTape(), spare{}
	}
	t.tape.Reset()
	defer t.tape.Reset()
	x0 := b.X.Detach()
	eval := func(x *tensor.Tensor) *tensor.Tensor { return net.Forward(&nn.Pass{}, x) }
	reference := t.spare.copyOf("reference", tensor.LogSoftmax(eval(t.tape.Const(x0))))
	rng := rand.New(rand.NewPCG(t.Attack.Seed, uint64(b.Step)))
	x := t.spare.copyOf("attacked", x0)
	pixels := x.Float32s()
	for i := range pixels {
		pixels[i] += float32(startNoise * rng.NormFloat64())
	}
	x.Touch()
	step := t.Attack.StepSize
	if step == 0 {
		step = t.Attack.DefaultStepSize(x)
	}
	for range t.Attack.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.tape.Reset()
		w := t.tape.Watch(x)
		g := tensor.Grad(tensor.Sum(defense.KL(reference, eval(w))), w)[0]
		if !tensor.AllFinite(g) {
			return nil, errors.New("gradient of the divergence is not finite")
		}
		t.Attack.Threat.Step(x, g, x0, step)
	}
	return x, nil
}

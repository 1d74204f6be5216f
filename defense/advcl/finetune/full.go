package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// startNoise is the standard deviation of TRADES's start.
const startNoise = 0.001

// trades is CE(q(x), y) + Beta KL(p(x) ‖ p(x')), with the attack in evaluation mode and
// two passes in training mode, clean and attacked. The gradient flows through both.
//
// Zhang et al., ICML 2019, Eq. (5) and Algorithm 1.
func (t Tuning) trades(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	x, err := t.disagree(ctx, net, b)
	if err != nil {
		return nil, fmt.Errorf("finetune: AFF: %w", err)
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
func (t Tuning) disagree(ctx context.Context, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	x0, tape := b.X.Detach(), tensor.NewTape()
	eval := func(x *tensor.Tensor) *tensor.Tensor { return net.Forward(&nn.Pass{}, x) }
	reference := tensor.LogSoftmax(eval(tape.Const(x0))).Clone()
	rng := rand.New(rand.NewPCG(t.stream(b.Step), 0xaff))
	x := x0.Clone()
	pixels := x.Float32s()
	for i := range pixels {
		pixels[i] += float32(startNoise * rng.NormFloat64())
	}
	step := t.Attack.StepSize
	if step == 0 {
		step = t.Attack.DefaultStepSize(x)
	}
	for range t.Attack.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tape.Reset()
		w := tape.Watch(x)
		g := tensor.Grad(tensor.Sum(defense.KL(reference, eval(w))), w)[0]
		if !tensor.AllFinite(g) {
			return nil, fmt.Errorf("gradient of the divergence is not finite")
		}
		t.Attack.Threat.Step(x, g, x0, step)
	}
	return x, nil
}

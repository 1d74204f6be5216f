package defense

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// TRADES trains for accuracy on clean examples and for agreement between clean
// and attacked ones.
//
// Zhang et al., ICML 2019, Eq. (5) and Algorithm 1.
type TRADES struct {
	// Attack climbs the divergence KL(p(x) ‖ p(x')), whatever its Objective says.
	// It needs a random start, as the divergence is flat at x itself: Noise of 0
	// means the paper's 0.001.
	Attack attack.PGD
	// Beta is the weight of agreement; 0 means 6, the paper's 1/λ.
	Beta float64
	// RampSteps is as in AdversarialTraining.
	RampSteps int
}

// Loss is the mean of CE(z(x), y) + Beta KL(p(x) ‖ p(x')), for nn.Trainer. The
// attack sees the network in evaluation mode; the gradient flows through both
// arguments of the divergence. Clean and attacked examples go through the network
// one after the other, so that batch normalisation sees each by itself.
func (t *TRADES) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	beta := t.Beta
	if beta == 0 {
		beta = 6
	}
	if !(beta > 0) || math.IsInf(beta, 0) {
		return nil, fmt.Errorf("defense: TRADES: Beta is %v, want a finite number above 0, or 0 for 6", t.Beta)
	}
	pgd := t.Attack
	if pgd.NoRandomStart {
		return nil, errors.New("defense: TRADES: attack without a random start, want one: the divergence has no gradient at the input")
	}
	if pgd.Noise == 0 {
		pgd.Noise = 0.001
	}
	pgd.Objective = divergence{probabilities(nn.Classifier{Net: net, Stats: p.Stats}, b.X)}
	x, err := perturb(ctx, pgd, t.RampSteps, net, p.Stats, b)
	if err != nil {
		return nil, fmt.Errorf("defense: TRADES: %w", err)
	}
	own := net.Forward(p, b.X)
	return tradesLoss(own, net.Forward(p, b.X.Tape().Const(x)), b.Y, beta), nil
}

// probabilities is the softmax [N, classes] of a model's answers to x, on no tape. It is
// computed on a tape of its own, so that x's does not hold the pass.
func probabilities(m attack.Model, x *tensor.Tensor) *tensor.Tensor {
	tape := tapes.Get().(*tensor.Tape)
	defer func() {
		tape.Reset()
		tapes.Put(tape)
	}()
	return tensor.Softmax(m.Logits(tape.Const(x))).Clone()
}

// tradesLoss is TRADES's loss of clean and attacked logits.
func tradesLoss(clean, attacked *tensor.Tensor, y []int, beta float64) *tensor.Tensor {
	ce := tensor.Mean(tensor.CrossEntropy(clean, y))
	return tensor.Add(ce, tensor.MulScalar(tensor.Mean(KL(clean, attacked)), beta))
}

// KL is the divergence KL(softmax(p) ‖ softmax(q)), in nats, of each row of two
// batches of logits [N, classes].
func KL(p, q *tensor.Tensor) *tensor.Tensor {
	lp, lq := tensor.LogSoftmax(p), tensor.LogSoftmax(q)
	return tensor.Sum(tensor.Mul(tensor.Exp(lp), tensor.Sub(lp, lq)), 1)
}

// divergence is KL(reference ‖ p(x')), in nats, up to the reference's entropy: what
// TRADES's attacker climbs.
type divergence struct {
	reference *tensor.Tensor // probabilities [N, classes] of all inputs under attack
}

// Values returns the divergence of each row.
func (d divergence) Values(logits *tensor.Tensor, rows attack.Rows) *tensor.Tensor {
	ref := tensor.Gather(d.reference, rows.Index)
	return tensor.Neg(tensor.Sum(tensor.Mul(ref, tensor.LogSoftmax(logits)), 1))
}

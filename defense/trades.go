package defense

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// TRADES trains for accuracy on clean examples and for agreement between clean
// and attacked ones.
//
// Zhang et al., ICML 2019, Eq. (5) and Algorithm 1.
type TRADES struct {
	// Attack climbs the divergence KL(p(x) ‖ p(x')), whatever its Objective
	// says, from a start that is uniform in the ball; the paper starts from
	// Gaussian noise of standard deviation 0.001. It needs a random start, as the
	// divergence is flat at x itself.
	Attack attack.PGD
	// Beta is the weight of agreement; 0 means 6, the paper's 1/λ.
	Beta float64
	// RampSteps is as in AdversarialTraining.
	RampSteps int
}

// Loss is the mean of CE(z(x), y) + Beta KL(p(x) ‖ p(x')), for nn.Trainer. The
// attack sees the network in evaluation mode; the gradient flows through both
// arguments of the divergence. Clean and attacked examples go through the network
// as one batch, so batch normalisation sees both.
func (t *TRADES) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	beta := t.Beta
	if beta == 0 {
		beta = 6
	}
	if !(beta > 0) {
		return nil, fmt.Errorf("defense: TRADES: Beta is %v, want above 0", t.Beta)
	}
	if t.Attack.NoRandomStart {
		return nil, errors.New("defense: TRADES: attack without a random start, want one: the divergence has no gradient at the input")
	}
	pgd := t.Attack
	clean := nn.Classifier{Net: net, Stats: p.Stats}.Logits(b.X)
	pgd.Objective = Divergence{Reference: tensor.Softmax(clean).Clone()}
	x, err := perturb(ctx, pgd, t.RampSteps, net, p.Stats, b)
	if err != nil {
		return nil, fmt.Errorf("defense: TRADES: %w", err)
	}
	n := b.X.Dim(0)
	logits := net.Forward(p, tensor.Concat(0, b.X, x))
	own := tensor.Slice(logits, 0, 0, n)
	attacked := tensor.Slice(logits, 0, n, 2*n)
	agreement := tensor.Mean(KL(own, attacked))
	return tensor.Add(tensor.Mean(tensor.CrossEntropy(own, b.Y)), tensor.MulScalar(agreement, beta)), nil
}

// KL is the divergence KL(softmax(p) ‖ softmax(q)), in nats, of each row of two
// batches of logits [N, classes].
func KL(p, q *tensor.Tensor) *tensor.Tensor {
	lp, lq := tensor.LogSoftmax(p), tensor.LogSoftmax(q)
	return tensor.Sum(tensor.Mul(tensor.Exp(lp), tensor.Sub(lp, lq)), 1)
}

var _ attack.Objective = Divergence{}

// Divergence is KL(Reference ‖ p(x')), in nats, up to the reference's entropy: what
// TRADES's attacker climbs.
type Divergence struct {
	// Reference holds probabilities [N, classes] of all inputs under attack.
	Reference *tensor.Tensor
}

// Values returns the divergence of each row.
func (d Divergence) Values(logits *tensor.Tensor, rows attack.Rows) *tensor.Tensor {
	ref := tensor.Gather(d.Reference, rows.Index)
	return tensor.Neg(tensor.Sum(tensor.Mul(ref, tensor.LogSoftmax(logits)), 1))
}

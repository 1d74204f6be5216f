package uda

import (
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Discrepancy is the mean over rows and classes of |softmax(a) - softmax(b)| for
// logits [N, K]: 0 only for equal predictions, at most 2/K.
//
// Saito et al., CVPR 2018, Eq. (2).
func Discrepancy(a, b *tensor.Tensor) *tensor.Tensor {
	return tensor.Mean(tensor.Abs(tensor.Sub(tensor.Softmax(a), tensor.Softmax(b))))
}

var _ Method = MCD{}

// MCD trains two classifiers that agree on the source and are pushed apart on the
// target, and features on which they cannot be:
//
//	A: G, C1, C2 minimise the cross-entropy of both classifiers on the source
//	B: C1, C2 minimise the same less the discrepancy on the target, G fixed
//	C: G minimises the discrepancy on the target, C1 and C2 fixed
//
// C1 predicts.
//
// Saito et al., CVPR 2018, section 3.4.
type MCD struct {
	// Repeats is the number of times that A, B and C run on a batch; 0 means 1.
	Repeats int
	// FeatureSteps is the number of steps C after each B; 0 means 3.
	FeatureSteps int
	// DiscrepancyRate multiplies the learning rate of steps B and C; 0 means 1. The
	// reference has 0.1 from MNIST to USPS.
	DiscrepancyRate float64
	// FeatureRate multiplies the learning rate of G in step A; 0 means 1. The
	// reference has 0.1 from SVHN with mislabelled target images in the source.
	FeatureRate float64
	// SharedState gives step A and steps B and C one optimiser state for each
	// network, where there are two by default.
	SharedState bool
}

// Name returns "MCD".
func (MCD) Name() string { return "MCD" }

// Prepare adds the second classifier.
func (c MCD) Prepare(m *Model, rng *rand.Rand) error {
	if c.Repeats < 0 || c.FeatureSteps < 0 || !(c.DiscrepancyRate >= 0) || !(c.FeatureRate >= 0) {
		return fmt.Errorf("uda: MCD: %d repeats, %d feature steps, discrepancy rate %v, feature rate %v, want 0 or more of each", c.Repeats, c.FeatureSteps, c.DiscrepancyRate, c.FeatureRate)
	}
	m.Heads = append(m.Heads, m.Arch.Head(rng, m.Width, m.Classes))
	return nil
}

// Step makes one iteration.
func (c MCD) Step(m *Model, b Batch) (out Losses) {
	steps, rate, second := c.FeatureSteps, c.DiscrepancyRate, " apart"
	if steps == 0 {
		steps = 3
	}
	if rate == 0 {
		rate = 1
	}
	features := c.FeatureRate
	if features == 0 {
		features = 1
	}
	if c.SharedState {
		second = ""
	}
	repeats := max(1, c.Repeats)
	for range repeats {
		one := Losses{Class: m.agree(b, features*b.LR)}
		m.diverge(b, rate*b.LR, second)
		for i := range steps {
			d := m.converge(b, rate*b.LR, second)
			if i == 0 {
				one.Discrepancy = d
			}
		}
		out.add(one, 1/float64(repeats))
	}
	return out
}

// bothCE is the sum of the classifiers' losses on source features.
func (m *Model) bothCE(p *nn.Pass, f *tensor.Tensor, y []int) *tensor.Tensor {
	one := tensor.Mean(tensor.CrossEntropy(m.Heads[0].Forward(p, f), y))
	return tensor.Add(one, tensor.Mean(tensor.CrossEntropy(m.Heads[1].Forward(p, f), y)))
}

// agree is step A, with a rate of its own for G. It returns the mean loss of a
// classifier.
func (m *Model) agree(b Batch, lr float64) float64 {
	defer m.tape.Reset()
	p := m.pass()
	wg := p.Watch(m.tape, nn.Params(m.G))
	w1, w2 := p.Watch(m.tape, nn.Params(m.Heads[0])), p.Watch(m.tape, nn.Params(m.Heads[1]))
	loss := m.bothCE(p, m.G.Forward(p, m.tape.Const(b.Source)), b.Y)
	grads := gradients(loss, append(append(wg[:len(wg):len(wg)], w1...), w2...)...)
	m.update("features", m.G, lr, grads[:len(wg)])
	m.update("head", m.Heads[0], b.LR, grads[len(wg):len(wg)+len(w1)])
	m.update("head 2", m.Heads[1], b.LR, grads[len(wg)+len(w1):])
	p.Commit()
	return loss.Item() / 2
}

// diverge is step B.
func (m *Model) diverge(b Batch, lr float64, state string) {
	defer m.tape.Reset()
	p := m.pass()
	fs, ft := m.G.Forward(p, m.tape.Const(b.Source)), m.G.Forward(p, m.tape.Const(b.Target))
	w1, w2 := p.Watch(m.tape, nn.Params(m.Heads[0])), p.Watch(m.tape, nn.Params(m.Heads[1]))
	d := Discrepancy(m.Heads[0].Forward(p, ft), m.Heads[1].Forward(p, ft))
	grads := gradients(tensor.Sub(m.bothCE(p, fs, b.Y), d), append(w1[:len(w1):len(w1)], w2...)...)
	m.update("head"+state, m.Heads[0], lr, grads[:len(w1)])
	m.update("head 2"+state, m.Heads[1], lr, grads[len(w1):])
	p.Commit()
}

// converge is step C. It returns the discrepancy before it.
func (m *Model) converge(b Batch, lr float64, state string) float64 {
	defer m.tape.Reset()
	p := m.pass()
	wg := p.Watch(m.tape, nn.Params(m.G))
	ft := m.G.Forward(p, m.tape.Const(b.Target))
	d := Discrepancy(m.Heads[0].Forward(p, ft), m.Heads[1].Forward(p, ft))
	m.update("features"+state, m.G, lr, gradients(d, wg...))
	p.Commit()
	return d.Item()
}

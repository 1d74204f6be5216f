package smoothing

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// SmoothAdv is adversarial training of the smoothed classifier: PGD climbs
//
//	-log mean_k p_y( x' + ε_k )
//
// over x' in the threat's set around an example, where p is the softmax of the base
// classifier and ε_1, ..., ε_m noise that stays the same for all steps, and the base
// classifier is then trained on the noisy copies x' + ε_k.
//
// Salman et al., NeurIPS 2019, Eq. (6) and section 3.
type SmoothAdv struct {
	// Threat is the set to be certified, an L2 ball in the paper.
	Threat attack.Threat
	// Sigma is the standard deviation of the noise, in units of the input; above 0.
	Sigma float64
	// Copies is the number m of noisy copies of each example; 0 means 2.
	Copies int
	// Steps is the number of steps of PGD, which starts from the example; 0 means 10.
	Steps int
	// StepSize is the size of a step in the threat's norm; 0 means 2 Eps/Steps.
	StepSize float64
	// RampSteps is the number of training steps over which radius and step size
	// grow linearly from 0; 0 attacks in full from the first step.
	RampSteps int
	// Seed selects the noise of the whole training.
	Seed uint64
}

// Loss is the mean cross-entropy, in nats, of the noisy copies of the attacked batch,
// for nn.Trainer. The attack sees the network in evaluation mode.
func (a *SmoothAdv) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	s, err := a.settings(b.Step)
	if err == nil {
		var x *tensor.Tensor
		if x, err = s.perturb(ctx, nn.Classifier{Net: net, Stats: p.Stats}, b); err == nil {
			copies := noisy(b.X.Tape(), x, b, s.Copies, s.Sigma, s.Seed)
			return tensor.Mean(tensor.CrossEntropy(net.Forward(p, copies), slices.Repeat(b.Y, s.Copies))), nil
		}
	}
	return nil, fmt.Errorf("smoothing: SmoothAdv: %w", err)
}

// settings are those of one training step, with defaults filled in.
func (a *SmoothAdv) settings(step int) (SmoothAdv, error) {
	s := *a
	if s.Copies == 0 {
		s.Copies = 2
	}
	if _, err := checkNoise(s.Sigma, s.Copies); err != nil {
		return s, err
	}
	if err := s.Threat.Check(); err != nil {
		return s, err
	}
	if s.Steps == 0 {
		s.Steps = 10
	}
	if s.Steps < 0 || s.RampSteps < 0 {
		return s, fmt.Errorf("%d steps and RampSteps %d, want 0 or more", s.Steps, s.RampSteps)
	}
	if s.StepSize == 0 {
		s.StepSize = 2 * s.Threat.Eps / float64(s.Steps)
	}
	if !(s.StepSize >= 0) || math.IsInf(s.StepSize, 0) {
		return s, fmt.Errorf("StepSize is %v, want a finite number from 0 on", s.StepSize)
	}
	if step < s.RampSteps {
		part := float64(step+1) / float64(s.RampSteps+1)
		s.Threat.Eps *= part
		s.StepSize *= part
	}
	return s, nil
}

// tapes keeps tapes with their memory from one training step to the next.
var tapes = sync.Pool{New: func() any { return tensor.NewTape() }}

// perturb attacks a batch.
func (a *SmoothAdv) perturb(ctx context.Context, m attack.Model, b nn.Batch) (*tensor.Tensor, error) {
	tape := tapes.Get().(*tensor.Tape)
	defer func() {
		tape.Reset()
		tapes.Put(tape)
	}()
	if err := attack.CheckInputs(m, b.X, b.Y, a.Threat); err != nil {
		return nil, err
	}
	x0 := b.X.Detach().Clone()
	x := x0.Clone()
	// The noise alone, for x' to move under it.
	noise := noisy(nil, tensor.Zeros(x.DType(), x.Shape()...), b, a.Copies, a.Sigma, a.Seed)
	for range a.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tape.Reset()
		w := tape.Watch(x)
		loss := softLoss(m, w, noise, b.Y, a.Copies)
		g := tensor.Grad(tensor.Sum(loss), w)[0]
		if !tensor.AllFinite(g) {
			return nil, fmt.Errorf("gradient of the attack is not finite at step %d", b.Step)
		}
		a.Threat.Step(x, g, x0, a.StepSize)
	}
	return x, nil
}

// softLoss is -log mean_k p_y(x + ε_k) of each example [n], where noise [m n, ...]
// holds ε_k of all examples for k = 1 to m.
//
// Salman et al., Eq. (6).
func softLoss(m attack.Model, x, noise *tensor.Tensor, y []int, copies int) *tensor.Tensor {
	all := tensor.Add(tensor.Concat(0, slices.Repeat([]*tensor.Tensor{x}, copies)...), noise)
	ce := tensor.CrossEntropy(m.Logits(all), slices.Repeat(y, copies)) // [m n]
	logp := tensor.Transpose(tensor.Neg(tensor.Reshape(ce, copies, len(y))))
	return tensor.Affine(tensor.LogSumExp(logp), -1, math.Log(float64(copies)))
}

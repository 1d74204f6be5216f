package defense

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// MSD is training on multi steepest descent: one perturbation for all attack sets
// that tries a step under each of them, from the same point, and takes the one that
// hurts most. Training uses the worst point of all steps.
//
// Maini, Wong and Kolter, ICML 2020, Algorithm 1.
type MSD struct {
	Threats []attack.Threat // the attack sets, at least one
	// Steps is the number of steps; 0 means 100.
	Steps int
	// StepSizes are the sizes of a step in each threat's norm; nil means 2.5
	// Eps/Steps.
	StepSizes []float64
	// RampSteps is as in AMPGD.
	RampSteps int
	// Seed selects how many entries an L1 step moves.
	Seed uint64
}

// Loss is the mean cross-entropy of the attacked batch, for nn.Trainer. The attack
// sees the network in evaluation mode.
func (m *MSD) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	x, err := m.perturb(ctx, nn.Classifier{Net: net, Stats: p.Stats}, b)
	if err != nil {
		return nil, fmt.Errorf("defense: MSD: %w", err)
	}
	return tensor.Mean(tensor.CrossEntropy(net.Forward(p, x), b.Y)), nil
}

func (m *MSD) perturb(ctx context.Context, model attack.Model, b nn.Batch) (*tensor.Tensor, error) {
	steps := m.Steps
	if steps == 0 {
		steps = 100
	}
	if steps < 0 || m.RampSteps < 0 {
		return nil, fmt.Errorf("%d steps and RampSteps %d, want 0 or more", steps, m.RampSteps)
	}
	s, err := scaled(m.Threats, m.StepSizes, steps, b.Step, m.RampSteps)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(model, b, s.threats); err != nil {
		return nil, err
	}
	x := b.X.Detach().Clone()
	out := x.Clone()
	err = inChunks(ctx, len(b.Y), func(tape *tensor.Tape, lo, hi int) error {
		in := &inner{
			AMPGD: &AMPGD{Threats: s.threats, StepSizes: s.sizes, Seed: m.Seed}, model: model, tape: tape,
			x: tensor.Slice(x, 0, lo, hi).Clone(), y: b.Y[lo:hi], first: lo, step: b.Step,
		}
		found, err := in.descend(ctx, steps)
		if err != nil {
			return err
		}
		for i := range hi - lo {
			copyRow(out, lo+i, found, i)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// descend makes all steps from the examples themselves and returns the worst points.
func (in *inner) descend(ctx context.Context, steps int) (*tensor.Tensor, error) {
	now, found := in.x.Clone(), in.x.Clone()
	worst := make([]float64, len(in.y))
	for r := range steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		in.tape.Reset()
		w := in.tape.Watch(now)
		losses := tensor.CrossEntropy(in.model.Logits(w), in.y)
		if r == 0 {
			copy(worst, losses.Values())
		}
		g := tensor.Grad(tensor.Sum(losses), w)[0]
		if !tensor.AllFinite(g) {
			return nil, fmt.Errorf("gradient is not finite at step %d", r)
		}
		in.copies = in.copies[:0]
		for k := range in.Threats {
			in.copies = append(in.copies, now.Clone())
			in.move(k, g, r)
		}
		in.tape.Reset()
		candidates := make([]*tensor.Tensor, len(in.copies))
		for k, x := range in.copies {
			candidates[k] = in.tape.Const(x)
		}
		values := in.crossEntropies(candidates)
		for i := range in.y {
			best := 0
			for k := range values { // of equals the last
				if values[k].At(i) >= values[best].At(i) {
					best = k
				}
			}
			copyRow(now, i, in.copies[best], i)
			if v := values[best].At(i); v > worst[i] {
				worst[i] = v
				copyRow(found, i, in.copies[best], i)
			}
		}
		now.Touch()
	}
	return found, nil
}

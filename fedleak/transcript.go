package fedleak

import (
	"context"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Transcript holds the rounds of a protocol as the server saw them, to be attacked
// later.
type Transcript struct {
	// Protocol is what the server was told.
	Protocol Setting
	Seen     []Round
}

// Round is one round of a Transcript.
type Round struct {
	// IDs are the samples of the batch.
	IDs []int
	// Model is the fingerprint of the parameters that the gradients belong to.
	Model uint64
	// Gradients holds the means over the batch that were kept.
	Gradients map[Ref]*tensor.Tensor
}

var _ Observations = (*Transcript)(nil)

// Setting implements Observations.
func (t *Transcript) Setting() Setting { return t.Protocol }

// Rounds implements Observations.
func (t *Transcript) Rounds() int { return len(t.Seen) }

// Batch implements Observations.
func (t *Transcript) Batch(i int) []int { return t.Seen[i].IDs }

// Fingerprint implements Observations.
func (t *Transcript) Fingerprint(i int) uint64 { return t.Seen[i].Model }

// Gradients implements Observations. A gradient that was not kept is a
// *GradientError.
func (t *Transcript) Gradients(_ context.Context, i int, refs ...Ref) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, len(refs))
	for j, r := range refs {
		g, ok := t.Seen[i].Gradients[r]
		if !ok {
			return nil, &GradientError{i, r, "is not in the transcript"}
		}
		out[j] = g
	}
	return out, nil
}

// Append adds round i of f, of its schedule's batch and with the model as it is, and keeps
// its gradients keep, nil for all. After Training with Record it adds the round of the
// parameters that the training ended with, which CAFE with Forget needs. Errors: a
// federation in which Check finds something, another Setting than that of the rounds
// before, gradients of no parameter or that are not finite, a context that is cancelled.
func (t *Transcript) Append(ctx context.Context, f *Federation, i int, keep []Ref) error {
	if err := f.Check(); err != nil {
		return err
	}
	if keep == nil {
		keep = f.Model.Refs()
	}
	ids := f.Schedule.Batch(i, len(f.Labels))
	gs, err := f.Upload(ctx, i, ids, keep...)
	if err != nil {
		return err
	}
	for j, g := range gs {
		if err := f.Model.fits(i, keep[j], g); err != nil {
			return err
		}
	}
	return t.add(f, ids, keep, gs, keep)
}

// add stores the kept ones of a round's gradients.
func (t *Transcript) add(f *Federation, ids []int, refs []Ref, gs []*tensor.Tensor, keep []Ref) error {
	if len(t.Seen) == 0 {
		t.Protocol = f.Setting()
	} else if t.Protocol != f.Setting() {
		return fmt.Errorf("fedleak: transcript of %+v, want %+v as the federation", t.Protocol, f.Setting())
	}
	r := Round{IDs: slices.Clone(ids), Model: f.Model.Fingerprint(), Gradients: make(map[Ref]*tensor.Tensor, len(keep))}
	for _, k := range keep {
		i := slices.Index(refs, k)
		if i < 0 {
			return fmt.Errorf("fedleak: transcript is to keep the gradient of %v, which the model does not have", k)
		}
		r.Gradients[k] = gs[i].Clone()
	}
	t.Seen = append(t.Seen, r)
	return nil
}

// Record returns the gradients keep, nil for all, of all rounds of o, for the model m.
// It takes as much memory as they have: for large models keep those that an attack
// needs, which AttackRefs names.
func Record(ctx context.Context, m *Model, o Observations, keep []Ref) (*Transcript, error) {
	if keep == nil {
		keep = m.Refs()
	}
	t := &Transcript{Protocol: o.Setting()}
	for i := range o.Rounds() {
		gs, err := o.Gradients(ctx, i, keep...)
		if err != nil {
			return t, err
		}
		r := Round{IDs: slices.Clone(o.Batch(i)), Model: o.Fingerprint(i), Gradients: make(map[Ref]*tensor.Tensor, len(keep))}
		for j, k := range keep {
			r.Gradients[k] = gs[j].Clone()
		}
		t.Seen = append(t.Seen, r)
	}
	return t, nil
}

// AttackRefs returns the gradients that CAFE looks at: those of each party's first
// dense layer and of the logit bias.
func AttackRefs(m *Model) ([]Ref, error) {
	var out []Ref
	for p := range m.Bottoms {
		l, err := m.firstDense(p)
		if err != nil {
			return nil, err
		}
		out = append(out, l.weight, l.bias)
	}
	r, err := m.logitBias()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(out, r) {
		out = append(out, r)
	}
	return out, nil
}

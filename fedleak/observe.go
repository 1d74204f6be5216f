package fedleak

import (
	"context"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Setting is what the protocol tells the server beside the rounds.
type Setting struct {
	// Samples is the number N of samples; ids are 0 to N-1.
	Samples int `json:"samples"`
	// Clients is the number of clients of a horizontal federation, which hold
	// equal blocks of ids and of which only the mean gradient is seen; 0 for a
	// vertical one.
	Clients int `json:"clients,omitempty"`
	// BatchStatistics says that normalisation layers used the statistics of the
	// batch, which ties its samples together.
	BatchStatistics bool `json:"batch_statistics,omitempty"`
}

// Observations are the rounds of a protocol as the server sees them: a Transcript, or
// a Federation asked again.
type Observations interface {
	Setting() Setting
	// Rounds is the number of rounds.
	Rounds() int
	// Batch returns the ids of round t.
	Batch(t int) []int
	// Fingerprint returns that of the model in round t.
	Fingerprint(t int) uint64
	// Gradients returns gradients of round t: means over the batch, of the shapes
	// of the parameters. They are read only.
	Gradients(ctx context.Context, t int, refs ...Ref) ([]*tensor.Tensor, error)
}

// GradientError says which gradient of a round is missing or broken.
type GradientError struct {
	Round  int
	Ref    Ref
	Reason string
}

// Error implements error.
func (e *GradientError) Error() string {
	return fmt.Sprintf("fedleak: round %d: gradient of %v %s", e.Round, e.Ref, e.Reason)
}

// batches collects the ids of all rounds and checks them.
func batches(o Observations) ([][]int, error) {
	out := make([][]int, o.Rounds())
	for t := range out {
		out[t] = o.Batch(t)
	}
	set := o.Setting()
	if set.Clients < 0 || set.Clients > 0 && set.Samples%set.Clients != 0 {
		return nil, fmt.Errorf("fedleak: %d samples for %d clients, want equal shares", set.Samples, set.Clients)
	}
	return out, checkBatches(out, set.Samples)
}

// fetch gets gradients and checks that they fit the model and are finite.
func fetch(ctx context.Context, m *Model, o Observations, t int, refs ...Ref) ([]*tensor.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("fedleak: stopped: %w", err)
	}
	gs, err := o.Gradients(ctx, t, refs...)
	if err != nil {
		return nil, err
	}
	for i, g := range gs {
		if err := m.fits(t, refs[i], g); err != nil {
			return nil, err
		}
	}
	return gs, nil
}

// inType returns the gradients in the element type of a model, which those of a
// transcript need not have.
func inType(gs []*tensor.Tensor, dtype tensor.DType) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(gs))
	for i, g := range gs {
		out[i] = g.To(dtype)
	}
	return out
}

// fits says whether a gradient of round t has the shape of its parameter and is finite.
func (m *Model) fits(t int, r Ref, g *tensor.Tensor) error {
	w, ok := m.param(r)
	switch {
	case !ok:
		return &GradientError{t, r, "belongs to no parameter of the model"}
	case g == nil:
		return &GradientError{t, r, "is missing"}
	case !slices.Equal(w.Shape(), g.Shape()):
		return &GradientError{t, r, fmt.Sprintf("has shape %v, want %v", g.Shape(), w.Shape())}
	case !tensor.AllFinite(g):
		return &GradientError{t, r, "has a NaN or infinite value"}
	}
	return nil
}

// checkFrozen says whether all rounds saw the parameters that m has now.
func checkFrozen(m *Model, o Observations) error {
	return checkModel(m, o, 0, o.Rounds())
}

// checkModel says whether the rounds from first to before last saw the parameters that
// m has now.
func checkModel(m *Model, o Observations, first, last int) error {
	want := m.Fingerprint()
	for t := first; t < last; t++ {
		if o.Fingerprint(t) != want {
			return fmt.Errorf("fedleak: the parameters of round %d are not those of the model: use the Forget mode of CAFE for a model that was trained meanwhile", t)
		}
	}
	return nil
}

// checkSingle says whether what is before the first dense layer of a party does the same
// to a slice whatever the batch, so that its images can be found one by one.
func checkSingle(name string, m *Model, o Observations, party int, l layer) error {
	if !o.Setting().BatchStatistics {
		return nil
	}
	in := m.Inputs[party]
	x := tensor.Uniform(stream(1), m.dtype(), 0, 1, 3, in[0], in[1], in[2])
	if same(l.before.Forward(&nn.Pass{}, x).Values(), l.before.Forward(&nn.Pass{Train: true}, x).Values()) {
		return nil
	}
	return fmt.Errorf("fedleak: %s: normalisation with batch statistics before the first dense layer of party %d ties the samples of a batch together, so that images cannot be found one by one", name, party)
}

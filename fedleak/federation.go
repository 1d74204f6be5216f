package fedleak

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Federation simulates federated learning: parties that hold parts of the same
// samples (vertical), or clients that hold samples of their own (horizontal), and a
// server that chooses the batches and gets gradients.
type Federation struct {
	Model *Model // what is attacked or trained
	// X holds each party's slices of all samples, [N, H, W, C], in [0, 1], which is
	// the range in which attacks look for them. In a horizontal federation it holds
	// one tensor, with the clients' samples one after the other.
	X []*tensor.Tensor
	// Labels holds a class in [0, Model.Classes) for each sample.
	Labels   []int
	Schedule Schedule // the batches, which the server knows
	// Defense changes what a party or client uploads; nil uploads the gradients.
	// The server's own gradient, of the top network, is not defended.
	Defense Defense
	// Clients is the number of clients of a horizontal federation, with equal
	// blocks of samples and one shared bottom network; 0 means vertical.
	Clients int
	// BatchStatistics makes normalisation layers use the statistics of the batch. It
	// excludes a Defense that clips the gradients of samples.
	BatchStatistics bool
	// Seed is the source of the defence's randomness. Noise and fake gradients belong to
	// the seed, the party and the number of the round: rounds that have all of these in
	// common, such as those of a Training and of Observe afterwards, have the same
	// noise, and the difference of their uploads has none. Take another Seed or, in
	// Training, a First for rounds that are to have noise of their own; an Accountant
	// counts each round as if it had.
	Seed uint64
}

// Check says what keeps the federation from running.
func (f *Federation) Check() error {
	if f.Model == nil || f.Schedule == nil {
		return fmt.Errorf("fedleak: federation without model or schedule")
	}
	if err := f.Model.Check(); err != nil {
		return err
	}
	if len(f.X) != len(f.Model.Bottoms) {
		return fmt.Errorf("fedleak: data of %d parties, the model has %d", len(f.X), len(f.Model.Bottoms))
	}
	n := len(f.Labels)
	for p, x := range f.X {
		in := f.Model.Inputs[p]
		if want := []int{n, in[0], in[1], in[2]}; !slices.Equal(x.Shape(), want) {
			return fmt.Errorf("fedleak: data of party %d are %v, want %v", p, x.Shape(), want)
		}
		if !tensor.AllFinite(x) {
			return fmt.Errorf("fedleak: data of party %d hold a NaN or infinite value", p)
		}
		for _, v := range x.Values() {
			if v < 0 || v > 1 {
				return fmt.Errorf("fedleak: data of party %d hold %v, want values in [0, 1]", p, v)
			}
		}
	}
	for i, y := range f.Labels {
		if y < 0 || y >= f.Model.Classes {
			return fmt.Errorf("fedleak: label %d of sample %d, want 0 to %d", y, i, f.Model.Classes-1)
		}
	}
	if f.Clients != 0 {
		if len(f.X) != 1 {
			return fmt.Errorf("fedleak: horizontal federation with %d bottom networks, want 1", len(f.X))
		}
		if k := len(f.Model.params(Top)); k > 0 {
			return fmt.Errorf("fedleak: horizontal federation with %d tensors in the top network, want all in the shared bottom network", k)
		}
		if f.Clients < 0 || n%f.Clients != 0 {
			return fmt.Errorf("fedleak: %d samples for %d clients, want equal shares", n, f.Clients)
		}
	}
	if err := f.Schedule.Check(n); err != nil {
		return err
	}
	if f.Defense == nil {
		return nil
	}
	if _, clips := f.Defense.(Clipper); clips && f.BatchStatistics {
		return fmt.Errorf("fedleak: %s clips the gradients of samples, which have none of their own under BatchStatistics, want one of the two", f.Defense.Name())
	}
	return f.Defense.Check()
}

// Setting returns what the server is told.
func (f *Federation) Setting() Setting {
	return Setting{len(f.Labels), f.Clients, f.BatchStatistics}
}

// Upload returns what the server sees in round t of the named gradients, for the
// batch ids and the model as it is, of a federation in which Check finds nothing. Errors:
// ids that are no batch, gradients of no parameter, a single sample whose statistics
// BatchStatistics asks for, a context that is cancelled.
func (f *Federation) Upload(ctx context.Context, t int, ids []int, refs ...Ref) ([]*tensor.Tensor, error) {
	if err := f.checkRefs(ctx, t, refs); err != nil {
		return nil, err
	}
	if err := checkBatches([][]int{ids}, len(f.Labels)); err != nil {
		return nil, err
	}
	return f.attempted(t, ids, refs, f.sampleNorms)
}

// attempted is upload with an error where a layer refuses the batch.
func (f *Federation) attempted(t int, ids []int, refs []Ref, norms sampleNorms) (gs []*tensor.Tensor, err error) {
	if err := attempt(func() { gs = f.upload(t, ids, refs, norms) }); err != nil {
		return nil, fmt.Errorf("fedleak: gradients of round %d: %w", t, err)
	}
	return gs, nil
}

// checkRefs says what keeps gradients from being asked for.
func (f *Federation) checkRefs(ctx context.Context, t int, refs []Ref) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fedleak: stopped: %w", err)
	}
	for _, r := range refs {
		if _, ok := f.Model.param(r); !ok {
			return &GradientError{t, r, "belongs to no parameter of the model"}
		}
	}
	return nil
}

// upload is Upload with a source of the norms of samples' gradients.
func (f *Federation) upload(t int, ids []int, refs []Ref, norms sampleNorms) []*tensor.Tensor {
	if f.Defense == nil {
		return f.mean(ids, nil, refs)
	}
	if f.Clients == 0 {
		return f.defended(t, 0, ids, refs, norms)
	}
	own := len(f.Labels) / f.Clients
	var sum []*tensor.Tensor
	for c := range f.Clients {
		var mine []int
		for _, id := range ids {
			if id/own == c {
				mine = append(mine, id)
			}
		}
		if len(mine) == 0 {
			continue
		}
		gs := f.defended(t, c, mine, refs, norms)
		share := float64(len(mine)) / float64(len(ids))
		for i := range gs {
			gs[i] = tensor.MulScalar(gs[i], share)
			if sum != nil {
				gs[i] = tensor.Add(sum[i], gs[i])
			}
		}
		sum = gs
	}
	return sum
}

// sampleNorms returns the norm of each sample's gradient at each party: [party][i] for
// the i-th of ids.
type sampleNorms func(ids []int) [][]float64

// defended returns the gradients of a batch after the defence. client is 0 in a
// vertical federation.
func (f *Federation) defended(t, client int, ids []int, refs []Ref, norms sampleNorms) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(refs))
	var sizes [][]float64
	c, clips := f.Defense.(Clipper)
	if clips {
		sizes = norms(ids)
	}
	for party := Top; party < len(f.Model.Bottoms); party++ {
		var place []int // of the party's gradients in refs
		var own []Ref
		for i, r := range refs {
			if r.Party == party {
				place, own = append(place, i), append(own, r)
			}
		}
		if len(own) == 0 {
			continue
		}
		var weights []float64
		if clips && party != Top {
			weights = clipWeights(sizes[party], c.Bound())
		}
		for i, g := range f.mean(ids, weights, own) {
			if party != Top {
				f.Defense.Apply(Upload{t, party, client, own[i].Tensor, len(ids), f.Seed}, g)
			}
			out[place[i]] = g
		}
	}
	return out
}

// mean returns the mean gradients over a batch, of losses times weights if there are
// any.
func (f *Federation) mean(ids []int, weights []float64, refs []Ref) []*tensor.Tensor {
	m := f.Model
	tape := tensor.NewTape()
	pass := &nn.Pass{Train: f.BatchStatistics}
	watched := make([]*tensor.Tensor, len(refs))
	for i, r := range refs {
		w, _ := m.param(r)
		// A gradient that is asked for twice must not be watched twice.
		if watched[i] = pass.Value(w); watched[i] == w {
			watched[i] = pass.Watch(tape, []*tensor.Tensor{w})[0]
		}
	}
	y := make([]int, len(ids))
	for i, id := range ids {
		y[i] = f.Labels[id]
	}
	xs := make([]*tensor.Tensor, len(f.X))
	for p, x := range f.X {
		xs[p] = tape.Const(tensor.Gather(x, ids))
	}
	losses := m.Losses(m.Logits(pass, xs), tensor.OneHot(m.dtype(), y, m.Classes))
	if weights != nil {
		w := tensor.Zeros(m.dtype(), len(weights))
		for i, v := range weights {
			w.Set(v, i)
		}
		losses = tensor.Mul(losses, w)
	}
	gs := tensor.Grad(tensor.Mean(losses), watched...)
	for i, g := range gs {
		gs[i] = g.Clone()
	}
	return gs
}

// sampleNorms computes what its type says.
func (f *Federation) sampleNorms(ids []int) [][]float64 {
	var refs []Ref
	norms := make([][]float64, len(f.X))
	for p := range f.X {
		norms[p] = make([]float64, len(ids))
		for i := range f.Model.params(p) {
			refs = append(refs, Ref{p, i})
		}
	}
	for i, id := range ids {
		for j, g := range f.mean([]int{id}, nil, refs) {
			norms[refs[j].Party][i] += sumSquares(g)
		}
	}
	for _, v := range norms {
		for i, s := range v {
			v[i] = math.Sqrt(s)
		}
	}
	return norms
}

// Accuracy returns the share of samples, given as one tensor per party, whose label
// has the largest logit.
func (m *Model) Accuracy(xs []*tensor.Tensor, labels []int) float64 {
	const chunk = 200
	right := 0
	tape := tensor.NewTape()
	for lo := 0; lo < len(labels); lo += chunk {
		hi := min(lo+chunk, len(labels))
		part := make([]*tensor.Tensor, len(xs))
		for p, x := range xs {
			part[p] = tape.Const(tensor.Slice(x, 0, lo, hi))
		}
		for i, y := range tensor.ArgMax(m.Logits(&nn.Pass{}, part)) {
			if y == labels[lo+i] {
				right++
			}
		}
		tape.Reset()
	}
	return float64(right) / float64(len(labels))
}

// live asks a federation whose model stands still.
type live struct {
	f      *Federation
	rounds int
	print  uint64
	norms  map[int][]float64 // of the gradients of samples, by party
}

// Observe returns rounds 0 to rounds-1 of f with its model as it is. Nothing of them is
// stored: each gradient is computed when it is asked for, as often as it is. The
// model must not change meanwhile. One goroutine may use it at a time.
func (f *Federation) Observe(rounds int) (Observations, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	if rounds < 1 {
		return nil, fmt.Errorf("fedleak: %d rounds, want at least 1", rounds)
	}
	return &live{f, rounds, f.Model.Fingerprint(), make(map[int][]float64)}, nil
}

func (o *live) Setting() Setting         { return o.f.Setting() }
func (o *live) Rounds() int              { return o.rounds }
func (o *live) Batch(t int) []int        { return o.f.Schedule.Batch(t, len(o.f.Labels)) }
func (o *live) Fingerprint(t int) uint64 { return o.print }

func (o *live) Gradients(ctx context.Context, t int, refs ...Ref) ([]*tensor.Tensor, error) {
	if err := o.f.checkRefs(ctx, t, refs); err != nil {
		return nil, err
	}
	return o.f.attempted(t, o.Batch(t), refs, o.sampleNorms)
}

// sampleNorms remembers the norms, which stand still with the model.
func (o *live) sampleNorms(ids []int) [][]float64 {
	out := make([][]float64, len(o.f.X))
	for _, id := range ids {
		if o.norms[id] == nil {
			for _, n := range o.f.sampleNorms([]int{id}) {
				o.norms[id] = append(o.norms[id], n[0])
			}
		}
		for p, n := range o.norms[id] {
			out[p] = append(out[p], n)
		}
	}
	return out
}

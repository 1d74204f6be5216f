package fedleak

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"gonum.org/v1/gonum/mat"
)

// CAFE is catastrophic data leakage in federated learning, with its first two steps
// solved exactly: the gradients of the first dense layer's bias and weights are linear
// in what is looked for, and the batches, which the server knows, give the equations.
//
// Jin, Chen, Hsu, Yu and Chen, NeurIPS 2021; see Published for their own iterations.
type CAFE struct {
	// Coverage is the number of rounds of Step II that each sample takes part in;
	// 0 means as few as determine it, 8 if entries are left out, or all rounds if the
	// gradients are noisy, and -1 means all.
	Coverage int
	// Ridge is added to the diagonal of S^T S in Step I, in units of its smallest
	// expected eigenvalue, T K(N-K)/(N(N-1)): it trades bias for noise. With 1 the
	// directions that are seen worst shrink by half. VError then bounds the noise
	// that is left and says nothing of the bias. 0 means none.
	Ridge float64
	// Forget, in (0, 1), weighs a round of age a by Forget^a, for a model that
	// was trained meanwhile: the answer belongs to the last round, whose
	// parameters the model must have. What Training records ends one step before
	// its model; Transcript.Append adds the round that is missing. 0 means a model
	// that stood still.
	Forget float64
	// SkipLabels leaves the labels alone.
	SkipLabels bool
	// SkipImages ends the attack after Step II: what is marked as recovered are then
	// the rows of H, and the images are mid-grey.
	SkipImages bool
	// Masked takes entries of gradients that are 0 for left out, as Sparse leaves
	// them: the equations of the others still hold. An output of the first dense
	// layer is used if the rounds that show its bias gradient determine as much as all
	// rounds do; with none such at a party nothing of it is recovered, and Run
	// returns a *LeftOutError. Features that the entries that are shown leave open
	// are those for which zeros are values, which is wrong by the size of what Sparse
	// leaves out: HError says by how much, and where that may be more than a fifth
	// of the features' norm the slice is undetermined. A horizontal federation is an
	// error: the mean over clients does not show what one of them left out.
	Masked bool
	// Rescale undoes a defence's change of scale; nil takes features as they come.
	Rescale *Rescale
	// Inversion is Step III.
	Inversion Inversion
	// Samples restricts Step III to these ids; nil means all.
	Samples []int
	// OnProgress is told of slices that are done; nil for none. It may be called
	// from several goroutines.
	OnProgress func(done, of int)
	// unbounded leaves features out of the range of those of images as they are, for
	// Calibrated, which learns from them.
	unbounded bool
}

var _ Attack = CAFE{}

// Name implements Attack.
func (c CAFE) Name() string { return "CAFE" }

// Check says what is wrong with the settings.
func (c CAFE) Check() error {
	if !(c.Ridge >= 0) || math.IsInf(c.Ridge, 0) {
		return fmt.Errorf("fedleak: CAFE: Ridge is %v, want 0 or more", c.Ridge)
	}
	if !(c.Forget >= 0 && c.Forget < 1) {
		return fmt.Errorf("fedleak: CAFE: Forget is %v, want in [0, 1)", c.Forget)
	}
	if c.Coverage < -1 {
		return fmt.Errorf("fedleak: CAFE: Coverage is %d, want -1 or more", c.Coverage)
	}
	return c.Inversion.Check()
}

// Run implements Attack. Rounds that leave samples unidentified give the identifiable
// part and a *NotIdentifiableError; parties of which Masked finds nothing give what is
// found of the others and a *LeftOutError.
func (c CAFE) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	w, err := prepare(ctx, c, m, o)
	if err != nil {
		return nil, err
	}
	for p := range m.Bottoms {
		if err := w.party(ctx, p); err != nil {
			w.withdraw(0)
			return w.out, err
		}
	}
	w.settleLabels()
	progress := w.progress()
	for p, l := range w.layers {
		if c.SkipImages {
			break
		}
		c.Inversion.stepThree(ctx, m, p, l, &w.out.Parties[p], w.noise[p], c.wanted, progress)
		if err := ctx.Err(); err != nil {
			w.withdraw(p + 1)
			return w.out, fmt.Errorf("fedleak: stopped: %w", err)
		}
	}
	if w.leftOut != nil {
		return w.out, w.leftOut
	}
	if !all(w.known) {
		return w.out, &NotIdentifiableError{w.out.Identifiability}
	}
	return w.out, nil
}

// withdraw marks the slices of the parties from p on whose images the attack did not
// come to.
func (w *work) withdraw(p int) {
	for ; p < len(w.out.Parties); p++ {
		for i, s := range w.out.Parties[p].Status {
			if s == Recovered {
				w.out.Parties[p].Status[i] = Unseen
			}
		}
	}
}

// work is an attack in progress.
type work struct {
	CAFE
	m       *Model
	o       Observations
	batches [][]int
	plain   *system    // of Step I, without a ridge
	system  *system    // with it
	logits  *mat.Dense // Step I of the logit bias, [N, classes]
	blur    []float64  // what entries of each row of logits may be off by
	known   []bool     // samples whose gradients the rounds determine
	layers  []layer
	biases  []*mat.Dense // of each party, [T, d2]
	noise   [][]float64  // relative error of the rows of H by noise, by party
	leftOut *LeftOutError
	out     *Recovery
}

// prepare checks everything and collects the gradients of Step I.
func prepare(ctx context.Context, c CAFE, m *Model, o Observations) (*work, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	w := &work{CAFE: c, m: m, o: o}
	var err error
	if w.batches, err = batches(o); err != nil {
		return nil, err
	}
	set := o.Setting()
	if set.BatchStatistics {
		return nil, errors.New("fedleak: CAFE: normalisation with batch statistics ties the samples of a batch together, so that they have no gradients of their own")
	}
	if c.Masked && set.Clients > 0 {
		return nil, errors.New("fedleak: CAFE: Masked is set for a horizontal federation, want a vertical one: the mean over clients does not show what one of them left out")
	}
	if err := c.Rescale.check(m); err != nil {
		return nil, err
	}
	refs := make([]Ref, len(m.Bottoms))
	for p := range m.Bottoms {
		l, err := m.firstDense(p)
		if err != nil {
			return nil, err
		}
		w.layers = append(w.layers, l)
		refs[p] = l.bias
	}
	var weights []float64
	if c.Forget == 0 {
		if err := checkFrozen(m, o); err != nil {
			return nil, err
		}
	} else if last := o.Rounds() - 1; o.Fingerprint(last) != m.Fingerprint() {
		return nil, fmt.Errorf("fedleak: CAFE: the parameters of the last round, %d, are not those of the model: add a round of the model as it is with Transcript.Append", last)
	} else {
		for t := range o.Rounds() {
			weights = append(weights, math.Pow(c.Forget, float64(last-t)))
		}
	}
	if !c.SkipLabels {
		r, err := m.logitBias()
		if err != nil {
			return nil, err
		}
		if c.Masked && r.Party != Top {
			return nil, fmt.Errorf("fedleak: CAFE: Masked is set and labels are to be read from %v, which may leave out entries, want SkipLabels", r)
		}
		refs = append(refs, r)
	}
	if w.biases, err = stack(ctx, m, o, refs); err != nil {
		return nil, err
	}
	n := set.Samples
	for _, id := range c.Samples {
		if id < 0 || id >= n {
			return nil, fmt.Errorf("fedleak: CAFE: sample %d is wanted, want 0 to %d", id, n-1)
		}
	}
	w.plain = newSystem(w.batches, n, blocks(w.batches, n, set.Clients), weights)
	w.system = w.plain.withRidge(c.Ridge)
	w.known = slices.Clone(w.system.report.Determined)
	w.out = newRecovery(c.Name(), m, n)
	w.out.Identifiability = w.system.report
	w.out.Rounds = len(w.batches)
	if !c.SkipLabels {
		w.readLabels(w.biases[len(w.biases)-1])
	}
	return w, nil
}

// party runs Steps I and II for one party.
func (w *work) party(ctx context.Context, p int) error {
	out := &w.out.Parties[p]
	var g *gradients
	if w.Masked {
		g = w.maskedStepOne(p)
	} else {
		g = stepOne(w.system, w.biases[p])
	}
	if c := w.o.Setting().Clients; c > 1 && !all(w.known) {
		w.settle(g, c)
	}
	out.V, out.VError = g.v, g.err
	for i := range out.Status {
		switch {
		case !w.known[i] || g.lost:
			out.Status[i] = Undetermined
		case g.dead[i]:
			out.Status[i] = Dead
		}
	}
	times := w.Coverage
	switch {
	case times != 0:
	case w.Masked:
		times = maskedCoverage
	case g.noisy(w.biases[p]):
		times = -1
	}
	f, err := w.stepTwo(ctx, w.layers[p], *g, times)
	if err != nil {
		return err
	}
	if w.Rescale != nil {
		if err := w.rescale(p, f); err != nil {
			return err
		}
	}
	if !w.unbounded {
		w.m.bound(p, w.layers[p], f.h)
	}
	out.H, out.HError = f.h, f.err()
	w.noise = append(w.noise, f.noise)
	for i, ok := range f.determined {
		switch {
		case ok:
			out.Status[i] = Recovered
		case out.Status[i] == Unseen && f.seen[i]:
			out.Status[i] = Undetermined
		}
	}
	return nil
}

// noisy says whether observations b carry more noise than rounding.
func (g *gradients) noisy(b *mat.Dense) bool {
	t, c := b.Dims()
	return g.sd > 1e-4*mat.Norm(b, 2)/math.Sqrt(float64(t*c))
}

// bound keeps features of a party to what features of images can be.
func (m *Model) bound(party int, l layer, h *mat.Dense) {
	net, dtype, in := l.before, m.dtype(), m.Inputs[party]
	hi := math.Inf(1)
	if passesThrough(net, dtype, in) {
		hi = 1
	} else if !notNegative(net, dtype, in) {
		return
	}
	n, _ := h.Dims()
	for i := range n {
		row := h.RawRowView(i)
		for j, v := range row {
			row[j] = math.Min(hi, math.Max(0, v))
		}
	}
}

// wanted says whether Step III is to look at a sample.
func (c CAFE) wanted(i int) bool { return c.Samples == nil || slices.Contains(c.Samples, i) }

// progress returns a counter of inverted slices, nil if nobody asks.
func (w *work) progress() func(int) {
	if w.OnProgress == nil {
		return nil
	}
	of := 0
	for p := range w.out.Parties {
		for i, s := range w.out.Parties[p].Status {
			if s == Recovered && w.wanted(i) {
				of++
			}
		}
	}
	var done atomic.Int64
	return func(k int) { w.OnProgress(int(done.Add(int64(k))), of) }
}

func all(ok []bool) bool { return !slices.Contains(ok, false) }

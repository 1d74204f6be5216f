package fedleak

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Published is CAFE with the iterations of its paper: stochastic gradient descent over
// the rounds for Step I, and Adam on the rows of tables for Steps II and III. It is
// here for comparison; CAFE gets further with fewer rounds.
//
// Jin, Chen, Hsu, Yu and Chen, NeurIPS 2021, Algorithms 1 to 4. Zero fields are the
// settings of the code that they released.
type Published struct {
	// Nested runs each step to its end before the next begins, Algorithm 3, with
	// Iterations of each; otherwise every round serves all three, Algorithm 4.
	Nested bool
	// Iterations over the rounds, which begin again when they are used up; 0 means
	// 20000.
	Iterations int
	// Repeat is the number of updates for each observed round; 0 means 1. The
	// attack on a model in training uses 10.
	Repeat int
	// LR1, LR2 and LR3 are the learning rates of Steps I, II and III; 0 means
	// 0.005, 0.01 and 0.01. Step I moves by 2 LR1 times the difference of sums and
	// diverges from LR1 = 1/K on; LR1 = 1/(2K) is best.
	LR1, LR2, LR3 float64
	// Alpha weighs the gradients' squared distance, Beta the total variation and
	// Gamma the features' squared distance. All 0 means 1e-2, 1e-4 and 1e-3.
	Alpha, Beta, Gamma float64
	// Xi is the mean total variation of a slice below which it costs nothing; 0
	// means 25, which suits 14x14 slices of MNIST, -1 none.
	Xi float64
	// Released keeps to quirks of the released code: biases of Adam are corrected
	// twice. Its other quirk belongs to the model, Model.DoubleSoftmax.
	Released bool
	Seed     uint64
	// Progress is told after each iteration over a round, with the tables as they
	// are; nil for none.
	Progress func(iteration int, t *Tables)
}

var _ Attack = Published{}

// Name implements Attack.
func (Published) Name() string { return "CAFE as published" }

// withDefaults fills in the settings for zero fields.
func (a Published) withDefaults() Published {
	a.Iterations, a.Repeat = defaultInt(a.Iterations, 20000), defaultInt(a.Repeat, 1)
	a.LR1, a.LR2, a.LR3 = defaultFloat(a.LR1, 5e-3), defaultFloat(a.LR2, 1e-2), defaultFloat(a.LR3, 1e-2)
	if a.Alpha == 0 && a.Beta == 0 && a.Gamma == 0 {
		a.Alpha, a.Beta, a.Gamma = 1e-2, 1e-4, 1e-3
	}
	a.Xi = math.Max(0, defaultFloat(a.Xi, 25))
	return a
}

// check says what is wrong with settings that have their defaults, for batches of k.
func (a Published) check(k int) error {
	switch {
	case a.Iterations < 1 || a.Repeat < 1:
		return fmt.Errorf("fedleak: Published: %d iterations of %d updates, want at least 1", a.Iterations, a.Repeat)
	case !(a.LR1 > 0 && a.LR2 > 0 && a.LR3 > 0):
		return fmt.Errorf("fedleak: Published: learning rates %v, %v and %v, want above 0", a.LR1, a.LR2, a.LR3)
	case 2*a.LR1 >= 2/float64(k):
		return fmt.Errorf("fedleak: Published: Step I diverges with LR1 = %v for batches of %d, want below %v", a.LR1, k, 1/float64(k))
	case !(a.Alpha >= 0 && a.Beta >= 0 && a.Gamma >= 0):
		return fmt.Errorf("fedleak: Published: weights %v, %v and %v, want at least 0", a.Alpha, a.Beta, a.Gamma)
	}
	return nil
}

// StepOneDecay returns the expected squared error of Step I after t iterations, as a
// share of that at the start, for batches of k out of n samples and learning rate lr:
// (1 - λ (2 η - η² K))^t with η = 2 lr and λ = K (N-K)/(N (N-1)), exact for errors
// that sum to zero over the samples and an upper bound otherwise.
func StepOneDecay(n, k int, lr float64, t int) float64 {
	eta := 2 * lr
	return math.Pow(1-leastEigenvalue(n, k)*(2*eta-eta*eta*float64(k)), float64(t))
}

// leastEigenvalue is the smallest eigenvalue of E[s s^T] for the indicator s of a
// uniform batch of k out of n samples, that of vectors of sum 0; that of the all-ones
// vector, the largest, is K²/N.
func leastEigenvalue(n, k int) float64 {
	return float64(k) * float64(n-k) / (float64(n) * float64(n-1))
}

// Run implements Attack. Rounds that leave samples unidentified give the identifiable
// part and a *NotIdentifiableError.
func (a Published) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	list, err := batches(o)
	if err != nil {
		return nil, err
	}
	t, err := a.Start(m, o.Setting(), len(list[0]))
	if err != nil {
		return nil, err
	}
	if err := checkFrozen(m, o); err != nil {
		return nil, err
	}
	list = list[:min(len(list), t.a.Iterations)]
	report := newSystem(list, t.n, max(1, o.Setting().Clients), nil, 0).report
	answer := func(err error) (*Recovery, error) {
		r := newRecovery(t.a.Name(), m, t.n)
		r.Identifiability, r.Rounds = report, len(list)
		t.fill(r, report.Determined)
		return r, err
	}
	phases := []step{all3}
	if a.Nested {
		phases = []step{one, two, three}
	}
	refs := m.Refs()
	for _, phase := range phases {
		for i := range t.a.Iterations {
			round := i % len(list)
			gs, err := fetch(ctx, m, o, round, t.needs(phase, refs)...)
			if err != nil {
				return answer(err)
			}
			t.update(phase, list[round], gs)
			if a.Progress != nil {
				a.Progress(i, t)
			}
		}
	}
	if !all(report.Determined) {
		return answer(&NotIdentifiableError{report})
	}
	return answer(nil)
}

// step names the tables that an update changes.
type step int

const (
	one step = 1 << iota
	two
	three
	all3 = one | two | three
)

// Tables are what Published knows, by sample and party.
type Tables struct {
	a          Published
	m          *Model
	layers     []layer
	n, classes int
	V, H, X    [][]float64 // per party: [N, d2], [N, d1], [N, H W C]
	Y          []float64   // logits of labels, [N, classes]
	adamH      []*RowAdam
	adamX      []*RowAdam
	adamY      *RowAdam
	tape       *tensor.Tape
}

// Start returns the tables at the beginning of an attack on batches of k, for callers
// that hand over the rounds themselves, such as a training under attack.
func (a Published) Start(m *Model, s Setting, k int) (*Tables, error) {
	a = a.withDefaults()
	if err := m.Check(); err != nil {
		return nil, err
	}
	if err := a.check(k); err != nil {
		return nil, err
	}
	n := s.Samples
	if k >= n {
		return nil, fmt.Errorf("fedleak: Published: batches of %d out of %d samples: gradients of single samples are not identifiable", k, n)
	}
	if s.BatchStatistics {
		return nil, errors.New("fedleak: Published: normalisation with batch statistics ties the samples of a batch together")
	}
	t := &Tables{a: a, m: m, n: n, classes: m.Classes, tape: tensor.NewTape()}
	adam := func(lr float64) *RowAdam { return &RowAdam{LR: lr, Released: a.Released} }
	for p := range m.Bottoms {
		l, err := m.firstDense(p)
		if err != nil {
			return nil, err
		}
		t.layers = append(t.layers, l)
		d1, d2 := l.dense.Weight.Dim(0), l.dense.Weight.Dim(1)
		in := m.Inputs[p]
		rng := stream(a.Seed, uint64(p)+1)
		t.V = append(t.V, uniform(rng.Float64, n*d2, -8e-4, 8e-4))
		t.H = append(t.H, uniform(rng.Float64, n*d1, 0, 8e-2))
		t.X = append(t.X, uniform(rng.Float64, n*in[0]*in[1]*in[2], 0, 1))
		t.adamH, t.adamX = append(t.adamH, adam(a.LR2)), append(t.adamX, adam(a.LR3))
	}
	t.Y = uniform(stream(a.Seed, 0).Float64, n*m.Classes, 0, 1)
	t.adamY = adam(a.LR3)
	return t, nil
}

func uniform(draw func() float64, n int, lo, hi float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = lo + (hi-lo)*draw()
	}
	return out
}

// needs returns the gradients that an update reads: those of each party's first dense
// layer, and all others if gradients are to be matched.
func (t *Tables) needs(s step, refs []Ref) []Ref {
	var out []Ref
	for _, l := range t.layers {
		out = append(out, l.bias, l.weight)
	}
	if s&three != 0 && t.a.Alpha > 0 {
		out = append(out, refs...)
	}
	return out
}

// Observe takes in one round with all gradients, in the order of Model.Refs, which
// belong to the parameters that the model has now: one pass of Algorithm 4, Repeat
// times.
func (t *Tables) Observe(ids []int, gradients []*tensor.Tensor) error {
	refs := t.m.Refs()
	if len(gradients) != len(refs) {
		return fmt.Errorf("fedleak: Tables.Observe: %d gradients, want %d", len(gradients), len(refs))
	}
	if err := CheckBatches([][]int{ids}, t.n); err != nil {
		return err
	}
	var gs []*tensor.Tensor
	for _, r := range t.needs(all3, refs) {
		for i, q := range refs {
			if q == r {
				gs = append(gs, gradients[i])
				break
			}
		}
	}
	t.update(all3, ids, gs)
	return nil
}

// update makes the updates of one round. gs are the gradients of needs.
func (t *Tables) update(s step, ids []int, gs []*tensor.Tensor) {
	for range t.a.Repeat {
		for p := range t.layers {
			if s&one != 0 {
				t.stepOne(p, ids, gs[2*p].Values())
			}
			if s&two != 0 {
				t.stepTwo(p, ids, toDense(gs[2*p+1]))
			}
		}
		if s&three != 0 {
			t.stepThree(ids, gs[2*len(t.layers):])
		}
	}
}

// stepOne is the gradient step on |sum of V_S - g|².
func (t *Tables) stepOne(p int, ids []int, g []float64) {
	d2 := len(g)
	v := t.V[p]
	for j := range d2 {
		sum := 0.0
		for _, id := range ids {
			sum += v[id*d2+j]
		}
		move := 2 * t.a.LR1 * (sum - g[j])
		for _, id := range ids {
			v[id*d2+j] -= move
		}
	}
}

// stepTwo is Adam's step on |H_S^T V_S - G|².
func (t *Tables) stepTwo(p int, ids []int, g *mat.Dense) {
	d1, d2 := g.Dims()
	h, v := rowsOf(t.H[p], ids, d1), rowsOf(t.V[p], ids, d2)
	var diff, grad mat.Dense
	diff.Mul(h.T(), v)
	diff.Sub(&diff, g)
	grad.Mul(v, diff.T())
	grad.Scale(2, &grad)
	t.adamH[p].Step(t.H[p], t.n, ids, grad.RawMatrix().Data)
}

// rowsOf gathers rows of a table.
func rowsOf(table []float64, ids []int, width int) *mat.Dense {
	out := mat.NewDense(len(ids), width, nil)
	for i, id := range ids {
		out.SetRow(i, table[id*width:(id+1)*width])
	}
	return out
}

// stepThree is Adam's step on the objective of Eq. (4).
func (t *Tables) stepThree(ids []int, want []*tensor.Tensor) {
	defer t.tape.Reset()
	m, dtype := t.m, t.m.dtype()
	xs := make([]*tensor.Tensor, len(t.X))
	for p, in := range m.Inputs {
		size := in[0] * in[1] * in[2]
		xs[p] = fromValues(dtype, rowsOf(t.X[p], ids, size).RawMatrix().Data, len(ids), in[0], in[1], in[2])
	}
	labels := fromValues(dtype, rowsOf(t.Y, ids, t.classes).RawMatrix().Data, len(ids), t.classes)
	d := m.guess(t.tape, xs, labels, false, t.a.Alpha > 0)
	grads := t.objective(d, ids, want)
	for p := range t.X {
		t.adamX[p].Step(t.X[p], t.n, ids, grads[p].Values())
	}
	if t.a.Alpha > 0 {
		t.adamY.Step(t.Y, t.n, ids, grads[len(xs)].Values())
	}
}

// objective returns the gradients of Eq. (4) by the slices and the labels' logits.
func (t *Tables) objective(d *dummy, ids []int, want []*tensor.Tensor) []*tensor.Tensor {
	k := float64(len(ids))
	var sum *tensor.Tensor
	add := func(term *tensor.Tensor) {
		if sum == nil {
			sum = term
		} else {
			sum = tensor.Add(sum, term)
		}
	}
	if t.a.Alpha > 0 {
		add(tensor.MulScalar(L2{}.Between(d.grads, want), t.a.Alpha))
	}
	if t.a.Gamma > 0 {
		for p, h := range d.features {
			known := fromValues(t.m.dtype(), rowsOf(t.H[p], ids, h.Dim(1)).RawMatrix().Data, h.Shape()...)
			add(tensor.MulScalar(tensor.Sum(tensor.Square(tensor.Sub(h, known))), t.a.Gamma))
		}
	}
	if t.a.Beta > 0 {
		var tv *tensor.Tensor
		for _, x := range d.xs {
			v := tensor.MulScalar(TotalVariation(x), 1/k)
			if tv != nil {
				v = tensor.Add(tv, v)
			}
			tv = v
		}
		if tv.Item()/float64(len(d.xs)) >= t.a.Xi {
			add(tensor.MulScalar(tv, t.a.Beta))
		}
	}
	wrt := append([]*tensor.Tensor(nil), d.xs...)
	if t.a.Alpha > 0 {
		wrt = append(wrt, d.labels)
	}
	if sum == nil {
		sum = tensor.MulScalar(tensor.Sum(d.xs[0]), 0)
	}
	return tensor.Grad(sum, wrt...)
}

// fill copies the tables of samples that are determined.
func (t *Tables) fill(r *Recovery, determined []bool) {
	for p := range r.Parties {
		out := &r.Parties[p]
		width := len(t.X[p]) / t.n
		out.V = mat.NewDense(t.n, len(t.V[p])/t.n, t.V[p])
		out.H = mat.NewDense(t.n, len(t.H[p])/t.n, t.H[p])
		for i, ok := range determined {
			if !ok {
				out.Status[i] = Undetermined
				continue
			}
			out.Status[i] = Recovered
			x := append([]float64(nil), t.X[p][i*width:(i+1)*width]...)
			clip(x)
			setRow(out.X, i, x)
		}
	}
	r.Labels = make([]int, t.n)
	for i := range r.Labels {
		r.Labels[i] = -1
		if determined[i] && t.a.Alpha > 0 {
			row := t.Y[i*t.classes : (i+1)*t.classes]
			for c, v := range row {
				if r.Labels[i] < 0 || v > row[r.Labels[i]] {
					r.Labels[i] = c
				}
			}
		}
	}
}

// Released returns the setting of the code released for CAFE: the single loop with
// its weights, learning rates and quirks. It belongs to a model with DoubleSoftmax
// and to 20000 rounds of Uniform batches.
func Released() Published { return Published{Released: true} }

// StepOneErrors runs Step I of a alone, for one party, and returns the norms of the
// difference to the true gradients v [N, d2] before and after, to be compared with
// StepOneDecay.
func StepOneErrors(ctx context.Context, a Published, m *Model, o Observations, party int, v *mat.Dense) (before, after float64, err error) {
	list, err := batches(o)
	if err != nil {
		return 0, 0, err
	}
	t, err := a.Start(m, o.Setting(), len(list[0]))
	if err != nil {
		return 0, 0, err
	}
	n, d2 := v.Dims()
	gap := func() float64 {
		var d mat.Dense
		d.Sub(mat.NewDense(n, d2, t.V[party]), v)
		return mat.Norm(&d, 2)
	}
	before = gap()
	for i := range t.a.Iterations {
		round := i % len(list)
		gs, err := fetch(ctx, m, o, round, t.layers[party].bias)
		if err != nil {
			return before, gap(), err
		}
		t.stepOne(party, list[round], gs[0].Values())
	}
	return before, gap(), nil
}

package fedleak

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

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
	adamH      []*rowAdam
	adamX      []*rowAdam
	adamY      *rowAdam
	tape       *tensor.Tape
	rounds     int    // that Observe took in
	ones       int    // updates of Step I
	visited    []bool // samples that Step III came to
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
	t := &Tables{a: a, m: m, n: n, classes: m.Classes, tape: tensor.NewTape(), visited: make([]bool, n)}
	adam := func(lr float64) *rowAdam { return &rowAdam{LR: lr, Released: a.Released} }
	for p := range m.Bottoms {
		l, err := m.firstDense(p)
		if err != nil {
			return nil, err
		}
		t.layers = append(t.layers, l)
		d1, d2 := l.dense.Weight.Dim(0), l.dense.Weight.Dim(1)
		in := m.Inputs[p]
		rng := stream(a.Seed, uint64(p)+1)
		t.V = append(t.V, uniform(rng.Float64, n*d2, -spread, spread))
		t.H = append(t.H, uniform(rng.Float64, n*d1, 0, 8e-2))
		t.X = append(t.X, uniform(rng.Float64, n*in[0]*in[1]*in[2], 0, 1))
		t.adamH, t.adamX = append(t.adamH, adam(a.LR2)), append(t.adamX, adam(a.LR3))
	}
	t.Y = uniform(stream(a.Seed, 0).Float64, n*m.Classes, 0, 1)
	t.adamY = adam(a.LR3)
	return t, nil
}

// spread bounds the entries of V at the start.
const spread = 8e-4

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
	if err := checkBatches([][]int{ids}, t.n); err != nil {
		return err
	}
	for i, r := range refs {
		if err := t.m.fits(t.rounds, r, gradients[i]); err != nil {
			return err
		}
	}
	if k := len(ids); 2*t.a.LR1 >= 2/float64(k) {
		return fmt.Errorf("fedleak: Tables.Observe: Step I diverges with LR1 = %v for batches of %d, want below %v", t.a.LR1, k, 1/float64(k))
	}
	t.rounds++
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
		if s&one != 0 {
			t.ones++
		}
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

// stepThree is Adam's step on the objective of Step III.
func (t *Tables) stepThree(ids []int, want []*tensor.Tensor) {
	defer t.tape.Reset()
	m, dtype := t.m, t.m.dtype()
	for _, id := range ids {
		t.visited[id] = true
	}
	want = inType(want, dtype)
	xs := make([]*tensor.Tensor, len(t.X))
	for p, in := range m.Inputs {
		size := in[0] * in[1] * in[2]
		xs[p] = fromValues(dtype, rowsOf(t.X[p], ids, size).RawMatrix().Data, len(ids), in[0], in[1], in[2])
	}
	labels := fromValues(dtype, rowsOf(t.Y, ids, t.classes).RawMatrix().Data, len(ids), t.classes)
	d := m.guess(&nn.Pass{}, t.tape, xs, labels, false, t.a.Alpha > 0)
	grads := t.objective(d, ids, want)
	for p := range t.X {
		t.adamX[p].Step(t.X[p], t.n, ids, grads[p].Values())
	}
	if t.a.Alpha > 0 {
		t.adamY.Step(t.Y, t.n, ids, grads[len(xs)].Values())
	}
}

// objective returns the gradients of Step III's objective by the slices and the labels' logits.
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

// fainter is the share of the median norm of rows of V below which a row that does not
// exceed its own error may count as dead.
const fainter = 0.05

// dead says of which samples party p shows no gradient: the norm of their row is below a
// millionth of the median, or small and within twice the error that the law of Step I
// expects after as many updates with batches of k.
func (t *Tables) dead(p, k int) []bool {
	width := len(t.V[p]) / t.n
	norms := make([]float64, t.n)
	for i := range norms {
		for _, v := range t.V[p][i*width : (i+1)*width] {
			norms[i] += v * v
		}
		norms[i] = math.Sqrt(norms[i])
	}
	middle := median(norms)
	start := math.Hypot(middle, spread*math.Sqrt(float64(width)/3))
	off := start * math.Sqrt(StepOneDecay(t.n, k, t.a.LR1, t.ones))
	out := make([]bool, t.n)
	for i, v := range norms {
		out[i] = v <= math.Max(1e-6*middle, math.Min(fainter*middle, 2*off))
	}
	return out
}

// fill copies the tables of samples that are determined and that Step III came to, after
// rounds with batches of k.
func (t *Tables) fill(r *Recovery, determined []bool, k int) {
	for p := range r.Parties {
		dead := t.dead(p, k)
		out := &r.Parties[p]
		width := len(t.X[p]) / t.n
		out.V = mat.NewDense(t.n, len(t.V[p])/t.n, t.V[p])
		out.H = mat.NewDense(t.n, len(t.H[p])/t.n, t.H[p])
		for i, ok := range determined {
			switch {
			case !t.visited[i]:
				continue
			case !ok:
				out.Status[i] = Undetermined
				continue
			case dead[i]:
				out.Status[i] = Dead
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
		if determined[i] && t.visited[i] && t.a.Alpha > 0 {
			row := t.Y[i*t.classes : (i+1)*t.classes]
			for c, v := range row {
				if r.Labels[i] < 0 || v > row[r.Labels[i]] {
					r.Labels[i] = c
				}
			}
		}
	}
}

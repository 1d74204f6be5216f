package fedleak

import (
	"container/heap"
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// features is the result of Step II for one party.
type features struct {
	h          *mat.Dense // [N, d1]
	noise      []float64  // relative error of each row by noise, estimated
	left       []float64  // the same by what is left out; nil for nothing
	determined []bool
	seen       []bool // in a round that was used
}

// err is the relative error of each row, estimated.
func (f *features) err() []float64 {
	if f.left == nil {
		return f.noise
	}
	out := make([]float64, len(f.noise))
	for i, v := range f.noise {
		out[i] = math.Hypot(v, f.left[i])
	}
	return out
}

// coverage returns rounds that together hold every wanted sample at least times
// times, if o has them, and in which every sample is known: the greedy choice, of the
// first round of those that gain most.
func coverage(batches [][]int, want, known []bool, times int) []int {
	count := make([]int, len(want))
	holding := make([][]int, len(want)) // rounds, by sample
	gain := make([]int, len(batches))
	var queue byGain
	for t, b := range batches {
		if slices.ContainsFunc(b, func(id int) bool { return !known[id] }) {
			continue
		}
		for _, id := range b {
			if want[id] && times > 0 {
				gain[t]++
				holding[id] = append(holding[id], t)
			}
		}
		queue = append(queue, candidate{t, gain[t]})
	}
	heap.Init(&queue)
	var out []int
	for len(queue) > 0 && queue[0].gain > 0 {
		// Gains only fall: a round whose gain is still that of the queue is the best.
		if t := queue[0].round; queue[0].gain > gain[t] {
			queue[0].gain = gain[t]
			heap.Fix(&queue, 0)
			continue
		}
		best := heap.Pop(&queue).(candidate).round
		out = append(out, best)
		for _, id := range batches[best] {
			if count[id]++; count[id] == times {
				for _, t := range holding[id] {
					gain[t]--
				}
			}
		}
	}
	return out
}

// candidate is a round with what it gained when last looked at.
type candidate struct{ round, gain int }

// byGain is a heap of candidates.
type byGain []candidate

func (q byGain) Len() int { return len(q) }
func (q byGain) Less(i, j int) bool {
	return q[i].gain > q[j].gain || q[i].gain == q[j].gain && q[i].round < q[j].round
}
func (q byGain) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *byGain) Push(x any)   { *q = append(*q, x.(candidate)) }
func (q *byGain) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	*q = (*q)[:last]
	return c
}

// stepTwo solves Step II of Jin et al., NeurIPS 2021, in closed form: with
// the gradients V known, the sums G_t = sum_n h_n v_n^T of the rounds are linear in H,
// with the normal equations
//
//	(sum_t (s_t s_t^T) o (V V^T)) H = sum_t diag(s_t) V G_t^T.
//
// They determine every row with v_n != 0 once K < N; no relation between N and d2 is
// needed. times is the number of rounds that each sample is to take part in; 0 means
// as few as determine it, and -1 all rounds.
//
// With a model that was trained meanwhile, rounds count by their weights.
func (w *work) stepTwo(ctx context.Context, l layer, g gradients, times int) (*features, error) {
	n, d2 := g.v.Dims()
	batches, known := w.batches, w.known
	want := make([]bool, n)
	for i := range want {
		want[i] = known[i] && !g.dead[i]
	}
	adaptive := times == 0
	if adaptive {
		times = 1 + (len(batches[0])+d2-1)/d2
	}
	if times < 0 {
		times = len(batches)
	}
	for {
		rounds := coverage(batches, want, known, times)
		f, err := w.accumulate(ctx, l, g, rounds)
		if err != nil {
			return nil, err
		}
		done := true
		for i := range want {
			f.determined[i] = f.determined[i] && want[i]
			done = done && f.determined[i] == want[i]
		}
		if done || !adaptive || times >= len(batches) {
			return f, nil
		}
		times *= 4
	}
}

// accumulate forms and solves the normal equations over some rounds.
func (w *work) accumulate(ctx context.Context, l layer, g gradients, rounds []int) (*features, error) {
	n, d2 := g.v.Dims()
	d1 := l.dense.Weight.Dim(0)
	// Rows of unit length make A well scaled; rows that are dead stay out.
	unit := make([]float64, n)
	for i := range unit {
		if s := mat.Norm(g.v.RowView(i), 2); !g.dead[i] && s > 0 {
			unit[i] = 1 / s
		}
	}
	v := mat.NewDense(n, d2, nil)
	scaleRows(v, g.v, unit)

	e := newEquations(v, d1)
	energy := 0.0
	var shown []*mat.Dense
	for _, t := range rounds {
		gs, err := fetch(ctx, w.m, w.o, t, l.weight)
		if err != nil {
			return nil, err
		}
		energy += sumSquares(gs[0])
		dense := toDense(gs[0])
		e.add(w.batches[t], dense, w.system.weight(t))
		if w.Masked {
			shown = append(shown, dense)
		}
	}
	s := factor(e.a)
	f := &features{h: s.solve(e.r), determined: s.determined(), seen: make([]bool, n)}
	for _, t := range rounds {
		for _, id := range w.batches[t] {
			f.seen[id] = true
		}
	}
	inverse := s.inverseDiagonal()
	if w.Masked {
		w.fillFeatures(v, g.err, f, inverse, rounds, shown)
	}

	// What H leaves of one round tells the noise of an entry of G.
	sd := 0x1p-24 * math.Sqrt(energy/float64(max(1, len(rounds))*d1*d2))
	if len(rounds) > 0 {
		left, err := w.residual(ctx, l, v, f.h, rounds[len(rounds)-1])
		if err != nil {
			return nil, err
		}
		sd = math.Max(sd, left)
	}
	f.noise = make([]float64, n)
	for i, d := range inverse {
		f.noise[i] = sd * math.Sqrt(d*float64(d1)) / mat.Norm(f.h.RowView(i), 2)
	}
	scaleRows(f.h, f.h, unit)
	return f, nil
}

// equations are the normal equations of Step II.
type equations struct {
	v *mat.Dense    // [N, d2]
	a *mat.SymDense // [N, N]
	r *mat.Dense    // [N, d1]
}

func newEquations(v *mat.Dense, d1 int) *equations {
	n, _ := v.Dims()
	return &equations{v, mat.NewSymDense(n, nil), mat.NewDense(n, d1, nil)}
}

// add takes in a round with the gradient g [d1, d2] of the weights.
func (e *equations) add(ids []int, g *mat.Dense, weight float64) {
	_, d2 := e.v.Dims()
	vs := mat.NewDense(len(ids), d2, nil)
	for i, id := range ids {
		vs.SetRow(i, e.v.RawRowView(id))
	}
	var inner, part mat.Dense
	inner.Mul(vs, vs.T())
	part.Mul(vs, g.T())
	for i, x := range ids {
		to := e.r.RawRowView(x)
		for j, u := range part.RawRowView(i) {
			to[j] += weight * u
		}
		for j, y := range ids[i:] {
			e.a.SetSym(x, y, e.a.At(x, y)+weight*inner.At(i, i+j))
		}
	}
}

// residual returns the root mean square of G_t - H_S^T V_S over the columns in which V
// is known, those that are not all 0, and over the entries that are shown.
func (w *work) residual(ctx context.Context, l layer, v, h *mat.Dense, t int) (float64, error) {
	gs, err := fetch(ctx, w.m, w.o, t, l.weight)
	if err != nil {
		return 0, err
	}
	seen := toDense(gs[0])
	d1, d2 := seen.Dims()
	ids := w.batches[t]
	hs, vs := mat.NewDense(len(ids), d1, nil), mat.NewDense(len(ids), d2, nil)
	for i, id := range ids {
		hs.SetRow(i, h.RawRowView(id))
		vs.SetRow(i, v.RawRowView(id))
	}
	var left mat.Dense
	left.Mul(hs.T(), vs)
	left.Sub(seen, &left)
	square, count := 0.0, 0
	for j := range d2 {
		if mat.Norm(vs.ColView(j), math.Inf(1)) == 0 {
			continue
		}
		for i := range d1 {
			if w.Masked && seen.At(i, j) == 0 {
				continue
			}
			square += left.At(i, j) * left.At(i, j)
			count++
		}
	}
	return math.Sqrt(square / float64(max(1, count))), nil
}

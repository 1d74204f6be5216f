package fedleak

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/internal/par"
)

// Sparse gradients leave out entries but do not change the others, whose equations
// hold exactly: sparsification multiplies the number of rounds that CAFE needs, and
// that is all. Each column of Step I and each row of Step II is solved from the rounds
// that show it.

// maskedCoverage is the number of rounds of Step II that each sample takes part in: each
// shows it in as many equations as there are entries left in a row of the gradient.
const maskedCoverage = 8

// leftOpen is the largest relative error that the features of a slice may have by what is
// left out.
const leftOpen = 0.2

// LeftOutError is returned beside the rest of a result when the uploads of a party leave
// out so many entries that none of the outputs of its first dense layer can be solved for.
type LeftOutError struct {
	Party int
	// Shown is the number of rounds that show the output that most rounds show.
	Shown int
	// Rank is that of all rounds, which the rounds of one output have to reach.
	Rank int
}

// Error implements error.
func (e *LeftOutError) Error() string {
	return fmt.Sprintf("fedleak: CAFE: party %d shows no entry of the bias gradient of its first dense layer in rounds of rank %d: the one shown most is in %d rounds, want more rounds", e.Party, e.Rank, e.Shown)
}

// maskedStepOne is stepOne column by column. A column whose rounds determine less than
// all rounds do becomes 0, and Step II does without it. If that is so for all columns,
// the party is lost.
func (w *work) maskedStepOne(p int) *gradients {
	b := w.biases[p]
	n, rank := w.system.n, w.system.report.Rank
	rounds, d2 := b.Dims()
	g := &gradients{v: mat.NewDense(n, d2, nil)}
	whole, shown := make([]bool, d2), make([]int, d2)
	par.For(d2, 1, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			var part [][]int
			var values, weights []float64
			for t := range rounds {
				if v := b.At(t, j); v != 0 {
					part = append(part, w.batches[t])
					values = append(values, v)
					weights = append(weights, w.system.weight(t))
				}
			}
			if shown[j] = len(part); len(part) < rank {
				continue
			}
			s := newSystem(part, n, 1, weights)
			if whole[j] = s.report.Rank == rank; whole[j] {
				g.v.SetCol(j, s.withRidge(w.Ridge).solve(mat.NewDense(len(values), 1, values)).RawMatrix().Data)
			}
		}
	})
	if g.lost = !slices.Contains(whole, true); g.lost && w.leftOut == nil {
		w.leftOut = &LeftOutError{p, slices.Max(shown), rank}
	}
	square, count := 0.0, 0
	fitted := w.system.apply(g.v)
	for j := range d2 {
		for t := range rounds {
			if v := b.At(t, j); v != 0 && whole[j] {
				e := v - fitted.At(t, j)
				square += e * e
				count++
			}
		}
	}
	g.sd = math.Max(0x1p-24*mat.Norm(b, 2)/math.Sqrt(float64(rounds*d2)), math.Sqrt(square/float64(max(1, count))))
	g.assess(w.system, w.known)
	return g
}

// fillFeatures solves each column of H again of whose row of the gradients entries were left
// out, from the others. Features that these leave open keep the solution for which
// zeros are values. It is wrong by as much as entries make that are left out, whose size is
// taken for that of the least one that is shown; a sample whose row may be too wrong by
// that is not determined. verr are the relative errors of the rows of V, and
// inverse is the diagonal of the inverse of the normal equations.
func (w *work) fillFeatures(v *mat.Dense, verr []float64, f *features, inverse []float64, rounds []int, shown []*mat.Dense) {
	n, d2 := v.Dims()
	_, d1 := f.h.Dims()
	v = aboveNoise(v, verr)
	used := make([]bool, d2) // columns of v that are not 0
	for x := range n {
		for j, u := range v.RawRowView(x) {
			used[j] = used[j] || u != 0
		}
	}
	open := make([]bool, n*d1) // by sample and feature
	par.For(d1, 1, func(lo, hi int) {
		a, r := mat.NewSymDense(n, nil), mat.NewDense(n, 1, nil)
		upper, right := a.RawSymmetric().Data, r.RawMatrix().Data
		rows := make([][]float64, len(w.batches[0])) // of v, with only the entries that are shown
		for i := range rows {
			rows[i] = make([]float64, d2)
		}
		for i := lo; i < hi; i++ {
			if !slices.ContainsFunc(shown, func(g *mat.Dense) bool { return leavesOut(g.RawRowView(i), used) }) {
				continue
			}
			clear(upper)
			clear(right)
			for q, t := range rounds {
				ids, weight := w.batches[t], w.system.weight(t)
				g := shown[q].RawRowView(i)
				for p, x := range ids {
					for j, u := range v.RawRowView(x) {
						rows[p][j] = 0
						if g[j] != 0 {
							rows[p][j] = u
							right[x] += weight * u * g[j]
						}
					}
				}
				for p, x := range ids {
					for o, y := range ids[p:] {
						s := 0.0
						for j, u := range rows[p] {
							s += u * rows[p+o][j]
						}
						upper[min(x, y)*n+max(x, y)] += weight * s
					}
				}
			}
			s := factor(a)
			h := s.solve(r)
			for x, ok := range s.determined() {
				if open[x*d1+i] = !ok; ok {
					f.h.Set(x, i, h.At(x, 0))
				}
			}
		}
	})
	least, count := make([]float64, n), make([]float64, n) // squares of entries, over rounds
	for q, t := range rounds {
		size := math.Inf(1)
		for _, u := range shown[q].RawMatrix().Data {
			if u != 0 {
				size = math.Min(size, math.Abs(u))
			}
		}
		for _, x := range w.batches[t] {
			least[x] += size * size
			count[x]++
		}
	}
	f.left = make([]float64, n)
	for x := range n {
		left := 0.0
		for _, o := range open[x*d1 : (x+1)*d1] {
			if o {
				left++
			}
		}
		if left > 0 && f.determined[x] {
			f.left[x] = math.Sqrt(left*inverse[x]*least[x]/count[x]) / mat.Norm(f.h.RowView(x), 2)
			f.determined[x] = f.left[x] <= leftOpen
		}
	}
}

// leavesOut says whether an entry of a row that is used was left out.
func leavesOut(row []float64, used []bool) bool {
	for j, v := range row {
		if v == 0 && used[j] {
			return true
		}
	}
	return false
}

// aboveNoise returns v, of rows of length 1, with 0 for the entries that their errors
// alone may have made, those within six deviations: no equation is to determine anything
// by them.
func aboveNoise(v *mat.Dense, errs []float64) *mat.Dense {
	n, d2 := v.Dims()
	out := mat.DenseCopyOf(v)
	for x := range n {
		noise := 6 * errs[x] / math.Sqrt(float64(d2))
		row := out.RawRowView(x)
		for j, u := range row {
			if math.Abs(u) < noise {
				row[j] = 0
			}
		}
	}
	return out
}

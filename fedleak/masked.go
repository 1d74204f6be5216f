package fedleak

import (
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

// masked says whether zeros are entries that were left out.
func (w *work) masked() bool { return w.Masked }

// maskedStepOne is stepOne column by column. A column whose rounds do not determine
// all samples becomes 0, and Step II does without it; if that is so for all columns,
// zeros have to count as values.
func (w *work) maskedStepOne(b *mat.Dense) *gradients {
	n := w.system.n
	rounds, d2 := b.Dims()
	g := &gradients{v: mat.NewDense(n, d2, nil)}
	whole := make([]bool, d2)
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
			if len(part) < n {
				continue
			}
			s := newSystem(part, n, 1, weights)
			if whole[j] = s.report.Rank == n; whole[j] {
				g.v.SetCol(j, s.withRidge(w.Ridge).solve(mat.NewDense(len(values), 1, values)).RawMatrix().Data)
			}
		}
	})
	if !slices.Contains(whole, true) {
		return stepOne(w.system, b)
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

// fillFeatures solves each column of H again, from the entries of its row of the
// gradients that are not 0, where they determine it.
func (w *work) fillFeatures(v *mat.Dense, f *features, rounds []int, seen []*mat.Dense) {
	n, d2 := v.Dims()
	_, d1 := f.h.Dims()
	par.For(d1, 1, func(lo, hi int) {
		a, r := mat.NewSymDense(n, nil), mat.NewDense(n, 1, nil)
		upper, right := a.RawSymmetric().Data, r.RawMatrix().Data
		rows := make([][]float64, len(w.batches[0])) // of v, with only the entries that were seen
		for i := range rows {
			rows[i] = make([]float64, d2)
		}
		for i := lo; i < hi; i++ {
			clear(upper)
			clear(right)
			for q, t := range rounds {
				ids, weight := w.batches[t], w.system.weight(t)
				g := seen[q].RawRowView(i)
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
				if ok {
					f.h.Set(x, i, h.At(x, 0))
				}
			}
		}
	})
}

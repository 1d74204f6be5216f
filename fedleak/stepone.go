package fedleak

import (
	"context"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
)

// stack collects one vector gradient of every round into a matrix [T, c].
func stack(ctx context.Context, m *Model, o Observations, refs []Ref) ([]*mat.Dense, error) {
	out := make([]*mat.Dense, len(refs))
	for t := range o.Rounds() {
		gs, err := fetch(ctx, m, o, t, refs...)
		if err != nil {
			return nil, err
		}
		for i, g := range gs {
			if out[i] == nil {
				out[i] = mat.NewDense(o.Rounds(), g.Len(), nil)
			}
			out[i].SetRow(t, g.Values())
		}
	}
	return out, nil
}

// gradients is the result of Step I for one party.
type gradients struct {
	v    *mat.Dense // [N, d2]
	err  []float64  // relative error of each row, estimated
	dead []bool     // no gradient, as far as can be told
	sd   float64    // of an entry of the observations, estimated
	lost bool       // so much is left out of the observations that v is 0
}

// stepOne solves Step I for the observed bias gradients b [T, d2]: the closed form of
// the first problem of Jin et al., NeurIPS 2021.
func stepOne(s *system, b *mat.Dense) *gradients {
	g := &gradients{v: s.solve(b)}
	g.sd = s.noise(b, g.v)
	g.assess(s, s.report.Determined)
	return g
}

// assess estimates errors and finds dead rows. A row is dead if its norm is below a
// millionth of the median over the known ones, or below a thousandth and not above its
// own error: under heavy noise no row can be told to be dead.
func (g *gradients) assess(s *system, known []bool) {
	n, c := g.v.Dims()
	norms := make([]float64, n)
	var alive []float64
	for i := range n {
		norms[i] = mat.Norm(g.v.RowView(i), 2)
		if known[i] {
			alive = append(alive, norms[i])
		}
	}
	middle := 0.0
	if len(alive) > 0 {
		middle = median(alive)
	}
	g.err, g.dead = make([]float64, n), make([]bool, n)
	for i, d := range s.normal.inverseDiagonal() {
		sd := g.sd * math.Sqrt(d*float64(c))
		g.err[i] = sd / norms[i]
		g.dead[i] = norms[i] <= math.Max(1e-6*middle, math.Min(1e-3*middle, 2*sd))
	}
}

// toDense converts a matrix gradient to float64.
func toDense(g *tensor.Tensor) *mat.Dense {
	return mat.NewDense(g.Dim(0), g.Dim(1), g.Values())
}

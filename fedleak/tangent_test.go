package fedleak

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// The gradient of a matching objective is the tangent of the first gradient in the
// direction R of the objective's derivative: one pass forward and one back with the
// parameters' tangents R, written out layer by layer for dense layers, tanh or ReLU,
// and the softmax cross-entropy.
func TestMatchingGradientsAreThoseOfTangents(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	const n, d0, d1, classes = 3, 4, 5, 3
	for _, act := range []nn.Plain{nn.Tanh, nn.ReLU} {
		m := &Model{Classes: classes, Inputs: [][3]int{{2, 2, 1}}, Top: nn.NewSequential(nn.NewLinear(rng, d1, classes)),
			Bottoms: []*nn.Sequential{nn.NewSequential(nn.Flatten, nn.NewLinear(rng, d0, d1), act)}}
		f := &Federation{Model: m, X: []*tensor.Tensor{tensor.Uniform(rng, tensor.Float64, 0, 1, n, 2, 2, 1)}, Labels: []int{0, 2, 1}, Schedule: Uniform{K: n}}
		double(f)
		seen := f.mean([]int{0, 1, 2}, nil, m.Refs())
		guess, y := tensor.Uniform(rng, tensor.Float64, 0, 1, n, 2, 2, 1), tensor.Normal(rng, tensor.Float64, 0, 1, n, classes)

		for _, dist := range []Distance{L2{}, Cosine{}} {
			d := m.guess(&nn.Pass{}, tensor.NewTape(), []*tensor.Tensor{guess}, y, false, true)
			gs := tensor.Grad(dist.Between(d.grads, seen), d.xs[0], d.labels)

			// R, and the network's parameters, as matrices.
			var inner, gg, ss float64
			for i, g := range d.grads {
				inner += tensor.Dot(g, seen[i]).Item()
				gg, ss = gg+sumSquares(g), ss+sumSquares(seen[i])
			}
			r, w := make([]*mat.Dense, 4), make([]*mat.Dense, 4)
			for i, ref := range m.Refs() {
				p, _ := m.param(ref)
				rows := 1
				if p.Rank() == 2 {
					rows = p.Dim(0)
				}
				w[i] = mat.NewDense(rows, p.Len()/rows, p.Values())
				v := d.grads[i].Values()
				for j, s := range seen[i].Values() {
					if _, ok := dist.(L2); ok {
						v[j] = 2 * (v[j] - s)
					} else {
						v[j] = -s/math.Sqrt(gg*ss) + inner*v[j]/(gg*math.Sqrt(gg*ss))
					}
				}
				r[i] = mat.NewDense(rows, p.Len()/rows, v)
			}

			affine := func(x, w, b mat.Matrix) *mat.Dense {
				var z mat.Dense
				z.Mul(x, w)
				z.Apply(func(_, j int, v float64) float64 { return v + b.At(0, j) }, &z)
				return &z
			}
			sum := func(a, b mat.Matrix) *mat.Dense {
				var z mat.Dense
				z.Add(a, b)
				return &z
			}
			times := func(a, b mat.Matrix) *mat.Dense {
				var z mat.Dense
				z.Mul(a, b)
				return &z
			}
			each := func(of *mat.Dense, f func(i, j int) float64) *mat.Dense {
				rows, columns := of.Dims()
				z := mat.NewDense(rows, columns, nil)
				z.Apply(func(i, j int, _ float64) float64 { return f(i, j) }, z)
				return z
			}
			slope := func(z float64) (first, second float64) {
				if act == nn.Tanh {
					a := math.Tanh(z)
					return 1 - a*a, -2 * a * (1 - a*a)
				}
				if z > 0 {
					return 1, 0
				}
				return 0, 0
			}
			x := mat.NewDense(n, d0, guess.Values())
			z := affine(x, w[0], w[1])
			a := each(z, func(i, j int) float64 {
				if act == nn.Tanh {
					return math.Tanh(z.At(i, j))
				}
				return math.Max(0, z.At(i, j))
			})
			p := softmaxRows(affine(a, w[2], w[3]))
			target := softmaxRows(mat.NewDense(n, classes, y.Values()))
			inRow := func(a, b *mat.Dense, i int) float64 { return mat.Dot(a.RowView(i), b.RowView(i)) }

			zt := affine(x, r[0], r[1])
			at := each(z, func(i, j int) float64 { s, _ := slope(z.At(i, j)); return s * zt.At(i, j) })
			logits := sum(times(at, w[2]), affine(a, r[2], r[3]))
			centred := each(p, func(i, j int) float64 { return logits.At(i, j) - inRow(p, logits, i) })
			delta := each(p, func(i, j int) float64 { return (p.At(i, j) - target.At(i, j)) / n })
			deltaT := each(p, func(i, j int) float64 { return p.At(i, j) * centred.At(i, j) / n })
			back, backT := times(delta, w[2].T()), sum(times(deltaT, w[2].T()), times(delta, r[2].T()))
			first := each(z, func(i, j int) float64 { s, _ := slope(z.At(i, j)); return s * back.At(i, j) })
			firstT := each(z, func(i, j int) float64 {
				s, c := slope(z.At(i, j))
				return s*backT.At(i, j) + c*zt.At(i, j)*back.At(i, j)
			})
			want := sum(times(firstT, w[0].T()), times(first, r[0].T()))
			require.InDeltaSlice(t, want.RawMatrix().Data, gs[0].Values(), 1e-12, "%v %s", act, dist.Name())

			q := each(p, func(i, j int) float64 { return -centred.At(i, j) / n })
			want = each(p, func(i, j int) float64 { return target.At(i, j) * (q.At(i, j) - inRow(target, q, i)) })
			require.InDeltaSlice(t, want.RawMatrix().Data, gs[1].Values(), 1e-12, "%v %s", act, dist.Name())
			require.Greater(t, tensor.MaxAbs(gs[0]), 1e-6)
		}
	}
}

// softmaxRows returns the softmax of each row.
func softmaxRows(z *mat.Dense) *mat.Dense {
	out := mat.DenseCopyOf(z)
	n, _ := z.Dims()
	for i := range n {
		row := out.RawRowView(i)
		s := 0.0
		for j, v := range row {
			row[j] = math.Exp(v)
			s += row[j]
		}
		for j := range row {
			row[j] /= s
		}
	}
	return out
}

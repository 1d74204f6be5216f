package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoldenTermsOfGeneralization(t *testing.T) {
	n, x := g3(t)
	class := n.norms()
	require.InDelta(t, .423208, class.psi(.01), 1e-9)
	require.InDelta(t, 4.528, class.psi(.1), 1e-9)
	q, err := LinearDrop(n, .01)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{.161908, .252508}, q, 1e-9)
	require.InDelta(t, .288162, q[0]*x[0]+q[1]*x[1], 1e-9)
	q, err = LinearDrop(n, .1)
	require.NoError(t, err)
	require.InDelta(t, 3.177, q[0]*x[0]+q[1]*x[1], 1e-9)
	require.InDelta(t, 15.5, sumAbs(class.rows)+sumAbs(class.columns), 1e-12)
	g, err := class.bound(context.Background(), n, .01, [][]float64{x}, []int{1}, 2, math.Log(2/.01))
	require.NoError(t, err)
	require.InDelta(t, .288162/2, g.Empirical, 1e-9)
	peeled, logged := 4*15*1*math.Sqrt(2*math.Log(4)), 2*15*math.Sqrt(4+math.Log(2))
	require.InDelta(t, 4*min(peeled, logged), g.Network, 1e-9)
	require.InDelta(t, .423208*1.5, g.Perturbation, 1e-9)
	require.InDelta(t, 3*math.Sqrt(math.Log(200)/2), g.Confidence, 1e-12)
	require.True(t, g.Vacuous())
	require.Contains(t, g.String(), "vacuous")
	require.NotContains(t, GeneralizationBound{Total: .5}.String(), "vacuous")
}

// The class and the scale of the theorem are points of a grid that is there before the
// examples, and each pays its share of delta: networks of other norms in the same cells
// have the same terms.
func TestGeneralizationIsOfAGridOfClasses(t *testing.T) {
	n, x := g3(t)
	ctx, images, y := context.Background(), [][]float64{x, {.3, -2}}, []int{1, 0}
	get := func(n *Network, scale float64) GeneralizationBound {
		g, err := Generalization(ctx, n, .01, images, y, scale, .05)
		require.NoError(t, err)
		return g
	}
	g := get(n, 1.99)
	require.Equal(t, 2., g.Scale)
	class, price := n.norms().onGrid()
	for i, own := range n.norms().rows {
		require.LessOrEqual(t, own, class.rows[i])
		require.Greater(t, own, class.rows[i]/1.0109, "2^(1/64)")
	}
	want, err := class.bound(ctx, n, .01, images, y, 2, math.Log(2/.05)+price+gridPrice(64))
	require.NoError(t, err)
	require.InDelta(t, want.Total, g.Total, 1e-12*want.Total)
	require.Equal(t, want.Network, g.Network)
	require.InDelta(t, 3*math.Sqrt((math.Log(2/.05)+price+math.Log(129*130))/4), g.Confidence, 1e-12)
	own, err := n.norms().bound(ctx, n, .01, images, y, 2, math.Log(2/.05))
	require.NoError(t, err)
	require.Less(t, own.Network, g.Network)
	require.Less(t, own.Perturbation, g.Perturbation)
	require.Less(t, own.Confidence, g.Confidence)
	other := n.Clone()
	for i := range other.layers {
		for k := range other.layers[i].Weight.Val {
			other.layers[i].Weight.Val[k] *= 1.001
		}
	}
	h := get(other, 1.985)
	require.Equal(t, []float64{g.Scale, g.Network, g.Perturbation, g.Confidence}, []float64{h.Scale, h.Network, h.Perturbation, h.Confidence})

	sum, shares := 0.0, 1e5
	for k := -int(shares) / 2; k < int(shares)/2; k++ {
		sum += math.Exp(-gridPrice(k))
	}
	require.InDelta(t, 1-1/(shares+1), sum, 1e-9)
	for _, v := range []float64{0, 5e-324, 1e-310, .3, 1, 1.0108, 1.0109, 2, 1e10, 1e300, math.MaxFloat64, math.Inf(1)} {
		point, price := onGrid(v)
		require.GreaterOrEqual(t, point, v)
		require.True(t, v < 1e-300 || point <= v*1.0109, "%v for %v", point, v)
		require.True(t, price > 0 && price < 25)
	}
	point, price := onGrid(1)
	require.Equal(t, []float64{1, math.Ln2}, []float64{point, price})
}

// TestDepthRademacherIsNeverExceeded compares the bound with the best of many random
// networks of the class on every vector of signs.
func TestDepthRademacherIsNeverExceeded(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		n, d, depth := 2+rng.IntN(4), 1+rng.IntN(4), 1+rng.IntN(3)
		x := make([][]float64, n)
		columns := make([]float64, d)
		for i := range x {
			x[i] = make([]float64, d)
			for k := range x[i] {
				x[i][k] = rng.NormFloat64()
				columns[k] += x[i][k] * x[i][k]
			}
		}
		values := make([][]float64, 400) // of an output on the examples
		for h := 0; h < len(values); h += 2 {
			var weights []Matrix
			in := d
			for m := range depth {
				out := 3
				if m == depth-1 {
					out = 2
				}
				w := Matrix{Rows: out, Cols: in, Val: make([]float64, out*in)}
				for r := range out {
					row := w.Val[r*in : (r+1)*in]
					for k := range row {
						row[k] = rng.NormFloat64()
					}
					if rng.IntN(2) == 0 { // a vertex of the l1-ball
						clear(row)
						row[rng.IntN(in)] = float64(2*rng.IntN(2) - 1)
					}
					size := sumAbs(row)
					for k := range row {
						row[k] /= size
					}
				}
				weights = append(weights, w)
				in = out
			}
			net := mlp(t, ReLU, weights...)
			for i := range x {
				f := net.Logits(x[i])
				values[h], values[h+1] = append(values[h], f[0]), append(values[h+1], f[1])
			}
		}
		mean := 0.0
		for signs := range 1 << n {
			best := math.Inf(-1)
			for _, v := range values {
				s := 0.0
				for i := range v {
					s += v[i] * float64(2*(signs>>i&1)-1)
				}
				best = max(best, s/float64(n))
			}
			mean += best / float64(int(1)<<n)
		}
		largest := 0.0
		for _, c := range columns {
			largest = max(largest, math.Sqrt(c))
		}
		bound, err := DepthRademacher(1, largest, depth, d, n)
		require.NoError(t, err)
		require.LessOrEqual(t, mean, bound)
	}
}

func TestGoldenRamp(t *testing.T) {
	for m, want := range map[float64]float64{-1: 1, 0: 1, .5: .75, 1: .5, 2: 0, 3: 0} {
		require.Equal(t, want, Ramp(m, 2))
	}
	n, x := g3(t)
	for _, c := range []struct {
		m    Method
		want [3]float64
	}{
		{Product{Form: T1}, [3]float64{.096156, .5045, 1}},
		{Product{Form: T2}, [3]float64{.086456, .462, 1}},
		{IBP{}, [3]float64{.0595, .2875, .655}},
	} {
		for i, eps := range []float64{.01, .05, .1} {
			v, err := RobustRamp(context.Background(), c.m, n, grown(t, n, Absolute(), eps), [][]float64{x}, []int{1}, 2)
			require.NoError(t, err)
			require.InDelta(t, c.want[i], v, 1e-9)
		}
	}
}

// All 16 sign vectors give the exact complexity of the small set.
func TestGoldenRademacherComplexities(t *testing.T) {
	x := [][]float64{{1, -.5}, {.2, 2}, {-1, .3}, {.4, .7}}
	bound, err := AbsRademacher(1.5, x)
	require.NoError(t, err)
	require.InDelta(t, 1.3803622, bound, 1e-7)
	column := 0.0
	for k := range 2 {
		s := 0.0
		for _, v := range x {
			s += v[k] * v[k]
		}
		column = max(column, math.Sqrt(s))
	}
	bound, err = MaxColumnRademacher(2, column, 2, 4)
	require.NoError(t, err)
	require.InDelta(t, 1.8297270, bound, 1e-7)
	abs, ball := 0.0, 0.0
	for signs := range 16 {
		var a, b [2]float64
		for i, v := range x {
			s := float64(2*(signs>>i&1) - 1)
			for k := range v {
				a[k] += s * math.Abs(v[k])
				b[k] += s * v[k]
			}
		}
		abs += 1.5 * (math.Abs(a[0]) + math.Abs(a[1])) / 4 / 16
		ball += 2 * max(math.Abs(b[0]), math.Abs(b[1])) / 4 / 16
	}
	require.InDelta(t, 1.2, abs, 1e-12)
	require.InDelta(t, 1.13125, ball, 1e-12)
}

// No change of a margin exceeds the linear bound.
func TestLinearDropDominates(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 6))
	for range 200 {
		n := mlp(t, ReLU, Matrix{Rows: 4, Cols: 3, Val: draws(rng, 12)}, Matrix{Rows: 3, Cols: 4, Val: draws(rng, 12)}, Matrix{Rows: 3, Cols: 3, Val: draws(rng, 9)})
		eps := .3 * rng.Float64()
		x := draws(rng, 3)
		q, err := LinearDrop(n, eps)
		require.NoError(t, err)
		drop := 0.0
		for k, v := range x {
			drop += q[k] * math.Abs(v)
		}
		f := n.Logits(x)
		p, err := prepare(n, grown(t, n, Absolute(), eps))
		require.NoError(t, err)
		d := p.newDescent(.3)
		for range 50 {
			d.reset(nil)
			vertex(d, rng)
			d.forward(x)
			h := d.acts[3]
			for i := range f {
				for j := range f {
					require.LessOrEqual(t, math.Abs(h[i]-h[j]-f[i]+f[j]), drop*(1+1e-9)+1e-9)
				}
			}
		}
		out, err := Margins(Product{}, n, grown(t, n, Absolute(), eps), x, 0)
		require.NoError(t, err)
		for j := range f {
			require.GreaterOrEqual(t, f[0]-f[j]-out[j], -1e-9)
		}
	}
}

func TestHeldOutBounds(t *testing.T) {
	v, err := CertifiedShare(939, 1000, .01)
	require.NoError(t, err)
	require.InDelta(t, .919, v, 5e-4)
	v, err = CertifiedShare(10, 10, .05)
	require.NoError(t, err)
	require.InDelta(t, math.Pow(.05, .1), v, 1e-9)
	v, err = CertifiedShare(0, 10, .05)
	require.NoError(t, err)
	require.Zero(t, v)
	require.InDelta(t, 1-math.Exp(-math.Log(2*math.Sqrt(1000)/.01)/1000), maurer(0, 0, 1000, .01), 1e-9)
	p, err := PACBayes(0, 7, 0, 1000, .01)
	require.NoError(t, err)
	e := 1 - math.Exp(-math.Log(2/.01)/7)
	require.InDelta(t, math.Log(2*math.Sqrt(1000)/.005)/1000, bernoulliKL(e, p), 1e-9)
	many, err := PACBayes(.1, 1e12, 20, 1000, .01)
	require.NoError(t, err)
	require.InDelta(t, maurer(.1, 20, 1000, .005), many, 1e-4)
	n, _ := g3(t)
	m := n.Clone()
	m.layers[0].Weight.Val[0] += .3
	d, err := GaussianDivergence(m, n, .1)
	require.NoError(t, err)
	require.InDelta(t, 4.5, d, 1e-9)
	for _, bad := range []func() error{
		func() error { _, err := CertifiedShare(3, 2, .1); return err },
		func() error { _, err := CertifiedShare(1, 2, 1); return err },
		func() error { _, err := PACBayes(2, 9, 1, 100, .1); return err },
		func() error { _, err := PACBayes(.2, 0, 1, 100, .1); return err },
		func() error { _, err := PACBayes(.2, 9, math.NaN(), 100, .1); return err },
		func() error { _, err := PACBayes(.2, 9, 1, 1, .1); return err },
		func() error { _, err := PACBayes(.2, 9, 1, 100, 0); return err },
		func() error { _, err := GaussianDivergence(n, nil, .1); return err },
		func() error { _, err := GaussianDivergence(n, n, 0); return err },
		func() error { _, err := Generalization(context.Background(), n, .1, nil, nil, 1, .1); return err },
		func() error {
			_, err := Generalization(context.Background(), n, -1, [][]float64{{1, 1}}, []int{0}, 1, .1)
			return err
		},
		func() error {
			_, err := Generalization(context.Background(), n, .1, [][]float64{{1, 1}}, []int{0}, 0, .1)
			return err
		},
		func() error {
			_, err := Generalization(context.Background(), n, .1, [][]float64{{1, 1}}, []int{0}, 1, 1)
			return err
		},
		func() error {
			_, err := LinearDrop(mlp(t, Softplus, rows([]float64{1}), rows([]float64{1}, []float64{1})), .1)
			return err
		},
	} {
		require.Error(t, bad())
	}
	require.Panics(t, func() { Ramp(1, 0) })
}

// One draw of the weights in ten gets everything wrong. Three draws show none of that most
// of the time, and the bound is below the error of 0.1 with no more than its probability.
func TestPACBayesKnowsThatDrawsAreFew(t *testing.T) {
	const draws, wrong, delta = 3, .1, .1
	below, trusting := 0.0, 0.0
	for k, ways := range []float64{1, 3, 3, 1} {
		chance := ways * math.Pow(wrong, float64(k)) * math.Pow(1-wrong, float64(draws-k))
		observed := float64(k) / draws
		p, err := PACBayes(observed, draws, 0, 1000, delta)
		require.NoError(t, err)
		if p < wrong {
			below += chance
		}
		if maurer(observed, 0, 1000, delta) < wrong {
			trusting += chance
		}
	}
	require.LessOrEqual(t, below, delta)
	require.Greater(t, trusting, .7, "an estimate that is taken for the error itself")
}

// The lower end is that of exact arithmetic where gonum's own inverse is far off.
func TestCertifiedShareIsExactNearAllOfMany(t *testing.T) {
	v, err := CertifiedShare(125_683, 125_690, 2.3295794752735073e-07)
	require.NoError(t, err)
	require.InDelta(t, 0.999753079040980, v, 1e-12, "decimal arithmetic of 60 digits")
}

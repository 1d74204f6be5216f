package weightpert

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// chain is a network of one unit in each hidden layer, with the given gains.
func chain(t testing.TB, gains ...float64) *Network {
	var w []Matrix
	for _, g := range gains {
		w = append(w, rows([]float64{g}))
	}
	return mlp(t, ReLU, append(w, rows([]float64{1}, []float64{0}))...)
}

// The product of tiny gains is 0 in float64 but not in real arithmetic, and a large
// gain before them makes it count.
func TestGainsThatUnderflowAreNotNothing(t *testing.T) {
	x := []float64{1}
	for _, gains := range [][]float64{
		{0, 1e300, 1e-170, 1e-170}, {0, 1e300, 1e-300, 1e-300}, {0, 1e200, 1e200, 1e-170, 1e-170, 1e-170}, {0, 1e290, 1e-200, 1e290, 1e-200, 1e-200},
	} {
		n := chain(t, gains...)
		for _, eps := range []float64{1, 1e5} {
			b := grown(t, n, Absolute(0), eps)
			// Layer 0 can go to eps; the logit of the rival is 0 and that of the
			// label falls to 0 at most, so the margin over it, seen from the other
			// class, falls by the product.
			worst := new(big.Float).SetPrec(2000).SetFloat64(-eps)
			for _, g := range gains[1:] {
				worst.Mul(worst, new(big.Float).SetFloat64(g))
			}
			for _, m := range everyMethod {
				low := margin(t, m, n, b, x, 1, 0)
				if math.IsInf(low, -1) {
					continue
				}
				require.LessOrEqual(t, new(big.Float).SetFloat64(low).Cmp(worst), 0, "%s for %v: %v", m.Name(), gains, low)
			}
		}
	}
}

func TestNormsNeitherUnderflowNorOverflow(t *testing.T) {
	for _, q := range []float64{1, 4. / 3, 1.5, 2, 3, 7.5, 1e6, math.Inf(1)} {
		for _, scale := range []float64{1e-310, 1e-170, 1, 1e170, 1e300} {
			want := 3 * scale
			if !math.IsInf(q, 1) {
				want *= math.Pow(4, 1/q)
			}
			v := []float64{3 * scale, -3 * scale, 0, 3 * scale, -3 * scale}
			require.InEpsilon(t, want, norm(v, q), 1e-12, "order %v of %v", q, scale)
			require.GreaterOrEqual(t, normAbove(v, q), norm(v, q))
			require.Greater(t, normAbove(v, q), want*(1-1e-15))
		}
	}
	require.Zero(t, norm(nil, 2))
	require.Zero(t, normAbove([]float64{0, 0}, 3))
	for _, p := range []float64{1, 1.25, 2, 3, 50, math.Inf(1)} {
		q := dualOrder(p)
		require.InDelta(t, 1, 1/p+1/q, 1e-14)
	}
	require.Less(t, dualOrder(3.), 1.5)
}

// With inputs of 1e-170 and changes of 1e175 the norm of the input alone would
// vanish if it were not scaled, and with it a change of 1e5.
func TestNormBoundsOfTinyInputs(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1, 1}), rows([]float64{1}, []float64{0}))
	x := []float64{1e-170, 1e-170}
	worst := n.Clone()
	for k := range worst.layers[0].Weight.Val {
		worst.layers[0].Weight.Val[k] = 1e175
	}
	f := worst.Logits(x)
	got := f[1] - f[0]
	require.InEpsilon(t, -2e5, got, 1e-9)
	fro, err := FrobeniusBound(n, 0, 1.5e175, x, 1)
	require.NoError(t, err)
	require.LessOrEqual(t, fro[0], got)
	for _, p := range []float64{2, 3, math.Inf(1)} {
		row, err := RowBallBound(n, RowBall{0, 1.5e175, p}, x, 1)
		require.NoError(t, err)
		require.LessOrEqual(t, row[0], got)
		for _, merge := range []bool{false, true} {
			weng, err := WengBound(context.Background(), n, RowBall{0, 1.5e175, p}, merge, x, 1)
			require.NoError(t, err)
			require.LessOrEqual(t, weng[0], got)
		}
	}
}

// ratLogits computes the logits of a network of ReLUs in real arithmetic.
func ratLogits(n *Network, x []float64) []*big.Rat {
	var z []*big.Rat
	for _, v := range x {
		z = append(z, rat(v))
	}
	for i := range n.layers {
		l := &n.layers[i]
		next := make([]*big.Rat, l.Weight.Rows)
		for r := range next {
			next[r] = new(big.Rat)
			from, to := l.Weight.span(r)
			for k := from; k < to; k++ {
				next[r].Add(next[r], new(big.Rat).Mul(rat(l.Weight.Val[k]), z[l.Weight.column(k, from)]))
			}
			if l.Bias != nil {
				next[r].Add(next[r], rat(l.Bias[r]))
			}
			if l.Act == ReLU && next[r].Sign() < 0 {
				next[r] = new(big.Rat)
			}
		}
		z = next
	}
	return z
}

// In real arithmetic, where no rounding of the network itself hides that of a bound,
// no bound exceeds the margins of clean weights, of box ends or of the witness. Sizes
// go from 1e-160 to 1e160 where bounds are of every order.
func TestBoundsHoldInRealArithmetic(t *testing.T) {
	rng := rand.New(rand.NewPCG(20, 26))
	above := 0
	for trial := range 150 {
		n := randomNet(t, rng, ReLU)
		if trial%2 == 0 {
			for i := range n.layers {
				s := math.Pow(10, 320*rng.Float64()-160)
				for k := range n.layers[i].Weight.Val {
					n.layers[i].Weight.Val[k] *= s
				}
			}
		}
		b := NewBox(n)
		if trial%3 > 0 {
			b = randomBudget(t, rng, n).box
		}
		x, y := draws(rng, n.Inputs()), rng.IntN(n.Classes())
		if rng.IntN(4) == 0 {
			for k := range x {
				x[k] *= math.Pow(10, 320*rng.Float64()-160)
			}
		}
		p, err := prepare(n, b)
		require.NoError(t, err)
		d := p.newDescent(.3)
		points := []*Network{n}
		for range 3 {
			d.reset(nil)
			vertex(d, rng)
			points = append(points, d.net.Clone())
		}
		for j := range n.Classes() {
			if w, err := LastTwo(n, b, x, y, j); err == nil {
				points = append(points, w.Network)
			}
		}
		for _, m := range append(everyMethod, Path{Envelope: true}) {
			out, err := Margins(m, n, b, x, y)
			require.NoError(t, err)
			for _, point := range points {
				f := ratLogits(point, x)
				for j, low := range out {
					if math.IsInf(low, -1) {
						continue
					}
					above++
					exact := new(big.Rat).Sub(f[y], f[j])
					require.LessOrEqual(t, rat(low).Cmp(exact), 0, "trial %d, %s: bound %v, margin %v", trial, m.Name(), low, exact.FloatString(30))
				}
			}
		}
	}
	require.Greater(t, above, 4000)
}

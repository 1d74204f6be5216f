package weightpert

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDifferencesAndProductsAreRoundedOutwards(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 3))
	for range 5000 {
		a, b := rng.NormFloat64()*math.Pow(10, 20*rng.Float64()), rng.NormFloat64()
		low := minus(a, b)
		require.Less(t, rat(low).Cmp(new(big.Rat).Sub(rat(a), rat(b))), 0)
		require.InDelta(t, a-b, low, 1e-15*(math.Abs(a)+math.Abs(b)))
		p, q := math.Abs(a)*math.Pow(10, -200*rng.Float64()), math.Abs(b)*math.Pow(10, -200*rng.Float64())
		require.Positive(t, rat(mulUp(p, q)).Cmp(new(big.Rat).Mul(rat(p), rat(q))))
	}
	require.True(t, math.IsInf(minus(math.Inf(1), math.Inf(1)), -1))
	require.True(t, math.IsInf(mulUp(1e300, 1e300), 1))
	require.Zero(t, mulUp(0, math.Inf(1)))
	require.Equal(t, math.SmallestNonzeroFloat64, mulUp(1e-300, 1e-300))
}

// exactValue returns an activation in 200 bits.
func exactValue(a Activation, v float64) *big.Float {
	f := func(x float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(x) }
	// exp by its series after halving the argument 60 times.
	exp := func(x float64) *big.Float {
		r, sum, term := f(math.Ldexp(x, -60)), f(1), f(1)
		for k := 1; k < 12; k++ {
			term.Mul(term, r).Quo(term, f(float64(k)))
			sum.Add(sum, term)
		}
		for range 60 {
			sum.Mul(sum, sum)
		}
		return sum
	}
	one := f(1)
	switch a {
	case Sigmoid:
		return one.Quo(one, f(0).Add(f(1), exp(-v)))
	case Tanh:
		e := exp(2 * v)
		return f(0).Quo(f(0).Sub(e, f(1)), f(0).Add(e, f(1)))
	case LeakyReLU:
		if v < 0 {
			return f(0).Mul(f(v), f(leak))
		}
	}
	return f(v)
}

// The ends of an activation's interval lie outside its value, each by some ulps.
func TestActivationsAreEnclosed(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 4))
	for range 300 {
		v := 8 * rng.NormFloat64()
		for _, a := range []Activation{Sigmoid, Tanh, LeakyReLU} {
			lo, hi := a.enclose(v, v)
			exact := exactValue(a, v)
			require.Negative(t, new(big.Float).SetFloat64(lo).Cmp(exact), "%v of %v", a, v)
			require.Positive(t, new(big.Float).SetFloat64(hi).Cmp(exact), "%v of %v", a, v)
		}
		for _, a := range []Activation{Softplus, Sigmoid, Tanh} {
			lo, hi := a.enclose(v, v)
			at := a.Value(v)
			require.LessOrEqual(t, lo, at-8*unit*math.Abs(at))
			require.GreaterOrEqual(t, hi, at+8*unit*math.Abs(at))
			require.InDelta(t, lo, hi, 1e-14*math.Abs(at)+1e-290)
		}
	}
	lo, _ := Sigmoid.enclose(-800, -800)
	require.Zero(t, lo)
}

// A margin that the order of additions could turn is no certificate.
func TestCertificatesLeaveRoomForOtherOrdersOfAddition(t *testing.T) {
	for margin, want := range map[float64]bool{5e-10: false, 1.9e-9: false, 3e-9: true} {
		n := mlp(t, ReLU, rows([]float64{1}, []float64{1 - margin}))
		c, err := Certify(context.Background(), IBP{}, n, NewBox(n), [][]float64{{1}}, []int{0})
		require.NoError(t, err)
		require.Equal(t, want, c.Certified[0], margin)
	}
}

// The size that is returned is one that was certified, however coarse the search.
func TestRadiiAreCertified(t *testing.T) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(5, 5))
	positive := 0
	for range 150 {
		n, x := anyNet(t, rng, ReLU)
		y := argMax(n.Logits(x))
		m := everyMethod[rng.IntN(len(everyMethod))]
		r, err := CertifiedRadius(ctx, n, m, Absolute(), x, y, RadiusOptions{Halvings: 1 + rng.IntN(4), Start: math.Pow(10, -3*rng.Float64()), Max: 100})
		require.NoError(t, err)
		c, err := Certify(ctx, m, n, grown(t, n, Absolute(), r), [][]float64{x}, []int{y})
		require.NoError(t, err)
		if r > 0 {
			positive++
			require.True(t, c.Certified[0])
		}
		layer := rng.IntN(n.Depth())
		c, err = Certify(ctx, Product{Form: T2}, n, NewBox(n), [][]float64{x}, []int{y})
		require.NoError(t, err)
		r, err = SingleLayerRadius(n, layer, x, y)
		require.Equal(t, c.Certified[0], r > 0)
		if err != nil || r == 0 || math.IsInf(r, 1) || r > 1e300 {
			require.NoError(t, err)
			continue
		}
		c, err = Certify(ctx, Product{Form: T2}, n, grown(t, n, Absolute(layer), r), [][]float64{x}, []int{y})
		require.NoError(t, err)
		require.True(t, c.Certified[0], "%v", r)
		if c, err = Certify(ctx, Product{Form: T2}, n, grown(t, n, Absolute(layer), r*(1+1e-6)+1e-12), [][]float64{x}, []int{y}); err != nil {
			t.Fatal(err)
		}
		require.False(t, c.Certified[0], "%v is not the largest", r)
	}
	require.Greater(t, positive, 50)
}

// A layer whose changes cannot reach the logits bears all of them.
func TestRadiusOfALayerWithoutInfluenceIsInfinite(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1, 1}), rows([]float64{1}, []float64{0}))
	n.layers[1].Bias = []float64{2, 0}
	{
		x := []float64{0, 0}
		r, err := SingleLayerRadius(n, 0, x, 0)
		require.NoError(t, err)
		require.True(t, math.IsInf(r, 1))
	}
	n.layers[1].Weight.Val = []float64{0, 0}
	r, err := SingleLayerRadius(n, 0, []float64{1, 2}, 0)
	require.NoError(t, err)
	require.True(t, math.IsInf(r, 1))
	s, err := Sensitivities(context.Background(), IBP{}, n, Absolute, .1, [][]float64{{1, 2}, {3, 1}, {1, 1}}, []int{0, 0, 0})
	require.NoError(t, err)
	require.True(t, math.IsInf(s[0].Norm, 1))
	text, err := s[0].MarshalJSON()
	require.NoError(t, err)
	require.Contains(t, string(text), `"median_norm_radius":null`)
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = CertifiedRadius(stopped, n, IBP{}, Absolute(), []float64{1, 2}, 0, RadiusOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// Norms of matrices and products with moduli are at least what real arithmetic gives, in
// columns that are much longer than rows too.
func TestSumsOfModuliAreRoundedUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	abs := func(v float64) *big.Rat { return new(big.Rat).Abs(rat(v)) }
	for trial := range 200 {
		m := Matrix{Rows: 1 + rng.IntN(60), Cols: 1 + rng.IntN(4)}
		m.Val = draws(rng, m.Rows*m.Cols)
		if trial%2 == 0 {
			m = thin(m, rng)
		}
		s := draws(rng, m.Rows)
		want := make([]*big.Rat, m.Cols)
		columns, rowSums := make([]*big.Rat, m.Cols), make([]*big.Rat, m.Rows)
		for c := range want {
			want[c], columns[c] = new(big.Rat), new(big.Rat)
		}
		for r := range s {
			s[r] = math.Abs(s[r])
			rowSums[r] = new(big.Rat)
			from, to := m.span(r)
			for k := from; k < to; k++ {
				c := m.column(k, from)
				want[c].Add(want[c], new(big.Rat).Mul(abs(m.Val[k]), rat(s[r])))
				columns[c].Add(columns[c], abs(m.Val[k]))
				rowSums[r].Add(rowSums[r], abs(m.Val[k]))
			}
		}
		out := make([]float64, m.Cols)
		m.absTransposed(out, m.Val, s)
		for c := range out {
			require.GreaterOrEqual(t, rat(out[c]).Cmp(want[c]), 0)
			require.GreaterOrEqual(t, rat(m.columnSum(m.Val)).Cmp(columns[c]), 0)
			f, _ := want[c].Float64()
			require.InDelta(t, f, out[c], 1e-13*f+1e-300)
		}
		for _, sum := range rowSums {
			require.GreaterOrEqual(t, rat(m.rowSum(m.Val)).Cmp(sum), 0)
		}
	}
}

// Each unit of a wide layer adds two terms to the constant of a linear bound, one for its
// line and one for its bias. Here both are just under half an ulp of the constant, which
// loses all of them; the narrow layer in front has no room for that.
func TestRoundingOfTheConstantOfAWideLayerIsCovered(t *testing.T) {
	const (
		units = 3000
		ulp   = 0x1p-52 // of numbers from 1 to 2
	)
	wide, top := Layer{Weight: Matrix{Rows: units, Cols: 1}, Act: ReLU}, Matrix{Rows: 2, Cols: units, Val: make([]float64, 2*units)}
	for k := range units {
		wide.Weight.Val, wide.Bias = append(wide.Weight.Val, -1.96*ulp), append(wide.Bias, .98*ulp)
		top.Val[k] = -1
	}
	n, err := NewNetwork(Layer{Weight: rows([]float64{.5}), Act: ReLU}, wide, Layer{Weight: top, Bias: []float64{1 + 0x1p-20, 0}})
	require.NoError(t, err)
	b := NewBox(n)
	require.NoError(t, b.SetLayer(0, []float64{0}, []float64{1}))
	x := []float64{1}
	worst := n.Clone()
	worst.layers[0].Weight.Val[0] = 0
	require.True(t, b.Contains(worst))
	f := ratLogits(worst, x)
	exact := new(big.Rat).Sub(f[0], f[1])
	for _, m := range []Method{CROWN{Pure: true}, CROWN{Pure: true, Intervals: true}, CROWN{}} {
		low := margin(t, m, n, b, x, 0, 1)
		require.LessOrEqual(t, rat(low).Cmp(exact), 0, "%+v: bound %v, margin %v", m, low, exact.FloatString(30))
	}
}

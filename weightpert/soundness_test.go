package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomNet draws a network of 1 to 4 layers of 1 to 6 units, with or without
// biases, sometimes with a sparse layer.
func randomNet(t testing.TB, rng *rand.Rand, act Activation) *Network {
	depth := 1 + rng.IntN(4)
	in := 1 + rng.IntN(5)
	var layers []Layer
	for i := range depth {
		out := 1 + rng.IntN(6)
		if i == depth-1 {
			out = 2 + rng.IntN(3)
		}
		l := Layer{Weight: Matrix{Rows: out, Cols: in, Val: make([]float64, out*in)}, Act: act}
		for k := range l.Weight.Val {
			l.Weight.Val[k] = rng.NormFloat64() * 1.2
		}
		if rng.IntN(2) == 0 {
			l.Bias = make([]float64, out)
			for k := range l.Bias {
				l.Bias[k] = rng.NormFloat64() / 2
			}
		}
		if rng.IntN(4) == 0 {
			l.Weight = thin(l.Weight, rng)
		}
		layers = append(layers, l)
		in = out
	}
	layers[depth-1].Act = Identity
	n, err := NewNetwork(layers...)
	require.NoError(t, err)
	return n
}

// thin drops about half of a dense matrix's entries.
func thin(m Matrix, rng *rand.Rand) Matrix {
	out := Matrix{Rows: m.Rows, Cols: m.Cols, Start: []int{0}, Col: []int32{}}
	for r := range m.Rows {
		for c := range m.Cols {
			if rng.IntN(2) == 0 {
				out.Val = append(out.Val, m.Val[r*m.Cols+c])
				out.Col = append(out.Col, int32(c))
			}
		}
		out.Start = append(out.Start, len(out.Val))
	}
	return out
}

var everyMethod = []Method{Product{}, Product{Form: T1}, Product{Form: T2}, Path{}, Path{Envelope: true}, IBP{}, CROWN{}, CROWN{Pure: true}, CROWN{Intervals: true, Pure: true}}

// No bound of any method may be exceeded by any weights that the budget's definition
// allows: random points, vertices, those of signed gradient descent and the witness of
// the last two layers.
func TestNoBoundIsEverExceeded(t *testing.T) {
	nets, each := 2000, 1100
	if testing.Short() {
		nets, each = 400, 200
	}
	rng := rand.New(rand.NewPCG(2021, 6))
	tried, exact := 0, 0
	kinds := map[string]int{}
	for range nets {
		act := []Activation{ReLU, ReLU, ReLU, Softplus, Sigmoid, Tanh, LeakyReLU}[rng.IntN(7)]
		n, x := anyNet(t, rng, act)
		act = n.layers[0].Act
		budget := randomBudget(t, rng, n)
		b := budget.box
		kinds[budget.name]++
		y := rng.IntN(n.Classes())
		type bound struct {
			name string
			low  []float64
		}
		var bounds []bound
		var interval []float64
		for _, m := range everyMethod {
			out, err := Margins(m, n, b, x, y)
			if err != nil {
				continue
			}
			if m == Method(IBP{}) {
				interval = out
			}
			bounds = append(bounds, bound{m.Name(), out})
		}
		require.GreaterOrEqual(t, len(bounds), 4)
		require.True(t, act != ReLU || len(bounds) == len(everyMethod))
		check := func(f []float64, how string) {
			tried++
			for _, bd := range bounds {
				for j, low := range bd.low {
					if f[y]-f[j] < low {
						t.Fatalf("%s of %v, %s, box %v: %s found margin %v over %d, bound %v", bd.name, n.layers, budget.name, b.layers, how, f[y]-f[j], j, low)
					}
				}
			}
		}
		p, err := prepare(n, b)
		require.NoError(t, err)
		d := p.newDescent(0.3)
		eval := func(how string) {
			d.forward(x)
			check(d.acts[len(d.acts)-1], how)
		}
		for k := range each {
			if k%2 == 0 {
				budget.place(d.net, func() float64 { return float64(2*rng.IntN(2) - 1) })
				eval("vertex")
			} else {
				budget.place(d.net, func() float64 { return 2*rng.Float64() - 1 })
				eval("random point")
			}
			if k < 4 {
				require.True(t, b.Contains(d.net), budget.name)
			}
		}
		for j := range n.Classes() {
			if j == y {
				continue
			}
			d.reset(nil)
			for range 20 {
				d.descend(y, j, .2)
				eval("signed gradient")
			}
			// The end that the descent went to, as the definition has it.
			from := d.net.Clone()
			budget.follow(d.net, func(i, k int) float64 { return from.layers[i].Weight.Val[k] - n.layers[i].Weight.Val[k] })
			eval("end of descent")
			if w, err := LastTwo(n, b, x, y, j); err == nil {
				exact++
				require.True(t, b.Contains(w.Network))
				check(w.Network.Logits(x), "witness")
				require.InDelta(t, w.Margin, interval[j], 1e-12*(1+math.Abs(w.Margin)))
			}
		}
	}
	t.Logf("%d networks, %d perturbations, %d exact margins attained, budgets %v", nets, tried, exact, kinds)
	require.Greater(t, exact, nets/5)
	require.Len(t, kinds, 8)
	if !testing.Short() {
		require.GreaterOrEqual(t, tried, 2_000_000)
	}
}

// vertex moves every weight to an end of its interval.
func vertex(d *descent, rng *rand.Rand) {
	for i := range d.p.layers {
		l := &d.p.layers[i]
		if !l.moves {
			continue
		}
		for k := range l.lo {
			d.net.layers[i].Weight.Val[k] = toward(l.lo[k], l.hi[k], rng.IntN(2) == 0)
		}
		for k := range l.biasLo {
			d.net.layers[i].Bias[k] = toward(l.biasLo[k], l.biasHi[k], rng.IntN(2) == 0)
		}
	}
}

// The order of the bounds that can be proved, for networks without biases that
// move, and what holds for a box of size 0 and for larger boxes.
func TestOrderOfBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 10))
	for range 400 {
		n := randomNet(t, rng, ReLU)
		x := make([]float64, n.Inputs())
		for k := range x {
			x[k] = rng.NormFloat64()
		}
		y := rng.IntN(n.Classes())
		f := n.Logits(x)
		get := func(m Method, eps float64) []float64 {
			out, err := Margins(m, n, grown(t, n, Absolute(), eps), x, y)
			require.NoError(t, err)
			return out
		}
		for _, m := range everyMethod {
			for j, v := range get(m, 0) {
				require.InDelta(t, f[y]-f[j], v, 1e-10*(1+math.Abs(f[y])+math.Abs(f[j])), m.Name())
			}
		}
		eps := .1 * rng.Float64()
		const room = 1e-9
		t1, envelope, path, ibp := get(Product{Form: T1}, eps), get(Path{Envelope: true}, eps), get(Path{}, eps), get(IBP{}, eps)
		both, pure := get(CROWN{}, eps), get(CROWN{Pure: true}, eps)
		for j := range f {
			require.GreaterOrEqual(t, envelope[j]+room, t1[j])
			require.GreaterOrEqual(t, path[j]+room, envelope[j])
			require.GreaterOrEqual(t, ibp[j]+room, path[j])
			require.GreaterOrEqual(t, both[j], ibp[j]-room)
			require.GreaterOrEqual(t, both[j], pure[j])
		}
		for _, m := range []Method{Product{Form: T1}, Product{Form: T2}, Path{}, IBP{}} {
			small, large := get(m, eps), get(m, 1.5*eps)
			for j := range f {
				require.GreaterOrEqual(t, small[j]+room, large[j], m.Name())
			}
		}
	}
}

// Multiplying weights and eps by c multiplies margins by c^L and radii by c; under
// relative budgets radii stay.
func TestBoundsAreHomogeneous(t *testing.T) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(7, 8))
	for trial := range 60 {
		n, x := anyNet(t, rng, ReLU)
		for i := range n.layers {
			n.layers[i].Bias = nil
		}
		y := argMax(n.Logits(x))
		c := []float64{.1, .5, 3, 10}[rng.IntN(4)]
		eps := math.Pow(10, -3+2.5*rng.Float64())
		scaled := n.Clone()
		for i := range scaled.layers {
			for k := range scaled.layers[i].Weight.Val {
				scaled.layers[i].Weight.Val[k] *= c
			}
		}
		power := math.Pow(c, float64(n.Depth()))
		for _, m := range everyMethod {
			a, err := Margins(m, n, grown(t, n, Absolute(), eps), x, y)
			require.NoError(t, err)
			b, err := Margins(m, scaled, grown(t, scaled, Absolute(), c*eps), x, y)
			require.NoError(t, err)
			for j := range a {
				require.InDelta(t, power*a[j], b[j], 1e-9*power*(1+math.Abs(a[j])), "trial %d, %s", trial, m.Name())
			}
			if c < 1 || least(a, y) < 1e-6 || trial%4 > 0 {
				continue // the room that certificates leave has a scale of its own
			}
			if crown, ok := m.(CROWN); ok && !crown.Pure {
				continue // its search need not end at the same of several radii
			}
			radius := func(n *Network, budget Budget, start float64) float64 {
				r, err := CertifiedRadius(ctx, n, m, budget, x, y, RadiusOptions{Start: start})
				require.NoError(t, err)
				return r
			}
			require.InEpsilon(t, c*radius(n, Absolute(), eps), radius(scaled, Absolute(), c*eps), 1e-2, m.Name())
			require.InDelta(t, radius(n, Relative(), .1), radius(scaled, Relative(), .1), 1e-2, m.Name())
		}
	}
	n, x := g3(t)
	scaled := n.Clone()
	for i := range scaled.layers {
		for k := range scaled.layers[i].Weight.Val {
			scaled.layers[i].Weight.Val[k] *= 3
		}
	}
	for _, m := range everyMethod {
		radius := func(n *Network, budget Budget) float64 {
			r, err := CertifiedRadius(ctx, n, m, budget, x, 1, RadiusOptions{})
			require.NoError(t, err)
			return r
		}
		require.InDelta(t, 3*radius(n, Absolute()), radius(scaled, Absolute()), 1e-6, m.Name())
		require.InDelta(t, radius(n, Relative()), radius(scaled, Relative()), 1e-6, m.Name())
	}
}

// A bias is a column fed by the constant 1, and every bound is the same for both ways to
// write it.
func TestBiasIsAColumnOfWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 7))
	for range 150 {
		depth := 1 + rng.IntN(4)
		in := 1 + rng.IntN(4)
		x := draws(rng, in)
		eps := .2 * rng.Float64()
		var plain, column []Layer
		var fixed []int // rows of constants, from behind
		for i := range depth {
			out := 2 + rng.IntN(4)
			l := Layer{Act: ReLU}
			var wide [][]float64
			var narrow [][]float64
			for range out {
				w, b := draws(rng, in), rng.NormFloat64()
				narrow, l.Bias = append(narrow, w), append(l.Bias, b)
				wide = append(wide, append(slices.Clone(w), b))
			}
			if i == depth-1 {
				l.Act = Identity
			} else {
				wide = append(wide, append(make([]float64, in), 1)) // a unit that stays 1
				fixed = append(fixed, out)
			}
			l.Weight = rows(narrow...)
			plain, column = append(plain, l), append(column, Layer{Weight: rows(wide...), Act: l.Act})
			in = out
		}
		n, err := NewNetwork(plain...)
		require.NoError(t, err)
		c, err := NewNetwork(column...)
		require.NoError(t, err)
		box := grown(t, c, Absolute(), eps)
		for i, r := range fixed {
			w, l := &c.layers[i].Weight, &box.layers[i]
			copy(l.lo[r*w.Cols:], w.Val[r*w.Cols:])
			copy(l.hi[r*w.Cols:], w.Val[r*w.Cols:])
		}
		for _, m := range everyMethod {
			a, err := Margins(m, n, grown(t, n, AbsoluteWithBias(), eps), x, 0)
			require.NoError(t, err)
			b, err := Margins(m, c, box, append(slices.Clone(x), 1), 0)
			require.NoError(t, err)
			for j := range a {
				require.InDelta(t, a[j], b[j], 1e-9*(1+math.Abs(a[j])), m.Name())
			}
		}
	}
}

func draws(rng *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	for k := range out {
		out[k] = rng.NormFloat64()
	}
	return out
}

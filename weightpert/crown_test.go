package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// mccormick bounds c·w·z for z >= zl >= 0 and w in [wl, wu] from below: the McCormick
// plane of the product that lies below it, at its least over both ends of the weight.
func mccormick(c, wl, wu, z, zl float64) float64 {
	least := math.Inf(1)
	for _, w := range []float64{wl, wu} {
		plane := wl*z + w*zl - wl*zl // below w z
		if c < 0 {
			plane = wu*z + w*zl - wu*zl // above w z
		}
		least = min(least, c*plane)
	}
	return least
}

// inputCROWN is CROWN for clean weights and pre-activations of the first layer in a
// box: a plain version for networks of ReLU without biases, with matrices written
// out.
func inputCROWN(weights [][][]float64, lo, hi []float64, y, j int) float64 {
	los, his := [][]float64{lo}, [][]float64{hi}
	bound := func(row []float64, depth int) float64 {
		coef, constant := append([]float64{}, row...), 0.0
		for m := depth; ; m-- {
			for k := range coef {
				l, u := los[m][k], his[m][k]
				switch {
				case u <= 0:
					coef[k] = 0
				case l >= 0:
				case coef[k] >= 0:
					if u < -l {
						coef[k] = 0
					}
				default:
					s := u / (u - l)
					constant -= coef[k] * s * l
					coef[k] *= s
				}
			}
			if m == 0 {
				for k, c := range coef {
					constant += math.Min(c*lo[k], c*hi[k])
				}
				return constant
			}
			next := make([]float64, len(weights[m-1][0]))
			for k, c := range coef {
				for i, w := range weights[m-1][k] {
					next[i] += c * w
				}
			}
			coef = next
		}
	}
	for m := 0; m+1 < len(weights); m++ {
		var l, u []float64
		for _, row := range weights[m] {
			// One interval step from the bounds so far, and the backward pass.
			il, iu := 0.0, 0.0
			neg := make([]float64, len(row))
			for k, w := range row {
				zl, zu := math.Max(los[m][k], 0), math.Max(his[m][k], 0)
				il += math.Min(w*zl, w*zu)
				iu += math.Max(w*zl, w*zu)
				neg[k] = -w
			}
			l = append(l, math.Max(il, bound(row, m)))
			u = append(u, math.Min(iu, -bound(neg, m)))
		}
		los, his = append(los, l), append(his, u)
	}
	last := weights[len(weights)-1]
	diff := make([]float64, len(last[y]))
	for k := range diff {
		diff[k] = last[y][k] - last[j][k]
	}
	return bound(diff, len(weights)-1)
}

// With one moving layer, robustness against weights is robustness of the rest of
// the network against inputs from the box of that layer's pre-activations.
func TestSingleLayerIsInputBoxOfTheSuffix(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	for range 200 {
		depth := 3 + rng.IntN(2)
		widths := []int{1 + rng.IntN(5)}
		var weights []Matrix
		var plain [][][]float64
		for range depth {
			out := 2 + rng.IntN(5)
			var r [][]float64
			for range out {
				r = append(r, draws(rng, widths[len(widths)-1]))
			}
			plain = append(plain, r)
			weights = append(weights, rows(r...))
			widths = append(widths, out)
		}
		n := mlp(t, ReLU, weights...)
		layer := rng.IntN(depth - 1)
		b := grown(t, n, Absolute(layer), .3*rng.Float64())
		x := draws(rng, widths[0])
		box, err := ActivationBox(n, b, x)
		require.NoError(t, err)
		require.True(t, box.Exact)
		out, err := Margins(CROWN{Pure: true}, n, b, x, 0)
		require.NoError(t, err)
		for j := 1; j < n.Classes(); j++ {
			want := inputCROWN(plain[layer+1:], box.Lo, box.Hi, 0, j)
			require.InDelta(t, want, out[j], 1e-12*(1+math.Abs(want)))
		}
		// The suffix takes the pre-activations themselves.
		pre, acts := n.trace(x)
		require.InDeltaSlice(t, acts[depth], n.Suffix(layer).Logits(pre[layer]), 1e-12)
	}
}

// Eliminating the weights is what McCormick planes give over inputs that are not
// negative, without the tensor of spec, output and input.
func TestEliminationEqualsMcCormickPlanes(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 19))
	for range 200 {
		units := 1 + rng.IntN(4)
		w1, w2 := rows(draws(rng, 2), draws(rng, 2), draws(rng, 2)), Matrix{Rows: units, Cols: 3, Val: draws(rng, 3*units)}
		w3 := Matrix{Rows: 2, Cols: units, Val: draws(rng, 2*units)}
		n := mlp(t, ReLU, w1, w2, w3)
		b := grown(t, n, Absolute(), .2*rng.Float64())
		x := draws(rng, 2)
		p, err := prepare(n, b)
		require.NoError(t, err)
		r := p.newReach()
		p.propagate(r, x)
		bw := p.newBackward(false)
		bw.lines(r, 0)
		l := &p.layers[1]
		for k := range units {
			for _, sign := range []float64{1, -1} {
				// The lower bound as a line in z, then the lines of ReLU in a.
				want := 0.0
				for i := range 3 {
					zl, zu := r.act[1].lo[i], r.act[1].hi[i]
					at := func(z float64) float64 { return mccormick(sign, l.lo[k*3+i], l.hi[k*3+i], z, zl) }
					c := at(1) - at(0)
					lo, hi := r.pre[0].lo[i], r.pre[0].hi[i]
					switch {
					case zu == 0:
					case c >= 0 && (lo >= 0 || hi >= -lo):
						want += c * lo
					case c >= 0:
					case lo >= 0:
						want += c * hi
					default:
						want += c * hi // the chord reaches ReLU at the upper end
					}
				}
				require.InDelta(t, want, bw.unit(r, 0, 1, k, sign), 1e-12*(1+math.Abs(want)))
			}
		}
	}
}

// aligned returns the vector of p-norm 1 whose product with z is the largest.
func aligned(z []float64, p float64) []float64 {
	out := make([]float64, len(z))
	q := dualOrder(p)
	if norm(z, q) == 0 {
		return out
	}
	switch {
	case math.IsInf(p, 1):
		for k, v := range z {
			out[k] = sign(v)
		}
	case p == 1:
		best := 0
		for k, v := range z {
			if math.Abs(v) > math.Abs(z[best]) {
				best = k
			}
		}
		out[best] = sign(z[best])
	default:
		for k, v := range z {
			out[k] = sign(v) * math.Pow(math.Abs(v), q-1)
		}
		size := norm(out, p)
		for k := range out {
			out[k] /= size
		}
	}
	return out
}

func sign(v float64) float64 {
	if v < 0 {
		return -1
	}
	return 1
}

// rowAttack looks for weights of a row ball that make the margin of y over j small:
// each row moves along the best vector for the layer's input, in the direction of the
// gradient of its unit, which is taken again where that led.
func rowAttack(t testing.TB, n *Network, ball RowBall, x []float64, y, j int) float64 {
	p, err := prepare(n, NewBox(n))
	require.NoError(t, err)
	p.layers[ball.Layer].moves = true
	d := p.newDescent(.3)
	d.forward(x)
	f := d.acts[len(d.acts)-1]
	best := f[y] - f[j]
	for range 4 {
		d.descend(y, j, 0)
		w := &d.net.layers[ball.Layer].Weight
		clean := n.layers[ball.Layer].Weight.Val
		for r, g := range d.delta[ball.Layer] {
			from, to := w.span(r)
			z := make([]float64, to-from)
			for k := range z {
				z[k] = d.acts[ball.Layer][w.column(from+k, from)]
			}
			for k, v := range aligned(z, ball.P) {
				w.Val[from+k] = clean[from+k]
				if g != 0 {
					w.Val[from+k] -= sign(g) * ball.Eps * v * (1 - 1e-12)
				}
			}
		}
		d.forward(x)
		best = min(best, f[y]-f[j])
	}
	return best
}

// The bounds for balls of one layer against random changes and against attacks of
// their own: rows aligned with the input, of rank 1 where gradients agree, and descent
// in the Frobenius ball. Where a bound is attained, they attain it.
func TestBallBoundsAreSoundAndAttained(t *testing.T) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(7, 7))
	tighter, close, last := 0, 0, 0
	for range 200 {
		n, x := anyNet(t, rng, ReLU)
		layer := rng.IntN(n.Depth())
		eps := .3 * rng.Float64()
		y := rng.IntN(n.Classes())
		frobenius, err := FrobeniusBound(n, layer, eps, x, y)
		require.NoError(t, err)
		for _, p := range []float64{1, 2, 3, math.Inf(1)} {
			ball := RowBall{layer, eps, p}
			apart, err := WengBound(ctx, n, ball, false, x, y)
			require.NoError(t, err)
			joined, err := WengBound(ctx, n, ball, true, x, y)
			require.NoError(t, err)
			norms, err := RowBallBound(n, ball, x, y)
			require.NoError(t, err)
			check := func(j int, m float64) {
				require.GreaterOrEqual(t, m, apart[j])
				require.GreaterOrEqual(t, m, joined[j])
				require.GreaterOrEqual(t, m, norms[j])
			}
			for j := range joined {
				if j == y {
					continue
				}
				if joined[j] > apart[j]+1e-9 {
					tighter++
				}
				m := rowAttack(t, n, ball, x, y, j)
				check(j, m)
				f := n.Logits(x)
				if drop := f[y] - f[j] - joined[j]; drop > 1e-9 && f[y]-f[j]-m > .9*drop {
					close++
				}
				if layer == n.Depth()-1 && n.layers[layer].Weight.Col == nil {
					last++
					require.InDelta(t, norms[j], m, 1e-9*(1+math.Abs(m)))
				}
			}
			for range 10 {
				c := n.Clone()
				w := &c.layers[layer].Weight
				d := draws(rng, len(w.Val))
				for r := range w.Rows {
					from, to := w.span(r)
					size := norm(d[from:to], p)
					for k := from; k < to && size > 0; k++ {
						w.Val[k] += d[k] * eps / size * (1 - 1e-12)
					}
				}
				f := c.Logits(x)
				for j := range f {
					if j != y {
						check(j, f[y]-f[j])
					}
				}
			}
		}
		for start := range 3 {
			w, err := SamplePGD{Steps: 15, Restarts: 1 + start, Seed: uint64(start)}.RunFrobenius(ctx, n, layer, eps, x, y)
			require.NoError(t, err)
			change := make([]float64, len(n.layers[layer].Weight.Val))
			for k, v := range n.layers[layer].Weight.Val {
				change[k] = w.Network.layers[layer].Weight.Val[k] - v
			}
			require.LessOrEqual(t, norm(change, 2), eps)
			f := w.Network.Logits(x)
			for j := range f {
				if j != y {
					require.GreaterOrEqual(t, f[y]-f[j], frobenius[j])
				}
			}
			if layer == n.Depth()-1 && n.layers[layer].Weight.Col == nil {
				require.InDelta(t, least(frobenius, y), w.Margin, 1e-9*(1+math.Abs(w.Margin)))
			}
		}
	}
	require.Positive(t, tighter)
	require.Greater(t, close, 200)
	require.Greater(t, last, 100)
	n, x := g3(t)
	_, err := SamplePGD{}.RunFrobenius(ctx, n, 3, .1, x, 1)
	require.ErrorContains(t, err, "no layer 3")
	_, err = SamplePGD{}.RunFrobenius(ctx, n, 0, -1, x, 1)
	require.ErrorContains(t, err, "eps is -1")
}

// A unit that reaches from -1.45e308 to 0.95e308 is wider than any number, and on at its
// upper end, where the rival wins.
func TestUnitsWiderThanAnyNumberAreNotLeftOut(t *testing.T) {
	n, err := NewNetwork(
		Layer{Weight: rows([]float64{-2.5e307}), Act: ReLU},
		Layer{Weight: rows([]float64{0}, []float64{.5}), Bias: []float64{1e300, 0}})
	require.NoError(t, err)
	x := []float64{1}
	const eps = 1.2e308
	b := grown(t, n, Absolute(0), eps)
	worst := n.Clone()
	worst.layers[0].Weight.Val[0] += eps
	require.True(t, b.Contains(worst))
	f := worst.Logits(x)
	require.Negative(t, f[0]-f[1])
	for _, m := range everyMethod {
		require.LessOrEqual(t, margin(t, m, n, b, x, 0, 1), f[0]-f[1], "%+v", m)
	}
	for _, merge := range []bool{false, true} {
		out, err := WengBound(context.Background(), n, RowBall{0, eps, math.Inf(1)}, merge, x, 0)
		require.NoError(t, err)
		require.LessOrEqual(t, out[1], f[0]-f[1])
	}
}

// Two coefficients of 1e310 overflow to infinities of opposite signs, and what they add up
// to is no number: the bound knows nothing then.
func TestCoefficientsThatOverflowAreNotLeftOut(t *testing.T) {
	n, err := NewNetwork(
		Layer{Weight: rows([]float64{-1e-290}), Act: ReLU},
		Layer{Weight: rows([]float64{1e155}, []float64{1e155}), Act: ReLU},
		Layer{Weight: rows([]float64{1e155, 0}, []float64{0, 2e155}), Bias: []float64{1e12, 0}})
	require.NoError(t, err)
	x := []float64{1}
	const eps = 2e-290
	b := grown(t, n, Absolute(0), eps)
	worst := n.Clone()
	worst.layers[0].Weight.Val[0] += eps
	require.True(t, b.Contains(worst))
	f := worst.Logits(x)
	require.Negative(t, f[0]-f[1])
	for _, m := range everyMethod {
		require.LessOrEqual(t, margin(t, m, n, b, x, 0, 1), f[0]-f[1], "%+v", m)
	}
	out, err := WengBound(context.Background(), n, RowBall{0, eps, math.Inf(1)}, true, x, 0)
	require.NoError(t, err)
	require.LessOrEqual(t, out[1], f[0]-f[1])
}

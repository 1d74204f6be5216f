package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// mccormick bounds c·z over z = ReLU(a), a = Ŵ z', and z' in [zl, zu], zl >= 0, from
// below by relaxing each product of a weight and an input by its McCormick plane and
// taking the weight's worst end, which is the long way to eliminate weights.
func mccormick(c float64, wl, wu, z, zl float64) float64 {
	// Lower planes of w z at z: w zl + wl z - wl zl, and w zl' with the upper ends.
	if c >= 0 {
		// min over w of c (wl z + w zl - wl zl) is at w = wl.
		return c * (wl*z + wl*zl - wl*zl)
	}
	// max over w of wu z + w zl - wu zl is at w = wu.
	return c * (wu*z + wu*zl - wu*zl)
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

// The line of CROWN, the same-slope line of Weng et al., and an attack, one layer at
// a time.
func TestWengIsSoundAndMergingTightensIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	tighter := 0
	for range 300 {
		n := randomNet(t, rng, ReLU)
		x := draws(rng, n.Inputs())
		layer := rng.IntN(n.Depth())
		eps := .3 * rng.Float64()
		y := rng.IntN(n.Classes())
		for _, p := range []float64{1, 2, 3, math.Inf(1)} {
			ball := RowBall{layer, eps, p}
			apart, err := WengBound(context.Background(), n, ball, false, x, y)
			require.NoError(t, err)
			joined, err := WengBound(context.Background(), n, ball, true, x, y)
			require.NoError(t, err)
			norms, err := RowBallBound(n, ball, x, y)
			require.NoError(t, err)
			frobenius, err := FrobeniusBound(n, layer, eps, x, y)
			require.NoError(t, err)
			for j := range joined {
				if joined[j] > apart[j]+1e-9 {
					tighter++
				}
			}
			for range 30 {
				d, all := draws(rng, len(n.layers[layer].Weight.Val)), 0.0
				c := n.Clone()
				for r := range c.layers[layer].Weight.Rows {
					from, to := c.layers[layer].Weight.span(r)
					size := norm(d[from:to], p)
					for k := from; k < to && size > 0; k++ {
						c.layers[layer].Weight.Val[k] += d[k] * eps / size * (1 - 1e-12)
					}
				}
				f := c.Logits(x)
				for k := range d {
					all += d[k] * d[k]
				}
				whole := n.Clone()
				for k := range d {
					whole.layers[layer].Weight.Val[k] += d[k] * eps / math.Sqrt(all) * (1 - 1e-12)
				}
				fw := whole.Logits(x)
				for j := range f {
					require.GreaterOrEqual(t, f[y]-f[j], apart[j])
					require.GreaterOrEqual(t, f[y]-f[j], joined[j])
					require.GreaterOrEqual(t, f[y]-f[j], norms[j])
					if p == 2 {
						require.GreaterOrEqual(t, fw[y]-fw[j], frobenius[j])
					}
				}
			}
		}
	}
	require.Positive(t, tighter)
}

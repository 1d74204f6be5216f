package weightpert

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// withWeights returns the certifiable form of a network with other values for some
// of its parameters, for images of h by w by c.
func withWeights(t testing.TB, p Perturbed, h, w, c int) *Network {
	n, err := FromNN(p, h, w, c)
	require.NoError(t, err)
	return n
}

// The scale of a filter counts its taps that padding keeps off the image too.
func TestRoundingOfAFilterThatSticksOutOfTheImage(t *testing.T) {
	conv := &nn.Conv2D{Filter: tensor.Zeros(tensor.Float32, 5, 5, 1, 1), Window: tensor.Same(1, 2)}
	conv.Filter.Set(1, 2, 2, 0, 0)
	conv.Filter.Set(300, 0, 0, 0, 0) // never meets an image of 2x2
	net := nn.NewSequential(conv, nn.ReLU, nn.Flatten, &nn.Linear{Weight: tensor.FromFloat32([]float32{1, 0, 1, 0, 1, 0, 1, 0}, 4, 2)})
	n, err := FromNN(net, 2, 2, 1)
	require.NoError(t, err)
	z, err := Quantizer{}.Quantize(net)
	require.NoError(t, err)
	x := [][]float64{{1, 1, 1, 1}}
	rounded := withWeights(t, z.Network(), 2, 2, 1)
	require.Equal(t, []float64{0, 0}, rounded.Logits(x[0]), "the centre tap is rounded away")
	for _, q := range []Quantizer{{}, {PerRow: true}} {
		box, err := q.Rounding(n)
		require.NoError(t, err)
		require.True(t, box.Contains(rounded))
		c, err := Certify(context.Background(), CROWN{}, n, box, x, []int{0})
		require.NoError(t, err)
		require.Zero(t, c.Count)
	}
	// The range that PerRange takes is that of the filter too.
	span := grown(t, n, PerRange(0), .01)
	require.InDelta(t, 1-3, span.layers[0].lo[0], 1e-9)
}

// Rounding and BitFlips hold every network that Quantize and flips make, convolutions
// whose padding is larger than the image included.
func TestQuantisedConvolutionsLieInTheirBox(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	for range 60 {
		h, w := 1+rng.IntN(3), 1+rng.IntN(3)
		channels := 1 + rng.IntN(3)
		pad := rng.IntN(4)
		win := tensor.Window{StrideH: 1 + rng.IntN(2), StrideW: 1, Top: pad, Bottom: pad, Left: pad, Right: pad}
		size := 1 + rng.IntN(min(h, w)+2*pad)
		conv := nn.NewConv2D(rng, 2, channels, size, win)
		f := conv.Filter.Float32s()
		for k := range f {
			f[k] *= float32(math.Exp(2 * rng.NormFloat64())) // filters of many sizes
		}
		conv.Filter.Touch()
		out := channels * ((h+2*pad-size)/win.StrideH + 1) * (w + 2*pad - size + 1)
		net := nn.NewSequential(conv, nn.ReLU, nn.Flatten, nn.NewLinear(rng, out, 3))
		n, err := FromNN(net, h, w, 2)
		require.NoError(t, err)
		for _, q := range []Quantizer{{}, {PerRow: true}, {Bits: 4, PerRow: true}, {Bits: 3}} {
			z, err := q.Quantize(net)
			require.NoError(t, err)
			box, err := q.Rounding(n)
			require.NoError(t, err)
			require.True(t, box.Contains(withWeights(t, z.Network(), h, w, 2)))
			flips, err := q.BitFlips(n, 1)
			require.NoError(t, err)
			for bit := range z.Width {
				c := z.Clone()
				for layer := range c.Layers {
					for k := range c.Layers[layer].Code {
						require.NoError(t, c.Flip(layer, k, bit))
					}
				}
				require.True(t, flips.Contains(withWeights(t, c.Network(), h, w, 2)))
			}
		}
	}
}

// A network that was certified cannot be changed afterwards, and one that differs from
// its box in the slightest is refused.
func TestNetworksDoNotChangeBehindTheirBox(t *testing.T) {
	w := rows([]float64{1, -1}, []float64{.5, 2})
	bias := []float64{0, 0}
	n, err := NewNetwork(Layer{Weight: w, Bias: bias})
	require.NoError(t, err)
	x := []float64{1, .5}
	before := n.Logits(x)
	box := grown(t, n, Absolute(), 1e-3)
	w.Val[0], bias[0] = 99, 99
	n.Layer(0).Weight.Val[0], n.Layer(0).Bias[0] = 99, 99
	require.Equal(t, before, n.Logits(x))
	for _, bad := range []float64{99, math.NaN()} {
		n.layers[0].Weight.Val[0] = bad
		_, err = Margins(IBP{}, n, box, x, 1)
		require.ErrorContains(t, err, "outside the box")
	}
}

// exactly says whether the interval holds w ± eps·size in real arithmetic.
func exactly(lo, hi, w, eps, size float64) bool {
	r := new(big.Rat).Mul(rat(eps), rat(size))
	low, high := new(big.Rat).Sub(rat(w), r), new(big.Rat).Add(rat(w), r)
	return rat(lo).Cmp(low) <= 0 && rat(hi).Cmp(high) >= 0
}

func rat(v float64) *big.Rat { return new(big.Rat).SetFloat64(v) }

// Boxes hold all of their budget in real arithmetic, and little more.
func TestBudgetsAreRoundedOutwards(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 2))
	for range 300 {
		n := mlp(t, ReLU, Matrix{Rows: 3, Cols: 4, Val: draws(rng, 12)}, Matrix{Rows: 2, Cols: 3, Val: draws(rng, 6)})
		eps := math.Exp(3 * rng.NormFloat64())
		if rng.IntN(3) == 0 {
			eps = 1 // all of a weight: one end is 0
		}
		for name, b := range map[string]Budget{"absolute": Absolute(), "relative": Relative(), "range": PerRange()} {
			box := grown(t, n, b, eps)
			for i, l := range n.layers {
				span := l.extent()
				for k, w := range l.Weight.Val {
					size := map[string]float64{"absolute": 1, "relative": math.Abs(w), "range": span.hi - span.lo}[name]
					lo, hi := box.layers[i].lo[k], box.layers[i].hi[k]
					require.True(t, exactly(lo, hi, w, eps, size), "%s: [%v, %v] around %v by %v", name, lo, hi, w, eps)
					room := 1e-14 * (math.Abs(w) + eps*size)
					require.InDelta(t, w-eps*size, lo, room, name)
					require.InDelta(t, w+eps*size, hi, room, name)
				}
			}
		}
	}
}

// A cell may be stuck at a value above or below its weight.
func TestStuckAtReachesFromTheWeightToTheValue(t *testing.T) {
	n, _ := g3(t)
	for _, value := range []float64{-3, 0, .7, 5} {
		b, err := StuckAt(n, value, 1)
		require.NoError(t, err)
		for k, w := range n.layers[1].Weight.Val {
			require.Equal(t, min(w, value), b.layers[1].lo[k])
			require.Equal(t, max(w, value), b.layers[1].hi[k])
		}
		require.Equal(t, []int{1}, b.Moving())
		stuck := n.Clone()
		for k := range stuck.layers[1].Weight.Val {
			stuck.layers[1].Weight.Val[k] = value
			require.True(t, b.Contains(stuck))
		}
	}
}

// Entries that a sparse last layer leaves out are 0 and stay so.
func TestSparseLastLayersStaySparse(t *testing.T) {
	n, err := NewNetwork(
		Layer{Weight: rows([]float64{1}, []float64{1}), Act: ReLU},
		Layer{Weight: Matrix{Rows: 2, Cols: 2, Val: []float64{1}, Col: []int32{0}, Start: []int{0, 1, 1}}})
	require.NoError(t, err)
	require.Equal(t, 3, n.Weights())
	x := []float64{1}
	const eps = .1
	b := grown(t, n, Absolute(1), eps)
	for _, m := range everyMethod {
		require.InDelta(t, 1-eps, margin(t, m, n, b, x, 0, 1), 1e-12, m.Name())
	}
	w, err := LastTwo(n, b, x, 0, 1)
	require.NoError(t, err)
	require.InDelta(t, 1-eps, w.Margin, 1e-12)
	require.True(t, b.Contains(w.Network))
	s, err := SamplePGD{}.Run(context.Background(), n, b, x, 0)
	require.NoError(t, err)
	require.InDelta(t, 1-eps, s.Margin, 1e-12)
	require.True(t, b.Contains(s.Network))
	_, err = NewNetwork(Layer{Weight: Matrix{Rows: 2, Cols: 2, Val: []float64{1, 2}, Col: []int32{0, 0}, Start: []int{0, 2, 2}}})
	require.ErrorContains(t, err, "two values in column 0")
}

// A large weight that stays hides no difference between the intervals of small ones: bounds
// take them one by one and stay exact.
func TestIntervalsBesideALargeWeightStayExact(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1e10, .5, .25}), rows([]float64{1}, []float64{0}))
	x := []float64{0, 1, 1}
	const r = 1e-6 // less than the ulp of 1e10
	b := NewBox(n)
	require.NoError(t, b.SetLayer(0, []float64{1e10, .5, .25 - r}, []float64{1e10, .5, .25 + r}))
	w, err := LastTwo(n, b, x, 0, 1)
	require.NoError(t, err)
	require.InDelta(t, .75-r, w.Margin, 1e-12)
	require.InDelta(t, w.Margin, margin(t, IBP{}, n, b, x, 0, 1), 1e-12)
	a, err := ActivationBox(n, b, x)
	require.NoError(t, err)
	require.True(t, a.Exact)
	require.InDelta(t, .75-r, a.Lo[0], 1e-12)
	require.InDelta(t, .75+r, a.Hi[0], 1e-12)
	// Of one radius for all the large weight has more, by its rounding.
	b = grown(t, n, Absolute(0), r)
	w, err = LastTwo(n, b, x, 0, 1)
	require.NoError(t, err)
	require.InDelta(t, w.Margin, margin(t, IBP{}, n, b, x, 0, 1), 1e-12)
	// Radii that differ by the rounding of ordinary weights are still taken for one.
	rng := rand.New(rand.NewPCG(6, 3))
	for range 50 {
		n := mlp(t, ReLU, Matrix{Rows: 3, Cols: 4, Val: draws(rng, 12)}, Matrix{Rows: 2, Cols: 3, Val: draws(rng, 6)})
		p, err := prepare(n, grown(t, n, Absolute(0), math.Exp(-3*rng.Float64())))
		require.NoError(t, err)
		require.Positive(t, p.layers[0].even)
		require.True(t, p.layers[0].symmetric)
	}
}

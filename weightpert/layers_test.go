package weightpert

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// One layer at a time on a trained network: looser methods certify no more than
// tighter ones, nothing certifies what an attack breaks, and the exact bound of the
// last two layers is where the attack with a leak ends.
func TestMethodsLayerByLayer(t *testing.T) {
	net, x, y := trained(t, nil)
	n, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	ctx := context.Background()
	rows, y := Examples(x)[:30], y[:30]
	for layer, sizes := range [][]float64{{.002, .005, .01}, {.01, .03, .1}, {.01, .03, .1}} {
		for _, f := range sizes {
			b := grown(t, n, PerRange(layer), f)
			count := func(m Method) int {
				c, err := Certify(ctx, m, n, b, rows, y)
				require.NoError(t, err)
				return c.Count
			}
			low, err := SamplePGD{Steps: 15}.Margins(ctx, n, b, rows, y)
			require.NoError(t, err)
			robust, weng := 0, 0
			eps := (b.layers[layer].hi[0] - b.layers[layer].lo[0]) / 2 * (1 - 1e-9)
			for i := range rows {
				if low[i] > 0 {
					robust++
				}
				w, err := WengBound(context.Background(), n, RowBall{layer, eps, math.Inf(1)}, true, rows[i], y[i])
				require.NoError(t, err)
				if holds(least(w, y[i]), n.Logits(rows[i])) {
					weng++
				}
			}
			product, path, ibp, crown := count(Product{}), count(Path{}), count(IBP{}), count(CROWN{})
			require.LessOrEqual(t, product, path)
			require.LessOrEqual(t, path, ibp)
			require.LessOrEqual(t, ibp, crown)
			require.LessOrEqual(t, weng, crown)
			require.LessOrEqual(t, crown, robust)
			if layer > 0 {
				require.LessOrEqual(t, robust-ibp, 1, "layer %d, %v", layer, f)
			}
			if layer == 2 {
				require.Equal(t, product, crown)
			}
		}
	}
}

func TestSafeBitsFindsTheCoarsestRounding(t *testing.T) {
	net, x, y := trained(t, nil)
	n, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	ctx := context.Background()
	rows, y := Examples(x)[:60], y[:60]
	bits, err := SafeBits(ctx, CROWN{}, n, true, .9, rows, y)
	require.NoError(t, err)
	clean, err := Certify(ctx, CROWN{}, n, NewBox(n), rows, y)
	require.NoError(t, err)
	for i, b := range bits {
		require.True(t, b >= 2 && b <= 8, "layer %d: %d bits", i, b)
		for _, c := range []struct {
			bits int
			ok   bool
		}{{b, true}, {b - 1, false}} {
			if c.bits < 2 {
				continue
			}
			all, err := Quantizer{Bits: c.bits, PerRow: true}.Rounding(n)
			require.NoError(t, err)
			box := NewBox(n)
			require.NoError(t, box.SetLayer(i, all.layers[i].lo, all.layers[i].hi))
			got, err := Certify(ctx, CROWN{}, n, box, rows, y)
			require.NoError(t, err)
			require.Equal(t, c.ok, float64(got.Count) >= .9*float64(clean.Count))
		}
	}
	_, err = SafeBits(ctx, IBP{}, n, true, 0, rows, y)
	require.ErrorContains(t, err, "share")
}

// Where nothing is certified there is nothing for a rounding to keep.
func TestNoBitsAreSafeForAnExampleThatIsWrong(t *testing.T) {
	n, x := g3(t)
	bits, err := SafeBits(context.Background(), IBP{}, n, true, .5, [][]float64{x}, []int{0})
	require.NoError(t, err)
	require.Equal(t, []int{0, 0, 0}, bits)
	bits, err = SafeBits(context.Background(), IBP{}, n, true, .5, [][]float64{x, x}, []int{0, 1})
	require.NoError(t, err)
	for _, b := range bits {
		require.Positive(t, b, "the other example is certified")
	}
}

func TestSensitivitiesAreOfOneLayerEach(t *testing.T) {
	n, x := g3(t)
	s, err := Sensitivities(context.Background(), IBP{}, n, Absolute, .4, [][]float64{x}, []int{1})
	require.NoError(t, err)
	require.Len(t, s, 3)
	for i, want := range []float64{.2222222, .3333333, 1} {
		require.InDelta(t, want, s[i].Norm, 1e-6)
		require.Equal(t, i, s[i].Layer)
	}
	require.InDelta(t, 2-.02*40, s[2].Certificate.Margin[0], 1e-9)
}

// The network of two layers is broken from eps 0.2 on, exactly.
func TestRefuteDecidesTwoLayers(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1, -2}, []float64{.5, 1}, []float64{-1, 1}), rows([]float64{1, -1, .5}, []float64{0, 2, -1}))
	x := []float64{1, -.5}
	for eps, want := range map[float64]Verdict{.1: Robust, .199: Robust, .201: Broken, .3: Broken} {
		b := grown(t, n, Absolute(), eps)
		w, got, err := Refute(context.Background(), n, b, SamplePGD{}, x, 0)
		require.NoError(t, err)
		require.Equal(t, want, got, "eps %v: %v", eps, w.Margin)
		require.True(t, b.Contains(w.Network))
		f := w.Network.Logits(x)
		require.InDelta(t, w.Margin, f[0]-f[w.Rival], 1e-12)
	}
	g, gx := g3(t)
	w, verdict, err := Refute(context.Background(), g, grown(t, g, Absolute(), .2), SamplePGD{}, gx, 1)
	require.NoError(t, err)
	require.Equal(t, Broken, verdict)
	require.Equal(t, 0, w.Rival)
	_, _, err = Refute(context.Background(), g, grown(t, g, Absolute(), .2), SamplePGD{Rivals: -1}, gx, 1)
	require.ErrorContains(t, err, "rivals")
}

// Two layers with tanh between them: LastTwo refuses, so weights that no attack found may
// still be there.
func TestRefuteLeavesOpenWhatNothingDecides(t *testing.T) {
	n := mlp(t, Tanh, rows([]float64{-1}), rows([]float64{-1}, []float64{0}))
	x := []float64{1}
	lazy := SamplePGD{StartOnly: true}
	for _, c := range []struct {
		eps    float64
		attack SamplePGD
		want   Verdict
	}{{.1, lazy, Robust}, {1.2, lazy, Open}, {1.2, SamplePGD{}, Broken}} {
		_, got, err := Refute(context.Background(), n, grown(t, n, Absolute(), c.eps), c.attack, x, 0)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "eps %v, %+v", c.eps, c.attack)
	}
	require.Equal(t, "open broken robust Verdict(3)", fmt.Sprint(Open, " ", Broken, " ", Robust, " ", Verdict(3)))
}

// The paths of two classes are worked out when a bound asks for them: a network of many
// classes costs no more to prepare than one of few.
func TestPathsAreWorkedOutOnDemand(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	const classes = 200
	net := nn.NewMLP(rng, 1, 1, 2, 3, classes)
	n, err := FromNN(net, 1, 1, 2)
	require.NoError(t, err)
	box := grown(t, n, Absolute(), .01)
	allocs := testing.AllocsPerRun(1, func() {
		_, err := Path{}.prepare(n, box)
		require.NoError(t, err)
	})
	require.Less(t, allocs, float64(classes))
}

package weightpert

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// mlp returns a network of dense layers with an activation between them and no
// biases.
func mlp(t testing.TB, act Activation, weights ...Matrix) *Network {
	layers := make([]Layer, len(weights))
	for i, w := range weights {
		layers[i] = Layer{Weight: w, Act: act}
	}
	layers[len(layers)-1].Act = Identity
	n, err := NewNetwork(layers...)
	require.NoError(t, err)
	return n
}

func rows(r ...[]float64) Matrix { return NewMatrix(r...) }

// g3 is the network of three layers whose bounds were worked out by hand.
func g3(t testing.TB) (n *Network, x []float64) {
	return mlp(t, ReLU,
		rows([]float64{1, -1}, []float64{.5, 2}),
		rows([]float64{1, -.5}, []float64{-1, 1}),
		rows([]float64{2, -1}, []float64{1, 1})), []float64{1, .5}
}

func grown(t testing.TB, n *Network, b Budget, eps float64) *Box {
	box, err := b(n, eps)
	require.NoError(t, err)
	return box
}

func margin(t testing.TB, m Method, n *Network, b *Box, x []float64, y, j int) float64 {
	out, err := Margins(m, n, b, x, y)
	require.NoError(t, err)
	return out[j]
}

func TestLogitsOfTheGoldenNetwork(t *testing.T) {
	n, x := g3(t)
	_, acts := n.trace(x)
	require.Equal(t, []float64{.5, 1.5}, acts[1])
	require.Equal(t, []float64{0, 1}, acts[2])
	require.Equal(t, []float64{-1, 1}, acts[3])
}

func TestGoldenBoundsOfSingleLayers(t *testing.T) {
	n, x := g3(t)
	for layer, want := range []struct{ product, path, tight, tight10, radius float64 }{
		{.09, .0825, 1.94, 1.4, .222222222222}, {.06, .06, 1.96, 1.6, .333333333333}, {.02, .02, 1.98, 1.8, 1},
	} {
		b := grown(t, n, Absolute(layer), .01)
		require.InDelta(t, 2-want.product, margin(t, Product{}, n, b, x, 1, 0), 1e-12)
		require.InDelta(t, 2-want.product, margin(t, Product{Form: T2}, n, b, x, 1, 0), 1e-12)
		require.InDelta(t, 2-want.path, margin(t, Path{}, n, b, x, 1, 0), 1e-12)
		wide := grown(t, n, Absolute(layer), .1)
		for _, m := range []Method{IBP{}, CROWN{}, CROWN{Pure: true}, CROWN{Intervals: true, Pure: true}} {
			require.InDelta(t, want.tight, margin(t, m, n, b, x, 1, 0), 1e-12, "%v layer %d", m, layer)
			require.InDelta(t, want.tight10, margin(t, m, n, wide, x, 1, 0), 1e-12, "%v layer %d", m, layer)
		}
		for _, c := range []struct {
			b    *Box
			want float64
		}{{b, want.tight}, {wide, want.tight10}} {
			w, err := SamplePGD{}.Run(context.Background(), n, c.b, x, 1)
			require.NoError(t, err)
			require.InDelta(t, c.want, w.Margin, 1e-12, "attained")
		}
		r, err := SingleLayerRadius(n, layer, x, 1)
		require.NoError(t, err)
		require.InDelta(t, want.radius, r, 2e-9)
	}
}

func TestGoldenBoundsOfAllLayers(t *testing.T) {
	n, x := g3(t)
	for _, c := range []struct{ eps, t1, path, t2, tight float64 }{
		{.01, .192312, .184812, .172912, 1.881}, {.05, 1.009, .9715, .924, 1.425}, {.1, 2.142, 2.067, 2.002, .69},
	} {
		b := grown(t, n, Absolute(), c.eps)
		require.InDelta(t, 2-c.t1, margin(t, Product{Form: T1}, n, b, x, 1, 0), 1e-10)
		require.InDelta(t, 2-c.t2, margin(t, Product{Form: T2}, n, b, x, 1, 0), 1e-10)
		require.InDelta(t, 2-c.t2, margin(t, Product{}, n, b, x, 1, 0), 1e-10)
		require.InDelta(t, 2-c.path, margin(t, Path{Envelope: true}, n, b, x, 1, 0), 1e-10)
		w, err := SamplePGD{}.Run(context.Background(), n, b, x, 1)
		require.NoError(t, err)
		require.InDelta(t, c.tight, w.Margin, 1e-10, "attained")
		require.InDelta(t, c.tight, margin(t, IBP{}, n, b, x, 1, 0), 1e-10)
		require.InDelta(t, c.tight, margin(t, CROWN{Pure: true}, n, b, x, 1, 0), 1e-10)
	}
	b := grown(t, n, Absolute(), .1)
	p, err := prepare(n, b)
	require.NoError(t, err)
	r := p.newReach()
	p.propagate(r, x)
	require.InDeltaSlice(t, []float64{0, .5}, r.act[2].lo, 1e-12)
	require.InDeltaSlice(t, []float64{.175, 1.5}, r.act[2].hi, 1e-12)
	w := p.newSums()
	w.c.run(x, nil)
	w.overEnvelope()
	for i, want := range []float64{1.5, 2.3, 2.76} {
		require.InDelta(t, want, sumAbs(w.env[i]), 1e-12)
	}
}

func TestGoldenRadii(t *testing.T) {
	n, x := g3(t)
	for _, c := range []struct {
		m    Method
		want float64
	}{{Product{Form: T1}, .0940340}, {Path{Envelope: true}, .0971037}, {Product{Form: T2}, .0999136}, {IBP{}, .1448555}, {CROWN{}, .1448555}} {
		r, err := CertifiedRadius(context.Background(), n, c.m, Absolute(), x, 1, RadiusOptions{})
		require.NoError(t, err)
		require.InDelta(t, c.want, r, 6e-8, c.m.Name())
	}
	for eps, broken := range map[float64]bool{.144: false, .16: true} {
		w, err := SamplePGD{}.Run(context.Background(), n, grown(t, n, Absolute(), eps), x, 1)
		require.NoError(t, err)
		require.Equal(t, broken, w.Margin < 0, eps)
	}
}

// A bound with the largest column sum in place of the largest row sum gives .1.
func TestRowSumsAndNotColumnSumsBoundTheGain(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1}, []float64{1}, []float64{1}, []float64{1}, []float64{1}),
		rows([]float64{1, 1, 1, 1, 1}), rows([]float64{1}, []float64{0}))
	x := []float64{1}
	b := grown(t, n, Absolute(0), .1)
	for _, m := range []Method{Product{}, Path{}, IBP{}, CROWN{Pure: true}} {
		require.InDelta(t, 4.5, margin(t, m, n, b, x, 0, 1), 1e-12, m.Name())
	}
	worst := n.Clone()
	for k := range worst.layers[0].Weight.Val {
		worst.layers[0].Weight.Val[k] = .9
	}
	require.True(t, b.Contains(worst))
	f := worst.Logits(x)
	require.InDelta(t, 4.5, f[0]-f[1], 1e-12)
}

// An envelope that keeps the negative weights of the prefix gives a drop of .044.
func TestEnvelopeDropsNegativeWeights(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1}, []float64{1}), rows([]float64{1, -1}), rows([]float64{0}, []float64{0}))
	x := []float64{1}
	b := grown(t, n, Absolute(), .1)
	require.InDelta(t, -.264, margin(t, Product{Form: T1}, n, b, x, 0, 1), 1e-12)
	require.InDelta(t, -.084, margin(t, Product{Form: T2}, n, b, x, 0, 1), 1e-12)
	worst := n.Clone()
	worst.layers[0].Weight.Val = []float64{1.1, .9}
	worst.layers[1].Weight.Val = []float64{1.1, -.9}
	worst.layers[2].Weight.Val = []float64{-.1, .1}
	require.True(t, b.Contains(worst))
	f := worst.Logits(x)
	require.InDelta(t, -.08, f[0]-f[1], 1e-12)
	for _, m := range []Method{Product{Form: T1}, Product{Form: T2}, Path{}, IBP{}, CROWN{}} {
		require.LessOrEqual(t, margin(t, m, n, b, x, 0, 1), f[0]-f[1], m.Name())
	}
}

func TestGoldenExactMarginOfTwoLayers(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1, -2}, []float64{.5, 1}, []float64{-1, 1}), rows([]float64{1, -1, .5}, []float64{0, 2, -1}))
	x := []float64{1, -.5}
	require.Equal(t, []float64{2, 0}, n.Logits(x))
	for _, c := range []struct{ eps, want float64 }{{.05, 1.5}, {.1, 1}, {.2, 0}} {
		b := grown(t, n, Absolute(), c.eps)
		require.InDelta(t, c.want, margin(t, IBP{}, n, b, x, 0, 1), 1e-12)
		w, err := LastTwo(n, b, x, 0, 1)
		require.NoError(t, err)
		require.InDelta(t, c.want, w.Margin, 1e-12)
		require.True(t, b.Contains(w.Network))
		f := w.Network.Logits(x)
		require.Equal(t, w.Margin, f[0]-f[1])
	}
}

func TestTanhGoesByCornersAndNotByTheRuleForPositiveValues(t *testing.T) {
	n := mlp(t, Tanh, rows([]float64{-1}), rows([]float64{1}, []float64{0}))
	x := []float64{1}
	const eps = .1
	b := grown(t, n, Absolute(), eps)
	want := (1 + 2*eps) * math.Tanh(-1-eps)
	require.InDelta(t, want, margin(t, IBP{}, n, b, x, 0, 1), 1e-12)
	for _, m := range []Method{Product{Form: T1}, CROWN{}} {
		_, err := Margins(m, n, b, x, 0)
		require.ErrorContains(t, err, "Tanh", m.Name())
		require.ErrorContains(t, err, "negative", m.Name())
	}
	require.LessOrEqual(t, margin(t, Product{}, n, b, x, 0, 1), want)
	_, err := LastTwo(n, b, x, 0, 1)
	require.ErrorContains(t, err, "Tanh")
}

// Intervals that reach to one side only, all as far: bounds do not take them for balls.
func TestOneSidedBoxesAreExactInTwoLayers(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1, 2}), rows([]float64{1}, []float64{0}))
	x := []float64{1, 1}
	b := NewBox(n)
	require.NoError(t, b.SetLayer(0, []float64{1, 2}, []float64{1.5, 2.5}))
	require.InDelta(t, 3, margin(t, IBP{}, n, b, x, 0, 1), 1e-12)
	require.InDelta(t, -4, margin(t, IBP{}, n, b, x, 1, 0), 1e-12)
	require.NoError(t, b.SetLayer(0, []float64{.5, 1.5}, []float64{1, 2}))
	require.InDelta(t, 2, margin(t, IBP{}, n, b, x, 0, 1), 1e-12)
	require.InDelta(t, -3, margin(t, IBP{}, n, b, x, 1, 0), 1e-12)
}

// One unit between -0.5 and 1.5: the parallel line below ReLU has the slope 0.75, so at
// worst the unit gives -0.375; the adaptive line is the identity, at worst -0.5; interval
// propagation knows that the unit is not negative.
func TestLowerLinesOfAnUnstableUnit(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{.5}), rows([]float64{1}, []float64{0}))
	x := []float64{1}
	weng, err := WengBound(context.Background(), n, RowBall{0, 1, math.Inf(1)}, true, x, 0)
	require.NoError(t, err)
	require.InDelta(t, -.375, weng[1], 1e-12)
	b := grown(t, n, Absolute(0), 1)
	require.InDelta(t, -.5, margin(t, CROWN{Pure: true}, n, b, x, 0, 1), 1e-12)
	require.InDelta(t, 0, margin(t, CROWN{}, n, b, x, 0, 1), 1e-12)
}

func TestBoundsOfTheLastLayerAreAttained(t *testing.T) {
	n, x := g3(t)
	_, acts := n.trace(x)
	z := acts[2]
	f, err := FrobeniusBound(n, 2, .01, x, 1)
	require.NoError(t, err)
	require.InDelta(t, 2-math.Sqrt2*.01*norm(z, 2), f[0], 1e-12)
	r, err := RowBallBound(n, RowBall{2, .01, 2}, x, 1)
	require.NoError(t, err)
	require.InDelta(t, 2-.02*norm(z, 2), r[0], 1e-12)
	inf, err := RowBallBound(n, RowBall{0, .01, math.Inf(1)}, x, 1)
	require.NoError(t, err)
	require.InDelta(t, 2-.09, inf[0], 1e-12)
}

package advcl

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Golden figures of this package were computed by independent programs from the
// formulas of the paper and of its reference code.

// golden returns the first m views of the golden input, 3 images with 5 features.
func golden(m int) []*tensor.Tensor {
	out := make([]*tensor.Tensor, m)
	for v := range out {
		out[v] = tensor.Zeros(tensor.Float64, 3, 5)
		for n := range 3 {
			for k := range 5 {
				fv, fn, fk := float64(v), float64(n), float64(k)
				out[v].Set(math.Sin(1+7*fv+3*fn+2*fk+0.1*fv*fn*fk), n, k)
			}
		}
	}
	return out
}

func loss(t testing.TB, l NTXent, views ...*tensor.Tensor) float64 {
	v, err := l.Loss(views...)
	require.NoError(t, err)
	return v.Item()
}

func TestNTXentHasItsGoldenValues(t *testing.T) {
	views := golden(4)
	for _, c := range []struct{ temperature, plain, scaled, sum float64 }{
		{0.5, 2.5473425257, 18.1953037552, 30.5681103088},
		{0.1, 6.6991641334, 9.5702344764, 80.3899696014},
	} {
		plain := loss(t, NTXent{Temperature: c.temperature}, views...)
		require.InDelta(t, c.plain, plain, 1e-9)
		require.InDelta(t, c.scaled, loss(t, NTXent{Temperature: c.temperature, Base: 0.07}, views...), 1e-9)
		require.InDelta(t, c.sum, 12*plain, 1e-8)
	}
	each, err := NTXent{}.Anchors(views...)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{2.80764602, 2.80338611, 3.33869041, 2.05774779, 1.71892081, 2.90703371, 2.06305815, 1.77261473, 2.72226905, 2.63345769, 2.94898094, 2.79430491}, each.Values(), 1e-8)
}

func TestNTXentGradientHasItsGoldenValues(t *testing.T) {
	raw := golden(4)
	gradients := func(views []*tensor.Tensor) []*tensor.Tensor {
		tape := tensor.NewTape()
		watched := make([]*tensor.Tensor, len(views))
		for v := range views {
			watched[v] = tape.Watch(views[v])
		}
		l, err := NTXent{}.Loss(watched...)
		require.NoError(t, err)
		return tensor.Grad(l, watched...)
	}
	g := gradients(raw)[0].Values()[:5]
	require.InDeltaSlice(t, []float64{-0.05993092, 0.11434826, -0.04263952, -0.06507698, 0.08774161}, g, 1e-8)
	dot := 0.0
	for k, v := range raw[0].Values()[:5] {
		dot += v * g[k]
	}
	require.InDelta(t, 0, dot, 1e-12, "scaling a feature changes nothing")

	// With respect to the unit vectors: undo their projection by hand.
	n := 12
	z := make([][]float64, 0, n)
	for _, v := range raw {
		u := unit(v).Values()
		for i := range 3 {
			z = append(z, u[5*i:5*i+5])
		}
	}
	dz := handGradient(z, 4, 3, 0.5)
	require.InDeltaSlice(t, []float64{-0.00434193, 0.18582883, -0.16141840, -0.03081189, 0.17347437}, dz[0], 1e-8)
	norm := 0.0
	for a := range dz {
		for k := range dz[a] {
			norm += dz[a][k] * dz[a][k]
		}
	}
	require.InDelta(t, 0.8419203288, math.Sqrt(norm), 1e-9)
	// The tape's gradient is the hand-written one, projected.
	all := gradients(raw)
	for a := range dz {
		u := raw[a/3].Values()[5*(a%3) : 5*(a%3)+5]
		length, along := 0.0, 0.0
		for k := range u {
			length += u[k] * u[k]
			along += z[a][k] * dz[a][k]
		}
		for k := range u {
			require.InDelta(t, (dz[a][k]-z[a][k]*along)/math.Sqrt(length), all[a/3].At(a%3, k), 1e-12)
		}
	}
}

// handGradient is 1/(m b t) (G + Gᵀ) Z with loops.
func handGradient(z [][]float64, m, b int, t float64) [][]float64 {
	n := m * b
	g := make([][]float64, n)
	for a := range g {
		g[a] = make([]float64, n)
		sum := 0.0
		for k := range g[a] {
			if k == a {
				continue
			}
			s := 0.0
			for i := range z[a] {
				s += z[a][i] * z[k][i]
			}
			g[a][k] = math.Exp(s / t)
			sum += g[a][k]
		}
		for k := range g[a] {
			g[a][k] /= sum
			if k != a && k%b == a%b {
				g[a][k] -= 1 / float64(m-1)
			}
		}
	}
	out := make([][]float64, n)
	for a := range out {
		out[a] = make([]float64, len(z[a]))
		for k := range n {
			for i := range out[a] {
				out[a][i] += (g[a][k] + g[k][a]) * z[k][i] / (float64(n) * t)
			}
		}
	}
	return out
}

func TestTwoAndThreeViewsAgreeWithSimCLRAndRoCL(t *testing.T) {
	views := golden(3)
	require.InDelta(t, 1.1077514284, loss(t, NTXent{}, views[:2]...), 1e-9)
	require.InDelta(t, 3.7676248945, 2*loss(t, NTXent{}, views...), 1e-9)
	require.InDelta(t, 3.7676247091, 2*loss(t, NTXent{Guard: 1e-8}, views...), 2e-10)
}

// The guard does not let exponentials overflow where the temperature is small.
func TestTheGuardedLossTakesSmallTemperatures(t *testing.T) {
	views := golden(3)
	for _, temperature := range []float64{0.001, 0.01, 0.5} {
		tape := tensor.NewTape()
		w := tape.Watch(views[0].To(tensor.Float32))
		got, err := NTXent{Temperature: temperature, Guard: 1e-8}.Loss(w, tape.Const(views[1].To(tensor.Float32)), tape.Const(views[2].To(tensor.Float32)))
		require.NoError(t, err)
		require.False(t, math.IsNaN(got.Item()) || math.IsInf(got.Item(), 0), "%v", temperature)
		require.True(t, tensor.AllFinite(tensor.Grad(got, w)[0]), "%v", temperature)
		require.InEpsilon(t, loss(t, NTXent{Temperature: temperature, Guard: 1e-8}, views...), got.Item(), 1e-3)
	}
}

// views returns m views of b images that agree, with the features that row gives.
func views(m, b int, row func(i int) []float64) []*tensor.Tensor {
	var data []float64
	for i := range b {
		data = append(data, row(i)...)
	}
	out := make([]*tensor.Tensor, m)
	for v := range out {
		out[v] = tensor.FromFloat64(data, b, len(data)/b)
	}
	return out
}

func unitRow(n, i int) []float64 {
	r := make([]float64, n)
	r[i] = 1
	return r
}

func TestNTXentOfSymmetricFeaturesIsKnown(t *testing.T) {
	same := func(int) []float64 { return []float64{3, 4} }
	collapsed := loss(t, NTXent{Base: 0.07}, views(4, 512, same)...)
	require.InDelta(t, 54.45807561, collapsed, 1e-7)
	require.InDelta(t, 7.6241305857, collapsed*0.07/0.5, 1e-9)
	for _, c := range []struct {
		m, b int
		want float64
	}{{4, 2, 1.2645055065}, {4, 128, 4.2731923687}, {2, 512, 4.9367207558}} {
		require.InDelta(t, c.want, loss(t, NTXent{}, views(c.m, c.b, func(i int) []float64 { return unitRow(c.b, i) })...), 1e-9)
	}
	require.InDelta(t, 5.62957874, NTXent{}.Bound(4, 512), 1e-8)
	require.InDelta(t, 40.2112767, NTXent{}.Bound(4, 512)*NTXent{Base: 0.07}.scale(), 1e-6)
	require.InDelta(t, math.Log(2), NTXent{Temperature: 1e-4}.Bound(3, 16), 1e-12, "small temperatures do not overflow")
	require.InDelta(t, 0, NTXent{Temperature: 1e-4}.Bound(2, 2), 1e-12)
	simplex := func(i int) []float64 {
		r := unitRow(16, i)
		for k := range r {
			r[k] -= 1. / 16
		}
		return r
	}
	require.InDelta(t, NTXent{}.Bound(3, 16), loss(t, NTXent{}, views(3, 16, simplex)...), 1e-12)
}

func TestNTXentKnowsItsSymmetries(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	const m, b, d = 3, 7, 6
	v := make([]*tensor.Tensor, m)
	for i := range v {
		v[i] = tensor.Normal(rng, tensor.Float64, 0, 1, b, d)
	}
	want := loss(t, NTXent{}, v...)
	require.Greater(t, want, NTXent{}.Bound(m, b))
	require.InDelta(t, want, loss(t, NTXent{}, v[2], v[0], v[1]), 1e-12)
	shuffled := make([]*tensor.Tensor, m)
	order := rng.Perm(b)
	for i := range v {
		shuffled[i] = tensor.Gather(v[i], order)
	}
	require.InDelta(t, want, loss(t, NTXent{}, shuffled...), 1e-12)
	// A common reflection, an orthogonal map.
	axis := unit(tensor.Normal(rng, tensor.Float64, 0, 1, 1, d))
	mirrored := make([]*tensor.Tensor, m)
	for i := range v {
		along := tensor.MatMulT(v[i], axis, false, true)
		mirrored[i] = tensor.Sub(v[i], tensor.MulScalar(tensor.MatMul(along, axis), 2))
	}
	require.InDelta(t, want, loss(t, NTXent{}, mirrored...), 1e-12)
	require.Greater(t, math.Abs(want-loss(t, NTXent{}, v[0], tensor.Gather(v[1], []int{1, 2, 3, 4, 5, 6, 0}), v[2])), 0.01)
}

func TestWeightsAndStoppedKeys(t *testing.T) {
	v := golden(3)
	each, err := NTXent{}.Anchors(v...)
	require.NoError(t, err)
	want := 0.0
	for a, e := range each.Values() {
		want += e * []float64{2, 0, 1}[a/3] / 9
	}
	require.InDelta(t, want, loss(t, NTXent{Weights: []float64{2, 0, 1}}, v...), 1e-12)

	gradient := func(stop ...bool) []float64 {
		tape := tensor.NewTape()
		w := []*tensor.Tensor{tape.Watch(v[0]), tape.Watch(v[1]), tape.Watch(v[2])}
		value, err := NTXent{StopKeys: stop}.Loss(w...)
		require.NoError(t, err)
		return tensor.Grad(value, w[0])[0].Values()
	}
	all, others := gradient(), gradient(false, true, true)
	asAnchor := gradient(true, true, true)
	asKey := gradient(true, false, false)
	require.NotEqual(t, all, asAnchor)
	// Stopping the other views' keys stops nothing of this view's own.
	require.InDeltaSlice(t, all, others, 1e-12)
	require.InDeltaSlice(t, asAnchor, asKey, 1e-12)
	// A view that is no anchor and whose keys are stopped gets no gradient.
	tape := tensor.NewTape()
	w := tape.Watch(v[1])
	value, err := NTXent{Weights: []float64{1, 0, 1}, StopKeys: []bool{false, true, false}}.Loss(tape.Const(v[0]), w, tape.Const(v[2]))
	require.NoError(t, err)
	require.Zero(t, tensor.MaxAbs(tensor.Grad(value, w)[0]))
}

func TestZeroFeaturesAreFlooredAndCounted(t *testing.T) {
	v := golden(2)
	for k := range 5 {
		v[0].Set(0, 1, k)
	}
	tape := tensor.NewTape()
	w := tape.Watch(v[0])
	value, err := NTXent{}.Loss(w, tape.Const(v[1]))
	require.NoError(t, err)
	require.True(t, tensor.AllFinite(tensor.Grad(value, w)[0]))
	require.Equal(t, 1, short(v[0]))
	require.Equal(t, 0, short(v[1]))
}

func TestNTXentRefusesWhatMakesNoSense(t *testing.T) {
	v := golden(3)
	for want, f := range map[string]func() error{
		"temperature is -1":     func() error { _, err := NTXent{Temperature: -1}.Loss(v...); return err },
		"temperature is NaN":    func() error { _, err := NTXent{Temperature: math.NaN()}.Loss(v...); return err },
		"base temperature is -": func() error { _, err := NTXent{Base: -1}.Loss(v...); return err },
		"1 views, want":         func() error { _, err := NTXent{}.Loss(v[0]); return err },
		"2 weights for 3":       func() error { _, err := NTXent{Weights: []float64{1, 1}}.Loss(v...); return err },
		"weights [0 0 0]":       func() error { _, err := NTXent{Weights: []float64{0, 0, 0}}.Loss(v...); return err },
		"weight of view 1 is":   func() error { _, err := NTXent{Weights: []float64{0, -2, 0}}.Loss(v...); return err },
		"StopKeys has 1":        func() error { _, err := NTXent{StopKeys: []bool{true}}.Loss(v...); return err },
		"guard is 2":            func() error { _, err := NTXent{Guard: 2}.Loss(v...); return err },
		"1 images, want": func() error {
			_, err := NTXent{}.Loss(tensor.Slice(v[0], 0, 0, 1), tensor.Slice(v[1], 0, 0, 1))
			return err
		},
		"view 1 has features": func() error { _, err := NTXent{}.Loss(v[0], tensor.Slice(v[1], 0, 0, 2)); return err },
		"view 2 has features": func() error { _, err := NTXent{}.Loss(v[0], v[1], tensor.Slice(v[2], 1, 0, 4)); return err },
	} {
		require.ErrorContains(t, f(), want)
	}
}

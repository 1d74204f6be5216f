package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func TestNetworksGiveTheSameLogitsInBothForms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	conv := nn.NewSequential(
		nn.NewConv2D(rng, 2, 3, 3, tensor.Window{StrideH: 2, Top: 1, Left: 2, Right: 1}), nn.ReLU,
		nn.NewConv2D(rng, 3, 2, 2, tensor.Same(1, 0)), nn.Sigmoid,
		nn.Flatten, nn.NewSequential(nn.NewLinear(rng, 42, 5), nn.Tanh), nn.NewLinear(rng, 5, 3))
	for _, c := range []struct {
		net     nn.Layer
		h, w, c int
	}{{nn.NewMLP(rng, 4, 3, 2, 7, 5, 3), 4, 3, 2}, {conv, 8, 7, 2}} {
		n, err := FromNN(c.net, c.h, c.w, c.c)
		require.NoError(t, err)
		nn.Convert(c.net, tensor.Float64)
		x := tensor.Normal(rng, tensor.Float64, 0, 1, 5, c.h, c.w, c.c)
		want := nn.Classifier{Net: c.net}.Logits(x)
		for i, v := range Examples(x) {
			require.InDeltaSlice(t, want.Values()[3*i:3*i+3], n.Logits(v), 1e-12)
		}
	}
}

// Bounds of a convolution hold for networks whose shared weights move together.
func TestBoundsHoldForConvolutions(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	net := nn.NewSequential(nn.NewConv2D(rng, 1, 3, 3, tensor.Same(2, 1)), nn.ReLU, nn.Flatten, nn.NewLinear(rng, 27, 4), nn.ReLU, nn.NewLinear(rng, 4, 3))
	n, err := FromNN(net, 6, 6, 1)
	require.NoError(t, err)
	const eps = .02
	b := grown(t, n, Absolute(), eps)
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 1, 6, 6, 1)
	v := Examples(x)[0]
	y := argMax(n.Logits(v))
	low := map[string][]float64{}
	for _, m := range everyMethod {
		out, err := Margins(m, n, b, v, y)
		require.NoError(t, err)
		low[m.Name()] = out
	}
	nn.Convert(net, tensor.Float64)
	for range 500 {
		p := &nn.Pass{}
		for _, w := range nn.Params(net) {
			if w.Rank() > 1 {
				p.Use(w, tensor.Add(w, tensor.Uniform(rng, tensor.Float64, -eps, eps, w.Shape()...)))
			}
		}
		f := net.Forward(p, x.To(tensor.Float64))
		for name, out := range low {
			for j, l := range out {
				require.GreaterOrEqual(t, f.At(0, y)-f.At(0, j), l, name)
			}
		}
	}
	// Shared weights that go down the gradient of a margin together.
	params := nn.Params(net)
	for j := range 3 {
		if j == y {
			continue
		}
		var at []*tensor.Tensor
		for _, w := range params {
			at = append(at, w.Clone())
		}
		for range 15 {
			tape, p := tensor.NewTape(), &nn.Pass{}
			var watched []*tensor.Tensor
			for i, w := range params {
				watched = append(watched, tape.Watch(at[i]))
				p.Use(w, watched[i])
			}
			f := net.Forward(p, tape.Const(x.To(tensor.Float64)))
			for name, out := range low {
				for k, l := range out {
					require.GreaterOrEqual(t, f.At(0, y)-f.At(0, k), l, name)
				}
			}
			margin := tensor.Sub(tensor.Pick(f, []int{y}), tensor.Pick(f, []int{j}))
			for i, g := range tensor.Grad(tensor.Sum(margin), watched...) {
				if params[i].Rank() < 2 {
					continue
				}
				for k, v := range g.Values() {
					base := params[i].Float64s()[k]
					to := at[i].Float64s()
					to[k] = min(max(to[k]-.3*eps*sign(v), base-eps), base+eps)
				}
				at[i].Touch()
			}
		}
		f := func() *tensor.Tensor {
			p := &nn.Pass{}
			for i, w := range params {
				p.Use(w, at[i])
			}
			return net.Forward(p, x.To(tensor.Float64))
		}()
		clean := n.Logits(v)
		fell := clean[y] - clean[j] - f.At(0, y) + f.At(0, j)
		require.Greater(t, fell, .3*(clean[y]-clean[j]-low["IBP"][j]), "the attack is no test")
	}
	box, err := ActivationBox(n, grown(t, n, Absolute(0), eps), v)
	require.NoError(t, err)
	require.False(t, box.Exact)
}

func TestUnsupportedLayersAreNamed(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, c := range []struct {
		layer nn.Layer
		want  []string
	}{
		{nn.NewBatchNorm(1), []string{"BatchNorm", "box", "1"}},
		{nn.MaxPool2D(2, tensor.Same(2, 0)), []string{"layer 1 is MaxPool2D, which no bound here covers"}},
		{nn.AvgPool2D(2, tensor.Same(2, 0)), []string{"layer 1 is AvgPool2D, which no bound here covers"}},
		{nn.NewNormalize([]float64{0}, []float64{1}), []string{"layer 1 is a Normalize behind other layers"}},
		{nn.Dropout(.5), []string{"Dropout", "training", "certificate"}},
		{nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return x }), []string{"weightpert", "nothing is known"}},
		{nn.Function(nil), []string{"function of nothing"}},
		{nn.GlobalAvgPool, []string{"GlobalAvgPool"}},
		{nil, []string{"nil"}},
		{nn.ReLU, nil},
	} {
		net := nn.NewSequential(nn.NewConv2D(rng, 1, 1, 1, tensor.Same(1, 0)), c.layer, nn.Flatten, nn.NewLinear(rng, 4, 2))
		_, err := FromNN(net, 2, 2, 1)
		if c.want == nil {
			require.NoError(t, err)
			continue
		}
		for _, w := range c.want {
			require.ErrorContains(t, err, w)
		}
	}
	_, err := FromNN(nn.NewSequential(nn.NewNormalize([]float64{0}, []float64{1}), nn.NewConv2D(rng, 1, 2, 1, tensor.Same(1, 0))), 2, 2, 1)
	require.ErrorContains(t, err, "layer 0 is a Normalize: it has no weights that could move, want the layers behind it")
	_, err = FromNN(nn.NewBatchNorm(1), 2, 2, 1)
	require.ErrorContains(t, err, "the network is a BatchNorm")
	_, err = FromNN(nn.NewSequential(nn.ReLU), 2, 2, 1)
	require.ErrorContains(t, err, "ReLU")
	_, err = FromNN(nn.NewSequential(), 2, 2, 1)
	require.ErrorContains(t, err, "no dense")
	_, err = FromNN(nn.NewLinear(rng, 3, 2), 2, 2, 1)
	require.ErrorContains(t, err, "2x2x1 = 4")
	_, err = FromNN(nn.NewLinear(rng, 3, 2), 0, 2, 1)
	require.ErrorContains(t, err, "0x2x1")
	_, err = FromNN(nn.NewLinear(rng, 3, 1), 1, 1, 3)
	require.ErrorContains(t, err, "1 class")
}

func TestBadNetworksAreErrors(t *testing.T) {
	ok := Layer{Weight: rows([]float64{1, 2}, []float64{3, 4})}
	for want, layers := range map[string][]Layer{
		"0 layers":          nil,
		"takes 3":           {{Weight: rows([]float64{1, 2}), Act: ReLU}, {Weight: rows([]float64{1, 2, 3}, []float64{1, 2, 3})}},
		"NaN":               {{Weight: rows([]float64{1, math.NaN()}, []float64{1, 1})}},
		"+Inf":              {{Weight: ok.Weight, Bias: []float64{1, math.Inf(1)}}},
		"3 biases":          {{Weight: ok.Weight, Bias: []float64{1, 2, 3}}},
		"activation ReLU":   {{Weight: ok.Weight, Act: ReLU}},
		"Activation(200)":   {{Weight: ok.Weight, Act: 200}},
		"1 class":           {{Weight: rows([]float64{1, 2})}},
		"0x0":               {{}},
		"3 values, want 4":  {{Weight: Matrix{Rows: 2, Cols: 2, Val: []float64{1, 2, 3}}}},
		"column of value 0": {{Weight: Matrix{Rows: 2, Cols: 2, Val: []float64{1}, Col: []int32{2}, Start: []int{0, 1, 1}}}},
		"offset of row":     {{Weight: Matrix{Rows: 2, Cols: 2, Val: []float64{1}, Col: []int32{1}, Start: []int{0, 2, 1}}}},
		"offsets":           {{Weight: Matrix{Rows: 2, Cols: 2, Val: []float64{1}, Col: []int32{1}}}},
	} {
		_, err := NewNetwork(layers...)
		require.ErrorContains(t, err, want)
	}
}

func TestBadBoxesAndExamplesAreErrors(t *testing.T) {
	n, x := g3(t)
	for _, eps := range []float64{-1, math.NaN(), math.Inf(1)} {
		for _, b := range []Budget{Absolute(), AbsoluteWithBias(), Relative(), PerRange()} {
			_, err := b(n, eps)
			require.ErrorContains(t, err, "eps is")
		}
	}
	_, err := Absolute(3)(n, 1)
	require.ErrorContains(t, err, "layer 3")
	_, err = StuckAt(n, math.NaN())
	require.ErrorContains(t, err, "NaN")
	b := NewBox(n)
	four := []float64{1, -1, .5, 2}
	require.ErrorContains(t, b.SetLayer(5, nil, nil), "layer 5")
	require.ErrorContains(t, b.SetLayer(0, four[:3], four), "3 lower")
	require.ErrorContains(t, b.SetLayer(0, []float64{2, -1, .5, 2}, four), "lower end first")
	require.ErrorContains(t, b.SetLayer(0, []float64{math.NaN(), -1, .5, 2}, four), "finite")
	require.ErrorContains(t, b.SetLayer(0, []float64{.5, -1, .5, 2}, []float64{.7, -1, .5, 2}), "outside")
	require.ErrorContains(t, b.SetBias(0, nil, nil), "no biases")
	require.Empty(t, b.Moving())
	require.True(t, b.Contains(n.Clone()))
	require.False(t, b.Contains(nil))
	require.False(t, b.Contains(mlp(t, ReLU, rows(x, x))))

	other, _ := g3(t)
	other.layers[0].Weight.Val[0] = 9
	_, err = Margins(IBP{}, other, b, x, 0)
	require.ErrorContains(t, err, "outside the box")
	_, err = Margins(IBP{}, mlp(t, ReLU, rows(x, x)), b, x, 0)
	require.ErrorContains(t, err, "another form")
	_, err = Margins(IBP{}, n, nil, x, 0)
	require.ErrorContains(t, err, "no box")
	_, err = Margins(IBP{}, nil, b, x, 0)
	require.ErrorContains(t, err, "no network")

	ctx := context.Background()
	_, err = Certify(ctx, IBP{}, n, b, nil, nil)
	require.ErrorContains(t, err, "0 examples")
	_, err = Certify(ctx, IBP{}, n, b, [][]float64{x}, nil)
	require.ErrorContains(t, err, "0 labels")
	_, err = Certify(ctx, IBP{}, n, b, [][]float64{x, {1, math.NaN()}}, []int{0, 0})
	require.ErrorContains(t, err, "example 1")
	for _, y := range []int{-1, 2} {
		_, err = Margins(IBP{}, n, b, x, y)
		require.ErrorContains(t, err, "label")
	}
	_, err = Margins(IBP{}, n, b, x[:1], 0)
	require.ErrorContains(t, err, "1 values, want 2")
	_, err = LastTwo(n, grown(t, n, Absolute(1, 2), .1), x, 1, 1)
	require.ErrorContains(t, err, "rival")
	_, err = LastTwo(n, grown(t, n, Absolute(), .1), x, 1, 0)
	require.ErrorContains(t, err, "layer 0 may move")
	_, err = ActivationBox(n, grown(t, n, Absolute(), .1), x)
	require.ErrorContains(t, err, "only one")
	_, err = WengBound(context.Background(), n, RowBall{0, -1, 2}, true, x, 1)
	require.ErrorContains(t, err, "eps")
	_, err = RowBallBound(n, RowBall{0, 1, .5}, x, 1)
	require.ErrorContains(t, err, "order 0.5")
	_, err = FrobeniusBound(n, 7, 1, x, 1)
	require.ErrorContains(t, err, "layer 7")
	_, err = CertifiedRadius(context.Background(), n, IBP{}, Absolute(), x, 1, RadiusOptions{Halvings: -1})
	require.ErrorContains(t, err, "halvings")
	_, err = SamplePGD{Steps: -1}.Run(context.Background(), n, b, x, 1)
	require.ErrorContains(t, err, "-1 steps")

	gelu := mlp(t, GELU, rows(x, x), rows(x, x))
	for _, m := range everyMethod {
		_, err := Margins(m, gelu, NewBox(gelu), x, 0)
		require.ErrorContains(t, err, "GELU", m.Name())
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	c, err := Certify(stopped, IBP{}, n, NewBox(n), [][]float64{x}, []int{1})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, Certificate{Method: "IBP", Margin: []float64{math.Inf(-1)}, Certified: []bool{false}, Total: 1}, c)
}

// A box so large that bounds overflow certifies nothing and gives no NaN.
func TestOverflowCertifiesNothing(t *testing.T) {
	n, x := g3(t)
	for _, eps := range []float64{1e100, 1e150, 1e200, 1e308, math.MaxFloat64} {
		b := grown(t, n, Absolute(), eps)
		for _, m := range everyMethod {
			v := margin(t, m, n, b, x, 1, 0)
			require.False(t, math.IsNaN(v), "%v %v", m, eps)
			require.Negative(t, v)
			if eps > 1e200 {
				require.True(t, math.IsInf(v, -1), "%v %v: %v", m.Name(), eps, v)
			}
		}
		v, err := WengBound(context.Background(), n, RowBall{0, eps, 2}, false, x, 1)
		require.NoError(t, err)
		require.Negative(t, v[0])
		require.False(t, math.IsNaN(v[0]))
	}
}

func TestMisclassifiedExamplesAreNotCertified(t *testing.T) {
	n, x := g3(t)
	for _, m := range everyMethod {
		r, err := CertifiedRadius(context.Background(), n, m, Absolute(), x, 0, RadiusOptions{})
		require.NoError(t, err)
		require.Zero(t, r)
		c, err := Certify(context.Background(), m, n, NewBox(n), [][]float64{x, x}, []int{0, 1})
		require.NoError(t, err)
		require.Equal(t, []bool{false, true}, c.Certified)
		require.Equal(t, .5, c.Share())
	}
	r, err := SingleLayerRadius(n, 0, x, 0)
	require.NoError(t, err)
	require.Zero(t, r)
}

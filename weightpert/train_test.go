package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// g3nn is the golden network in float64, for training.
func g3nn() (*nn.Sequential, *tensor.Tensor) {
	layer := func(in, out int, v ...float64) *nn.Linear {
		return &nn.Linear{Weight: tensor.FromFloat64(v, in, out)}
	}
	return nn.NewSequential(nn.Flatten, layer(2, 2, 1, .5, -1, 2), nn.ReLU, layer(2, 2, 1, -1, -.5, 1), nn.ReLU, layer(2, 2, 2, 1, -1, 1)),
		tensor.FromFloat64([]float64{1, .5}, 1, 1, 1, 2)
}

func value(t testing.TB, loss nn.Loss, net nn.Layer, x *tensor.Tensor, y []int, step int) float64 {
	tape := tensor.NewTape()
	p := &nn.Pass{Train: true}
	p.Watch(tape, nn.Params(net))
	v, err := loss(context.Background(), p, net, nn.Batch{X: tape.Const(x), Y: y, Step: step})
	require.NoError(t, err)
	return v.Item()
}

func TestGoldenTrainingLosses(t *testing.T) {
	net, x := g3nn()
	y := []int{1}
	const ce = .1269280110
	at := func(l TheoryLoss) float64 { return value(t, l.Loss, net, x, y, 0) }
	require.InDelta(t, ce, at(TheoryLoss{}), 1e-9)
	require.InDelta(t, ce+17*.01, at(TheoryLoss{Lambda: 1}), 1e-9)
	require.InDelta(t, ce+17*.1, at(TheoryLoss{Lambda: 1, Eps: .1}), 1e-9)
	require.InDelta(t, ce+.192312, at(TheoryLoss{Lambda: 1, Eta: EtaT1}), 1e-9)
	require.InDelta(t, ce+.172912, at(TheoryLoss{Lambda: 1, Eta: EtaT2}), 1e-9)
	require.InDelta(t, ce+15.5, at(TheoryLoss{Mu: 1}), 1e-9)
	require.InDelta(t, ce+15.5/5, at(TheoryLoss{Mu: 1, RampSteps: 4}), 1e-9)
	ibp := IBPTraining{Eps: .05, Kappa: -1}
	require.InDelta(t, .2155213, value(t, ibp.Loss, net, x, y, 0), 1e-7)
	half := IBPTraining{Eps: .05}
	require.InDelta(t, (ce+.2155213)/2, value(t, half.Loss, net, x, y, 0), 1e-7)
	later := IBPTraining{Eps: .05, From: 5, To: 9}
	require.InDelta(t, ce, value(t, later.Loss, net, x, y, 4), 1e-9)
	require.InDelta(t, (ce+.2155213)/2, value(t, later.Loss, net, x, y, 9), 1e-7)
}

// The losses' bounds are those of the certificates.
func TestTrainingMarginsAreThoseOfTheCertificates(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	for _, widths := range [][]int{{3}, {5, 3}, {6, 5, 4}} {
		net := nn.NewMLP(rng, 2, 2, 1, widths...)
		nn.Convert(net, tensor.Float64)
		n, err := FromNN(net, 2, 2, 1)
		require.NoError(t, err)
		x := tensor.Normal(rng, tensor.Float64, 0, 1, 4, 2, 2, 1)
		y := []int{0, 2, 1, 1}
		layers, err := denseLayers(net)
		require.NoError(t, err)
		low := intervalMargins(&nn.Pass{}, layers, tensor.Flatten(x), y, .05)
		linear := linearMargins(&nn.Pass{}, layers, tensor.Flatten(x), y, .05)
		for i, v := range Examples(x) {
			want, err := Margins(IBP{}, n, grown(t, n, Absolute(), .05), v, y[i])
			require.NoError(t, err)
			k := n.Classes()
			require.InDeltaSlice(t, want, low.Values()[i*k:(i+1)*k], 1e-9)
			if want, err = Margins(CROWN{Intervals: true, Pure: true}, n, grown(t, n, Absolute(), .05), v, y[i]); err == nil {
				require.InDeltaSlice(t, want, linear.Values()[i*k:(i+1)*k], 1e-9)
			}
		}
	}
}

// Central differences of step 1e-6 in float64.
func TestGradientsOfTrainingLosses(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 16))
	net := nn.NewMLP(rng, 2, 2, 1, 6, 5, 3)
	nn.Convert(net, tensor.Float64)
	x := tensor.Uniform(rng, tensor.Float64, .1, 1, 5, 2, 2, 1)
	y := []int{0, 1, 2, 2, 1}
	for name, loss := range map[string]nn.Loss{
		"first order": (&TheoryLoss{Lambda: .7, Mu: .3, Eps: .02}).Loss,
		"T1":          (&TheoryLoss{Lambda: .7, Eta: EtaT1, Eps: .02}).Loss,
		"T2":          (&TheoryLoss{Lambda: .7, Mu: .1, Eta: EtaT2, Eps: .02}).Loss,
		"IBP":         (&IBPTraining{Eps: .03}).Loss,
		"CROWN-IBP":   (&IBPTraining{Eps: .03, Linear: true}).Loss,
		"clustering":  (&Clustering{Coefficient: .1}).Loss,
	} {
		params := nn.Params(net)
		tape := tensor.NewTape()
		p := &nn.Pass{Train: true}
		watched := p.Watch(tape, params)
		v, err := loss(context.Background(), p, net, nn.Batch{X: tape.Const(x), Y: y})
		require.NoError(t, err)
		for i, g := range tensor.Grad(v, watched...) {
			w := params[i].Float64s()
			for k, got := range g.Values() {
				const h = 1e-6
				old := w[k]
				w[k] = old + h
				up := value(t, loss, net, x, y, 0)
				w[k] = old - h
				down := value(t, loss, net, x, y, 0)
				w[k] = old
				require.InDelta(t, (up-down)/(2*h), got, 1e-7, "%s: parameter %d value %d", name, i, k)
			}
		}
	}
}

// gradientOf returns the gradient that a loss gives each parameter.
func gradientOf(t testing.TB, loss nn.Loss, net nn.Layer, b nn.Batch) (float64, []*tensor.Tensor) {
	return gradientIn(t, &nn.Pass{Train: true}, loss, net, b)
}

// gradientIn is gradientOf in a pass of a given mode.
func gradientIn(t testing.TB, p *nn.Pass, loss nn.Loss, net nn.Layer, b nn.Batch) (float64, []*tensor.Tensor) {
	tape := tensor.NewTape()
	watched := p.Watch(tape, nn.Params(net))
	b.X = tape.Const(b.X)
	v, err := loss(context.Background(), p, net, b)
	require.NoError(t, err)
	grads := tensor.Grad(v, watched...)
	for i, g := range grads {
		grads[i] = g.Clone()
	}
	return v.Item(), grads
}

// The way up is that of the loss that is climbed: of the batch's statistics and of the
// set that the pass names, and of running averages in evaluation.
func TestAscentIsInTheModeOfThePass(t *testing.T) {
	train, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := train.Take(30).All()
	build := func() nn.Layer {
		rng := rand.New(rand.NewPCG(5, 1))
		norm := nn.NewBatchNorm(16, "", "other")
		norm.Sets[1].Gamma.CopyFrom(tensor.Uniform(rng, tensor.Float32, -1, 2, 16))
		return nn.NewSequential(nn.Flatten, nn.NewLinear(rng, 784, 16), norm, nn.ReLU, nn.NewLinear(rng, 16, 10))
	}
	net := build()
	for _, mode := range []nn.Pass{{Train: true}, {Train: true, Stats: "other"}, {}} {
		in := func() *nn.Pass { p := mode; return &p }
		batch := nn.Batch{X: x, Y: y}
		clean, up := gradientIn(t, in(), nn.CrossEntropy, net, batch)
		var total float64
		for i, w := range nn.Params(net) {
			if w.Rank() > 1 {
				total += frobenius(up[i]) * frobenius(up[i])
			}
		}
		for name, c := range map[string]struct {
			loss nn.Loss
			move func(w, g *tensor.Tensor) *tensor.Tensor
		}{
			"AWP": {(&AWP{Gamma: .1}).Loss, func(w, g *tensor.Tensor) *tensor.Tensor {
				return tensor.MulScalar(g, .1*frobenius(w)/frobenius(g))
			}},
			"SAM":  {(&SAM{Rho: .3}).Loss, func(_, g *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(g, .3/math.Sqrt(total)) }},
			"sign": {(&SignStep{Eps: .01}).Loss, func(_, g *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(tensor.Sign(g), .01) }},
		} {
			moved := build()
			for i, w := range nn.Params(moved) {
				if w.Rank() > 1 {
					w.CopyFrom(tensor.Add(w, c.move(w, up[i])))
				}
			}
			want, _ := gradientIn(t, in(), nn.CrossEntropy, moved, batch)
			got, _ := gradientIn(t, in(), c.loss, net, batch)
			require.InDelta(t, want, got, 1e-4, "%s in %+v", name, mode)
			require.Greater(t, got, clean+.01, "%s in %+v", name, mode)
		}
		q, err := Quantizer{}.Quantize(net)
		require.NoError(t, err)
		q, err = q.RandomBitErrors(.05, 3)
		require.NoError(t, err)
		broken, _ := gradientIn(t, in(), nn.CrossEntropy, q.Network(), batch)
		got, _ := gradientIn(t, in(), (&RandBET{P: .05, Seed: 3, Threshold: 100}).Loss, net, batch)
		require.InDelta(t, (clean+broken)/2, got, 1e-5, "RandBET in %+v", mode)
	}
	// Dropout draws in the way up as well.
	rng := rand.New(rand.NewPCG(5, 2))
	dropping := nn.NewSequential(nn.Flatten, nn.NewLinear(rng, 784, 8), nn.ReLU, nn.Dropout(.5), nn.NewLinear(rng, 8, 10))
	_, err = (&AWP{Gamma: .1}).Loss(context.Background(), &nn.Pass{Train: true, Rand: rng}, dropping, nn.Batch{X: tensor.NewTape().Const(x), Y: y})
	require.NoError(t, err)
}

// Every loss at moved weights has the value and gradient of the cross-entropy of a
// network that has those weights, and leaves the weights alone.
func TestLossesAtMovedWeights(t *testing.T) {
	train, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := train.Take(30).All()
	net := small(3)
	before := snapshot(net)
	_, clean := gradientOf(t, nn.CrossEntropy, net, nn.Batch{X: x, Y: y})
	params, ws := nn.Params(net), Matrices(net)
	total := 0.0
	for i, w := range params {
		if w.Rank() > 1 {
			total += frobenius(clean[i]) * frobenius(clean[i])
		}
	}
	for name, c := range map[string]struct {
		loss nn.Loss
		move func(w, g *tensor.Tensor) *tensor.Tensor
	}{
		"AWP": {(&AWP{Gamma: .02}).Loss, func(w, g *tensor.Tensor) *tensor.Tensor {
			return tensor.MulScalar(g, .02*frobenius(w)/frobenius(g))
		}},
		"SAM":  {(&SAM{Rho: .3}).Loss, func(_, g *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(g, .3/math.Sqrt(total)) }},
		"sign": {(&SignStep{Eps: .01}).Loss, func(_, g *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(tensor.Sign(g), .01) }},
	} {
		v, grads := gradientOf(t, c.loss, net, nn.Batch{X: x, Y: y})
		moved := small(3)
		for i, w := range nn.Params(moved) {
			if w.Rank() > 1 {
				w.CopyFrom(tensor.Add(w, c.move(w, clean[i])))
			}
		}
		want, wantGrads := gradientOf(t, nn.CrossEntropy, moved, nn.Batch{X: x, Y: y})
		require.InDelta(t, want, v, 1e-5, name)
		for i := range grads {
			require.InDeltaSlice(t, wantGrads[i].Values(), grads[i].Values(), 1e-5, name)
		}
		require.Equal(t, before, snapshot(net), name)
	}
	noise := &WeightNoise{Eps: .05, Seed: 1}
	a, _ := gradientOf(t, noise.Loss, net, nn.Batch{X: x, Y: y})
	b, _ := gradientOf(t, noise.Loss, net, nn.Batch{X: x, Y: y, Step: 1})
	require.NotEqual(t, a, b)
	for seed := range uint64(2) {
		pass := &nn.Pass{Train: true}
		_, err := (&WeightNoise{Eps: .05, Seed: seed}).Loss(context.Background(), pass, net, nn.Batch{X: x, Y: y})
		require.NoError(t, err)
		for _, w := range ws {
			d := tensor.Sub(pass.Value(w), w)
			require.LessOrEqual(t, tensor.MaxAbs(d), .05*(1+1e-5))
			require.InDelta(t, .05/math.Sqrt(3), deviation(d), .004)
			require.InDelta(t, 0, tensor.Mean(d).Item(), 5*.05/math.Sqrt(3*float64(w.Len())))
		}
	}
	gauss := &WeightNoise{Alpha: .1, Seed: 1}
	c, _ := gradientOf(t, gauss.Loss, net, nn.Batch{X: x, Y: y})
	require.NotEqual(t, a, c)
	qat := &QuantAware{Quantizer{Bits: 3}}
	q, grads := gradientOf(t, qat.Loss, net, nn.Batch{X: x, Y: y})
	z, err := qat.Quantizer.Quantize(net)
	require.NoError(t, err)
	want, err := MeanCrossEntropy(context.Background(), z.Network(), x, y)
	require.NoError(t, err)
	require.InDelta(t, want, q, 1e-5)
	require.NotZero(t, tensor.MaxAbs(grads[0]))
	require.Len(t, ws, 3)
	require.Equal(t, before, snapshot(net))
}

func TestRandBETAddsTheClippedGradientUnderErrors(t *testing.T) {
	train, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := train.Take(30).All()
	net := small(3)
	loss := &RandBET{P: .05, Clip: .001, Threshold: 10, Seed: 2}
	_, got := gradientOf(t, loss.Loss, net, nn.Batch{X: x, Y: y})
	_, clean := gradientOf(t, nn.CrossEntropy, net, nn.Batch{X: x, Y: y})
	moved := 0
	for i := range got {
		for k, v := range got[i].Values() {
			d := 2*v - clean[i].Values()[k]
			require.LessOrEqual(t, math.Abs(d), .001*(1+1e-2)+1e-6)
			if math.Abs(d) > 1e-5 {
				moved++
			}
		}
	}
	require.Greater(t, moved, 1000)
	// Above the threshold there are no errors.
	_, high := gradientOf(t, (&RandBET{P: .05, Threshold: .1}).Loss, net, nn.Batch{X: x, Y: y})
	require.Equal(t, clean[0].Values(), high[0].Values())
}

// A parameter that the loss does not depend on has no way to it through the errors.
func TestRandBETLeavesUnusedParametersOut(t *testing.T) {
	train, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := train.Take(30).All()
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(rand.New(rand.NewPCG(3, 1)), 784, 6), nn.NewBatchNorm(6, "", "idle"), nn.ReLU,
		nn.NewLinear(rand.New(rand.NewPCG(4, 1)), 6, 10))
	tape, p := tensor.NewTape(), &nn.Pass{Train: true}
	watched := p.Watch(tape, nn.Params(net))
	l, err := (&RandBET{P: .05, Threshold: 10, Seed: 2}).Loss(context.Background(), p, net, nn.Batch{X: tape.Const(x), Y: y})
	require.NoError(t, err)
	idle := 0
	for _, g := range tensor.Gradients(l, tensor.GradOptions{NilUnreached: true}, watched...) {
		if g == nil {
			idle++
		}
	}
	require.Equal(t, 2, idle)
}

func TestOptimisersClip(t *testing.T) {
	w := tensor.FromFloat32([]float32{.3, -.05})
	g := tensor.FromFloat32([]float32{3, 4})
	ClipGradient{&optim.SGD{}, 1}.Step(.1, []*tensor.Tensor{w}, []*tensor.Tensor{g})
	require.InDeltaSlice(t, []float64{.24, -.13}, w.Values(), 1e-6)
	ClipWeights{&optim.SGD{}, .1}.Step(0, []*tensor.Tensor{w}, []*tensor.Tensor{g})
	require.InDeltaSlice(t, []float64{.1, -.1}, w.Values(), 1e-6)
	// A parameter without a gradient adds nothing to the length.
	idle := tensor.FromFloat32([]float32{.3})
	ClipGradient{&optim.SGD{WeightDecay: .1}, 1}.Step(.1, []*tensor.Tensor{w, idle}, []*tensor.Tensor{g, nil})
	require.InDeltaSlice(t, []float64{.1 - .061, -.1 - .079}, w.Values(), 1e-6)
	require.Equal(t, []float32{.3}, idle.Float32s())
	require.Panics(t, func() { ClipWeights{&optim.SGD{}, 0}.Step(0, nil, nil) })
	require.Panics(t, func() { ClipGradient{&optim.SGD{}, -1}.Step(0, nil, nil) })
	require.Contains(t, ClipGradient{&optim.SGD{}, 5}.String(), "5")
	require.Contains(t, ClipWeights{&optim.SGD{}, .1}.String(), "0.1")
}

// Training with the bound certifies what plain training does not.
func TestTrainingWithBoundsCertifiesMore(t *testing.T) {
	ctx := context.Background()
	share := func(loss nn.Loss, m Method, eps float64) float64 {
		net, x, y := trained(t, loss)
		n, err := FromNN(net, 28, 28, 1)
		require.NoError(t, err)
		c, err := Certify(ctx, m, n, grown(t, n, Absolute(), eps), Examples(x), y)
		require.NoError(t, err)
		return c.Share()
	}
	require.Greater(t, share((&TheoryLoss{Lambda: .02, RampSteps: 70}).Loss, Product{}, 2e-3), share(nil, Product{}, 2e-3)+.1)
	require.Greater(t, share((&IBPTraining{Eps: .003, From: 20, To: 120}).Loss, IBP{}, 3e-3), share(nil, IBP{}, 3e-3)+.1)
}

func TestBadTrainingIsAnError(t *testing.T) {
	net := small(1)
	x := tensor.Zeros(tensor.Float32, 1, 28, 28, 1)
	conv := nn.NewSequential(nn.NewConv2D(rand.New(rand.NewPCG(1, 1)), 1, 1, 28, tensor.Same(1, 0)), nn.Flatten, nn.NewLinear(rand.New(rand.NewPCG(1, 1)), 1, 10))
	tanh := nn.NewSequential(nn.Flatten, nn.NewLinear(rand.New(rand.NewPCG(1, 1)), 784, 10), nn.Tanh)
	for _, c := range []struct {
		loss nn.Loss
		net  nn.Layer
		want string
	}{
		{(&TheoryLoss{Lambda: -1}).Loss, net, "Lambda"},
		{(&TheoryLoss{Mu: math.NaN()}).Loss, net, "Mu"},
		{(&TheoryLoss{Eps: -1}).Loss, net, "Eps"},
		{(&TheoryLoss{Eta: 7}).Loss, net, "bound 7"},
		{(&TheoryLoss{RampSteps: -1}).Loss, net, "RampSteps"},
		{(&TheoryLoss{}).Loss, conv, "Conv2D"},
		{(&TheoryLoss{}).Loss, tanh, "Tanh"},
		{(&TheoryLoss{}).Loss, nn.NewSequential(nn.Flatten), "0 dense layers"},
		{(&IBPTraining{Eps: -1}).Loss, net, "Eps"},
		{(&IBPTraining{Kappa: 2}).Loss, net, "Kappa"},
		{(&IBPTraining{From: 3, To: 1}).Loss, net, "3 to 1"},
		{(&AWP{Gamma: -1}).Loss, net, "Gamma"},
		{(&Clustering{Coefficient: -1}).Loss, net, "Coefficient"},
		{(&SAM{Rho: -1}).Loss, net, "Rho"},
		{(&SignStep{Eps: math.Inf(1)}).Loss, net, "Eps"},
		{(&WeightNoise{Alpha: -1}).Loss, net, "Alpha"},
		{(&RandBET{P: 2, Threshold: 9}).Loss, net, "probability"},
		{(&RandBET{Clip: -1}).Loss, net, "Clip"},
		{(&QuantAware{Quantizer{Bits: 1}}).Loss, net, "bits"},
	} {
		tape := tensor.NewTape()
		p := &nn.Pass{}
		p.Watch(tape, nn.Params(c.net))
		_, err := c.loss(context.Background(), p, c.net, nn.Batch{X: tape.Const(x), Y: []int{0}})
		require.ErrorContains(t, err, c.want)
	}
}

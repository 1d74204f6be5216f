package fedleak

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func TestStepOneFollowsKaczmarz(t *testing.T) {
	tb := &Tables{a: Published{LR1: 0.25}, n: 3, V: [][]float64{make([]float64, 6)}}
	for _, c := range []struct {
		ids  []int
		g    []float64
		want []float64
	}{
		{[]int{0, 1}, []float64{4, 1}, []float64{2, .5, 2, .5, 0, 0}},
		{[]int{0, 2}, []float64{1, 6}, []float64{1.5, 3.25, 2, .5, -.5, 2.75}},
		{[]int{1, 2}, []float64{3, 3}, []float64{1.5, 3.25, 2.75, .375, .25, 2.625}},
	} {
		tb.stepOne(0, c.ids, c.g)
		require.InDeltaSlice(t, c.want, tb.V[0], 1e-12)
	}
}

func TestStepOneDecaysByItsLaw(t *testing.T) {
	const n, k, rounds, columns = 60, 6, 600, 8
	require.InDelta(t, 0.009223, StepOneDecay(n, k, 0.025, rounds), 1e-6)
	// A single sample's gradient is seen in every round: each leaves (1 - 2 lr)².
	require.InDelta(t, math.Pow(1-2*0.01, 2*5), StepOneDecay(1, 1, 0.01, 5), 1e-12)
	require.InDelta(t, 0.0222, math.Sqrt(StepOneDecay(800, 40, 5e-3, 10000)), 5e-5)
	before, after := 0.0, 0.0
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 4))
		tb := &Tables{a: Published{LR1: 0.025}, n: n, V: [][]float64{make([]float64, n*columns)}}
		for j := range columns {
			mean := 0.0
			for i := range n {
				v := rng.NormFloat64()
				tb.V[0][i*columns+j] = v
				mean += v / n
			}
			for i := range n {
				tb.V[0][i*columns+j] -= mean
			}
		}
		before += squares(tb.V[0])
		for r := range rounds {
			tb.stepOne(0, Uniform{K: k, Seed: seed}.Batch(r, n), make([]float64, columns))
		}
		after += squares(tb.V[0])
	}
	require.InEpsilon(t, StepOneDecay(n, k, 0.025, rounds), after/before, 0.2)
}

func squares(v []float64) (s float64) {
	for _, x := range v {
		s += x * x
	}
	return s
}

func TestRowAdamCountsRowsAndQuirksCountSteps(t *testing.T) {
	first := func(a *rowAdam, at int) float64 {
		table := make([]float64, 2)
		for range at - 1 {
			a.Step(table, 2, []int{1}, []float64{0})
		}
		a.Step(table, 2, []int{0}, []float64{1})
		return table[0]
	}
	for at, want := range map[int]float64{1: -0.0031622773, 10: -0.00074209, 100: -0.00301089, 1000: -0.01999518} {
		require.InDelta(t, want, first(&rowAdam{LR: 0.01, Released: true}, at), 5e-9)
		require.InDelta(t, -0.01/(1+1e-7), first(&rowAdam{LR: 0.01}, at), 1e-12)
	}
	a, table := &rowAdam{LR: 0.01, Released: true}, []float64{0}
	a.Step(table, 1, []int{0}, []float64{1})
	before := table[0]
	a.Step(table, 1, []int{0}, []float64{1})
	require.InDelta(t, -0.0023531670179578, table[0]-before, 1e-12)
}

// sines returns scale*sin(a*(k+1)+off) for k = 0, 1, ...
func sines(n int, a, off, scale float64) []float64 {
	out := make([]float64, n)
	for k := range out {
		out[k] = scale * math.Sin(a*float64(k+1)+off)
	}
	return out
}

// tinyModel is the network of the golden values below: two parties with a 3x3
// convolution, ReLU, max-pooling and two dense layers.
func tinyModel() *Model {
	m := &Model{Classes: 3}
	for p := range 2 {
		f := float64(p)
		filter := tensor.Transpose(tensor.FromFloat64(sines(18, .7, f, .5), 2, 1, 3, 3), 2, 3, 1, 0)
		m.Inputs = append(m.Inputs, [3]int{4, 4, 1})
		m.Bottoms = append(m.Bottoms, nn.NewSequential(
			&nn.Conv2D{Filter: filter, Bias: tensor.FromFloat64(sines(2, 1.1, f, .1)), Window: tensor.Same(1, 1)},
			nn.ReLU, nn.MaxPool2D(2, tensor.Same(2, 0)), nn.Flatten,
			&nn.Linear{Weight: tensor.FromFloat64(sines(24, .9, f+.3, .6), 8, 3), Bias: tensor.FromFloat64(sines(3, 1.3, f, .1))},
			nn.ReLU,
			&nn.Linear{Weight: tensor.FromFloat64(sines(6, 1.7, f+.5, .8), 3, 2), Bias: tensor.FromFloat64(sines(2, .5, f, .1))},
		))
	}
	m.Top = nn.NewSequential(&nn.Linear{Weight: tensor.FromFloat64(sines(12, .6, .2, .9), 4, 3), Bias: tensor.FromFloat64(sines(3, .4, 0, .1))})
	return m
}

func tinySlices(a, step, off float64) []*tensor.Tensor {
	var out []*tensor.Tensor
	for p := range 2 {
		v := sines(32, a, step*float64(p)+off, .5)
		for i := range v {
			v[i] += .5
		}
		out = append(out, tensor.FromFloat64(v, 2, 4, 4, 1))
	}
	return out
}

// Golden values of an independent computation in float64.
func TestTinyNetworkHasItsGoldenValues(t *testing.T) {
	m := tinyModel()
	f := &Federation{Model: m, X: tinySlices(1.9, 2, 0), Labels: []int{2, 0}, Schedule: Uniform{K: 2}}
	require.NoError(t, f.Check())
	logits := m.Logits(&nn.Pass{}, f.X)
	require.InDeltaSlice(t, []float64{0.03889586751074759, 0.011733165597289888, -0.005794431875359399}, logits.Values()[:3], 1e-14)
	loss := tensor.Mean(m.Losses(logits, tensor.OneHot(tensor.Float64, f.Labels, 3))).Item()
	require.InDelta(t, 1.1047553996055544, loss, 1e-14)
	want := f.mean([]int{0, 1}, nil, m.Refs())
	total := 0.0
	for _, g := range want {
		total += sumSquares(g)
	}
	require.InDelta(t, 0.3100638516322718, total, 1e-14)
	// Order: six tensors for each party, the weight and bias of the top.
	require.InDelta(t, 0.009688877996, sumSquares(want[0]), 1e-11)
	require.InDelta(t, 0.00588582035, sumSquares(want[2]), 1e-11)
	require.InDelta(t, 0.00526412657, sumSquares(want[12]), 1e-11)
	require.InDelta(t, 0.16599688889, sumSquares(want[13]), 1e-11)

	guess := tinySlices(2.3, 2, 1)
	y := tensor.FromFloat64(sines(6, .8, .1, 1), 2, 3)
	tape := tensor.NewTape()
	d := m.guess(&nn.Pass{}, tape, guess, y, false, true)
	require.InDeltaSlice(t, []float64{0.5560134141756325, 0.549321125586608, 0.148629037584603},
		m.guess(&nn.Pass{}, tape, f.X, y, false, false).features[0].Values()[:3], 1e-14)
	objective := L2{}.Between(d.grads, want)
	require.InDelta(t, 0.40858127677191103, objective.Item(), 1e-13)
	gs := tensor.Grad(objective, d.xs[0], d.xs[1], d.labels)
	for i, want := range []float64{0.05258962739797247, 0.06139132454053666, 0.3383229134251627} {
		require.InDelta(t, want, math.Sqrt(sumSquares(gs[i])), 1e-13)
	}
	require.InDeltaSlice(t, []float64{-0.002625722553727, -0.002432510144943, -0.000881074735174, 0.002174758457936}, gs[0].Values()[:4], 1e-14)
	require.InDelta(t, -0.005963033229851, gs[1].At(1, 2, 3, 0), 1e-14)
	require.InDelta(t, -0.016376265686439, gs[0].At(1, 3, 3, 0), 1e-14)
	require.InDeltaSlice(t, []float64{0.08403942032911, 0.11034520331980, -0.19438462364891, 0.13520077567395, 0.05491379329762, -0.19011456897157}, gs[2].Values(), 1e-13)

	cosine := Cosine{}.Between(d.grads, want)
	require.InDelta(t, 1.021741235249323, cosine.Item(), 1e-13)
	for i, want := range []float64{0.05780308937273725, 0.08565425516855878, 0.6374046200967232} {
		require.InDelta(t, want, math.Sqrt(sumSquares(tensor.Grad(cosine, d.xs[0], d.xs[1], d.labels)[i])), 1e-13)
	}

	truth := m.guess(&nn.Pass{}, tape, f.X, y, false, false).features
	gap := sumOf(truth, func(i int) *tensor.Tensor {
		return tensor.Sum(tensor.Square(tensor.Sub(d.features[i], truth[i].Detach())))
	})
	require.InDelta(t, 2.4307800062216707, gap.Item(), 1e-13)
	gs = tensor.Grad(gap, d.xs...)
	require.InDelta(t, 2.3823600101106717, math.Sqrt(sumSquares(gs[0])), 1e-12)
	require.InDelta(t, 2.1119855449960747, math.Sqrt(sumSquares(gs[1])), 1e-12)
	require.InDeltaSlice(t, []float64{-0.28136238462519, -0.35592537275906}, gs[0].Values()[:2], 1e-13)
}

// The gradient of a matching objective is that of finite differences, for every kind
// of layer: pooling that rounds up, strides, normalisation, smooth activations, and
// the softmax taken twice.
func TestMatchingGradientsAreThoseOfDifferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	nets := map[string][]nn.Layer{
		"dense":   {nn.Flatten, nn.NewLinear(rng, 50, 6), nn.Tanh},
		"stride":  {nn.NewConv2D(rng, 2, 3, 3, tensor.Same(2, 1)), nn.Sigmoid, nn.Flatten, nn.NewLinear(rng, 27, 6)},
		"ceiling": {nn.NewConv2D(rng, 2, 3, 3, tensor.Same(1, 1)), nn.ReLU, poolUp(5), nn.Flatten, nn.NewLinear(rng, 27, 6), nn.ReLU},
		"average": {nn.AvgPool2D(2, tensor.Same(2, 0)), nn.NewConv2D(rng, 2, 3, 1, tensor.Same(1, 0)), nn.NewBatchNorm(3), nn.ReLU, nn.Flatten, nn.NewLinear(rng, 12, 6)},
	}
	for name, layers := range nets {
		for _, twice := range []bool{false, true} {
			m := &Model{Classes: 3, DoubleSoftmax: twice, Inputs: [][3]int{{5, 5, 2}}, Bottoms: []*nn.Sequential{nn.NewSequential(layers...)}, Top: nn.NewSequential(nn.NewLinear(rng, 6, 3))}
			f := &Federation{Model: m, X: []*tensor.Tensor{tensor.Uniform(rng, tensor.Float64, 0, 1, 3, 5, 5, 2)}, Labels: []int{0, 2, 1}, Schedule: Uniform{K: 3}}
			double(f)
			want := f.mean([]int{0, 1, 2}, nil, m.Refs())
			x, y := tensor.Uniform(rng, tensor.Float64, 0, 1, 3, 5, 5, 2), tensor.Normal(rng, tensor.Float64, 0, 1, 3, 3)
			weights := make([]float64, len(want))
			for i := range weights {
				weights[i] = float64(i + 1)
			}
			for _, dist := range []Distance{L2{}, L2{Weights: weights}, Cosine{}, SAPAG{}} {
				at := func() float64 {
					return dist.Between(m.guess(&nn.Pass{}, tensor.NewTape(), []*tensor.Tensor{x}, y, false, true).grads, want).Item()
				}
				tape := tensor.NewTape()
				d := m.guess(&nn.Pass{}, tape, []*tensor.Tensor{x}, y, false, true)
				gs := tensor.Grad(dist.Between(d.grads, want), d.xs[0], d.labels)
				scale := math.Sqrt(sumSquares(gs[0]) + sumSquares(gs[1]))
				for range 6 {
					for i, v := range []*tensor.Tensor{x, y} {
						j := rng.IntN(v.Len())
						const eps = 1e-6
						old := v.Float64s()[j]
						v.Float64s()[j] = old + eps
						up := at()
						v.Float64s()[j] = old - eps
						down := at()
						v.Float64s()[j] = old
						require.InDelta(t, (up-down)/(2*eps), gs[i].Float64s()[j], 1e-6*(1+scale), "%s %s twice %v", name, dist.Name(), twice)
					}
				}
			}
		}
	}
}

func TestPublishedRunsNestedAndSingle(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 2})
	o := observe(t, f, 400)
	for _, nested := range []bool{true, false} {
		a := Published{Nested: nested, Iterations: 600, LR1: 1.0 / 6, LR2: 0.02, LR3: 0.02, Alpha: 1e-2, Beta: 1e-4, Gamma: 1e-2, Xi: 5}
		r, err := a.Run(ctx, f.Model, o)
		require.NoError(t, err)
		tb, err := a.Start(f.Model, f.Setting(), 3)
		require.NoError(t, err)
		start := newRecovery("", f.Model, 12)
		for i := range tb.visited {
			tb.visited[i] = true
		}
		tb.fill(start, r.Complete(), 3)
		got := NewScore(f.X, r.Images(nil), nil).OfMean
		require.Greater(t, got, NewScore(f.X, start.Images(nil), nil).OfMean+2, "nested %v", nested)
		require.Greater(t, got, NewScore(f.X, MeanImage(f.X, 12), nil).OfMean)
		v, _ := truth(t, f, 0, 3)
		e := rowErrors(v, r.Parties[0].V)
		require.Less(t, median(e), 1e-3)
	}
}

func TestReleasedSettingRunsOnItsModel(t *testing.T) {
	f := convolutional(t, 8, Uniform{K: 2, Seed: 2})
	single(f)
	f.Model.DoubleSoftmax = true
	a := Released()
	a.Iterations = 30
	seen := 0
	a.OnIteration = func(i int, tb *Tables) {
		require.Equal(t, seen, i)
		require.Len(t, tb.X, 4)
		seen++
	}
	r, err := a.Run(ctx, f.Model, observe(t, f, 30))
	require.NoError(t, err)
	require.Equal(t, 30, seen)
	require.Equal(t, 30, r.Rounds)
}

// At the truth the features' term vanishes with its gradient, and so does everything
// when the total variation is below its threshold.
func TestObjectiveVanishesAtTheTruth(t *testing.T) {
	f := convolutional(t, 6, Uniform{K: 3, Seed: 2})
	for _, a := range []Published{{Gamma: 1}, {Gamma: 1, Beta: 1, Xi: 1000}} {
		tb, err := a.Start(f.Model, f.Setting(), 3)
		require.NoError(t, err)
		ids := []int{0, 2, 5}
		var xs []*tensor.Tensor
		for p := range f.X {
			_, h := truth(t, f, p, 3)
			tb.H[p] = h.RawMatrix().Data
			xs = append(xs, tensor.Gather(f.X[p], ids))
		}
		d := f.Model.guess(&nn.Pass{}, tensor.NewTape(), xs, tensor.Zeros(tensor.Float64, 3, 10), false, false)
		for _, g := range tb.objective(d, ids, nil) {
			require.Zero(t, tensor.MaxAbs(g))
		}
	}
	// With the threshold below the total variation there is a pull.
	tb, err := Published{Beta: 1, Xi: 0.1}.Start(f.Model, f.Setting(), 3)
	require.NoError(t, err)
	d := f.Model.guess(&nn.Pass{}, tensor.NewTape(), f.X, tensor.Zeros(tensor.Float64, 6, 10), false, false)
	require.Positive(t, tensor.MaxAbs(tb.objective(d, []int{0, 1, 2, 3, 4, 5}, nil)[0]))
}

// A slice without gradient is dead, and one that Step III did not come to is unseen,
// whatever the tables hold.
func TestPublishedSaysWhatItDidNotReach(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 2})
	f.X[1] = f.X[1].Clone()
	black := f.X[1].Float64s()
	clear(black[5*49 : 6*49]) // under biases of 0 nothing is on
	a := Published{Iterations: 300, LR1: 1.0 / 6, Alpha: 0, Gamma: 1}
	o := observe(t, f, 300)
	r, err := a.Run(ctx, f.Model, o)
	require.NoError(t, err)
	require.Equal(t, Dead, r.Parties[1].Status[5])
	require.Greater(t, r.Parties[1].Count(Recovered), 8)

	for _, nested := range []bool{false, true} {
		stop, cancel := context.WithCancel(ctx)
		a.Nested = nested
		a.OnIteration = func(i int, _ *Tables) {
			if i == 1 {
				cancel()
			}
		}
		r, err = a.Run(stop, f.Model, o)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 2, r.Rounds)
		for p := range r.Parties {
			require.Zero(t, r.Parties[p].Count(Recovered), "two rounds determine nothing")
			require.Positive(t, r.Parties[p].Count(Unseen))
			if nested {
				require.Equal(t, 12, r.Parties[p].Count(Unseen), "Step III had not begun")
			}
		}
	}
}

func TestBadSettingsOfPublishedAreNamed(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 2})
	o := observe(t, f, 4)
	for want, a := range map[string]Published{
		"diverges":        {LR1: 0.34},
		"-1 updates":      {Repeat: -1, Iterations: 5},
		"learning rates":  {LR2: -1},
		"want at least 0": {Alpha: -1},
		"Xi is NaN":       {Xi: math.NaN()},
		"Xi is -2":        {Xi: -2},
	} {
		_, err := a.Run(ctx, f.Model, o)
		require.ErrorContains(t, err, want)
	}
	f.Schedule = Uniform{K: 12}
	_, err := Published{}.Run(ctx, f.Model, observe(t, f, 4))
	require.ErrorContains(t, err, "not identifiable")
	f.Schedule = FixedBatches{K: 3}
	r, err := Published{Iterations: 8}.Run(ctx, f.Model, observe(t, f, 8))
	var missing *NotIdentifiableError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, 12, r.Parties[0].Count(Undetermined))
}

package defense_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/internal/gradcheck"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

var both = []attack.Threat{{Norm: attack.Linf, Eps: 0.06}, {Norm: attack.L2, Eps: 0.8}}

// Every scheme hardens a network against both threats at once.
func TestTrainingHardensAgainstSeveralThreats(t *testing.T) {
	ways := map[string]nn.Loss{
		"AMPGD": (&defense.AMPGD{Threats: both, Steps: 4, RampSteps: 15}).Loss,
		"AVG":   (&defense.AMPGD{Threats: both, Steps: 4, RampSteps: 15, Rule: minmax.Average{}, Clean: 0.5}).Loss,
		"MAX":   (&defense.AMPGD{Threats: both, Steps: 4, RampSteps: 15, Rule: minmax.Worst{}}).Loss,
		"MSD":   (&defense.MSD{Threats: both, Steps: 4, RampSteps: 15}).Loss,
	}
	set, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := test.Take(200).All()
	fit := func(loss nn.Loss) nn.Layer {
		net := nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 32, 10)
		tr := nn.Trainer{Net: net, Data: set.Take(800), Epochs: 5, BatchSize: 50, Loss: loss, Schedule: optim.Triangle(6e-3, 30, 80)}
		require.NoError(t, tr.Run(ctx))
		return net
	}
	measure := func(net nn.Layer) defense.MultiAccuracy {
		rep, err := attack.Evaluate(ctx, nn.Classifier{Net: net}, x, y, &attack.PGD{Threat: both[0], Steps: 10}, &attack.PGD{Threat: both[1], Steps: 10})
		require.NoError(t, err)
		return defense.Multi(rep)
	}
	plain := measure(fit(nil))
	for name, loss := range ways {
		m := measure(fit(loss))
		t.Logf("%s: clean %.3f, both %.3f, without %.3f", name, m.Clean.Value, m.Max.Value, plain.Max.Value)
		require.Greater(t, m.Clean.Value, 0.65, name)
		require.Greater(t, m.Max.Value, plain.Max.Value+0.1, name)
		require.InDelta(t, (m.Each[0].Value+m.Each[1].Value)/2, m.Avg, 1e-12)
		require.True(t, m.Max.Value <= m.Each[0].Value && m.Max.Value <= m.Each[1].Value)
	}
}

// step runs one training step's loss on a small random network.
func step(t *testing.T, loss nn.Loss, net nn.Layer, x *tensor.Tensor, y []int) (float64, []*tensor.Tensor) {
	t.Helper()
	tape := tensor.NewTape()
	p := &nn.Pass{Train: true}
	w := p.Watch(tape, nn.Params(net))
	l, err := loss(ctx, p, net, nn.Batch{X: tape.Const(x), Y: y})
	require.NoError(t, err)
	var grads []*tensor.Tensor
	for _, g := range tensor.Grad(l, w...) {
		grads = append(grads, g.Clone())
	}
	return l.Item(), grads
}

func small(seed uint64) (nn.Layer, *tensor.Tensor, []int) {
	r := rand.New(rand.NewPCG(seed, 1))
	y := make([]int, 40)
	for i := range y {
		y[i] = r.IntN(4)
	}
	return nn.NewMLP(r, 5, 5, 1, 16, 4), tensor.Uniform(r, tensor.Float32, 0, 1, 40, 5, 5, 1), y
}

// A wider ball of the same norm hurts at least as much, so it gets more weight; two
// equal ones without random starts get the same.
func TestWeightsFollowTheStrongerAttack(t *testing.T) {
	net, x, y := small(1)
	var got [][]float64
	a := &defense.AMPGD{
		Rule: minmax.MinMax{Beta: 0.2, Gamma: 0.5}, Steps: 8, StepSizes: []float64{0.03, 0.03}, NoRandomStart: true,
		OnWeights: func(_ int, w [][]float64) { got = w },
	}
	for _, eps := range []float64{0.05, 0.1, 0.2} {
		a.Threats = []attack.Threat{{Norm: attack.Linf, Eps: 0.05}, {Norm: attack.Linf, Eps: eps}}
		step(t, a.Loss, net, x, y)
		require.Len(t, got, len(y))
		mean := 0.0
		for _, w := range got {
			require.InDelta(t, 1, w[0]+w[1], 1e-9)
			mean += w[1] / float64(len(y))
		}
		if eps == 0.05 {
			require.InDelta(t, 0.5, mean, 1e-12)
		} else {
			require.Greater(t, mean, 0.51)
		}
	}
}

// The loss of a step is the weighted loss of the attacked copies: with equal threats
// and no random starts all schemes are adversarial training, whose PGD is this one's.
func TestEqualThreatsAreOneThreat(t *testing.T) {
	net, x, y := small(2)
	th := attack.Threat{Norm: attack.Linf, Eps: 0.1}
	pgd := attack.PGD{Threat: th, Steps: 5, StepSize: 0.03, NoRandomStart: true}
	want, grads := step(t, (&defense.AdversarialTraining{Attack: pgd}).Loss, net, x, y)
	sizes := []float64{0.03, 0.03}
	for name, rule := range map[string]minmax.Rule{"AMPGD": nil, "AVG": minmax.Average{}, "MAX": minmax.Worst{}} {
		a := &defense.AMPGD{Threats: []attack.Threat{th, th}, Rule: rule, Steps: 5, StepSizes: sizes, NoRandomStart: true}
		got, g := step(t, a.Loss, net, x, y)
		require.InDelta(t, want, got, 1e-5, name)
		for i := range g {
			require.Less(t, tensor.MaxAbs(tensor.Sub(grads[i], g[i])), 1e-5, name)
		}
		a.Clean = 1
		mixed, _ := step(t, a.Loss, net, x, y)
		clean, _ := step(t, nn.CrossEntropy, net, x, y)
		require.InDelta(t, (want+clean)/2, mixed, 1e-5, name)
	}
	m := &defense.MSD{Threats: []attack.Threat{th}, Steps: 5, StepSizes: sizes[:1]}
	got, _ := step(t, m.Loss, net, x, y)
	require.GreaterOrEqual(t, got, want-1e-5, "MSD keeps the worst of all steps")
}

// MAX takes for each example what AVG averages: its loss is larger.
func TestMaxHurtsMoreThanAverage(t *testing.T) {
	net, x, y := small(3)
	ths := []attack.Threat{{Norm: attack.Linf, Eps: 0.1}, {Norm: attack.L2, Eps: 0.3}, {Norm: attack.L1, Eps: 1}}
	loss := func(rule minmax.Rule) float64 {
		l, _ := step(t, (&defense.AMPGD{Threats: ths, Rule: rule, Steps: 5}).Loss, net, x, y)
		return l
	}
	average, weighted, worst := loss(minmax.Average{}), loss(minmax.MinMax{Beta: 0.1, Gamma: 0.5}), loss(minmax.Worst{})
	require.Less(t, average, weighted)
	require.Less(t, weighted, worst)
}

// A rule that leaves no attack any weight leaves nothing to learn.
func TestWeightlessBatchHasNoGradient(t *testing.T) {
	net, x, y := small(3)
	a := &defense.AMPGD{Threats: both, Rule: minmax.Clip{Level: 1e6}, Steps: 1}
	loss, grads := step(t, a.Loss, net, x, y)
	require.Zero(t, loss)
	for _, g := range grads {
		require.Zero(t, tensor.MaxAbs(g))
	}
}

// Radii and step sizes grow from 0, those along the raw gradient too.
func TestStepSizesGrowWithTheRamp(t *testing.T) {
	_, x, y := small(4)
	move := func(at int, raw bool) float64 {
		net, _, _ := small(4)
		moved := 0.0
		spy := nn.Function(func(p *nn.Pass, in *tensor.Tensor) *tensor.Tensor {
			if p.Train {
				moved = tensor.MaxAbs(tensor.Sub(in.Detach().Clone(), x))
			}
			return net.Forward(p, in)
		})
		a := &defense.AMPGD{
			Threats: []attack.Threat{{Norm: attack.Linf, Eps: 0.9}}, Rule: minmax.Average{},
			Steps: 1, Raw: raw, RampSteps: 9, NoRandomStart: true,
		}
		_, err := a.Loss(ctx, &nn.Pass{Train: true}, spy, nn.Batch{X: x, Y: y, Step: at})
		require.NoError(t, err)
		return moved
	}
	require.InEpsilon(t, move(9, true)/10, move(0, true), 1e-3)
	require.InDelta(t, 0.09, move(0, false), 1e-6)
}

// A training that is stopped says so once.
func TestAttackInTrainingStops(t *testing.T) {
	net, x, y := small(4)
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	for name, loss := range map[string]nn.Loss{"AMPGD": (&defense.AMPGD{Threats: both}).Loss, "MSD": (&defense.MSD{Threats: both}).Loss} {
		_, err := loss(stopped, &nn.Pass{}, net, nn.Batch{X: x, Y: y})
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "defense: "+name+": context canceled")
	}
}

// Copies are in their sets, whatever the steps are.
func TestTrainingExamplesLieInTheirSets(t *testing.T) {
	_, x, y := small(4)
	ths := []attack.Threat{{Norm: attack.Linf, Eps: 0.1}, {Norm: attack.L2, Eps: 0.5}, {Norm: attack.L1, Eps: 1.5}, {Norm: attack.L0, Eps: 4}}
	for _, th := range ths {
		for _, raw := range []bool{false, true} {
			moved := new(atomic.Int64)
			net, _, _ := small(4)
			spy := nn.Function(func(p *nn.Pass, in *tensor.Tensor) *tensor.Tensor {
				if p.Train {
					d := th.Distance(in.Detach().Clone(), x)
					for _, v := range d {
						require.LessOrEqual(t, v, th.Eps)
						if v > 0 {
							moved.Add(1)
						}
					}
					for _, v := range in.Values() {
						require.True(t, v >= 0 && v <= 1)
					}
				}
				return net.Forward(p, in)
			})
			a := &defense.AMPGD{Threats: []attack.Threat{th}, Rule: minmax.Average{}, Steps: 4, Raw: raw}
			_, err := a.Loss(ctx, &nn.Pass{Train: true}, spy, nn.Batch{X: x, Y: y})
			require.NoError(t, err)
			require.EqualValues(t, len(y), moved.Load(), "%v", th)
			m := &defense.MSD{Threats: []attack.Threat{th}, Steps: 4}
			_, err = m.Loss(ctx, &nn.Pass{Train: true}, spy, nn.Batch{X: x, Y: y})
			require.NoError(t, err)
		}
	}
}

// Global weights move by mean losses from batch to batch, and are the same for all
// examples.
func TestGlobalWeightsCarryOver(t *testing.T) {
	net, x, y := small(5)
	var got [][]float64
	a := &defense.AMPGD{
		Threats: []attack.Threat{{Norm: attack.Linf, Eps: 0.02}, {Norm: attack.Linf, Eps: 0.2}}, Global: true,
		Rule: minmax.MinMax{Beta: 0.1, Gamma: 0.1}, Steps: 4, OnWeights: func(_ int, w [][]float64) { got = append(got, w...) },
	}
	train := func(a *defense.AMPGD, from, to int) {
		for s := from; s < to; s++ {
			_, err := a.Loss(ctx, &nn.Pass{Train: true}, net, nn.Batch{X: tensor.NewTape().Const(x), Y: y, Step: s})
			require.NoError(t, err)
		}
	}
	train(a, 0, 5)
	require.Len(t, got, 5)
	for i := 1; i < 5; i++ {
		require.Greater(t, got[i][1], got[i-1][1])
	}
	whole := got

	// A second training with the same value starts anew.
	got = nil
	train(a, 0, 5)
	require.Equal(t, whole, got)

	// A training goes on with the weights that were heard last, whether or not the
	// value has been used for another one.
	for _, used := range []bool{false, true} {
		resumed := defense.AMPGD{Threats: a.Threats, Global: true, Rule: a.Rule, Steps: 4, OnWeights: a.OnWeights, GlobalStart: whole[2]}
		if used {
			train(&resumed, 0, 2)
		}
		got = nil
		train(&resumed, 3, 5)
		require.Equal(t, whole[3:], got)
	}

	// Without them it is refused, also with those of another step.
	fresh := &defense.AMPGD{Threats: a.Threats, Global: true, Steps: 4}
	for _, b := range []*defense.AMPGD{a, fresh} {
		_, err := b.Loss(ctx, &nn.Pass{Train: true}, net, nn.Batch{X: x, Y: y, Step: 3})
		require.EqualError(t, err, "defense: AMPGD: step 3 without the global weights of the step before, want them in GlobalStart")
	}
	for want, start := range map[string][]float64{
		"3 global weights for 2 threats":   {0.5, 0.25, 0.25},
		"global weight of threat 1 is -1":  {2, -1},
		"global weight of threat 0 is NaN": {math.NaN(), 1},
	} {
		fresh.GlobalStart = start
		_, err := fresh.Loss(ctx, &nn.Pass{Train: true}, net, nn.Batch{X: x, Y: y, Step: 3})
		require.ErrorContains(t, err, want)
	}
	a.Threats = append(a.Threats, both[0])
	_, err := a.Loss(ctx, &nn.Pass{Train: true}, net, nn.Batch{X: x, Y: y, Step: 5})
	require.ErrorContains(t, err, "2 global weights for 3 threats")
}

// A step that fails leaves the global weights as they were, so that it can be made again.
func TestGlobalWeightsWaitForTheStep(t *testing.T) {
	net, x, y := small(5)
	var got [][]float64
	a := &defense.AMPGD{Threats: both, Global: true, Rule: minmax.MinMax{Beta: 0.1, Gamma: 0.1}, Steps: 2, OnWeights: func(_ int, w [][]float64) { got = append(got, w...) }}
	fails := false
	layer := nn.Function(func(p *nn.Pass, in *tensor.Tensor) *tensor.Tensor {
		if p.Train && fails {
			panic("out of order")
		}
		return net.Forward(p, in)
	})
	loss := func(s int) {
		_, _ = a.Loss(ctx, &nn.Pass{Train: true}, layer, nn.Batch{X: tensor.NewTape().Const(x), Y: y, Step: s})
	}
	loss(0)
	fails = true
	require.Panics(t, func() { loss(1) })
	fails = false
	loss(1)
	require.Len(t, got, 3)
	require.Equal(t, got[1], got[2])
	require.NotEqual(t, got[0], got[1])
}

// What OnWeights does with its rows does not change the training.
func TestWeightsAreHeardAsCopies(t *testing.T) {
	net, x, y := small(5)
	a := &defense.AMPGD{Threats: both, Steps: 2}
	want, _ := step(t, a.Loss, net, x, y)
	a.OnWeights = func(_ int, w [][]float64) {
		for _, row := range w {
			clear(row)
		}
	}
	got, _ := step(t, a.Loss, net, x, y)
	require.Equal(t, want, got)
}

// Batches outside of the box or without labels that fit are refused by every defence that
// attacks, with the same words.
func TestBadBatchesAreNamed(t *testing.T) {
	net, x, y := small(6)
	bright, negative := x.Clone(), slices.Clone(y)
	bright.Set(1.5, 3, 2, 1, 0)
	negative[4] = -1
	for name, loss := range map[string]nn.Loss{
		"AMPGD": (&defense.AMPGD{Threats: both, Steps: 1}).Loss,
		"MSD":   (&defense.MSD{Threats: both, Steps: 1}).Loss,
	} {
		for want, b := range map[string]nn.Batch{
			"pixel 11 of input 3 is 1.5, want 0 to 1":  {X: bright, Y: y},
			"0 labels for 40 inputs":                   {X: x},
			"39 labels for 40 inputs":                  {X: x, Y: y[:39]},
			"label of input 4 is -1, want 0 or more":   {X: x, Y: negative},
			"inputs must be a batch [N, ...]":          {Y: y},
			"empty batch: inputs have shape [0 5 5 1]": {X: tensor.Zeros(tensor.Float32, 0, 5, 5, 1)},
		} {
			_, err := loss(ctx, &nn.Pass{Train: true}, net, b)
			require.EqualError(t, err, "defense: "+name+": attack: "+want)
		}
	}
}

func TestWeightLog(t *testing.T) {
	var l defense.WeightLog
	require.Nil(t, l.Mean(0))
	l.Add(3, [][]float64{{0.2, 0.8}, {0.4, 0.6}})
	l.Add(4, [][]float64{{1, 0}})
	require.Equal(t, []int{3, 4}, l.Steps())
	require.InDelta(t, 0.3, l.Spread(0, 0).Mean, 1e-12)
	require.InDelta(t, 0.8, l.Spread(0, 1).Max, 1e-12)
	require.InDeltaSlice(t, []float64{0.65, 0.35}, l.Mean(0), 1e-12)
	require.InDeltaSlice(t, []float64{1, 0}, l.Mean(1), 1e-12)
	require.Nil(t, l.Mean(2))
	require.PanicsWithValue(t, "defense: WeightLog.Mean: from record -1, want 0 or more", func() { l.Mean(-1) })
	require.PanicsWithValue(t, "defense: WeightLog.Spread: threat 0 of record 2, want one of 2 records", func() { l.Spread(2, 0) })
	require.Panics(t, func() { l.Spread(0, 2) })
}

// log det of two unit columns at an angle is log(1 - cos²); of orthogonal ones it is
// 0. Its derivatives are those of central differences.
func TestLogDet(t *testing.T) {
	a := tensor.FromFloat64([]float64{3, 0, 0, 1, 0, 0}, 2, 3)
	b := tensor.FromFloat64([]float64{1, 1, 0, 0, -2, 0}, 2, 3)
	h := defense.LogDet(0, a, b).Values()
	require.InDelta(t, math.Log(0.5), h[0], 1e-5)
	require.InDelta(t, 0, h[1], 1e-5)
	require.InDelta(t, math.Log(2e-6), defense.LogDet(0, a, a).At(0), 1e-3, "parallel gradients meet the ridge")
	r := rand.New(rand.NewPCG(6, 6))
	three := make([]*tensor.Tensor, 3)
	for i := range three {
		three[i] = tensor.Normal(r, tensor.Float64, 0, 1, 4, 2, 3)
	}
	require.NoError(t, gradcheck.Check(r, 1e-6, func(xs []*tensor.Tensor) *tensor.Tensor { return defense.LogDet(0, xs...) }, three...))
	// By a cofactor expansion.
	unit := func(i int) []float64 {
		v := tensor.Slice(three[i], 0, 1, 2).Values()
		s := 0.0
		for _, e := range v {
			s += e * e
		}
		for k := range v {
			v[k] /= math.Sqrt(s)
		}
		return v
	}
	dot := func(i, j int) (s float64) {
		u, v := unit(i), unit(j)
		for k := range u {
			s += u[k] * v[k]
		}
		return s
	}
	p, q, s := dot(0, 1), dot(0, 2), dot(1, 2)
	require.InDelta(t, math.Log(1+2*p*q*s-p*p-q*q-s*s), defense.LogDet(0, three...).At(1), 1e-4)
}

// The gradient of the regularised loss in the parameters has a second-order part: it
// is that of a difference along it, for attacks that stand still.
func TestDPARGradientInParameters(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(r, 25, 12), nn.Tanh, nn.NewLinear(r, 12, 4))
	_, x, y := small(7)
	a := &defense.AMPGD{
		Threats: []attack.Threat{{Norm: attack.Linf, Eps: 0.3}, {Norm: attack.L2, Eps: 1.5}}, Rule: minmax.Average{},
		Steps: 1, StepSizes: []float64{0, 0}, DPAR: 2,
	}
	_, grads := step(t, a.Loss, net, x, y)
	length := 0.0
	for _, g := range grads {
		length += tensor.Dot(g, g).Item()
	}
	length = math.Sqrt(length)
	const h = 5e-3
	at := func(move float64) float64 {
		for i, w := range nn.Params(net) {
			w.CopyFrom(tensor.Add(w, tensor.MulScalar(grads[i], move/length)))
			w.Touch()
		}
		l, _ := step(t, a.Loss, net, x, y)
		return l
	}
	up := at(h)
	down := at(-2 * h)
	require.InEpsilon(t, length, (up-down)/(2*h), 0.01)
	a.DPAR = 0
	_, plain := step(t, a.Loss, net, x, y)
	require.Greater(t, tensor.MaxAbs(tensor.Sub(plain[0], grads[0])), 0.1*tensor.MaxAbs(grads[0]), "the regulariser matters")
}

// Attacks that climb the regulariser find gradients that differ more.
func TestDPARMakesAttacksDiverse(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(r, 25, 12), nn.Tanh, nn.NewLinear(r, 12, 4))
	_, x, y := small(8)
	ths := []attack.Threat{{Norm: attack.Linf, Eps: 0.3}, {Norm: attack.L2, Eps: 1.5}}
	mean := func(lambda float64) float64 {
		var inputs []*tensor.Tensor
		spy := nn.Function(func(p *nn.Pass, in *tensor.Tensor) *tensor.Tensor {
			if p.Train && len(inputs) == 0 {
				inputs = append(inputs, in.Detach().Clone())
			}
			return net.Forward(p, in)
		})
		a := &defense.AMPGD{Threats: ths, Rule: minmax.Average{}, Steps: 10, DPAR: lambda}
		tape := tensor.NewTape()
		_, err := a.Loss(ctx, &nn.Pass{Train: true}, spy, nn.Batch{X: tape.Const(x), Y: y})
		require.NoError(t, err)
		w := tape.Watch(inputs[0])
		g := tensor.Grad(tensor.Sum(tensor.CrossEntropy(net.Forward(&nn.Pass{}, w), append(y[:len(y):len(y)], y...))), w)[0]
		return tensor.Mean(defense.LogDet(0, tensor.Slice(g, 0, 0, len(y)).Detach(), tensor.Slice(g, 0, len(y), 2*len(y)).Detach())).Item()
	}
	require.Greater(t, mean(5), mean(0))
}

// attacked returns the copies that a training step learns from, of every threat.
func attacked(t *testing.T, a *defense.AMPGD, net nn.Layer, x *tensor.Tensor, y []int) []float64 {
	var copies []float64
	spy := nn.Function(func(p *nn.Pass, in *tensor.Tensor) *tensor.Tensor {
		if p.Train && copies == nil {
			copies = in.Values()
		}
		return net.Forward(p, in)
	})
	_, err := a.Loss(ctx, &nn.Pass{Train: true}, spy, nn.Batch{X: tensor.NewTape().Const(x), Y: y})
	require.NoError(t, err)
	return copies
}

// Beside the regulariser the weights of the losses matter for where attacks go; without
// it they do not, as steps go along directions.
func TestDPARIsClimbedBesideWeightedLosses(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(r, 25, 12), nn.Tanh, nn.NewLinear(r, 12, 4))
	_, x, y := small(9)
	ths := []attack.Threat{{Norm: attack.L2, Eps: 1}, {Norm: attack.L2, Eps: 1.5}}
	at := func(lambda float64, weights ...float64) []float64 {
		a := &defense.AMPGD{Threats: ths, Rule: minmax.Fixed{Weights: weights}, Steps: 5, DPAR: lambda}
		return attacked(t, a, net, x, y)
	}
	require.Equal(t, at(0, 0.5, 0.5), at(0, 0.01, 0.99))
	require.NotEqual(t, at(0.1, 0.5, 0.5), at(0.1, 0.01, 0.99))
	// Half the weights and half of lambda have the direction of the whole.
	part := func(share float64) []float64 {
		a := &defense.AMPGD{Threats: ths, Rule: constant{share, share}, Steps: 5, DPAR: 0.2 * share}
		return attacked(t, a, net, x, y)
	}
	require.InDeltaSlice(t, part(1), part(0.5), 1e-3)
}

// constant is a rule of any weights.
type constant []float64

func (constant) String() string                   { return "constant" }
func (c constant) Start(int) ([]float64, error)   { return slices.Clone(c), nil }
func (constant) Update([]float64, []float64, int) {}
func (constant) Value([]float64) float64          { return 0 }

// The regulariser belongs to the attacked examples' part of a mixed loss.
func TestCleanExamplesAreMixedWithTheWholeLoss(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(r, 25, 12), nn.Tanh, nn.NewLinear(r, 12, 4))
	_, x, y := small(9)
	loss := func(c float64) float64 {
		a := &defense.AMPGD{Threats: both, Rule: minmax.Average{}, Steps: 1, StepSizes: []float64{0, 0}, DPAR: 0.3, Clean: c}
		l, _ := step(t, a.Loss, net, x, y)
		return l
	}
	clean, _ := step(t, nn.CrossEntropy, net, x, y)
	whole := loss(0)
	for _, c := range []float64{0.5, 1, 3} {
		require.InDelta(t, (whole+c*clean)/(1+c), loss(c), 1e-5)
	}
}

func TestDefendedWeightsAreTheSameForAnyNumberOfThreads(t *testing.T) {
	weights := func(threads int, loss nn.Loss) (out []float64) {
		tensor.SetThreads(threads)
		defer tensor.SetThreads(0)
		set, _, err := dataset.MNISTMini()
		require.NoError(t, err)
		net := nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 20, 10)
		require.NoError(t, (&nn.Trainer{Net: net, Data: set.Take(100), Epochs: 1, BatchSize: 50, Loss: loss}).Run(ctx))
		for _, w := range nn.Params(net) {
			out = append(out, w.Values()...)
		}
		return out
	}
	ths := append([]attack.Threat{{Norm: attack.L1, Eps: 5}}, both...)
	for name, loss := range map[string]func() nn.Loss{
		"AMPGD": func() nn.Loss { return (&defense.AMPGD{Threats: ths, Steps: 3, DPAR: 0.1}).Loss },
		"MSD":   func() nn.Loss { return (&defense.MSD{Threats: ths, Steps: 3}).Loss },
	} {
		require.Equal(t, weights(1, loss()), weights(2, loss()), name)
	}
}

func TestBadDefenceSettingsGiveAnError(t *testing.T) {
	net, x, y := small(8)
	run := func(loss nn.Loss) error {
		_, err := loss(ctx, &nn.Pass{}, net, nn.Batch{X: x, Y: y})
		return err
	}
	for _, c := range []struct {
		a    defense.AMPGD
		want string
	}{
		{defense.AMPGD{}, "no threats"},
		{defense.AMPGD{Threats: both[:1]}, "want at least 2"},
		{defense.AMPGD{Threats: []attack.Threat{both[0], {Eps: -1}}}, "threat 1: attack: eps is -1"},
		{defense.AMPGD{Threats: both, Steps: -1}, "-1 steps"},
		{defense.AMPGD{Threats: both, StepSizes: []float64{1}}, "1 step sizes for 2 threats"},
		{defense.AMPGD{Threats: both, StepSizes: []float64{1, -1}}, "step size of threat 1 is -1"},
		{defense.AMPGD{Threats: both, Clean: -1}, "Clean is -1"},
		{defense.AMPGD{Threats: both, DPAR: math.NaN()}, "DPAR is NaN"},
		{defense.AMPGD{Threats: both, RampSteps: -1}, "RampSteps is -1"},
		{defense.AMPGD{Threats: both, Rule: minmax.MinMax{Gamma: -1}}, "gamma is -1"},
		{defense.AMPGD{Threats: both, Rule: minmax.Fixed{Weights: []float64{0.3, 0.3}}}, "sum to 0.6"},
	} {
		require.ErrorContains(t, run(c.a.Loss), c.want)
	}
	require.ErrorContains(t, run((&defense.MSD{}).Loss), "no threats")
	require.ErrorContains(t, run((&defense.MSD{Threats: both, Steps: -2}).Loss), "-2 steps")
	wrong := nn.Function(func(*nn.Pass, *tensor.Tensor) *tensor.Tensor { panic("no such layer") })
	_, err := (&defense.AMPGD{Threats: both}).Loss(ctx, &nn.Pass{}, wrong, nn.Batch{X: x, Y: y})
	require.ErrorContains(t, err, "no such layer")
}

func TestArea(t *testing.T) {
	require.InDelta(t, 0.5*0.9+0.5*0.65, defense.Area([]float64{0, 0.5, 1}, []float64{1, 0.8, 0.5}), 1e-12)
	require.Panics(t, func() { defense.Area([]float64{0, 1}, []float64{1}) })
	require.Panics(t, func() { defense.Area([]float64{1, 0}, []float64{1, 1}) })
	require.Panics(t, func() { defense.Multi(attack.Report{}) })
}

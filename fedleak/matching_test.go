package fedleak

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// sigmoid returns a federation of one party with a small smooth network.
func sigmoid(t *testing.T, n, k int) *Federation {
	rng := rand.New(rand.NewPCG(5, 5))
	x, y := digits(t, 0, n, 4)
	m := &Model{Classes: 10, Inputs: [][3]int{{7, 7, 1}}, Top: nn.NewSequential(nn.NewLinear(rng, 24, 10)), Bottoms: []*nn.Sequential{
		nn.NewSequential(nn.NewConv2D(rng, 1, 6, 3, tensor.Same(1, 1)), nn.NewBatchNorm(6), nn.Sigmoid, nn.Flatten, nn.NewLinear(rng, 294, 24), nn.Sigmoid),
	}}
	f := &Federation{Model: m, X: []*tensor.Tensor{x}, Labels: y, Schedule: Uniform{K: k, Seed: 3}}
	double(f)
	return f
}

// Every member of the family lowers its objective and recovers a single sample better
// than grey.
func TestMatchingRecoversASingleSample(t *testing.T) {
	for _, a := range []Matching{DLG(), IDLG(), InvertingGradients(), SAPAGAttack(), GradInversion(), {Fade: true, TV: 0.01, Init: GrayInit, Box: true}} {
		f := sigmoid(t, 2, 1)
		o := observe(t, f, 2)
		id := o.Batch(0)[0]
		a.Steps, a.Seed = 120, 2
		if a.Name() == "GradInversion" {
			a.Scale, a.BatchNorm = 1, 1e-3
		}
		first, last := math.NaN(), 0.0
		a.OnStep = func(step int, v float64) {
			if step == 0 {
				first = v
			}
			last = v
		}
		r, err := a.Run(ctx, f.Model, o)
		require.NoError(t, err)
		require.Equal(t, f.Labels[id], r.Labels[id], a.Name())
		require.Equal(t, 1, r.Parties[0].Count(Recovered))
		require.Equal(t, 1, r.Rounds)
		if a.Method != LBFGS {
			require.Less(t, last, first, a.Name())
		}
		marked := make([]bool, 2)
		marked[id] = true
		grey := NewScore(f.X, []*tensor.Tensor{tensor.Full(tensor.Float64, 0.5, f.X[0].Shape()...)}, marked).Mean
		require.Greater(t, NewScore(f.X, r.Images(nil), marked).Mean, grey, a.Name())
	}
}

func TestCountedLabelsOfABatch(t *testing.T) {
	f := sigmoid(t, 30, 12)
	a := Matching{Rule: CountedLabels, Steps: 1}
	o := observe(t, f, 1)
	r, err := a.Run(ctx, f.Model, o)
	require.NoError(t, err)
	var want, got [10]int
	for _, id := range o.Batch(0) {
		want[f.Labels[id]]++
		got[r.Labels[id]]++
	}
	require.Equal(t, want, got)
	a.Labels = f.Labels
	r, err = a.Run(ctx, f.Model, o)
	require.NoError(t, err)
	for _, id := range o.Batch(0) {
		require.Equal(t, f.Labels[id], r.Labels[id])
	}
}

// Several rounds say which sample has which label, or that they do not.
func TestLabelsOfSeveralRoundsBelongToTheirSamples(t *testing.T) {
	f := sigmoid(t, 16, 4)
	o := observe(t, f, 40)
	a := Matching{Rule: CountedLabels, Rounds: 40, Steps: 1}
	r, err := a.Run(ctx, f.Model, o)
	require.NoError(t, err)
	require.Equal(t, f.Labels, r.Labels)
	a.Rounds = 3
	_, err = a.Run(ctx, f.Model, o)
	require.ErrorContains(t, err, "the gradients of 3 rounds leave")
	a.Rounds = 40
	stats := corrupted{Observations: o, setting: func(s Setting) Setting { s.BatchStatistics = true; return s }}
	_, err = a.Run(ctx, f.Model, stats)
	require.ErrorContains(t, err, "labels of 40 rounds with batch statistics")
}

// Of several seeds the one that ends with the least objective is the answer, with its own
// labels, whichever it is.
func TestTheBestSeedIsTheAnswer(t *testing.T) {
	f := sigmoid(t, 4, 2)
	o := observe(t, f, 1)
	for _, method := range []Method{Adam, LBFGS} {
		chosen := make(map[int]bool)
		for seed := range uint64(4) {
			a := Matching{Seeds: 3, Steps: 12, Method: method, Seed: seed}
			s, err := a.start(ctx, f.Model, o)
			require.NoError(t, err)
			var x [][]float64
			var labels [][]int
			best, least := 0, math.Inf(1)
			for i := range 3 {
				s.begin(i)
				require.NoError(t, s.minimize(ctx))
				if e := s.end(); e < least {
					best, least = i, e
				}
				r := s.recovery(o)
				x, labels = append(x, r.Parties[0].X.Values()), append(labels, r.Labels)
			}
			chosen[best] = true
			r, err := a.Run(ctx, f.Model, o)
			require.NoError(t, err)
			require.Equal(t, x[best], r.Parties[0].X.Values())
			require.Equal(t, labels[best], r.Labels)
		}
		require.Greater(t, len(chosen), 1)
	}
}

// Rounds that are not matched may have other parameters.
func TestMatchingChoosesItsRounds(t *testing.T) {
	f := sigmoid(t, 4, 1)
	tr := &Transcript{}
	require.NoError(t, Training{Steps: 2, LR: optim.Constant(0.1), Record: tr}.Run(ctx, f))
	require.NoError(t, tr.Append(ctx, f, 2, nil))
	r, err := Matching{First: 2, Steps: 2}.Run(ctx, f.Model, tr)
	require.NoError(t, err)
	require.Equal(t, Recovered, r.Parties[0].Status[tr.Batch(2)[0]])
	_, err = Matching{First: 1, Rounds: 2, Steps: 2}.Run(ctx, f.Model, tr)
	require.ErrorContains(t, err, "the parameters of round 1 are not those of the model")
}

// The label of a batch of one is the only negative entry, whatever the model thinks of
// grey images.
func TestLabelOfASingleSampleDoesNotDependOnGrey(t *testing.T) {
	w := tensor.Zeros(tensor.Float64, 1, 3)
	w.Set(60, 0, 2) // grey is of class 2 for sure
	m := &Model{Classes: 3, Inputs: [][3]int{{1, 1, 1}}, Top: nn.NewSequential(), Bottoms: []*nn.Sequential{
		nn.NewSequential(nn.Flatten, &nn.Linear{Weight: w, Bias: tensor.FromFloat64([]float64{-1, 0, -20}, 3)}),
	}}
	f := &Federation{Model: m, X: []*tensor.Tensor{tensor.Zeros(tensor.Float64, 2, 1, 1, 1)}, Labels: []int{0, 0}, Schedule: Uniform{K: 1}}
	a := IDLG()
	a.Steps = 1
	o := observe(t, f, 1)
	r, err := a.Run(ctx, m, o)
	require.NoError(t, err)
	require.Equal(t, 0, r.Labels[o.Batch(0)[0]])
}

func TestRoundsShareTheirSamples(t *testing.T) {
	f := sigmoid(t, 6, 3)
	s, err := Matching{Rounds: 4}.start(ctx, f.Model, observe(t, f, 4))
	require.NoError(t, err)
	require.LessOrEqual(t, len(s.ids), 6)
	for round, rows := range s.rounds {
		for i, r := range rows {
			require.Equal(t, f.Schedule.Batch(round, 6)[i], s.ids[r])
		}
	}
}

func TestGroupPullsSeedsTogether(t *testing.T) {
	f := sigmoid(t, 2, 1)
	spread := func(weight float64) float64 {
		s, err := Matching{Seeds: 3, Group: weight, Steps: 60}.start(ctx, f.Model, observe(t, f, 1))
		require.NoError(t, err)
		s.adam(ctx)
		e := 0.0
		for i, v := range s.x[0] {
			e += (v - s.x[1][i]) * (v - s.x[1][i])
		}
		return e
	}
	require.Less(t, spread(1), spread(1e-12)/4)
}

func TestBadMatchingIsNamed(t *testing.T) {
	f := sigmoid(t, 4, 2)
	o := observe(t, f, 2)
	for want, a := range map[string]Matching{
		"TV is -1":          {TV: -1},
		"LR is NaN":         {LR: math.NaN()},
		"-1 steps":          {Steps: -1},
		"3 rounds to match": {Rounds: 3},
		"1 rounds to match from 2 on, the observations have 2": {First: 2},
		"1 rounds from -1 on": {First: -1, Rounds: 1},
		"1 labels":            {Labels: []int{2}},
		"Box is set":          {Method: LBFGS, Box: true},
		"Fade is set":         {Method: LBFGS, Fade: true},
		"Decay is set":        {Method: LBFGS, Decay: true},
		"Group is set":        {Method: LBFGS, Group: 0.1, Seeds: 2},
	} {
		_, err := a.Run(ctx, f.Model, o)
		require.ErrorContains(t, err, want)
	}
	g := dense(t, 4, Uniform{K: 2})
	_, err := GradInversion().Run(ctx, g.Model, observe(t, g, 1))
	require.ErrorContains(t, err, "without normalisation layers")
	stop, cancel := context.WithCancel(ctx)
	a := Matching{OnStep: func(step int, _ float64) {
		if step == 2 {
			cancel()
		}
	}}
	r, err := a.Run(stop, f.Model, o)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, r.Parties[0].Count(Recovered))
}

// A label that is not known, which a Recovery has as -1, is named if it is needed.
func TestLabelsOutOfRangeAreNamed(t *testing.T) {
	f := sigmoid(t, 4, 2)
	o := observe(t, f, 2)
	used := o.Batch(0)
	for _, bad := range []int{-1, 10} {
		labels := slices.Clone(f.Labels)
		labels[used[1]] = bad
		_, err := Matching{Labels: labels, Steps: 1}.Run(ctx, f.Model, o)
		require.ErrorContains(t, err, fmt.Sprintf("fedleak: L2: label %d of sample %d, want 0 to 9", bad, used[1]))
	}
	labels := []int{-1, -1, -1, -1}
	for _, id := range used {
		labels[id] = f.Labels[id]
	}
	r, err := Matching{Labels: labels, Steps: 1}.Run(ctx, f.Model, o)
	require.NoError(t, err)
	require.Equal(t, labels, r.Labels)
}

// The first normalisation layer of each party counts ten times, however many layers the
// parties have.
func TestStatisticsOfUnequalParties(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	norm := func(layers int) *nn.Sequential {
		net := []nn.Layer{nn.Flatten, nn.NewLinear(rng, 25, 4)}
		for range layers {
			net = append(net, nn.NewBatchNorm(4), nn.Sigmoid)
		}
		return nn.NewSequential(append(net, nn.NewLinear(rng, 4, 4))...)
	}
	for _, layers := range [][3]int{{2, 0, 1}, {0, 1, 0}, {1, 3, 2}} {
		m := &Model{Classes: 3, Top: nn.NewSequential(nn.NewLinear(rng, 12, 3))}
		f := &Federation{Model: m, Labels: []int{0, 1, 2, 0}, Schedule: Uniform{K: 2}}
		for _, k := range layers {
			m.Bottoms, m.Inputs = append(m.Bottoms, norm(k)), append(m.Inputs, [3]int{5, 5, 1})
			f.X = append(f.X, tensor.Uniform(rng, tensor.Float64, 0, 1, 4, 5, 5, 1))
		}
		double(f)
		s, err := Matching{BatchNorm: 0.5}.start(ctx, m, observe(t, f, 1))
		require.NoError(t, err)
		d := s.at(0, 0, false)
		want, at := 0.0, 0
		for _, k := range layers {
			for i := range k {
				e := distance2(d.norms[at].mean, d.norms[at].wantMean).Item() + distance2(d.norms[at].variance, d.norms[at].wantVar).Item()
				if i == 0 {
					e *= 10
				}
				want, at = want+0.5*e, at+1
			}
		}
		require.Len(t, d.norms, at)
		require.InDelta(t, want, s.statistics(d).Item(), 1e-12)
	}
}

// A transcript in one precision is attacked by a model in the other.
func TestMatchingConvertsGradients(t *testing.T) {
	for _, c := range [][2]tensor.DType{{tensor.Float32, tensor.Float64}, {tensor.Float64, tensor.Float32}} {
		f := sigmoid(t, 3, 1)
		convert(f, tensor.Float32) // so that both precisions hold the same parameters
		convert(f, c[0])
		tr, err := Record(ctx, f.Model, observe(t, f, 2), nil)
		require.NoError(t, err)
		convert(f, c[1])
		for i := range tr.Seen {
			tr.Seen[i].Model = f.Model.Fingerprint()
		}
		for _, a := range []Attack{Matching{Steps: 3}, Matching{Steps: 3, Method: LBFGS}, Published{Iterations: 2}} {
			_, err := a.Run(ctx, f.Model, tr)
			var missing *NotIdentifiableError
			if !errors.As(err, &missing) {
				require.NoError(t, err, "%s from %v to %v", a.Name(), c[0], c[1])
			}
		}
	}
}

// lastly is a distance that turns into another value after a number of calls.
type lastly struct {
	calls *int
	after int
	value float64
}

func (lastly) Name() string { return "lastly" }

func (d lastly) Between(got, want []*tensor.Tensor) *tensor.Tensor {
	e := L2{}.Between(got, want)
	if *d.calls++; *d.calls > d.after {
		return tensor.MulScalar(e, d.value)
	}
	return e
}

func TestObjectiveThatIsNotFiniteEndsTheSearch(t *testing.T) {
	f := sigmoid(t, 2, 1)
	o := observe(t, f, 1)
	for _, method := range []Method{Adam, SignAdam, LBFGS} {
		for _, value := range []float64{math.NaN(), math.Inf(1)} {
			calls := 0
			a := Matching{Method: method, Steps: 40, Distance: lastly{&calls, 6, value}, Init: UniformInit}
			r, err := a.Run(ctx, f.Model, o)
			require.ErrorContains(t, err, "not finite at step 6")
			require.Less(t, calls, 10)
			require.True(t, tensor.AllFinite(r.Parties[0].X))
			require.Equal(t, 1, r.Parties[0].Count(Recovered))
		}
	}
	// The best state is kept, not the last: a rate far too large leaves it.
	best, last := math.Inf(1), 0.0
	stop, cancel := context.WithCancel(ctx)
	a := Matching{LR: 50, Steps: 9, Init: UniformInit, OnStep: func(step int, v float64) {
		best, last = math.Min(best, v), v
		if step == 7 {
			cancel()
		}
	}}
	s, err := a.start(ctx, f.Model, o)
	require.NoError(t, err)
	require.NoError(t, s.adam(stop))
	require.Less(t, best, last)
	at, _ := s.value(0, 0, 0)
	require.InDelta(t, best, at, 1e-12)
}

func TestLabelsAreNotCountedBehindTwoSoftmaxes(t *testing.T) {
	f := sigmoid(t, 2, 1)
	f.Model.DoubleSoftmax = true
	_, err := IDLG().Run(ctx, f.Model, observe(t, f, 1))
	require.ErrorContains(t, err, "softmax taken twice")
}

// A single sample has no statistics behind a dense layer.
func TestBatchStatisticsNeedTwoSamples(t *testing.T) {
	for k, want := range map[int]string{1: "gradients of round 0: nn: BatchNorm: x of shape [1 24] has one value for each channel", 2: ""} {
		f := sigmoid(t, 4, k)
		f.Model.Bottoms[0].Add("norm", nn.NewBatchNorm(24))
		double(f)
		f.BatchStatistics = true
		_, err := f.Upload(ctx, 0, f.Schedule.Batch(0, 4), f.Model.Refs()...)
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

// Labels are counted with the probabilities of a batch as large as the one that was seen:
// a single image has no batch statistics.
func TestLabelsAreCountedWithBatchStatistics(t *testing.T) {
	f := sigmoid(t, 4, 2)
	f.Model.Bottoms[0].Add("norm", nn.NewBatchNorm(24))
	double(f)
	f.BatchStatistics = true
	a := IDLG()
	a.Steps = 1
	_, err := a.Run(ctx, f.Model, observe(t, f, 1))
	require.NoError(t, err)
}

func TestBatchStatisticsTieSamples(t *testing.T) {
	f := sigmoid(t, 6, 2)
	one := f.mean([]int{0}, nil, []Ref{{0, 5}})[0]
	pair, other := f.mean([]int{0, 1}, nil, []Ref{{0, 5}})[0], f.mean([]int{1}, nil, []Ref{{0, 5}})[0]
	require.InDeltaSlice(t, tensor.MulScalar(tensor.Add(one, other), 0.5).Values(), pair.Values(), 1e-12)
	f.BatchStatistics = true
	pair = f.mean([]int{0, 1}, nil, []Ref{{0, 5}})[0]
	one, other = f.mean([]int{0}, nil, []Ref{{0, 5}})[0], f.mean([]int{1}, nil, []Ref{{0, 5}})[0]
	require.Greater(t, norm([]*tensor.Tensor{tensor.Sub(pair, tensor.MulScalar(tensor.Add(one, other), 0.5))}), 1e-6)
	_, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 12))
	require.ErrorContains(t, err, "batch statistics")
	// The normalisation is before the first dense layer.
	for _, a := range []Attack{Analytic{}, SPEAR{Trials: 1}} {
		_, err := a.Run(ctx, f.Model, observe(t, f, 1))
		require.ErrorContains(t, err, a.Name()+": normalisation with batch statistics before the first dense layer of party 0")
	}
	_, err = GradInversion().Run(ctx, f.Model, observe(t, f, 1))
	require.ErrorContains(t, err, "BatchNorm is 0.1 for rounds with batch statistics")
}

// The truth has the gradients that were seen, with batch statistics too, and the gradient
// of the objective is that of differences.
func TestMatchingRunsTheNetworkThatWasSeen(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, stats := range []bool{false, true} {
		f := sigmoid(t, 8, 4)
		f.BatchStatistics = stats
		o := observe(t, f, 1)
		s, err := Matching{Labels: f.Labels, Init: UniformInit}.start(ctx, f.Model, o)
		require.NoError(t, err)
		guess, gs := s.value(0, 0, 0)
		g := slices.Clone(gs[0].Values())
		for range 6 {
			const eps = 1e-6
			j := rng.IntN(len(g))
			x := s.x[0][j]
			s.x[0][j] = x + eps
			up, _ := s.value(0, 0, 0)
			s.x[0][j] = x - eps
			down, _ := s.value(0, 0, 0)
			s.x[0][j] = x
			require.InDelta(t, (up-down)/(2*eps), g[j], 1e-6*(1+guess), "batch statistics %v", stats)
		}
		copy(s.x[0], tensor.Gather(f.X[0], o.Batch(0)).Values())
		truth, _ := s.value(0, 0, 0)
		require.Less(t, truth, 1e-20*guess, "batch statistics %v", stats)
	}
}

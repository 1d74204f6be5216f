package fedleak

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// With one output and three samples Step II has its solution, although there are
// fewer outputs than samples; with the full batch it has none.
func TestStepTwoNeedsNoWideLayer(t *testing.T) {
	v := mat.NewDense(3, 1, []float64{1, 2, -1})
	h := mat.NewDense(3, 2, []float64{1, 0, 0, 1, 2, 3})
	e := newEquations(v, 2)
	for _, ids := range [][]int{{0, 1}, {0, 2}, {1, 2}} {
		g := mat.NewDense(2, 1, nil)
		for _, id := range ids {
			for i := range 2 {
				g.Set(i, 0, g.At(i, 0)+h.At(id, i)*v.At(id, 0))
			}
		}
		e.add(ids, g, 1)
	}
	require.True(t, mat.EqualApprox(e.a, mat.NewSymDense(3, []float64{2, 2, -1, 2, 8, -2, -1, -2, 2}), 1e-12))
	require.True(t, mat.EqualApprox(e.r, mat.NewDense(3, 2, []float64{0, -1, -2, 2, 3, 4}), 1e-12))
	s := factor(e.a)
	require.Equal(t, []bool{true, true, true}, s.determined())
	require.True(t, mat.EqualApprox(h, s.solve(e.r), 1e-12))

	e = newEquations(v, 2)
	e.add([]int{0, 1, 2}, mat.NewDense(2, 1, []float64{-1, -1}), 1)
	s = factor(e.a)
	require.Equal(t, 1, s.rank)
	require.Equal(t, []bool{false, false, false}, s.determined())
}

// A real backward pass is the sum over the batch of what single samples give, and of
// outer products of what they are.
func TestGradientsAreAdditive(t *testing.T) {
	f := convolutional(t, 12, Uniform{K: 4, Seed: 3})
	o := observe(t, f, 3)
	for p := range f.X {
		v, h := truth(t, f, p, 4)
		l, err := f.Model.firstDense(p)
		require.NoError(t, err)
		for round := range 3 {
			gs, err := o.Gradients(ctx, round, l.bias, l.weight)
			require.NoError(t, err)
			ids := o.Batch(round)
			d1, d2 := l.dense.Weight.Dim(0), l.dense.Weight.Dim(1)
			sum, outer := make([]float64, d2), mat.NewDense(d1, d2, nil)
			for _, id := range ids {
				for j := range sum {
					sum[j] += v.At(id, j)
				}
				var part mat.Dense
				part.Outer(1, h.RowView(id), v.RowView(id))
				outer.Add(outer, &part)
			}
			require.InDeltaSlice(t, sum, gs[0].Values(), 1e-12)
			require.True(t, mat.EqualApprox(outer, toDense(gs[1]), 1e-10))
		}
	}
}

func TestGradientAskedForTwiceIsTheSame(t *testing.T) {
	f := dense(t, 6, Uniform{K: 2})
	gs, err := f.Upload(ctx, 0, []int{1, 4}, Ref{1, 1}, Ref{1, 0}, Ref{1, 1})
	require.NoError(t, err)
	require.Positive(t, norm(gs[:1]))
	require.Equal(t, gs[0].Values(), gs[2].Values())
}

func TestDenseFederationIsRecoveredExactly(t *testing.T) {
	f := dense(t, 40, Uniform{K: 8, Seed: 1})
	r, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 60))
	require.NoError(t, err)
	require.Equal(t, 1.0, LabelAccuracy(f.Labels, r.Labels))
	for p := range r.Parties {
		v, h := truth(t, f, p, 8)
		for i, s := range r.Parties[p].Status {
			if s == Dead {
				require.Less(t, mat.Norm(v.RowView(i), 2), 1e-12)
				continue
			}
			require.Equal(t, Recovered, s)
			require.Less(t, rowErrors(v, r.Parties[p].V)[i], 1e-8)
			require.Less(t, rowErrors(h, r.Parties[p].H)[i], 1e-7)
		}
	}
	s := NewScore(f.X, r.Images(nil), r.Complete())
	require.Greater(t, s.Samples, 30)
	require.Greater(t, s.Median, 150.0)
}

func TestConvolutionalFederationIsRecovered(t *testing.T) {
	f := convolutional(t, 12, Epochs{K: 4, Seed: 2})
	single(f)
	r, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 24))
	require.NoError(t, err)
	require.Equal(t, 1.0, LabelAccuracy(f.Labels, r.Labels))
	for p := range r.Parties {
		_, h := truth(t, f, p, 4)
		for i, e := range rowErrors(h, r.Parties[p].H) {
			if r.Parties[p].Status[i] == Recovered && mat.Norm(h.RowView(i), 2) > 0 {
				require.Less(t, e, 1e-4)
			}
		}
	}
	s := NewScore(f.X, r.Images(nil), r.Complete())
	require.Greater(t, s.Samples, 6)
	require.Greater(t, s.Median, 60.0)
}

// The bound of the rounding of float32 is the only one there is.
func TestSinglePrecisionIsEnough(t *testing.T) {
	f := dense(t, 60, Uniform{K: 10, Seed: 4})
	single(f)
	r, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 75))
	require.NoError(t, err)
	for p := range r.Parties {
		_, h := truth(t, f, p, 10)
		for i, e := range rowErrors(h, r.Parties[p].H) {
			if r.Parties[p].Status[i] == Recovered {
				require.Less(t, e, 1e-3)
				require.Less(t, e, 30*r.Parties[p].HError[i], "the estimate is of the error's size")
			}
		}
	}
	require.Greater(t, NewScore(f.X, r.Images(nil), r.Complete()).Median, 100.0)
}

func TestOrderAndNamesOfSamplesDoNotMatter(t *testing.T) {
	f := dense(t, 20, Uniform{K: 5, Seed: 1})
	o := observe(t, f, 30)
	want, err := CAFE{}.Run(ctx, f.Model, o)
	require.NoError(t, err)

	reversed := corrupted{Observations: o, batch: func(_ int, ids []int) []int {
		ids = slices.Clone(ids)
		slices.Reverse(ids)
		return ids
	}}
	got, err := CAFE{}.Run(ctx, f.Model, reversed)
	require.NoError(t, err)
	for p := range f.X {
		require.InDeltaSlice(t, want.Parties[p].X.Values(), got.Parties[p].X.Values(), 1e-9)
	}

	name := rand.New(rand.NewPCG(1, 1)).Perm(20)
	renamed := corrupted{Observations: o, batch: func(_ int, ids []int) []int {
		out := make([]int, len(ids))
		for i, id := range ids {
			out[i] = name[id]
		}
		return out
	}}
	got, err = CAFE{}.Run(ctx, f.Model, renamed)
	require.NoError(t, err)
	for p := range f.X {
		require.InDeltaSlice(t, want.Parties[p].X.Values(), tensor.Gather(got.Parties[p].X, name).Values(), 1e-9)
	}
}

func TestWrongIndicesRecoverNothing(t *testing.T) {
	f := dense(t, 40, Uniform{K: 8, Seed: 1})
	o := observe(t, f, 80)
	wrong := corrupted{Observations: o, batch: func(t int, _ []int) []int { return Uniform{K: 8, Seed: 99}.Batch(t, 40) }}
	r, err := CAFE{}.Run(ctx, f.Model, wrong)
	require.NoError(t, err)
	other, _ := digits(t, 1000, 200, 2)
	mean := NewScore(f.X, MeanImage(Quadrants(other.To(tensor.Float64)), 40), nil)
	require.Less(t, NewScore(f.X, r.Images(nil), nil).OfMean, mean.OfMean)
}

func TestWhatIsNotIdentifiableIsSaid(t *testing.T) {
	f := dense(t, 20, FixedBatches{K: 5, Seed: 1})
	r, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 40))
	var missing *NotIdentifiableError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, 4, missing.Rank)
	for p := range r.Parties {
		require.Equal(t, 20, r.Parties[p].Count(Undetermined))
	}
	require.NotContains(t, r.Complete(), true)
	for _, y := range r.Labels {
		require.Equal(t, -1, y)
	}

	f.Schedule = Uniform{K: 20}
	_, err = CAFE{}.Run(ctx, f.Model, observe(t, f, 40))
	require.ErrorAs(t, err, &missing)
	require.Contains(t, err.Error(), "whole data set")

	// Two halves that never meet, one of them with too few rounds.
	f.Schedule = Uniform{K: 3}
	halves := corrupted{Observations: observe(t, f, 24)}
	halves.batch = func(t int, _ []int) []int {
		if t < 20 {
			return Uniform{K: 3, Seed: 5}.Batch(t, 10)
		}
		return []int{10 + t%4, 15 + t%4, 14}
	}
	halves.gradient = func(t int, r Ref, _ *tensor.Tensor) *tensor.Tensor {
		return f.mean(halves.Batch(t), nil, []Ref{r})[0]
	}
	r, err = CAFE{}.Run(ctx, f.Model, halves)
	require.ErrorAs(t, err, &missing)
	require.InDelta(t, 0.5, missing.Share(), 0.01)
	half := make([]bool, 20)
	for i := range 10 {
		require.NotEqual(t, Undetermined, r.Parties[0].Status[i])
		require.Equal(t, Undetermined, r.Parties[0].Status[10+i])
		half[i] = r.Complete()[i]
	}
	require.Greater(t, NewScore(f.X, r.Images(nil), half).Median, 150.0)
}

func TestBatchOfOneIsReadOff(t *testing.T) {
	f := dense(t, 6, FixedBatches{K: 1, Seed: 1})
	r, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 6))
	require.NoError(t, err)
	require.Greater(t, NewScore(f.X, r.Images(nil), r.Complete()).Median, 150.0)
}

func TestBrokenObservationsAreNamed(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 1})
	o := observe(t, f, 20)
	l, err := f.Model.firstDense(2)
	require.NoError(t, err)

	var broken *GradientError
	_, err = CAFE{}.Run(ctx, f.Model, corrupted{Observations: o, gradient: func(t int, r Ref, g *tensor.Tensor) *tensor.Tensor {
		if t == 7 && r == l.bias {
			g.Set(math.NaN(), 3)
		}
		return g
	}})
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 7, broken.Round)
	require.Equal(t, l.bias, broken.Ref)
	require.Contains(t, err.Error(), "party 2")

	_, err = CAFE{}.Run(ctx, f.Model, corrupted{Observations: o, gradient: func(t int, r Ref, g *tensor.Tensor) *tensor.Tensor {
		if r == l.weight {
			return tensor.Zeros(tensor.Float64, 3, 2)
		}
		return g
	}})
	require.ErrorAs(t, err, &broken)
	require.Contains(t, err.Error(), "shape [3 2]")

	_, err = CAFE{}.Run(ctx, f.Model, corrupted{Observations: o, batch: func(int, []int) []int { return []int{1, 1, 2} }})
	require.ErrorContains(t, err, "twice")
	_, err = CAFE{}.Run(ctx, f.Model, corrupted{Observations: o, setting: func(s Setting) Setting { s.Samples = 2; return s }})
	require.ErrorContains(t, err, "3 ids for 2 samples")
	_, err = CAFE{}.Run(ctx, f.Model, corrupted{Observations: o, setting: func(s Setting) Setting { s.BatchStatistics = true; return s }})
	require.ErrorContains(t, err, "batch statistics")

	f.Model.Top.Layers()[0].(*nn.Linear).Bias.Fill(0.1)
	_, err = CAFE{}.Run(ctx, f.Model, o)
	require.ErrorContains(t, err, "Forget")
}

func TestModelsThatCannotBeAttackedAreNamed(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3})
	bare := *f.Model
	bare.Bottoms = slices.Clone(bare.Bottoms)
	o := observe(t, f, 20)
	bare.Bottoms[1] = nn.NewSequential(nn.Flatten)
	_, err := CAFE{}.Run(ctx, &bare, o)
	require.ErrorContains(t, err, "do not fit")
	first := *f.Model.Bottoms[1].Layers()[1].(*nn.Linear)
	first.Bias = nil
	bare.Bottoms[1] = nn.NewSequential(append([]nn.Layer{nn.Flatten, &first}, f.Model.Bottoms[1].Layers()[2:]...)...)
	_, err = CAFE{}.Run(ctx, &bare, o)
	require.ErrorContains(t, err, "party 1 has no bias")
}

func TestCancelledAttackReturnsWhatItHas(t *testing.T) {
	f := convolutional(t, 8, Uniform{K: 2, Seed: 1})
	stop, cancel := context.WithCancel(ctx)
	r, err := CAFE{OnProgress: func(done, _ int) {
		if done == 3 {
			cancel()
		}
	}}.Run(stop, f.Model, observe(t, f, 20))
	require.ErrorIs(t, err, context.Canceled)
	got := 0
	for p := range r.Parties {
		got += r.Parties[p].Count(Recovered)
	}
	require.GreaterOrEqual(t, got, 3)
	require.LessOrEqual(t, got, 8, "only the first party's turn had come")
	require.NotContains(t, r.Complete(), true)

	cancel()
	_, err = CAFE{}.Run(stop, f.Model, observe(t, f, 20))
	require.True(t, errors.Is(err, context.Canceled))
}

func TestThreadsDoNotChangeTheAnswer(t *testing.T) {
	f := convolutional(t, 6, Uniform{K: 2, Seed: 1})
	single(f)
	var got [2][]float64
	for i, threads := range []int{1, 4} {
		tensor.SetThreads(threads)
		r, err := CAFE{Inversion: Inversion{Attempts: 1, AdamSteps: 100}}.Run(ctx, f.Model, observe(t, f, 12))
		tensor.SetThreads(0)
		require.NoError(t, err)
		for _, x := range r.Images(nil) {
			got[i] = append(got[i], x.Values()...)
		}
	}
	require.Equal(t, got[0], got[1])
}

// horizontal returns four clients that share one network, of whom only the mean is
// seen.
func horizontal(t *testing.T, own, k int) *Federation {
	x, y := digits(t, 0, 4*own, 2)
	m := &Model{Classes: 10, Inputs: [][3]int{{14, 14, 1}}, Top: nn.NewSequential(), Bottoms: []*nn.Sequential{
		nn.NewMLP(rand.New(rand.NewPCG(2, 2)), 14, 14, 1, 64, 32, 10),
	}}
	f := &Federation{Model: m, X: []*tensor.Tensor{x}, Labels: y, Clients: 4, Schedule: PerClient{Clients: 4, K: k, Seed: 8}}
	double(f)
	return f
}

func TestHorizontalClientsAreRecoveredFromTheirMean(t *testing.T) {
	f := horizontal(t, 20, 4)
	o := observe(t, f, 110)
	r, err := CAFE{}.Run(ctx, f.Model, o)
	require.NoError(t, err)
	require.Equal(t, 77, r.Identifiability.Rank)
	v, _ := truth(t, f, 0, 16)
	settled := 0
	for j := range 64 {
		if got := r.Parties[0].V.ColView(j); mat.Norm(got, 2) > 0 {
			require.True(t, mat.EqualApprox(v.ColView(j), got, 1e-9))
			settled++
		}
	}
	require.Greater(t, settled, 32)
	require.Equal(t, 1.0, LabelAccuracy(f.Labels, r.Labels))
	require.Greater(t, NewScore(f.X, r.Images(nil), nil).Median, 150.0)
}

// Batches that hold unequal numbers of samples of the clients leave other things open
// than constants, and the same rank must not pass for that.
func TestUnequalSharesOfClientsAreNotSettled(t *testing.T) {
	f := horizontal(t, 20, 4)
	f.Schedule = Uniform{K: 16, Seed: 8}
	r, err := CAFE{SkipImages: true}.Run(ctx, f.Model, observe(t, f, 77))
	var missing *NotIdentifiableError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, 77, missing.Rank)
	require.NotContains(t, r.Complete(), true)
	for _, y := range r.Labels {
		require.Equal(t, -1, y)
	}
	want, err := IdentifyClients(batchesOf(f.Schedule, 77, 80), 80, 4)
	require.NoError(t, err)
	require.Equal(t, 80, want.Reachable)
	require.Equal(t, want, r.Identifiability)
	r, err = Published{Iterations: 77, Alpha: 0, Gamma: 1}.Run(ctx, f.Model, observe(t, f, 77))
	require.ErrorAs(t, err, &missing)
	require.Equal(t, want, r.Identifiability)
	bad := corrupted{Observations: observe(t, f, 77), setting: func(s Setting) Setting { s.Clients = 3; return s }}
	_, err = CAFE{}.Run(ctx, f.Model, bad)
	require.ErrorContains(t, err, "80 samples for 3 clients")
}

func TestBadSettingsOfCAFEAreNamed(t *testing.T) {
	f := dense(t, 6, Uniform{K: 2, Seed: 1})
	o := observe(t, f, 12)
	for want, a := range map[string]CAFE{
		"Coverage is -2":  {Coverage: -2},
		"sample 6":        {Samples: []int{2, 6}},
		"LR is NaN":       {Inversion: Inversion{LR: math.NaN()}},
		"TV is -2":        {Inversion: Inversion{TV: -2}},
		"-1 evaluations":  {Inversion: Inversion{Evaluations: -1}},
		"-3 steps of":     {Inversion: Inversion{AdamSteps: -3}},
		"Tolerance is -1": {Inversion: Inversion{Tolerance: -1}},
	} {
		_, err := a.Run(ctx, f.Model, o)
		require.ErrorContains(t, err, want)
	}
	_, err := Calibrated{}.Run(ctx, f.Model, o)
	require.ErrorContains(t, err, "no shadow")
	for _, ids := range [][]int{nil, {1, 1}, {6}, {-1}} {
		_, err := f.Upload(ctx, 0, ids, Ref{0, 0})
		require.Error(t, err)
	}
}

func TestDataOutsideTheBoxAreNamed(t *testing.T) {
	for _, v := range []float64{-0.01, 1.01} {
		f := dense(t, 6, Uniform{K: 2})
		f.X[2] = f.X[2].Clone()
		f.X[2].Set(v, 3, 1, 1, 0)
		require.ErrorContains(t, f.Check(), "data of party 2 hold "+strconv.FormatFloat(v, 'g', -1, 64))
	}
}

// Attacks on one round need the parameters of that round.
func TestAttacksOnOneRoundNameAnotherModel(t *testing.T) {
	f := dense(t, 6, Uniform{K: 1, Seed: 1})
	o := observe(t, f, 2)
	f.Model.Top.Layers()[0].(*nn.Linear).Bias.Fill(0.1)
	for _, a := range []Attack{Analytic{}, RGAP{}, SPEAR{Round: 1}} {
		_, err := a.Run(ctx, f.Model, o)
		require.ErrorContains(t, err, "are not those of the model", a.Name())
	}
}

// A shadow that teaches nothing leaves no answer, rather than a grey one.
func TestCalibratedWithoutLessonsAnswersNothing(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 1})
	shadow := dense(t, 6, FixedBatches{K: 3, Seed: 1})
	r, err := Calibrated{Shadow: shadow, Rounds: 8}.Run(ctx, f.Model, observe(t, f, 18))
	require.NoError(t, err)
	for p := range r.Parties {
		require.Zero(t, r.Parties[p].Count(Recovered))
	}
}

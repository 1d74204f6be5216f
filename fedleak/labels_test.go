package fedleak

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// spreadLogits makes a model as sure of itself as one that was trained: its logits grow
// by a factor, and with them the differences between probabilities.
func spreadLogits(l *nn.Linear, factor float64) {
	for _, w := range []*tensor.Tensor{l.Weight, l.Bias} {
		v := w.Float64s()
		for i := range v {
			v[i] *= factor
		}
	}
}

// right checks that labels are those of the samples or open, and returns the share of
// those that are not open.
func right(t *testing.T, want, got []int) float64 {
	known := 0
	for i, y := range got {
		if y >= 0 {
			require.Equal(t, want[i], y, "sample %d", i)
			known++
		}
	}
	return float64(known) / float64(len(want))
}

// Probabilities that are far from equal move entries of the gradients by as much as labels
// do, in a federation where each client hides a constant.
func TestLabelsOfClientsDoNotNeedEqualProbabilities(t *testing.T) {
	f := horizontal(t, 8, 3)
	layers := f.Model.Bottoms[0].Layers()
	spreadLogits(layers[len(layers)-1].(*nn.Linear), 40)
	r, err := CAFE{SkipImages: true}.Run(ctx, f.Model, observe(t, f, 45))
	require.NoError(t, err)
	require.Greater(t, right(t, f.Labels, r.Labels), 0.9)
}

// A client whose samples all have one label is settled by the others; two such clients
// are not.
func TestClientsOfOneLabelAreSettledByTheOthers(t *testing.T) {
	f := horizontal(t, 8, 3)
	for i := range 8 {
		f.Labels[i] = 7
	}
	r, err := CAFE{SkipImages: true}.Run(ctx, f.Model, observe(t, f, 45))
	require.NoError(t, err)
	require.Greater(t, right(t, f.Labels, r.Labels), 0.9)
	for i := 8; i < 16; i++ {
		f.Labels[i] = 2
	}
	r, err = CAFE{SkipImages: true}.Run(ctx, f.Model, observe(t, f, 45))
	require.NoError(t, err)
	require.Greater(t, right(t, f.Labels, r.Labels), 0.4)
	for _, y := range r.Labels[:16] {
		require.Equal(t, -1, y)
	}
}

// With softmax taken twice several entries can be negative, and the least is not always at
// the label.
func TestLabelsBehindTwoSoftmaxes(t *testing.T) {
	f := dense(t, 30, Uniform{K: 6, Seed: 2})
	f.Model.DoubleSoftmax = true
	spreadLogits(f.Model.Top.Layers()[0].(*nn.Linear), 40)
	o := observe(t, f, 45)
	r, err := CAFE{SkipImages: true}.Run(ctx, f.Model, o)
	require.NoError(t, err)
	require.Greater(t, right(t, f.Labels, r.Labels), 0.8)
	// The case is there: the least entry alone would be wrong.
	w, err := prepare(ctx, CAFE{}, f.Model, o)
	require.NoError(t, err)
	wrong := 0
	for i, y := range f.Labels {
		row := w.logits.RawRowView(i)
		least := 0
		for j, v := range row {
			if v < row[least] {
				least = j
			}
		}
		if least != y {
			wrong++
		}
	}
	require.Positive(t, wrong)
}

func TestSignsOfLabelsAreReadWhereTheyAreSure(t *testing.T) {
	for _, c := range []struct {
		row   []float64
		blur  float64
		twice bool
		want  int
	}{
		{[]float64{0.1, -0.3, 0.2}, 1e-9, false, 1},
		{[]float64{0.1, -0.3, 0.2}, 0.5, false, -1},
		{[]float64{1e-12, -1e-12, 0}, 1e-9, false, -1},
		{[]float64{0.1, 0.3, 0.2}, 1e-9, false, -1},
		{[]float64{0.1, -0.3, 0.2}, 1e-9, true, 1},
		{[]float64{-0.1, -0.3, 0.4}, 1e-9, true, -1},
		{[]float64{1e-12, -0.3, 0.3}, 1e-9, true, -1},
	} {
		require.Equal(t, c.want, signLabel(c.row, c.blur, c.twice), "%v", c)
	}
	require.Equal(t, 1, nearest([]float64{1, 0.1}, [][]float64{{0, 1}, {1, 0}}))
	require.Equal(t, -1, nearest([]float64{0.6, 0.4}, [][]float64{{0, 1}, {1, 0}}))
}

// A ridge answers for everything, which makes nothing identifiable.
func TestRidgeDoesNotIdentify(t *testing.T) {
	f := dense(t, 12, FixedBatches{K: 3, Seed: 1})
	r, err := CAFE{Ridge: 1, SkipImages: true}.Run(ctx, f.Model, observe(t, f, 16))
	var missing *NotIdentifiableError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, 4, missing.Rank)
	require.Equal(t, 12, r.Parties[0].Count(Undetermined))
	for _, v := range r.Invisible() {
		require.Contains(t, v.Why, "same batches")
	}
	require.Len(t, r.Invisible(), 48)
}

// Where nothing was left out, Masked changes nothing about a ridge or forgetting.
func TestMaskedHonoursRidgeAndForgetting(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 1})
	f.Defense = Noise{1e-3}
	o := observe(t, f, 30)
	for _, c := range []CAFE{{Ridge: 1}, {Forget: 0.9}} {
		c.SkipImages, c.Coverage = true, -1
		want, err := c.Run(ctx, f.Model, o)
		require.NoError(t, err)
		c.Masked = true
		got, err := c.Run(ctx, f.Model, o)
		require.NoError(t, err)
		require.True(t, mat.EqualApprox(want.Parties[0].V, got.Parties[0].V, 1e-9), "%+v", c)
		require.InDeltaSlice(t, want.Parties[0].H.RawMatrix().Data, got.Parties[0].H.RawMatrix().Data, 1e-6)
	}
}

// The greedy choice over all rounds, looked at anew each time.
func TestCoverageIsTheGreedyChoice(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		n := 4 + rng.IntN(12)
		list := batchesOf(Uniform{K: 1 + rng.IntN(3), Seed: seed}, 2+rng.IntN(30), n)
		want, known := make([]bool, n), make([]bool, n)
		for i := range n {
			want[i], known[i] = rng.IntN(4) > 0, rng.IntN(12) > 0
		}
		times := rng.IntN(4)
		count, used := make([]int, n), make([]bool, len(list))
		var greedy []int
		for {
			best, most := -1, 0
			for r, b := range list {
				gain := 0
				for _, id := range b {
					if !known[id] {
						gain = math.MinInt
						break
					}
					if want[id] && count[id] < times {
						gain++
					}
				}
				if !used[r] && gain > most {
					best, most = r, gain
				}
			}
			if best < 0 {
				break
			}
			used[best] = true
			greedy = append(greedy, best)
			for _, id := range list[best] {
				count[id]++
			}
		}
		require.Equal(t, greedy, coverage(list, want, known, times), "seed %d", seed)
	}
}

func TestFeaturesAreBoundedByTheLastActivation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	conv := func() nn.Layer { return nn.NewConv2D(rng, 1, 3, 3, tensor.Same(1, 1)) }
	pool := nn.MaxPool2D(2, tensor.Same(2, 0))
	lower := nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return tensor.AddScalar(x, -1e-3) })
	// Below 0 only for slices that are bright all over, which random ones are not.
	rare := &nn.Conv2D{Filter: tensor.Full(tensor.Float32, -1, 3, 3, 1, 1), Bias: tensor.Full(tensor.Float32, 8.9, 1), Window: tensor.Same(1, 1)}
	for _, c := range []struct {
		layers []nn.Layer
		want   bool
	}{
		{[]nn.Layer{conv(), nn.ReLU, pool, nn.Flatten}, true},
		{[]nn.Layer{conv(), nn.Sigmoid, nn.Flatten}, true},
		{[]nn.Layer{nn.NewSequential(conv(), nn.ReLU), nn.Flatten}, true},
		{[]nn.Layer{pool, nn.Flatten}, true},
		{[]nn.Layer{rare, nn.Flatten}, false},
		{[]nn.Layer{conv(), nn.ReLU, rare, nn.Flatten}, false},
		{[]nn.Layer{conv(), nn.ReLU, lower, nn.Flatten}, false},
		{[]nn.Layer{conv(), nn.Tanh, nn.Flatten}, false},
	} {
		require.Equal(t, c.want, notNegative(nn.NewSequential(c.layers...), tensor.Float32, [3]int{6, 6, 1}), "%v", c.layers)
	}
}

// Without a top network each party makes logits of its own, of which no bias tells all.
func TestLogitsOfSeveralPartiesHaveNoBias(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	m := &Model{Classes: 4, Top: nn.NewSequential()}
	f := &Federation{Model: m, Labels: []int{0, 3, 2, 1, 3, 2}, Schedule: Uniform{K: 2, Seed: 1}}
	for range 2 {
		m.Bottoms, m.Inputs = append(m.Bottoms, nn.NewSequential(nn.Flatten, nn.NewLinear(rng, 9, 2))), append(m.Inputs, [3]int{3, 3, 1})
		f.X = append(f.X, tensor.Uniform(rng, tensor.Float64, 0, 1, 6, 3, 3, 1))
	}
	double(f)
	o := observe(t, f, 12)
	for _, a := range []Attack{CAFE{}, IDLG()} {
		_, err := a.Run(ctx, m, o)
		require.ErrorContains(t, err, "party 0 makes 2 of 4 logits", a.Name())
	}
	r, err := CAFE{SkipLabels: true}.Run(ctx, m, o)
	require.NoError(t, err)
	require.Greater(t, NewScore(f.X, r.Images(nil), r.Complete()).Median, 60.0)
}

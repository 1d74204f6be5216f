package fedleak

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// A party of which nothing can be solved for is named, and the others are not in doubt.
func TestMaskedNamesTheLostParty(t *testing.T) {
	f := dense(t, 20, Uniform{K: 5, Seed: 1})
	l, err := f.Model.firstDense(1)
	require.NoError(t, err)
	o := corrupted{Observations: observe(t, f, 60), gradient: func(t int, r Ref, g *tensor.Tensor) *tensor.Tensor {
		if r == l.bias && t >= 10 {
			return tensor.Zeros(g.DType(), g.Shape()...)
		}
		return g
	}}
	r, err := CAFE{Masked: true}.Run(ctx, f.Model, o)
	var left *LeftOutError
	require.ErrorAs(t, err, &left)
	require.Equal(t, LeftOutError{Party: 1, Shown: 10, Rank: 20}, *left)
	require.EqualError(t, err, "fedleak: CAFE: party 1 shows no entry of the bias gradient of its first dense layer in rounds of rank 20: the one shown most is in 10 rounds, want more rounds")
	require.Equal(t, 20, r.Parties[1].Count(Undetermined))
	require.Greater(t, r.Parties[0].Count(Recovered), 15)

	shadow := *f
	shadow.Seed = 1
	r, err = Calibrated{CAFE: CAFE{Masked: true}, Shadow: &shadow, Rounds: 60}.Run(ctx, f.Model, o)
	require.ErrorAs(t, err, &left)
	require.Equal(t, Calibrated{}.Name(), r.Attack)
	require.Greater(t, r.Parties[0].Count(Recovered), 15)
	require.Zero(t, r.Parties[1].Count(Recovered))
}

// Batches that leave samples open leave the others as they are without a mask.
func TestMaskedFindsWhatBatchesDetermine(t *testing.T) {
	f := dense(t, 20, FixedBatches{K: 5, Seed: 1})
	r, err := CAFE{Masked: true}.Run(ctx, f.Model, observe(t, f, 40))
	var missing *NotIdentifiableError
	require.ErrorAs(t, err, &missing)
	for p := range r.Parties {
		require.Equal(t, 20, r.Parties[p].Count(Undetermined))
	}
	// Samples 0 to 9 in random batches, 10 to 19 always together.
	f.Schedule = Uniform{K: 5}
	halves := corrupted{Observations: observe(t, f, 40)}
	halves.batch = func(t int, _ []int) []int {
		if t < 30 {
			return Uniform{K: 5, Seed: 5}.Batch(t, 10)
		}
		return []int{10, 11, 12, 13, 14 + t%6}
	}
	halves.gradient = func(t int, r Ref, _ *tensor.Tensor) *tensor.Tensor {
		return f.mean(halves.Batch(t), nil, []Ref{r})[0]
	}
	r, err = CAFE{Masked: true}.Run(ctx, f.Model, halves)
	require.ErrorAs(t, err, &missing)
	half := make([]bool, 20)
	for i := range 10 {
		require.Equal(t, Undetermined, r.Parties[0].Status[10+i])
		half[i] = r.Complete()[i]
	}
	s := NewScore(f.X, r.Images(nil), half)
	require.Greater(t, s.Samples, 7)
	require.Greater(t, s.Median, 60.0)
}

// sparseWeights leaves out entries of weights alone.
type sparseWeights struct{ Sparse }

func (d sparseWeights) Apply(u Upload, g *tensor.Tensor) {
	if g.Rank() > 1 {
		d.Sparse.Apply(u, g)
	}
}

// A slice of which the entries that are shown leave much open is not recovered, and of one
// that is HError tells how wrong it is.
func TestMaskedRecoversWhatIsShown(t *testing.T) {
	last := 0
	for _, keep := range []float64{0.01, 0.03, 0.1, 0.3} {
		f := dense(t, 20, Uniform{K: 5, Seed: 1})
		f.Defense = sparseWeights{Sparse{keep}}
		r, err := CAFE{Masked: true}.Run(ctx, f.Model, observe(t, f, 120))
		require.NoError(t, err)
		recovered := 0
		for p := range r.Parties {
			_, h := truth(t, f, p, 5)
			for i, e := range rowErrors(h, r.Parties[p].H) {
				switch r.Parties[p].Status[i] {
				case Recovered:
					recovered++
					require.LessOrEqual(t, e, 3*r.Parties[p].HError[i]+1e-9, "keep %v, party %d, sample %d", keep, p, i)
					require.Less(t, e, 0.4, "keep %v, party %d, sample %d", keep, p, i)
				case Undetermined:
				default:
					require.Equal(t, Dead, r.Parties[p].Status[i])
				}
			}
		}
		t.Logf("keep %v: %d of 80 slices", keep, recovered)
		require.GreaterOrEqual(t, recovered, last)
		last = recovered
	}
	require.Greater(t, last, 60)
}

// Entries that are left out are no noise of those that are shown.
func TestMaskedErrorsAreThoseOfWhatIsShown(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 1})
	for p, x := range f.X {
		f.X[p] = tensor.Uniform(rand.New(rand.NewPCG(1, uint64(p))), tensor.Float64, 0, 1, x.Shape()...)
	}
	f.Defense = Sparse{0.5}
	r, err := CAFE{Masked: true}.Run(ctx, f.Model, observe(t, f, 60))
	require.NoError(t, err)
	for p := range r.Parties {
		require.Equal(t, 12, r.Parties[p].Count(Recovered))
		require.Less(t, slices.Max(r.Parties[p].HError), 1e-4)
	}
}

func TestMaskedRefusesWhatItCannotSee(t *testing.T) {
	f := horizontal(t, 5, 1)
	_, err := CAFE{Masked: true}.Run(ctx, f.Model, observe(t, f, 8))
	require.ErrorContains(t, err, "Masked is set for a horizontal federation")
	g := dense(t, 12, Uniform{K: 3})
	g.Model = &Model{Classes: 10, Inputs: [][3]int{{7, 7, 1}}, Top: nn.NewSequential(), Bottoms: []*nn.Sequential{
		nn.NewSequential(nn.Flatten, &nn.Linear{Weight: tensor.Full(tensor.Float64, 0.01, 49, 10), Bias: tensor.Zeros(tensor.Float64, 10)}),
	}}
	g.X = g.X[:1]
	_, err = CAFE{Masked: true}.Run(ctx, g.Model, observe(t, g, 18))
	require.ErrorContains(t, err, "labels are to be read from tensor 1 of party 0")
	_, err = CAFE{Masked: true, SkipLabels: true}.Run(ctx, g.Model, observe(t, g, 18))
	require.NoError(t, err)
}

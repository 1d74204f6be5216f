package fedleak

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// The whole data set in every batch leaves CAFE nothing, and SPEAR everything.
func TestSPEARTakesASingleBatchApart(t *testing.T) {
	x, y := digits(t, 0, 6, 2)
	m := &Model{Classes: 10, Inputs: [][3]int{{14, 14, 1}}, Top: nn.NewSequential(), Bottoms: []*nn.Sequential{
		nn.NewMLP(rand.New(rand.NewPCG(2, 2)), 14, 14, 1, 128, 32, 10),
	}}
	for _, dtype := range []tensor.DType{tensor.Float64, tensor.Float32} {
		f := &Federation{Model: m, X: []*tensor.Tensor{x}, Labels: y, Schedule: Uniform{K: 6, Seed: 8}}
		convert(f, dtype)
		o := observe(t, f, 1)
		var missing *NotIdentifiableError
		_, err := CAFE{}.Run(ctx, m, o)
		require.ErrorAs(t, err, &missing)
		r, err := SPEAR{Seed: 4}.Run(ctx, m, o)
		require.NoError(t, err)
		require.Equal(t, 6, r.Parties[0].Count(Recovered))
		got, order := Match(f.X, r.Images(nil))
		require.Greater(t, NewScore(f.X, got, nil).Median, 60.0, "%v", dtype)
		v, _ := truth(t, f, 0, 6)
		found := mat.NewDense(6, 128, nil)
		for i, j := range order {
			found.SetRow(i, r.Parties[0].V.RawRowView(j))
		}
		require.Less(t, median(rowErrors(v, found)), 1e-3)
	}
}

func TestSPEARSaysWhenItFindsNothing(t *testing.T) {
	// A layer that is hardly wider than the batch has too few zeros.
	f := dense(t, 20, FixedBatches{K: 20, Seed: 1})
	r, err := SPEAR{Trials: 200}.Run(ctx, f.Model, observe(t, f, 1))
	require.NoError(t, err)
	require.Equal(t, 20, r.Parties[0].Count(Undetermined))
	_, err = SPEAR{Round: 1}.Run(ctx, f.Model, observe(t, f, 1))
	require.ErrorContains(t, err, "round 1 of 1")
}

func TestOrthogonalVectorIsOne(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 2))
		n := 2 + rng.IntN(8)
		b := mat.NewDense(n, n+3, nil)
		for i := range n {
			for j := range n + 3 {
				b.Set(i, j, rng.NormFloat64())
			}
		}
		columns := rng.Perm(n + 3)[:n-1]
		q := orthogonal(b, columns)
		require.InDelta(t, 1, mat.Norm(mat.NewVecDense(n, q), 2), 1e-12)
		for _, j := range columns {
			require.InDelta(t, 0, mat.Dot(mat.NewVecDense(n, q), b.ColView(j)), 1e-9)
		}
		// A repeated column leaves more than one.
		if n > 2 {
			columns[1] = columns[0]
			require.Nil(t, orthogonal(b, columns))
		}
	}
}

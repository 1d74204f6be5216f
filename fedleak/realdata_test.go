package fedleak

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// real draws n images of a set in the data folder.
func real(t *testing.T, name string, n int) (*tensor.Tensor, []int) {
	set, err := dataset.Load(realdata.Dir(t), name, dataset.Test)
	realdata.Found(t, err)
	return set.Batch(rand.New(rand.NewPCG(3, 1)).Perm(set.Len())[:n])
}

// The released network on MNIST, with fewer samples.
func TestReleasedNetworkLeaksMNIST(t *testing.T) {
	x, y := real(t, "mnist", 100)
	m := NewQuadrants(rand.New(rand.NewPCG(3, 2)), 28, 1, 10, Shape{})
	f := &Federation{Model: m, X: Quadrants(x), Labels: y, Schedule: Uniform{K: 10, Seed: 3}}
	r, err := CAFE{Samples: []int{0, 50, 99}}.Run(ctx, m, observe(t, f, 130))
	require.NoError(t, err)
	require.Equal(t, 1.0, LabelAccuracy(y, r.Labels))
	for p := range r.Parties {
		v, h := truth(t, f, p, 10)
		var ve, he []float64
		for i, s := range r.Parties[p].Status {
			if s == Recovered || s == Unseen {
				ve, he = append(ve, rowErrors(v, r.Parties[p].V)[i]), append(he, rowErrors(h, r.Parties[p].H)[i])
			}
		}
		require.Greater(t, len(ve), 90)
		require.Less(t, slices.Max(ve), 1e-4)
		require.Less(t, median(ve), 1e-5)
		require.Less(t, median(he), 1e-5)
	}
	require.Greater(t, NewScore(f.X, r.Images(nil), r.Complete()).Median, 60.0)
}

func TestReleasedNetworkLeaksCIFAR10(t *testing.T) {
	x, y := real(t, "cifar10", 12)
	m := NewQuadrants(rand.New(rand.NewPCG(3, 2)), 32, 3, 10, Shape{})
	f := &Federation{Model: m, X: Quadrants(x), Labels: y, Schedule: Uniform{K: 4, Seed: 3}}
	r, err := CAFE{Samples: []int{5}}.Run(ctx, m, observe(t, f, 20))
	require.NoError(t, err)
	require.Equal(t, 1.0, LabelAccuracy(y, r.Labels))
	require.Greater(t, NewScore(f.X, r.Images(nil), r.Complete()).Median, 33.0)
}

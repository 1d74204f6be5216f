package kmeans_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/kmeans"
	"github.com/redoubt-ml/redoubt/tensor"
)

func TestFindsSeparateGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	x := tensor.Normal(rng, tensor.Float32, 0, .1, 90, 3)
	for i := range 90 {
		x.Set(x.At(i, i%3)+5, i, i%3)
	}
	c, err := kmeans.Run(rng, x, 3)
	require.NoError(t, err)
	for i := range 90 {
		require.Equal(t, c.Of[i%3], c.Of[i])
	}
	require.InDelta(t, 90*3*.01, c.Inertia, 1)
}

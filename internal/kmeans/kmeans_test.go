package kmeans

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

func TestFindsSeparateGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	x := tensor.Normal(rng, tensor.Float32, 0, .1, 90, 3)
	for i := range 90 {
		x.Set(x.At(i, i%3)+5, i, i%3)
	}
	c, err := Run(context.Background(), rng, x, 3)
	require.NoError(t, err)
	for i := range 90 {
		require.Equal(t, c.ID[i%3], c.ID[i])
	}
	require.InDelta(t, 90*3*.01, c.Inertia, 1)
}

// A cluster without points takes the one that is farthest from its centre, among those
// of clusters that keep another.
func TestEmptyClustersAreRefilled(t *testing.T) {
	l := New(tensor.FromFloat64([]float64{0, 0.1, 40, 61}, 4, 1), 4)
	l.centers = tensor.FromFloat64([]float64{0.05, 50, 100, 200}, 4, 1)
	l.assign()
	require.Equal(t, []int{0, 0, 1, 1}, l.id)
	l.move()
	require.Equal(t, []int{3, 0, 1, 2}, l.id)
	require.InDeltaSlice(t, []float64{0.1, 40, 61, 0}, l.centers.Values(), 1e-12)
}

// Of three points the first centre is any, the second one of the others with a
// probability in proportion to its squared distance.
func TestStartsAreThoseOfKMeansPlusPlus(t *testing.T) {
	x := tensor.FromFloat64([]float64{0, 1, 3}, 3, 1)
	rng, l, count := rand.New(rand.NewPCG(4, 4)), New(x, 2), map[[2]float64]float64{}
	const runs = 20000
	for range runs {
		l.start(rng)
		c := l.centers.Values()
		count[[2]float64{c[0], c[1]}] += 1. / runs
	}
	for pair, want := range map[[2]float64]float64{
		{0, 1}: 1. / 10, {0, 3}: 9. / 10, {1, 0}: 1. / 5, {1, 3}: 4. / 5, {3, 0}: 9. / 13, {3, 1}: 4. / 13, {0, 0}: 0, {1, 1}: 0, {3, 3}: 0,
	} {
		require.InDelta(t, want/3, count[pair], 0.015, "%v", pair)
	}
}

// Points that are all the same make clusters of which all but one are empty or share it.
func TestEqualPoints(t *testing.T) {
	c, err := Run(context.Background(), rand.New(rand.NewPCG(1, 1)), tensor.Full(tensor.Float32, 1, 5, 2), 3)
	require.NoError(t, err)
	require.Zero(t, c.Inertia)
	require.Equal(t, []float64{1, 1, 1, 1, 1, 1}, c.Centers.Values())
	require.Equal(t, 5, c.Sizes[0]+c.Sizes[1]+c.Sizes[2])
}

func TestRunRefusesMoreClustersThanRows(t *testing.T) {
	_, err := Run(context.Background(), rand.New(rand.NewPCG(1, 1)), tensor.Full(tensor.Float32, 1, 2, 2), 3)
	require.ErrorContains(t, err, "3 clusters of 2 rows, want 1 to 2")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Run(ctx, rand.New(rand.NewPCG(1, 1)), tensor.Full(tensor.Float32, 1, 2, 2), 2)
	require.ErrorIs(t, err, context.Canceled)
}

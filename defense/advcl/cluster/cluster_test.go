package cluster

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

func angles(degrees ...float64) *tensor.Tensor {
	x := tensor.Zeros(tensor.Float64, len(degrees), 2)
	for i, a := range degrees {
		x.Set(math.Cos(a*math.Pi/180), i, 0)
		x.Set(math.Sin(a*math.Pi/180), i, 1)
	}
	return x
}

func run(t testing.TB, k KMeans, x *tensor.Tensor) Clusters {
	c, err := k.Run(context.Background(), x)
	require.NoError(t, err)
	return c
}

func TestTwoPairsOnTheCircle(t *testing.T) {
	for _, order := range [][]float64{{0, 10, 90, 100}, {100, 0, 90, 10}, {90, 0, 10, 100}} {
		c := run(t, KMeans{K: 2}, angles(order...))
		require.InDelta(t, 0.0303844940, c.Inertia, 1e-10)
		for i, a := range order {
			for j, b := range order {
				require.Equal(t, (a < 50) == (b < 50), c.ID[i] == c.ID[j])
			}
		}
		require.Equal(t, []int{2, 2}, c.Sizes)
	}
	all := run(t, KMeans{K: 4}, angles(0, 10, 90, 100))
	require.Zero(t, all.Inertia)
}

func squared(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += (v - b[i]) * (v - b[i])
	}
	return sum
}

// Random points, some of them equal: inertia never grows between iterations, every
// point is with its nearest centre, and centres are means.
func TestLloydsInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for range 20 {
		n, d, k := 20+rng.IntN(200), 1+rng.IntN(6), 2+rng.IntN(12)
		x := tensor.Normal(rng, tensor.Float64, 0, 1, n, d)
		for i := range n / 4 {
			for j := range d {
				x.Set(x.At(0, j), i, j)
			}
		}
		last, restart := math.Inf(1), 0
		c := run(t, KMeans{K: k, Seed: rng.Uint64(), OnIteration: func(r, _ int, inertia float64) {
			if r != restart {
				restart, last = r, math.Inf(1)
			}
			require.LessOrEqual(t, inertia, last*(1+1e-12))
			last = inertia
		}}, x)
		sum := 0.0
		mean := tensor.Zeros(tensor.Float64, k, d)
		for i := range n {
			best := math.Inf(1)
			for j := range k {
				best = min(best, squared(x.Float64s()[i*d:(i+1)*d], c.Centers.Float64s()[j*d:(j+1)*d]))
			}
			own := squared(x.Float64s()[i*d:(i+1)*d], c.Centers.Float64s()[c.ID[i]*d:(c.ID[i]+1)*d])
			require.InDelta(t, best, own, 1e-12)
			sum += own
			for j := range d {
				mean.Set(mean.At(c.ID[i], j)+x.At(i, j)/float64(c.Sizes[c.ID[i]]), c.ID[i], j)
			}
		}
		require.InDelta(t, sum, c.Inertia, 1e-9)
		require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(mean, c.Centers)), 1e-9)
	}
}

func TestResultDoesNotDependOnThreads(t *testing.T) {
	x := tensor.Normal(rand.New(rand.NewPCG(1, 1)), tensor.Float32, 0, 1, 3000, 16)
	defer tensor.SetThreads(tensor.Threads())
	tensor.SetThreads(1)
	one := run(t, KMeans{K: 20, Restarts: 2, Iterations: 8}, x)
	tensor.SetThreads(4)
	require.Equal(t, one.ID, run(t, KMeans{K: 20, Restarts: 2, Iterations: 8}, x).ID)
}

func TestAgreement(t *testing.T) {
	for _, c := range []struct {
		a, b []int
		want float64
	}{
		{[]int{0, 0, 1, 1}, []int{0, 0, 1, 1}, 1},
		{[]int{0, 0, 1, 1}, []int{7, 7, 3, 3}, 1},
		{[]int{0, 0, 1, 1, -1, -1, 0}, []int{7, 7, 3, 3, 7, 5, -2}, 1},
		{[]int{0, 0, 1, 1}, []int{7, 7, -3, -3}, 1},
		{[]int{0, 0, 1, 1}, []int{0, 1, 0, 1}, 0},
		{[]int{0, 0, 0, 0}, []int{0, 1, 0, 1}, 0},
		{[]int{4, 4}, []int{1, 1}, 1},
	} {
		got, err := NMI(c.a, c.b)
		require.NoError(t, err)
		require.InDelta(t, c.want, got, 1e-12)
	}
	p, err := Purity([]int{0, 0, 0, 1, 1}, []int{2, 2, 3, 3, 2})
	require.NoError(t, err)
	require.InDelta(t, 0.6, p, 1e-12)
	p, err = Purity([]int{0, 0, 0, -1, -1, -1, 1}, []int{2, 2, 3, 5, 5, 5, -1})
	require.NoError(t, err)
	require.InDelta(t, 2./3, p, 1e-12, "points without a cluster or a label do not count")
	for _, measure := range []func(a, b []int) (float64, error){NMI, Purity} {
		_, err = measure([]int{-1, 3}, []int{2, -1})
		require.EqualError(t, err, "cluster: none of 2 points has a label of 0 or more in both labellings, want at least one")
	}
	_, err = NMI([]int{1}, nil)
	require.ErrorContains(t, err, "1 and 0 points")
	_, err = Purity(nil, nil)
	require.ErrorContains(t, err, "at least one")
}

func TestKMeansRefusesWhatMakesNoSense(t *testing.T) {
	x := angles(0, 10, 20)
	nan := x.Clone()
	nan.Set(math.NaN(), 1, 1)
	for want, c := range map[string]struct {
		k KMeans
		x *tensor.Tensor
	}{
		"K is 1, want":                {KMeans{K: 1}, x},
		"K is 4, want at most the 3":  {KMeans{K: 4}, x},
		"not finite":                  {KMeans{K: 2}, nan},
		"only 2 points are different": {KMeans{K: 3}, angles(0, 10, 0)},
		"want a matrix":               {KMeans{K: 2}, tensor.Zeros(tensor.Float64, 3)},
		"-1 restarts of 0 iterations": {KMeans{K: 2, Restarts: -1}, x},
	} {
		_, err := c.k.Run(context.Background(), c.x)
		require.ErrorContains(t, err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c, err := KMeans{K: 2}.Run(ctx, x)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, c)
}

// A search that is stopped returns the best of the restarts that were done.
func TestStoppedKMeansKeepsWhatItHas(t *testing.T) {
	x := tensor.Normal(rand.New(rand.NewPCG(1, 3)), tensor.Float64, 0, 1, 200, 3)
	ctx, cancel := context.WithCancel(context.Background())
	k := KMeans{K: 12, Restarts: 9, OnIteration: func(restart, _ int, _ float64) {
		if restart == 4 {
			cancel()
		}
	}}
	got, err := k.Run(ctx, x)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, run(t, KMeans{K: 12, Restarts: 4}, x), got)
}

// The bound on the work holds restarts, iterations and their defaults.
func TestOperationsAreCounted(t *testing.T) {
	require.InDelta(t, 2*(3*30+2*30*6+10*5), KMeans{K: 3, Restarts: 2, Iterations: 5}.Operations(5, 2), 1e-9)
	require.InEpsilon(t, 10*(3+2*101+100./4)*4e4, KMeans{K: 4}.Operations(100, 100), 1e-12)
	require.InEpsilon(t, 3*(3+2*101+100./100)*1e6, KMeans{K: 100}.Operations(100, 100), 1e-12)
}

package fedleak

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

func TestPSNRInBothConventions(t *testing.T) {
	x := tensor.FromFloat64([]float64{0, .5, 1, .25}, 1, 2, 2, 1)
	g := tensor.FromFloat64([]float64{.1, .5, .8, .25}, 1, 2, 2, 1)
	require.InDelta(t, 0.0125, MSE(x, g)[0], 1e-15)
	require.InDelta(t, 19.030899869919438, PSNR(x, g)[0], 1e-12)
	x = tensor.FromFloat64([]float64{0, .5, .25, .25}, 1, 2, 2, 1)
	g = tensor.AddScalar(x, 0.05)
	require.InDelta(t, 26.020599913279625, PSNR(x, g)[0], 1e-12)
	require.InDelta(t, 20.0, ChannelPSNR(x, g)[0], 1e-12)
	require.True(t, math.IsInf(PSNR(x, x)[0], 1))
	black := tensor.Zeros(tensor.Float64, 1, 2, 2, 1)
	require.True(t, math.IsInf(ChannelPSNR(black, g)[0], -1))
	require.Panics(t, func() { PSNR(x, tensor.Zeros(tensor.Float64, 1, 4, 1, 1)) })
	// The released metric clips the guess first.
	require.InDelta(t, 20, PSNR(black, tensor.Full(tensor.Float64, 0.1, 1, 2, 2, 1))[0], 1e-12)
	require.True(t, math.IsInf(PSNR(black, tensor.Full(tensor.Float64, -3, 1, 2, 2, 1))[0], 1))
}

func TestTotalVariation(t *testing.T) {
	x := tensor.FromFloat64([]float64{0, .5, 1, .25}, 1, 2, 2, 1)
	require.InDelta(t, 2.5, TotalVariation(x).Item(), 1e-15)
	require.Zero(t, TotalVariation(tensor.Full(tensor.Float64, 3, 2, 1, 1, 4)).Item())
}

func TestSSIM(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := tensor.Uniform(rng, tensor.Float64, 0, 1, 3, 9, 8, 2)
	for i, s := range SSIM(x, x) {
		require.InDelta(t, 1, s, 1e-12)
		require.Less(t, SSIM(x, tensor.Sub(tensor.Scalar(tensor.Float64, 1), x))[i], 0.1)
		noisy := SSIM(x, tensor.Add(x, tensor.Normal(rng, tensor.Float64, 0, 0.1, 3, 9, 8, 2)))[i]
		require.Greater(t, noisy, 0.7)
		require.Less(t, noisy, 0.99)
	}
	// One window of constant images: only the means count.
	a, b := tensor.Full(tensor.Float64, 0.2, 1, 3, 3, 1), tensor.Full(tensor.Float64, 0.6, 1, 3, 3, 1)
	require.InDelta(t, (2*.12+1e-4)/(.04+.36+1e-4), SSIM(a, b)[0], 1e-9)
}

func TestScoreCountsWholeSamples(t *testing.T) {
	a := tensor.Zeros(tensor.Float64, 3, 1, 2, 1)
	b := tensor.FromFloat64([]float64{0, 0, .1, .1, .5, .5}, 3, 1, 2, 1)
	s := NewScore([]*tensor.Tensor{a, a}, []*tensor.Tensor{b, a}, nil)
	require.Equal(t, 3, s.Samples)
	require.InDelta(t, 200, s.Each[0], 1e-12)
	require.InDelta(t, -10*math.Log10(0.005), s.Each[1], 1e-12)
	require.InDelta(t, -10*math.Log10((0.005+0.125)/3), s.OfMean, 1e-12)
	require.InDelta(t, 2.0/3, s.Above20, 1e-12)
	require.InDelta(t, 1.0/3, s.Above30, 1e-12)
	require.Equal(t, 1, NewScore([]*tensor.Tensor{a}, []*tensor.Tensor{b}, []bool{false, true, false}).Samples)
	require.Zero(t, NewScore([]*tensor.Tensor{a}, []*tensor.Tensor{b}, make([]bool, 3)))
	require.InDelta(t, 0.5, LabelAccuracy([]int{1, 2}, []int{1, -1}), 1e-15)
}

func TestAssignmentIsTheBestOfAll(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 6))
		n := 1 + rng.IntN(6)
		cost := make([][]float64, n)
		for i := range cost {
			for range n {
				cost[i] = append(cost[i], math.Round(10*rng.Float64())-3)
			}
		}
		got := 0.0
		used := make([]bool, n)
		for i, j := range assign(cost) {
			require.False(t, used[j])
			used[j] = true
			got += cost[i][j]
		}
		best := math.Inf(1)
		permutations(n, func(p []int) {
			s := 0.0
			for i, j := range p {
				s += cost[i][j]
			}
			best = math.Min(best, s)
		})
		require.InDelta(t, best, got, 1e-12, "seed %d", seed)
	}
}

func permutations(n int, visit func([]int)) {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	var run func(k int)
	run = func(k int) {
		if k == n {
			visit(p)
			return
		}
		for i := k; i < n; i++ {
			p[k], p[i] = p[i], p[k]
			run(k + 1)
			p[k], p[i] = p[i], p[k]
		}
	}
	run(0)
}

func TestMatchFindsAPermutation(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	x := tensor.Uniform(rng, tensor.Float64, 0, 1, 12, 2, 2, 1)
	p := rng.Perm(12)
	got, order := Match([]*tensor.Tensor{x}, []*tensor.Tensor{tensor.Gather(x, p)})
	require.Equal(t, x.Values(), got[0].Values())
	for i, j := range order {
		require.Equal(t, i, p[j])
	}
}

func TestQuadrantsAreJoinedAgain(t *testing.T) {
	x := tensor.Uniform(rand.New(rand.NewPCG(4, 4)), tensor.Float32, 0, 1, 3, 6, 4, 2)
	q := Quadrants(x)
	require.Len(t, q, 4)
	require.Equal(t, x.At(1, 4, 3, 1), q[3].At(1, 1, 1, 1))
	require.Equal(t, x.Values(), JoinQuadrants(q).Values())
}

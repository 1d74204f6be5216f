package fedleak

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// batchesOf lists the batches of a schedule.
func batchesOf(s Schedule, rounds, n int) [][]int {
	out := make([][]int, rounds)
	for t := range out {
		out[t] = s.Batch(t, n)
	}
	return out
}

func TestRankGrowsByEpochsAsTheBoundSays(t *testing.T) {
	reached := [5]int{}
	for seed := range uint64(20) {
		for epochs := 1; epochs <= 4; epochs++ {
			d, err := Identify(batchesOf(Epochs{K: 3, Seed: seed}, 4*epochs, 12), 12)
			require.NoError(t, err)
			require.LessOrEqual(t, d.Rank, min(12, 4*epochs-(epochs-1)))
			reached[epochs] = max(reached[epochs], d.Rank)
			require.True(t, d.Epochal)
			require.Equal(t, 16, d.Needed)
		}
	}
	require.Equal(t, [5]int{0, 4, 7, 10, 12}, reached)
	require.Equal(t, 4, EpochsNeeded(12, 3))
	require.Equal(t, 43, EpochsNeeded(800, 40))
	require.Equal(t, 0, EpochsNeeded(8, 8))
	require.Equal(t, 1, EpochsNeeded(1, 1))
	for _, k := range []int{-1, 0, 9} {
		require.Zero(t, EpochsNeeded(8, k))
	}
}

func TestFixedBatchesStayAtTheirNumber(t *testing.T) {
	d, err := Identify(batchesOf(FixedBatches{K: 3, Seed: 1}, 40, 12), 12)
	require.NoError(t, err)
	require.Equal(t, 4, d.Rank)
	require.True(t, d.Fixed)
	require.Equal(t, 4, d.Reachable)
	require.Zero(t, d.Share())
	require.Contains(t, d.Hint, "same batches")
}

func TestHorizontalBatchesLackOneRankPerClientButOne(t *testing.T) {
	s := newSystem(batchesOf(PerClient{Clients: 4, K: 2, Seed: 3}, 80, 40), 40, 4, nil)
	require.Equal(t, 37, s.report.Rank)
	require.Equal(t, 37, s.report.Reachable)
	// Without being told of the clients it still does not ask for rounds that are there.
	d, err := Identify(batchesOf(PerClient{Clients: 4, K: 2, Seed: 3}, 80, 40), 40)
	require.NoError(t, err)
	require.Equal(t, 37, d.Rank)
	require.Contains(t, d.Hint, "equal shares")
	d, err = IdentifyClients(batchesOf(PerClient{Clients: 4, K: 2, Seed: 3}, 80, 40), 40, 4)
	require.NoError(t, err)
	require.Equal(t, 37, d.Reachable)
	require.Contains(t, d.Hint, "from one client to another")
	d, err = IdentifyClients(batchesOf(Uniform{K: 8, Seed: 3}, 80, 40), 40, 4)
	require.NoError(t, err)
	require.Equal(t, 40, d.Reachable, "unequal shares leave no constants")
	for _, clients := range []int{0, -1, 3} {
		_, err = IdentifyClients(batchesOf(Uniform{K: 8}, 4, 40), 40, clients)
		require.ErrorContains(t, err, "equal shares")
	}
}

func TestConditionFallsToItsLimit(t *testing.T) {
	n, k := 60, 6
	d, err := Identify(batchesOf(Uniform{K: k, Seed: 2}, 20000, n), n)
	require.NoError(t, err)
	require.InEpsilon(t, math.Sqrt(float64(k*(n-1))/float64(n-k)), d.Cond, 0.25)
}

// The moments of the indicator of a uniform batch, by enumeration.
func TestMomentsOfUniformBatches(t *testing.T) {
	n := 5
	e := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i + 1; j < n; j++ {
			for _, x := range [][2]int{{i, i}, {j, j}, {i, j}} {
				e.SetSym(x[0], x[1], e.At(x[0], x[1])+0.1)
			}
		}
	}
	require.InDelta(t, 0.4, e.At(2, 2), 1e-12)
	require.InDelta(t, 0.1, e.At(1, 3), 1e-12)
	var eig mat.EigenSym
	require.True(t, eig.Factorize(e, false))
	require.InDelta(t, 0.3, leastEigenvalue(5, 2), 1e-12)
	require.InDeltaSlice(t, []float64{0.3, 0.3, 0.3, 0.3, 0.8}, eig.Values(nil), 1e-12)
	require.InDelta(t, 0.04755944931163955, leastEigenvalue(800, 40), 1e-15)
}

func TestClosedFormOfThreeBatches(t *testing.T) {
	want := mat.NewDense(3, 2, []float64{1, 2, 3, -1, 0, 4})
	s := newSystem([][]int{{0, 1}, {0, 2}, {1, 2}}, 3, 1, nil)
	got := s.solve(mat.NewDense(3, 2, []float64{4, 1, 1, 6, 3, 3}))
	require.True(t, mat.EqualApprox(want, got, 1e-12))
}

func TestMissingSamplesAreListedAndTheOthersFound(t *testing.T) {
	b := [][]int{{0, 1}, {1, 2}, {0, 2}}
	d, err := Identify(b, 5)
	require.NoError(t, err)
	require.Equal(t, []int{3, 4}, d.Missing)
	require.Equal(t, []bool{true, true, true, false, false}, d.Determined)
	require.Equal(t, 3, d.Rank)
	got := newSystem(b, 5, 1, nil).solve(mat.NewDense(3, 1, []float64{3, 5, 4}))
	require.InDeltaSlice(t, []float64{1, 2, 3}, got.RawMatrix().Data[:3], 1e-12)
}

// What is called determined has the same value in solutions that differ by any vector
// of the null space.
func TestDeterminedAgreesWithTheNullSpace(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 9))
		n := 3 + rng.IntN(10)
		k := 1 + rng.IntN(n-1)
		b := batchesOf(Uniform{K: k, Seed: seed}, 1+rng.IntN(2*n), n)
		d, err := Identify(b, n)
		require.NoError(t, err)
		dense := mat.NewDense(len(b), n, nil)
		for i, ids := range b {
			for _, id := range ids {
				dense.Set(i, id, 1)
			}
		}
		var svd mat.SVD
		require.True(t, svd.Factorize(dense, mat.SVDFull))
		rank := svd.Rank(1e-9)
		require.Equal(t, rank, d.Rank, "seed %d", seed)
		var v mat.Dense
		svd.VTo(&v)
		for i := range n {
			null := 0.0
			for j := rank; j < n; j++ {
				null += v.At(i, j) * v.At(i, j)
			}
			require.Equal(t, null < 1e-9, d.Determined[i], "seed %d sample %d", seed, i)
		}
	}
}

func TestBadBatchesAreNamed(t *testing.T) {
	for _, c := range []struct {
		b    [][]int
		n    int
		want string
	}{
		{nil, 3, "no batches"},
		{[][]int{{}}, 3, "round 0 has no ids"},
		{[][]int{{0, 3}}, 3, "id 3, want 0 to 2"},
		{[][]int{{0, -1}}, 3, "id -1"},
		{[][]int{{0, 1}, {2, 2}}, 3, "round 1 has id 2 twice"},
		{[][]int{{0, 1}, {2}}, 3, "round 1 has 1 ids, round 0 has 2"},
		{[][]int{{0, 1, 2, 0}}, 3, "4 ids for 3 samples"},
		{[][]int{{0}}, 0, "0 samples"},
	} {
		_, err := Identify(c.b, c.n)
		require.ErrorContains(t, err, c.want)
	}
}

// The ridge solution is that of its own equations, and no iteration towards that without
// a ridge.
func TestRidgeSolvesItsEquations(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 9))
	const n, k, rounds = 12, 3, 60
	b := batchesOf(Uniform{K: k, Seed: 1}, rounds, n)
	seen := mat.NewDense(rounds, 5, nil)
	for i := range rounds {
		for j := range 5 {
			seen.Set(i, j, rng.NormFloat64())
		}
	}
	var weights []float64
	for range rounds {
		weights = append(weights, 0.5+rng.Float64())
	}
	for _, w := range [][]float64{nil, weights} {
		plain := newSystem(b, n, 1, w)
		for _, ridge := range []float64{1, 10, 100} {
			var a, want mat.Dense
			a.CloneFrom(plain.products())
			for i := range n {
				a.Set(i, i, a.At(i, i)+ridge*rounds*k*float64(n-k)/float64(n*(n-1)))
			}
			require.NoError(t, want.Solve(&a, plain.adjoint(seen)))
			require.True(t, mat.EqualApprox(&want, plain.withRidge(ridge).solve(seen), 1e-12), "ridge %v", ridge)
		}
	}
}

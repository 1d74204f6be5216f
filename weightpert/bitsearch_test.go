package weightpert

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLargestModuliComeInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	for range 300 {
		v := make([]float64, rng.IntN(30))
		for k := range v {
			v[k] = float64(rng.IntN(9) - 4) // with ties
		}
		order := make([]int, len(v))
		for k := range order {
			order[k] = k
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(v[b]), math.Abs(v[a])) })
		n := 1 + rng.IntN(12)
		require.Equal(t, order[:min(n, len(order))], largest(v, n))
	}
}

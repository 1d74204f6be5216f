package bandit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The heap against a scan, with many equal keys and infinite ones.
func TestHeapAgainstAScan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for arms := 2; arms < 40; arms++ {
		h := newIndexedHeap(arms, math.Inf(1))
		key := make([]float64, arms)
		for i := range key {
			key[i] = math.Inf(1)
		}
		scan := func(except int) int {
			best := -1
			for i, k := range key {
				if i != except && (best < 0 || k > key[best]) {
					best = i
				}
			}
			return best
		}
		for range 200 {
			require.Equal(t, scan(-1), h.top())
			require.Equal(t, scan(h.top()), h.except(h.top()))
			other := rng.IntN(arms)
			require.Equal(t, scan(other), h.except(other))
			i := rng.IntN(arms)
			if key[i] = float64(rng.IntN(5)); rng.IntN(10) == 0 {
				key[i] = math.Inf(-1)
			}
			h.set(i, key[i])
		}
	}
}

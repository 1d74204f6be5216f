package quickselect

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every rank of random lists, with many equal elements and with few, is that of the
// sorted list, and no element is lost.
func TestKthIsThatOfTheSortedList(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 300 {
		v := make([]float64, 1+r.IntN(40))
		kinds := 1 + r.IntN(60)
		for i := range v {
			v[i] = float64(r.IntN(kinds))
		}
		sorted := slices.Sorted(slices.Values(v))
		for k, want := range sorted {
			w := slices.Clone(v)
			require.Equal(t, want, Kth(w, k), "rank %d of %v", k, v)
			slices.Sort(w)
			require.Equal(t, sorted, w)
		}
	}
	require.Equal(t, float32(2), Kth([]float32{3, 1, 2}, 1))
}

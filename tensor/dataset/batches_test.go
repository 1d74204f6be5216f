package dataset

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachEpochIsAnotherPermutation(t *testing.T) {
	s := Shuffler{Seed: 5}
	first, second := s.Order(0, 100), s.Order(1, 100)
	assert.NotEqual(t, first, second)
	assert.Equal(t, first, s.Order(0, 100))
	assert.NotEqual(t, first, Shuffler{Seed: 6}.Order(0, 100))
	for _, order := range [][]int{first, second} {
		sorted := slices.Sorted(slices.Values(order))
		for i, v := range sorted {
			require.Equal(t, i, v)
		}
	}
}

// Every position of a small permutation takes every value about equally often:
// a chi-squared test with 25 degrees of freedom, whose 99.99 % point is 59.
func TestOrdersAreUniform(t *testing.T) {
	const n, runs, seed = 6, 6000, 3
	var counts [n][n]float64
	for epoch := range runs {
		for i, v := range (Shuffler{Seed: seed}).Order(epoch, n) {
			counts[i][v]++
		}
	}
	chi := 0.0
	for _, row := range counts {
		for _, k := range row {
			d := k - runs/n
			chi += d * d / (runs / n)
		}
	}
	assert.Less(t, chi, 59.0, "seed %d", seed)
}

func TestEpochCoversEveryExampleOnce(t *testing.T) {
	for _, c := range []struct {
		drop               bool
		batches, last, all int
	}{{false, 4, 1, 10}, {true, 3, 3, 9}} {
		b, err := NewBatches(10, BatchOptions{Size: 3, DropLast: c.drop, Seed: 1})
		require.NoError(t, err)
		assert.Equal(t, c.batches, b.PerEpoch())
		for epoch := range 3 {
			assert.Equal(t, Position{Epoch: epoch}, b.Position())
			seen, count, last := map[int]bool{}, 0, 0
			for idx := range b.Epoch() {
				count++
				last = len(idx)
				for _, i := range idx {
					assert.False(t, seen[i])
					seen[i] = true
				}
			}
			assert.Equal(t, c.batches, count)
			assert.Equal(t, c.last, last)
			assert.Len(t, seen, c.all)
		}
	}
}

func TestResumedBatchesAreTheSame(t *testing.T) {
	opt := BatchOptions{Size: 4, Seed: 9}
	whole, err := NewBatches(11, opt)
	require.NoError(t, err)
	for stop := range 8 {
		b, err := NewBatches(11, opt)
		require.NoError(t, err)
		for range stop {
			b.Next()
		}
		saved, err := json.Marshal(b.Position())
		require.NoError(t, err)
		var p Position
		require.NoError(t, json.Unmarshal(saved, &p))
		resumed, err := NewBatches(11, opt)
		require.NoError(t, err)
		require.NoError(t, resumed.Seek(p))
		for range 5 {
			assert.Equal(t, slices.Clone(b.Next()), resumed.Next())
		}
	}
	for range 2 {
		whole.Next()
	}
	for range whole.Epoch() {
		break
	}
	assert.Equal(t, Position{Epoch: 1}, whole.Position(), "a loop that stops has used the batch it was given")
}

func TestSequentialOrder(t *testing.T) {
	b, err := NewBatches(5, BatchOptions{Size: 2, Sequential: true})
	require.NoError(t, err)
	for range 2 {
		var all []int
		for idx := range b.Epoch() {
			all = append(all, idx...)
		}
		assert.Equal(t, []int{0, 1, 2, 3, 4}, all)
	}
}

func TestBadBatchOptionsAreErrors(t *testing.T) {
	for want, f := range map[string]func() error{
		"0 examples": func() error { _, err := NewBatches(0, BatchOptions{Size: 1}); return err },
		"size is 0":  func() error { _, err := NewBatches(5, BatchOptions{}); return err },
		"DropLast":   func() error { _, err := NewBatches(5, BatchOptions{Size: 6, DropLast: true}); return err },
		"batch 3": func() error {
			b, err := NewBatches(5, BatchOptions{Size: 2})
			require.NoError(t, err)
			return b.Seek(Position{Batch: 3})
		},
		"epoch -1": func() error {
			b, err := NewBatches(5, BatchOptions{Size: 2})
			require.NoError(t, err)
			return b.Seek(Position{Epoch: -1})
		},
	} {
		require.ErrorContains(t, f(), want)
	}
}

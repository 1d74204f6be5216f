package minmax

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// ProjectSimplex replaces b by the nearest point, in Euclidean distance, of the
// probability simplex { w : w_i >= 0, sum_i w_i = 1 }: max(b - mu, 0) with the mu
// that makes the sum 1, found by sorting. A single value becomes 1. It panics if b is
// empty.
//
// The sort is Held, Wolfe and Crowder's, Mathematical Programming 1974.
func ProjectSimplex(b []float64) {
	// Only differences matter; taken from the largest, they keep their digits.
	top := slices.Max(b)
	for i := range b {
		b[i] -= top
	}
	sorted := slices.Clone(b)
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(b, a) })
	sum, mu := 0.0, 0.0
	for j, u := range sorted {
		sum += u
		if m := (sum - 1) / float64(j+1); u > m {
			mu = m
		}
	}
	total := 0.0
	for i, v := range b {
		b[i] = max(v-mu, 0)
		total += b[i]
	}
	for i := range b {
		b[i] /= total // 1 but for rounding
	}
}

// uniform returns the weights 1/k.
func uniform(k int) []float64 {
	w := make([]float64, k)
	for i := range w {
		w[i] = 1 / float64(k)
	}
	return w
}

// tolerance is how far weights of the caller's may be off the simplex.
const tolerance = 1e-6

// checkWeights returns an error unless w is a point of the simplex of k domains.
func checkWeights(w []float64, k int) error {
	if len(w) != k {
		return fmt.Errorf("minmax: %d weights for %d domains", len(w), k)
	}
	sum := 0.0
	for i, v := range w {
		if !(v >= -tolerance) {
			return fmt.Errorf("minmax: weight of domain %d is %v, want 0 or more", i, v)
		}
		sum += v
	}
	if !(math.Abs(sum-1) <= tolerance) {
		return fmt.Errorf("minmax: weights sum to %v, want 1", sum)
	}
	return nil
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/kmeans"
	"github.com/redoubt-ml/redoubt/tensor"
)

// KMeans is Lloyd's algorithm from k-means++ starts: K centres that make the sum of
// squared distances of points to their centre small.
//
// Arthur and Vassilvitskii, SODA 2007.
type KMeans struct {
	// K is the number of clusters, at least 2 and at most the number of different
	// points.
	K int
	// Restarts is the number of starts, of which the best is kept; 0 means 10, and 3
	// from K = 100 on.
	Restarts int
	// Iterations bounds each run of Lloyd's algorithm; 0 means 100.
	Iterations int
	// Seed selects the starts.
	Seed uint64
	// OnIteration is called with the number of a restart and of an iteration, from 0,
	// and the inertia before it moves the centres; nil for none.
	OnIteration func(restart, iteration int, inertia float64)
}

// Clusters is the outcome of k-means on N points with D features.
type Clusters struct {
	K       int            `json:"k"`
	ID      []int          `json:"-"` // cluster of each point, 0 to K-1
	Centers *tensor.Tensor `json:"-"` // float64 [K, D]
	Sizes   []int          `json:"sizes"`
	// Inertia is the sum of squared distances of points to their centres.
	Inertia float64 `json:"inertia"`
	// Iterations is that of the restart that was kept.
	Iterations int `json:"iterations"`
}

// restarts is the number in use.
func (k KMeans) restarts() int {
	switch {
	case k.Restarts > 0:
		return k.Restarts
	case k.K >= 100:
		return 3
	}
	return 10
}

// limit is the number of iterations in use.
func (k KMeans) limit() int {
	if k.Iterations == 0 {
		return 100
	}
	return k.Iterations
}

// Operations is the largest number of floating-point operations that Run takes on n
// points of d features: for each restart the distances of the points to K starts, and for
// each iteration and once more at the end their products with K centres, and the means.
// Most runs end after fewer iterations.
func (k KMeans) Operations(n, d int) float64 {
	points := float64(n) * float64(d)
	distances := float64(k.K) * points
	limit := float64(k.limit())
	return float64(k.restarts()) * (3*distances + 2*distances*(limit+1) + points*limit)
}

// Run clusters the rows of x [N, D]. A point at the same distance from two centres
// goes to the one with the lower number; a cluster that loses all points takes the
// point that is farthest from its centre. The result does not depend on the number of
// threads. Errors: K below 2 or above the number of different points, x that is no
// matrix or not finite, or the context's, with the best of the restarts that were done,
// if any.
func (k KMeans) Run(ctx context.Context, x *tensor.Tensor) (Clusters, error) {
	if err := k.check(x); err != nil {
		return Clusters{}, err
	}
	l := kmeans.New(x, k.K)
	var best Clusters
	for r := range k.restarts() {
		var before func(int, float64)
		if k.OnIteration != nil {
			before = func(iteration int, inertia float64) { k.OnIteration(r, iteration, inertia) }
		}
		found, err := l.Run(ctx, rand.New(rand.NewPCG(k.Seed, uint64(r))), k.limit(), before)
		if err != nil {
			return best, err
		}
		if r == 0 || found.Inertia < best.Inertia {
			best = Clusters{K: k.K, ID: found.ID, Centers: found.Centers, Sizes: found.Sizes, Inertia: found.Inertia, Iterations: found.Iterations}
		}
	}
	return best, nil
}

func (k KMeans) check(x *tensor.Tensor) error {
	if x == nil || x.Rank() != 2 || x.Dim(0) == 0 {
		return errors.New("cluster: k-means: want a matrix of points [N, D] with at least one")
	}
	switch {
	case k.K < 2:
		return fmt.Errorf("cluster: k-means: K is %d, want at least 2", k.K)
	case k.K > x.Dim(0):
		return fmt.Errorf("cluster: k-means: K is %d, want at most the %d points", k.K, x.Dim(0))
	case k.Restarts < 0 || k.Iterations < 0:
		return fmt.Errorf("cluster: k-means: %d restarts of %d iterations, want 0 or more", k.Restarts, k.Iterations)
	case !tensor.AllFinite(x):
		return errors.New("cluster: k-means: features are not finite")
	}
	if n := different(x, k.K); n < k.K {
		return fmt.Errorf("cluster: k-means: K is %d, but only %d points are different", k.K, n)
	}
	return nil
}

// different counts different rows of x, up to enough.
func different(x *tensor.Tensor, enough int) int {
	values, d := x.Values(), x.Dim(1)
	seen := make(map[string]bool, enough)
	key := make([]byte, 0, 8*d)
	for i := range x.Dim(0) {
		key = key[:0]
		for _, v := range values[i*d : (i+1)*d] {
			bits := math.Float64bits(v + 0) // -0 is 0
			for s := 0; s < 64; s += 8 {
				key = append(key, byte(bits>>s))
			}
		}
		if seen[string(key)] = true; len(seen) == enough {
			break
		}
	}
	return len(seen)
}

package kmeans

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Clusters is a partition of N points with D features into K clusters.
type Clusters struct {
	ID         []int          // cluster of each point, 0 to K-1
	Centers    *tensor.Tensor // float64 [K, D]
	Sizes      []int          // number of points of each cluster
	Inertia    float64        // sum of squared distances of points to their centres
	Iterations int
}

// Run partitions the rows of x [N, D] into k clusters, from one start and in at most 100
// iterations. Errors: fewer rows than clusters, k below 1, or the context's.
func Run(ctx context.Context, rng *rand.Rand, x *tensor.Tensor, k int) (Clusters, error) {
	if n := x.Dim(0); k < 1 || n < k {
		return Clusters{}, fmt.Errorf("%d clusters of %d rows, want 1 to %d", k, n, n)
	}
	return New(x, k).Run(ctx, rng, 100, nil)
}

// Lloyd is Lloyd's algorithm from k-means++ starts (Arthur and Vassilvitskii, SODA
// 2007) on one set of points. Its results do not depend on the number of threads.
type Lloyd struct {
	n, d, k int
	x       *tensor.Tensor // float64 [n, d]
	centers *tensor.Tensor // [k, d]
	id      []int
	dist    []float64 // squared, of each point to its centre
	tape    *tensor.Tape
}

// New prepares runs on the rows of x [N, D], which are finite, with k of 1 to N clusters.
func New(x *tensor.Tensor, k int) *Lloyd {
	l := &Lloyd{n: x.Dim(0), d: x.Dim(1), k: k, x: x.To(tensor.Float64), tape: tensor.NewTape()}
	l.id, l.dist = make([]int, l.n), make([]float64, l.n)
	return l
}

// Run makes one start and moves the centres until no point changes its cluster, at most
// limit times. A point at the same distance from two centres goes to the one with the
// lower number; a cluster that loses all points takes the point that is farthest from its
// centre. before, nil for none, hears the number of each iteration, from 0, and the
// inertia before the centres move. The only error is the context's.
func (l *Lloyd) Run(ctx context.Context, rng *rand.Rand, limit int, before func(iteration int, inertia float64)) (Clusters, error) {
	l.start(rng)
	it := 0
	for changed := true; changed && it < limit; it++ {
		if err := ctx.Err(); err != nil {
			return Clusters{}, err
		}
		changed = l.assign()
		if before != nil {
			before(it, l.inertia())
		}
		if changed {
			l.move()
		}
	}
	l.assign()
	return Clusters{ID: slices.Clone(l.id), Centers: l.centers.Clone(), Sizes: l.sizes(), Inertia: l.inertia(), Iterations: it}, nil
}

func (l *Lloyd) point(i int) []float64 { return l.x.Float64s()[i*l.d : (i+1)*l.d] }

func squared(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += (v - b[i]) * (v - b[i])
	}
	return sum
}

// start draws centres among the points, each with a probability in proportion to its
// squared distance from the nearest one drawn before.
func (l *Lloyd) start(rng *rand.Rand) {
	l.centers = tensor.Zeros(tensor.Float64, l.k, l.d)
	near := make([]float64, l.n)
	next := rng.IntN(l.n)
	for c := range l.k {
		center := l.centers.Float64s()[c*l.d : (c+1)*l.d]
		copy(center, l.point(next))
		l.each(func(i int) {
			if v := squared(l.point(i), center); c == 0 || v < near[i] {
				near[i] = v
			}
		})
		if c == l.k-1 {
			break
		}
		total := 0.0
		for _, v := range near {
			total += v
		}
		at := rng.Float64() * total
		for i, v := range near {
			// A point that is a centre already is never drawn.
			if v > 0 {
				next = i
				if at -= v; at < 0 {
					break
				}
			}
		}
	}
	for i := range l.id {
		l.id[i] = -1
	}
}

// each calls f for every point, on several threads.
func (l *Lloyd) each(f func(i int)) {
	par.For(l.n, max(1, (1<<14)/max(1, l.d)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i)
		}
	})
}

// assign gives every point to the nearest centre and says whether any point moved.
func (l *Lloyd) assign() bool {
	l.tape.Reset()
	products := tensor.MatMulT(l.tape.Const(l.x), l.tape.Const(l.centers), false, true).Float64s()
	lengths := make([]float64, l.k)
	for c := range lengths {
		center := l.centers.Float64s()[c*l.d : (c+1)*l.d]
		for _, v := range center {
			lengths[c] += v * v
		}
	}
	moved := make([]bool, l.n)
	l.each(func(i int) {
		best, least := 0, math.Inf(1)
		for c, length := range lengths {
			if v := length - 2*products[i*l.k+c]; v < least {
				best, least = c, v
			}
		}
		moved[i] = best != l.id[i]
		l.id[i] = best
		// Not from the product, which cancels where points are near.
		l.dist[i] = squared(l.point(i), l.centers.Float64s()[best*l.d:(best+1)*l.d])
	})
	changed := false
	for _, m := range moved {
		changed = changed || m
	}
	return changed
}

func (l *Lloyd) inertia() (sum float64) {
	for _, v := range l.dist {
		sum += v
	}
	return sum
}

// sizes counts the points of each cluster.
func (l *Lloyd) sizes() []int {
	sizes := make([]int, l.k)
	for _, c := range l.id {
		sizes[c]++
	}
	return sizes
}

// move puts every centre at the mean of its points.
func (l *Lloyd) move() {
	l.refill()
	sizes := l.sizes()
	l.centers.Fill(0)
	data := l.centers.Float64s()
	for i, c := range l.id {
		center := data[c*l.d : (c+1)*l.d]
		for j, v := range l.point(i) {
			center[j] += v
		}
	}
	for c, size := range sizes {
		center := data[c*l.d : (c+1)*l.d]
		for j := range center {
			center[j] /= float64(size)
		}
	}
	l.centers.Touch()
}

// refill gives each cluster without points the point that is farthest from its centre.
func (l *Lloyd) refill() {
	sizes := l.sizes()
	for c, size := range sizes {
		if size > 0 {
			continue
		}
		far := -1
		for i, v := range l.dist {
			if sizes[l.id[i]] > 1 && (far < 0 || v > l.dist[far]) {
				far = i
			}
		}
		sizes[l.id[far]]--
		l.id[far], l.dist[far], sizes[c] = c, 0, 1
	}
}

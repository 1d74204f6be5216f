package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/par"
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
// matrix or not finite, or the context's.
func (k KMeans) Run(ctx context.Context, x *tensor.Tensor) (Clusters, error) {
	if err := k.check(x); err != nil {
		return Clusters{}, err
	}
	limit := k.limit()
	l := newLloyd(x.To(tensor.Float64), k.K)
	var best Clusters
	for r := range k.restarts() {
		l.start(rand.New(rand.NewPCG(k.Seed, uint64(r))))
		it := 0
		for changed := true; changed && it < limit; it++ {
			if err := ctx.Err(); err != nil {
				return Clusters{}, err
			}
			changed = l.assign()
			if k.OnIteration != nil {
				k.OnIteration(r, it, l.inertia())
			}
			if changed {
				l.move()
			}
		}
		l.assign()
		if inertia := l.inertia(); r == 0 || inertia < best.Inertia {
			best = l.clusters()
			best.Inertia, best.Iterations = inertia, it
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

// lloyd is one run.
type lloyd struct {
	n, d, k int
	x       *tensor.Tensor // float64 [n, d]
	square  []float64      // of each point's length
	centers *tensor.Tensor // [k, d]
	id      []int
	dist    []float64 // squared, of each point to its centre
	tape    *tensor.Tape
}

func newLloyd(x *tensor.Tensor, k int) *lloyd {
	l := &lloyd{n: x.Dim(0), d: x.Dim(1), k: k, x: x, tape: tensor.NewTape()}
	l.square = tensor.Sum(tensor.Square(x), 1).Values()
	l.id, l.dist = make([]int, l.n), make([]float64, l.n)
	return l
}

func (l *lloyd) point(i int) []float64 { return l.x.Float64s()[i*l.d : (i+1)*l.d] }

func squared(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += (v - b[i]) * (v - b[i])
	}
	return sum
}

// start draws centres among the points, each with a probability in proportion to its
// squared distance from the nearest one drawn before.
func (l *lloyd) start(rng *rand.Rand) {
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
		next = -1
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
func (l *lloyd) each(f func(i int)) {
	par.For(l.n, max(1, (1<<14)/max(1, l.d)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i)
		}
	})
}

// assign gives every point to the nearest centre and says whether any point moved.
func (l *lloyd) assign() bool {
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

func (l *lloyd) inertia() (sum float64) {
	for _, v := range l.dist {
		sum += v
	}
	return sum
}

// sizes counts the points of each cluster.
func (l *lloyd) sizes() []int {
	sizes := make([]int, l.k)
	for _, c := range l.id {
		sizes[c]++
	}
	return sizes
}

// move puts every centre at the mean of its points.
func (l *lloyd) move() {
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
func (l *lloyd) refill() {
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

func (l *lloyd) clusters() Clusters {
	return Clusters{K: l.k, ID: append([]int(nil), l.id...), Centers: l.centers.Clone(), Sizes: l.sizes()}
}

package kmeans

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Clusters is a partition of the rows of a matrix.
type Clusters struct {
	Centers *tensor.Tensor // [K, d]
	Of      []int          // the cluster of each row
	Inertia float64        // sum of squared distances to the centers
}

// Run partitions the rows of x [N, d] into k clusters with Lloyd's iterations
// from k-means++ centers (Arthur and Vassilvitskii, SODA 2007), until nothing moves
// or 100 iterations have been made. Errors: fewer rows than clusters, k below 1.
func Run(rng *rand.Rand, x *tensor.Tensor, k int) (Clusters, error) {
	n, d := x.Dim(0), x.Dim(1)
	if k < 1 || n < k {
		return Clusters{}, fmt.Errorf("%d clusters of %d rows, want 1 to %d", k, n, n)
	}
	centers := tensor.Zeros(tensor.Float32, k, d)
	row := func(t *tensor.Tensor, i int) []float32 { return t.Float32s()[i*d : (i+1)*d] }
	near := make([]float64, n)
	for i := range near {
		near[i] = math.Inf(1)
	}
	pick := rng.IntN(n)
	for c := range k {
		copy(row(centers, c), row(x, pick))
		sum := 0.0
		for i := range n {
			near[i] = min(near[i], squared(row(x, i), row(centers, c)))
			sum += near[i]
		}
		u := rng.Float64() * sum
		for pick = 0; pick < n-1 && u >= near[pick]; pick++ {
			u -= near[pick]
		}
	}
	out := Clusters{Centers: centers, Of: make([]int, n)}
	for iteration := range 100 {
		moved := false
		out.Inertia = 0
		dist := SquaredDistances(x, centers).Float32s()
		for i := range n {
			best := 0
			for c := range k {
				if dist[i*k+c] < dist[i*k+best] {
					best = c
				}
			}
			moved = moved || out.Of[i] != best || iteration == 0
			out.Of[i] = best
			out.Inertia += float64(dist[i*k+best])
		}
		if !moved {
			break
		}
		sums, counts := make([]float64, k*d), make([]int, k)
		for i, c := range out.Of {
			counts[c]++
			for j, v := range row(x, i) {
				sums[c*d+j] += float64(v)
			}
		}
		for c := range k {
			for j := range d {
				if counts[c] > 0 {
					centers.Float32s()[c*d+j] = float32(sums[c*d+j] / float64(counts[c]))
				}
			}
		}
	}
	return out, nil
}

func squared(a, b []float32) float64 {
	s := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		s += d * d
	}
	return s
}

// SquaredDistances returns the squared Euclidean distance of each row of a [n, d] to
// each row of b [m, d], as [n, m]: at least 0, with the rounding errors of a matrix
// product.
func SquaredDistances(a, b *tensor.Tensor) *tensor.Tensor {
	norms := func(x *tensor.Tensor) *tensor.Tensor { return tensor.Sum(tensor.Square(x), 1) }
	cross := tensor.MulScalar(tensor.MatMulT(a, b, false, true), -2)
	sum := tensor.Add(tensor.Add(cross, tensor.Reshape(norms(a), -1, 1)), norms(b))
	return tensor.ReLU(sum)
}

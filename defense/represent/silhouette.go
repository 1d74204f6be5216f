package represent

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Silhouette returns how well the classes y of features x [N, D] are apart: for each
// input (b-a)/max(a, b), from -1 to 1, where a is its mean Euclidean distance to the
// others of its class and b that to the nearest other class; and the mean over all. An
// input that is alone in its class has 0. Errors: fewer than two classes, labels that do
// not fit, features that are not finite, and ctx's.
//
// Rousseeuw, J. Comput. Appl. Math. 20, 1987.
func Silhouette(ctx context.Context, x *tensor.Tensor, y []int) (mean float64, each []float64, err error) {
	if err := checkFeatures("features", x, 2); err != nil {
		return 0, nil, err
	}
	n := x.Dim(0)
	if err := checkLabels("features", y, n); err != nil {
		return 0, nil, err
	}
	sizes := map[int]int{}
	for _, l := range y {
		sizes[l]++
	}
	if len(sizes) < 2 {
		return 0, nil, fmt.Errorf("represent: Silhouette: %d class, want at least 2", len(sizes))
	}
	// Classes by number, in order of appearance.
	number, counts := map[int]int{}, []float64(nil)
	class := make([]int, n)
	for i, l := range y {
		if _, ok := number[l]; !ok {
			number[l] = len(counts)
			counts = append(counts, float64(sizes[l]))
		}
		class[i] = number[l]
	}
	x = x.To(tensor.Float64)
	each = make([]float64, n)
	for from := 0; from < n; from += similarityBlock {
		if err := ctx.Err(); err != nil {
			return 0, nil, fmt.Errorf("represent: Silhouette: stopped: %w", err)
		}
		to := min(n, from+similarityBlock)
		d := squaredDistances(tensor.Slice(x, 0, from, to), x).Float64s()
		par.For(to-from, 4, func(lo, hi int) {
			sums := make([]float64, len(counts))
			for i := lo; i < hi; i++ {
				clear(sums)
				for j, v := range d[i*n : (i+1)*n] {
					if j != from+i {
						sums[class[j]] += math.Sqrt(v)
					}
				}
				each[from+i] = silhouette(sums, counts, class[from+i])
			}
		})
	}
	return stat.Mean(each, nil), each, nil
}

// silhouette is that of an input with the given sums of distances to the classes.
func silhouette(sums, counts []float64, own int) float64 {
	if counts[own] == 1 {
		return 0
	}
	a, b := sums[own]/(counts[own]-1), math.Inf(1)
	for c, s := range sums {
		if c != own {
			b = min(b, s/counts[c])
		}
	}
	if a == b {
		return 0
	}
	return (b - a) / max(a, b)
}

// squaredDistances returns the squared Euclidean distances of the rows of a and b.
func squaredDistances(a, b *tensor.Tensor) *tensor.Tensor {
	aa := tensor.Reshape(tensor.Sum(tensor.Square(a), 1), a.Dim(0), 1)
	bb := tensor.Reshape(tensor.Sum(tensor.Square(b), 1), 1, b.Dim(0))
	// Rounding can leave the distance of equal rows below 0 by a little.
	return tensor.ReLU(tensor.Add(tensor.Sub(aa, tensor.MulScalar(tensor.MatMulT(a, b, false, true), 2)), bb))
}

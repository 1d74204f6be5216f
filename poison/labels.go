package poison

import (
	"fmt"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
)

// labelMap checks a map of K classes, or returns the default.
func labelMap(labels []int, k int) ([]int, error) {
	if labels == nil {
		return uda.Shifted(k), nil
	}
	if len(labels) != k {
		return nil, fmt.Errorf("poison: labels for %d classes, want %d", len(labels), k)
	}
	for c, y := range labels {
		switch {
		case y < 0 || y >= k:
			return nil, fmt.Errorf("poison: class %d is labelled %d, want a class in [0, %d)", c, y, k)
		case y == c:
			return nil, fmt.Errorf("poison: class %d is labelled as itself, want a wrong class", c)
		}
	}
	return labels, nil
}

// NearestClasses maps each of K classes to the other class whose centroid among the
// source features xs [N, d] with labels ys is nearest to the class's own centroid
// among the target features xt [M, d] with labels yt, both float32 as uda.FeaturesOf
// returns them: the labels of the attack on Office-31. A class without target features
// is mapped by its source centroid. Errors: labels that do not fit, a class without source features.
func NearestClasses(xs *tensor.Tensor, ys []int, xt *tensor.Tensor, yt []int, k int) ([]int, error) {
	if k < 2 || xs.Dim(1) != xt.Dim(1) {
		return nil, fmt.Errorf("poison: %d classes with features of %d and %d columns, want at least 2 classes and one width", k, xs.Dim(1), xt.Dim(1))
	}
	source, ns, err := centroids(xs, ys, k)
	if err != nil {
		return nil, err
	}
	target, nt, err := centroids(xt, yt, k)
	if err != nil {
		return nil, err
	}
	out := make([]int, k)
	for c := range k {
		if ns[c] == 0 {
			return nil, fmt.Errorf("poison: class %d has no source features", c)
		}
		from := target[c]
		if nt[c] == 0 {
			from = source[c]
		}
		out[c] = -1
		best := 0.0
		for o := range k {
			d := distance(from, source[o])
			if o != c && (out[c] < 0 || d < best) {
				out[c], best = o, d
			}
		}
	}
	return out, nil
}

// centroids returns the mean and the number of the rows of each class.
func centroids(x *tensor.Tensor, y []int, k int) ([][]float32, []int, error) {
	n, d := x.Dim(0), x.Dim(1)
	if len(y) != n {
		return nil, nil, fmt.Errorf("poison: %d labels for %d rows of features", len(y), n)
	}
	sums, counts := make([][]float64, k), make([]int, k)
	for c := range sums {
		sums[c] = make([]float64, d)
	}
	for i, c := range y {
		if c < 0 || c >= k {
			return nil, nil, fmt.Errorf("poison: label %d is %d, want it in [0, %d)", i, c, k)
		}
		counts[c]++
		for j, v := range x.Float32s()[i*d : (i+1)*d] {
			sums[c][j] += float64(v)
		}
	}
	out := make([][]float32, k)
	for c := range out {
		out[c] = make([]float32, d)
		for j := range out[c] {
			out[c][j] = float32(sums[c][j] / float64(max(1, counts[c])))
		}
	}
	return out, counts, nil
}

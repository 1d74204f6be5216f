package poison

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/kmeans"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/internal/quickselect"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Filter = KNN{}

// KNN keeps an image if the most frequent label among its K nearest neighbours in
// the source is its own (Peri et al., ECCV workshops 2020). Poisons of one class
// lie together, so K must be above twice their number in a class.
type KNN struct {
	K      int  // 0 means the square root of the number of images
	Pixels bool // compare pixels rather than features
}

// Name returns "k-NN" and what it compares.
func (f KNN) Name() string {
	if f.Pixels {
		return "k-NN on pixels"
	}
	return "k-NN on features"
}

// Keep implements Filter. Of labels that are equally frequent, the image's own wins.
func (f KNN) Keep(ctx context.Context, s Suspect) ([]int, error) {
	x, err := s.view(ctx, f.Pixels)
	if err != nil {
		return nil, err
	}
	n, k := x.Dim(0), f.K
	if k == 0 {
		k = int(math.Sqrt(float64(n)))
	}
	if k < 1 || k >= n {
		return nil, fmt.Errorf("poison: k-NN with %d neighbours among %d images, want 1 to %d", k, n, n-1)
	}
	agrees := make([]bool, n)
	const block = 256
	for from := 0; from < n; from += block {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := min(from+block, n)
		dist := kmeans.SquaredDistances(tensor.Slice(x, 0, from, to), x).Float32s()
		par.For(to-from, 8, func(lo, hi int) {
			scratch := make([]float32, n)
			for i := lo; i < hi; i++ {
				near := nearestOthers(dist[i*n:(i+1)*n], from+i, k, scratch)
				agrees[from+i] = vote(s.Source.Labels, near, s.Source.Labels[from+i])
			}
		})
	}
	return chosen(agrees), nil
}

// nearestOthers returns the k positions of the smallest distances, in rising order of
// position, without that of the image itself; of equal distances the first ones.
// scratch is as long as dist.
func nearestOthers(dist []float32, self, k int, scratch []float32) []int {
	rest := append(append(scratch[:0], dist[:self]...), dist[self+1:]...)
	limit := quickselect.Kth(rest, k-1)
	equal := k
	for _, d := range rest {
		if d < limit {
			equal--
		}
	}
	out := make([]int, 0, k)
	for j, d := range dist {
		switch {
		case j == self || d > limit:
		case d < limit:
			out = append(out, j)
		case equal > 0:
			out = append(out, j)
			equal--
		}
	}
	return out
}

// vote says whether no label is more frequent among the images at near than own is.
func vote(labels, near []int, own int) bool {
	votes := map[int]int{}
	for _, j := range near {
		votes[labels[j]]++
	}
	for _, v := range votes {
		if v > votes[own] {
			return false
		}
	}
	return true
}

package poison

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/poison/uda"
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
		dist := uda.SquaredDistances(tensor.Slice(x, 0, from, to), x).Float32s()
		par.For(to-from, 8, func(lo, hi int) {
			order := make([]int, n)
			for i := lo; i < hi; i++ {
				row := dist[i*n : (i+1)*n]
				for j := range order {
					order[j] = j
				}
				slices.SortStableFunc(order, func(a, b int) int {
					switch {
					case row[a] < row[b]:
						return -1
					case row[a] > row[b]:
						return 1
					}
					return 0
				})
				agrees[from+i] = f.vote(s.Source.Labels, order, from+i, k)
			}
		})
	}
	return chosen(agrees), nil
}

// vote says whether the label of image i is the most frequent of its neighbours.
func (f KNN) vote(labels, order []int, i, k int) bool {
	votes := map[int]int{}
	for _, j := range order {
		if j != i && k > 0 {
			votes[labels[j]]++
			k--
		}
	}
	for _, v := range votes {
		if v > votes[labels[i]] {
			return false
		}
	}
	return true
}

package poison

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Suspect is what a filter may look at. No filter sees labels of the target.
type Suspect struct {
	Source *dataset.Set // with whatever poison is in it
	Target *dataset.Set
	// Model has been trained on them; filters that work on pixels do without it.
	Model *uda.Model
	Seed  uint64
}

// Filter chooses the source images that training is to keep.
type Filter interface {
	Name() string
	// Keep returns the positions of the images to keep, in rising order.
	Keep(ctx context.Context, s Suspect) ([]int, error)
}

// view returns what a filter compares: features of the model, or pixels.
func (s Suspect) view(ctx context.Context, inPixels bool) (*tensor.Tensor, error) {
	if s.Source == nil || s.Source.Len() == 0 {
		return nil, fmt.Errorf("poison: filter: the source is empty")
	}
	if inPixels {
		x, _ := s.Source.All()
		return tensor.Flatten(x), nil
	}
	if s.Model == nil {
		return nil, fmt.Errorf("poison: filter: no model, want one for its features")
	}
	return uda.FeaturesOf(ctx, s.Model, s.Source)
}

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

// chosen returns the positions that are set.
func chosen(keep []bool) (idx []int) {
	for i, k := range keep {
		if k {
			idx = append(idx, i)
		}
	}
	return idx
}

var _ Filter = Agreement{}

// Agreement clusters the target's features, gives each cluster the class that the
// model answers most often in it, and removes a source image that lies in a cluster with
// another label than its own: the cluster's centre is the nearest one, and no farther
// than nine tenths of the cluster's images are. Images that look like none of the target
// stay. It trusts the model, so it helps as long as the model is right on most of the
// target: give it one that has not yet learnt the poison.
type Agreement struct {
	Clusters int // 0 means 5 for each class
}

// Name returns "agreement".
func (Agreement) Name() string { return "agreement" }

// Keep implements Filter.
func (f Agreement) Keep(ctx context.Context, s Suspect) ([]int, error) {
	x, err := s.view(ctx, false)
	if err != nil {
		return nil, err
	}
	ft, err := uda.FeaturesOf(ctx, s.Model, s.Target)
	if err != nil {
		return nil, err
	}
	p, err := uda.Probabilities(ctx, s.Model, s.Target)
	if err != nil {
		return nil, err
	}
	k := f.Clusters
	if k == 0 {
		k = 5 * s.Source.Classes
	}
	groups, err := uda.KMeans(newRand(s.Seed), ft, k)
	if err != nil {
		return nil, err
	}
	votes := make([][]int, k)
	for c := range votes {
		votes[c] = make([]int, s.Source.Classes)
	}
	for i, a := range tensor.ArgMax(p) {
		votes[groups.Of[i]][a]++
	}
	label := make([]int, k)
	for c := range votes {
		for y, v := range votes[c] {
			if v > votes[c][label[c]] {
				label[c] = y
			}
		}
	}
	reach := radii(ft, groups, k)
	dist := uda.SquaredDistances(x, groups.Centres)
	keep := make([]bool, x.Dim(0))
	for i, c := range tensor.ArgMax(tensor.Neg(dist)) {
		keep[i] = label[c] == s.Source.Labels[i] || dist.At(i, c) > reach[c]
	}
	return chosen(keep), nil
}

// radii returns, for each of k clusters, the squared distance from the centre that nine
// tenths of its rows of x keep to.
func radii(x *tensor.Tensor, g uda.Clusters, k int) []float64 {
	of := make([][]float64, k)
	dist := uda.SquaredDistances(x, g.Centres)
	for i, c := range g.Of {
		of[c] = append(of[c], dist.At(i, c))
	}
	out := make([]float64, k)
	for c, d := range of {
		if len(d) > 0 {
			slices.Sort(d)
			out[c] = d[len(d)*9/10]
		}
	}
	return out
}

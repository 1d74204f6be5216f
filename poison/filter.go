package poison

import (
	"context"
	"fmt"
	"math/rand/v2"

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

// chosen returns the positions that are set.
func chosen(keep []bool) (idx []int) {
	for i, k := range keep {
		if k {
			idx = append(idx, i)
		}
	}
	return idx
}

// newRand is the source of a filter's clusterings.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0xde7e)) }

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
	Seed  uint64 // of clusters' first centres
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
	if err := labelled(s.Source); err != nil {
		return nil, fmt.Errorf("poison: filter: source %w", err)
	}
	if inPixels {
		x, _ := s.Source.All()
		if !tensor.AllFinite(x) {
			return nil, fmt.Errorf("poison: filter: source %q has pixels that are not finite", s.Source.Name)
		}
		return tensor.Flatten(x), nil
	}
	if s.Model == nil {
		return nil, fmt.Errorf("poison: filter: no model, want one for its features")
	}
	f, err := uda.FeaturesOf(ctx, s.Model, s.Source)
	if err == nil && !tensor.AllFinite(f) {
		err = fmt.Errorf("poison: filter: source %q has features that are not finite", s.Source.Name)
	}
	return f, err
}

// labelled returns an error unless a set has a label in [0, Classes) for each image.
func labelled(s *dataset.Set) error {
	if len(s.Labels) != s.Len() {
		return fmt.Errorf("%q has %d labels for %d images", s.Name, len(s.Labels), s.Len())
	}
	for i, y := range s.Labels {
		if y < 0 || y >= s.Classes {
			return fmt.Errorf("%q has label %d at image %d, want it in [0, %d)", s.Name, y, i, s.Classes)
		}
	}
	return nil
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

package poison

import (
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Poison is a set of images that an attacker adds to the source, with the labels
// that the victim sees.
type Poison struct {
	// Set holds images and labels.
	Set *dataset.Set
	// True holds the class of each image to the eye.
	True []int
	// Target and Source hold the positions of the target image and of the source
	// image that each poison is made of; nil where it is made of none. Those of
	// CleanLabel are positions in its pool of bases: Source if the pool is the
	// source of its Training, else Target.
	Target, Source []int
	// Removed lists source images that the attack takes away, in rising order; nil
	// for attacks that only add.
	Removed []int
	// Linf and L2 are the distances of each image from the nearest of the natural
	// images that it is made of.
	Linf, L2 []float64
}

// Builder makes poison from a labelled source and a labelled target.
type Builder interface {
	Name() string
	Build(source, target *dataset.Set) (*Poison, error)
}

// Into returns the source that the victim trains on: what is left of it, followed
// by the poison.
func (p *Poison) Into(source *dataset.Set) *dataset.Set {
	if len(p.Removed) > 0 {
		var keep []int
		for i := range source.Len() {
			if _, gone := slices.BinarySearch(p.Removed, i); !gone {
				keep = append(keep, i)
			}
		}
		source = source.Subset(keep)
	}
	return source.Concat(p.Set)
}

// Account says what a poison costs its attacker.
type Account struct {
	Count    int     `json:"count"`
	OfTarget float64 `json:"of_target"` // count over target images
	OfSource float64 `json:"of_source"` // count over source images
	OfUnion  float64 `json:"of_union"`  // count over what the victim trains on
	MaxLinf  float64 `json:"max_linf"`  // distances from natural images
	MeanLinf float64 `json:"mean_linf"`
	MaxL2    float64 `json:"max_l2"`
	MeanL2   float64 `json:"mean_l2"`
}

// Account measures the poison beside the given numbers of images.
func (p *Poison) Account(source, target int) Account {
	n := float64(p.Set.Len())
	a := Account{
		Count: p.Set.Len(), OfTarget: n / float64(target), OfSource: n / float64(source),
		OfUnion: n / (n + float64(source-len(p.Removed))),
	}
	for i := range p.Linf {
		a.MaxLinf, a.MaxL2 = max(a.MaxLinf, p.Linf[i]), max(a.MaxL2, p.L2[i])
		a.MeanLinf += p.Linf[i] / n
		a.MeanL2 += p.L2[i] / n
	}
	return a
}

// measure fills the distances of images u from the nearest of the given images.
func (p *Poison) measure(size int, natural ...[]float32) {
	n := len(p.Set.Floats) / size
	p.Linf, p.L2 = make([]float64, n), make([]float64, n)
	for i := range n {
		best := math.Inf(1)
		for _, from := range natural {
			l2, linf := 0.0, 0.0
			for k, v := range p.Set.Floats[i*size : (i+1)*size] {
				d := math.Abs(float64(v) - float64(from[i*size+k]))
				l2 += d * d
				linf = max(linf, d)
			}
			if l2 < best {
				best, p.L2[i], p.Linf[i] = l2, math.Sqrt(l2), linf
			}
		}
	}
}

// check returns an error unless both sets are labelled images of one form with
// pixels in [0, 1].
func check(source, target *dataset.Set) error {
	switch {
	case source == nil || source.Len() == 0:
		return fmt.Errorf("poison: the source is empty")
	case target == nil || target.Len() == 0:
		return fmt.Errorf("poison: the target is empty")
	case source.Classes < 2:
		return fmt.Errorf("poison: source %q has %d classes, want at least 2", source.Name, source.Classes)
	case target.Classes == 0 || target.Labels == nil:
		return fmt.Errorf("poison: target %q has no labels, and the attack needs them", target.Name)
	}
	if err := source.Compatible(target); err != nil {
		return fmt.Errorf("poison: %w", err)
	}
	for _, s := range []*dataset.Set{source, target} {
		if err := s.Check(); err != nil {
			return fmt.Errorf("poison: %w", err)
		}
	}
	return nil
}

// pixels returns the images of a set as floats.
func pixels(s *dataset.Set) []float32 {
	x, _ := s.All()
	return x.Float32s()
}

// empty returns a set without images, of the form and classes of s.
func empty(s *dataset.Set, name string) *dataset.Set {
	return &dataset.Set{Name: name, H: s.H, W: s.W, C: s.C, Classes: s.Classes, ClassNames: s.ClassNames}
}

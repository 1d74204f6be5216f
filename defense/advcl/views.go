package advcl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// View says how a view of an image is made.
type View struct {
	// Of names the view that this one is made of, "" for the image itself.
	Of string
	// Augment are random changes, with draws of this view's own.
	Augment []dataset.Augment
	// Anneal gives the random changes of an epoch, in place of Augment; nil for none.
	Anneal Changes
	// High and Low keep only the high or the low frequencies, those outside or inside
	// a disc of that radius in bins (see Radial); 0 for all.
	High, Low float64
	// Attacked adds a perturbation that makes the attacked term large.
	Attacked bool
	// Stats names the set of normalisation statistics of the view's pass; "" is the
	// first.
	Stats string
}

// Changes are random changes of images that depend on the epoch, counted from 0.
type Changes interface {
	Augment(epoch int) []dataset.Augment
	// String describes all settings that the outcome depends on.
	String() string
}

// Registry names views. An entry can be added, or one of Views changed, to try another
// view with the same training.
type Registry map[string]View

// Names of the views of Views.
const (
	Strong1     = "strong1"
	Strong2     = "strong2"
	Weak        = "weak"
	High        = "high"
	Low         = "low"
	Adversarial = "adversarial" // of the weak view
	Attacked1   = "attacked1"   // of the first strong view
	Attacked2   = "attacked2"   // of the second
)

// DefaultRadius is the radius of the paper's split by frequency, in bins.
const DefaultRadius = 8

// Views returns the views of the paper: two strong crops, a weak one, the high and low
// frequencies of the weak one, and perturbed versions of the weak and the strong ones.
func Views() Registry {
	return Registry{
		Strong1:     {Augment: Strong(0.2, 1), Stats: Clean},
		Strong2:     {Augment: Strong(0.2, 1), Stats: Clean},
		Weak:        {Augment: Weakly(), Stats: Clean},
		High:        {Of: Weak, High: DefaultRadius, Stats: Clean},
		Low:         {Of: Weak, Low: DefaultRadius, Stats: Clean},
		Adversarial: {Of: Weak, Attacked: true, Stats: Attacked},
		Attacked1:   {Of: Strong1, Attacked: true, Stats: Attacked},
		Attacked2:   {Of: Strong2, Attacked: true, Stats: Attacked},
	}
}

// Strong returns SimCLR's augmentation: a random resized crop of at least the given
// share of the area, a flip, colour jitter of 0.4, 0.4, 0.4 and 0.1 with probability
// 0.8, and grey with probability 0.2. strength, 0 to 1, scales crop, jitter and grey,
// the two probabilities included, as the reference code of DynACL does.
func Strong(area, strength float64) []dataset.Augment {
	s := strength
	steps := []dataset.Augment{
		dataset.RandomResizedCrop{Scale: [2]float64{1 - (1-area)*s, 1}},
		dataset.HorizontalFlip{},
	}
	if s > 0 {
		// A P of 0 would mean the default.
		steps = append(steps,
			dataset.ColorJitter{Brightness: 0.4 * s, Contrast: 0.4 * s, Saturation: 0.4 * s, Hue: 0.1 * s, P: 0.8 * s},
			dataset.RandomGrayscale{P: 0.2 * s})
	}
	return steps
}

// Weakly returns the customary augmentation of CIFAR-10: a crop after padding with 4
// pixels, and a flip.
func Weakly() []dataset.Augment {
	return []dataset.Augment{dataset.PadCrop{Pad: 4}, dataset.HorizontalFlip{}}
}

// SetCrops lets the random crops of the two strong views, annealed or not, keep at least
// the given share of the area, 0 to 1, and leaves everything else of them. Methods differ
// in it: 0.2 in SimCLR and AdvCL, 0.1 in ACL and DynACL, 0.08 in RoCL. A view with an
// Anneal that is no AnnealedCrop stays as it is.
func (r Registry) SetCrops(area float64) {
	for _, name := range []string{Strong1, Strong2} {
		v := r[name]
		switch a := v.Anneal.(type) {
		case nil:
			v.Augment = Strong(area, 1)
		case AnnealedCrop:
			a.Area = area
			v.Anneal = a
		}
		r[name] = v
	}
}

// routed returns a copy of the registry with all views in the given set of statistics.
func (r Registry) routed(stats string) Registry {
	out := maps.Clone(r)
	for name, v := range out {
		v.Stats = stats
		out[name] = v
	}
	return out
}

// view returns a view by name.
func (r Registry) view(name string) (View, error) {
	v, ok := r[name]
	if !ok {
		return v, fmt.Errorf("advcl: no view named %q, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(r)), ", "))
	}
	return v, nil
}

// describe writes all that the images of the named view depend on.
func (r Registry) describe(b *strings.Builder, name string) {
	seen := map[string]bool{}
	for name != "" && !seen[name] {
		seen[name] = true
		v := r[name]
		fmt.Fprintf(b, ", %s of %q:", name, v.Of)
		for _, a := range v.Augment {
			fmt.Fprintf(b, " %T%+v", a, a)
		}
		fmt.Fprintf(b, ", annealed by %v, frequencies %v %v, attacked %v, statistics %q", v.Anneal, v.High, v.Low, v.Attacked, v.Stats)
		name = v.Of
	}
}

// check returns an error unless the named view and all that it is made of make sense.
func (r Registry) check(name string, size int) error {
	seen := map[string]bool{}
	for at := name; at != ""; {
		if seen[at] {
			return fmt.Errorf("advcl: view %q is made of itself", at)
		}
		seen[at] = true
		v, err := r.view(at)
		if err != nil {
			return err
		}
		if at != name && v.Attacked {
			return fmt.Errorf("advcl: view %q is made of %q, which is attacked; want a view that is not", name, at)
		}
		if v.High != 0 && v.Low != 0 {
			return fmt.Errorf("advcl: view %q has the frequencies above %v and below %v, want one of them", at, v.High, v.Low)
		}
		for _, radius := range []float64{v.High, v.Low} {
			if radius != 0 {
				if _, err := NewRadial(size, radius); err != nil {
					return fmt.Errorf("advcl: view %q: %w", at, err)
				}
			}
		}
		if _, err := dataset.NewAugmenter(0, v.changes(0)...); err != nil {
			return fmt.Errorf("advcl: view %q: %w", at, err)
		}
		at = v.Of
	}
	return nil
}

// changes are the random changes of an epoch.
func (v View) changes(epoch int) []dataset.Augment {
	if v.Anneal != nil {
		return v.Anneal.Augment(epoch)
	}
	return v.Augment
}

// studio makes the views of batches, without those that attack.
type studio struct {
	views      Registry
	seed       uint64
	augmenters map[string]*dataset.Augmenter
	spare      spare
	filters    map[[2]float64]*Radial // by size and radius
}

func newStudio(views Registry, seed uint64) *studio {
	return &studio{
		views: views, seed: seed, augmenters: map[string]*dataset.Augmenter{},
		spare: spare{}, filters: map[[2]float64]*Radial{},
	}
}

// make returns the named view of images x, which lie on a tape, and of all views that
// it is made of. An attacked view is what its attack starts from. made holds the views
// of the batch that are there already.
func (s *studio) make(name string, x *tensor.Tensor, idx []int, epoch int, made map[string]*tensor.Tensor) (*tensor.Tensor, error) {
	if made[name] != nil {
		return made[name], nil
	}
	v, err := s.views.view(name)
	if err != nil {
		return nil, err
	}
	out := x
	if v.Of != "" {
		if out, err = s.make(v.Of, x, idx, epoch, made); err != nil {
			return nil, err
		}
	}
	if changes := v.changes(epoch); len(changes) > 0 {
		a := s.augmenters[name]
		if a == nil || v.Anneal != nil {
			if a, err = dataset.NewAugmenter(s.seed^hash(name), changes...); err != nil {
				return nil, fmt.Errorf("advcl: view %q: %w", name, err)
			}
			s.augmenters[name] = a
		}
		b := s.spare.copyOf(name, out)
		a.Apply(b, idx, epoch)
		out = x.Tape().Const(b)
	}
	if radius := v.High + v.Low; radius != 0 {
		f, err := s.filter(out.Dim(1), radius)
		if err != nil {
			return nil, err
		}
		part := f.High
		if v.Low != 0 {
			part = f.Low
		}
		if out, err = part(out); err != nil {
			return nil, err
		}
	}
	made[name] = out
	return out, nil
}

func (s *studio) filter(size int, radius float64) (*Radial, error) {
	key := [2]float64{float64(size), radius}
	if f := s.filters[key]; f != nil {
		return f, nil
	}
	f, err := NewRadial(size, radius)
	if err == nil {
		s.filters[key] = f
	}
	return f, err
}

// hash spreads a name over 64 bits (FNV-1a), so that each name has a stream of random
// numbers of its own.
func hash(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

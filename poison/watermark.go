package poison

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

var _ Builder = Watermark{}

// Watermark blends source images with target images of their class and labels the
// result wrongly: u = (1-alpha) s + alpha t, where s is the source image of t's class
// that is nearest to t. Alpha 1 adds target images under wrong labels, alpha 0 source
// images.
//
// Mehra et al., NeurIPS 2021, section 4.
type Watermark struct {
	Budget Budget // how many
	// Alpha is the part of the target image, in [0, 1].
	Alpha float64
	// Labels maps each class to the label of its poisons; nil means the next class,
	// (c+1) mod K. No class may be mapped to itself. See NearestClasses.
	Labels []int
	// Candidates is the number of source images of each class among which the
	// nearest is searched, drawn with replacement; 0 takes all.
	Candidates int
	// AnySource takes a source image of the class at random in place of the nearest.
	AnySource bool
	// SourceFeatures and TargetFeatures [N, d], float32, are what distances are
	// measured in; nil means pixels. See uda.FeaturesOf.
	SourceFeatures, TargetFeatures *tensor.Tensor
	// ReplaceOriginals takes the source images that poisons are made of out of the
	// source: relabelling rather than adding a contradiction.
	ReplaceOriginals bool
	// Seed selects the target images and the candidates.
	Seed uint64
}

// MislabelledTarget adds target images under wrong labels.
func MislabelledTarget(b Budget, seed uint64) Watermark {
	return Watermark{Budget: b, Alpha: 1, Seed: seed}
}

// MislabelledSource adds source images under wrong labels.
func MislabelledSource(b Budget, seed uint64) Watermark { return Watermark{Budget: b, Seed: seed} }

// Name returns "mislabelled target", "mislabelled source" or "watermark".
func (w Watermark) Name() string {
	switch w.Alpha {
	case 0:
		return "mislabelled source"
	case 1:
		return "mislabelled target"
	}
	return "watermark"
}

// Build chooses target images without replacement and makes a poison of each.
// Errors: arguments out of their range, images that are not of one form, target
// images of a class that the source has not, a class that would be emptied.
func (w Watermark) Build(source, target *dataset.Set) (*Poison, error) {
	labels, n, err := w.check(source, target)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(w.Seed, 0x3a7e))
	chosen := rng.Perm(target.Len())[:n]
	byClass := make([][]int, source.Classes)
	for i, y := range source.Labels {
		byClass[y] = append(byClass[y], i)
	}
	candidates := slices.Clone(byClass)
	for c, all := range candidates {
		if w.Candidates > 0 && len(all) > 0 {
			candidates[c] = make([]int, w.Candidates)
			for i := range candidates[c] {
				candidates[c][i] = all[rng.IntN(len(all))]
			}
		}
	}
	p := &Poison{Set: empty(source, w.Name()), Target: chosen, Source: make([]int, n)}
	for i, t := range chosen {
		c := target.Labels[t]
		if len(byClass[c]) == 0 {
			return nil, fmt.Errorf("poison: target image %d is of class %d, of which the source has no image", t, c)
		}
		p.True = append(p.True, c)
		p.Set.Labels = append(p.Set.Labels, labels[c])
		if w.AnySource {
			p.Source[i] = candidates[c][rng.IntN(len(candidates[c]))]
		}
	}
	xs, xt := pixels(source), pixels(target)
	size := source.H * source.W * source.C
	if !w.AnySource {
		fs, ft, d := xs, xt, size
		if w.SourceFeatures != nil {
			fs, ft, d = w.SourceFeatures.Float32s(), w.TargetFeatures.Float32s(), w.SourceFeatures.Dim(1)
		}
		par.For(n, 1, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				t := chosen[i]
				p.Source[i] = nearest(ft[t*d:(t+1)*d], fs, candidates[target.Labels[t]])
			}
		})
	}
	var s, t []float32
	for i := range n {
		s = append(s, xs[p.Source[i]*size:(p.Source[i]+1)*size]...)
		t = append(t, xt[chosen[i]*size:(chosen[i]+1)*size]...)
	}
	p.Set.Floats = blend(s, t, w.Alpha)
	p.measure(size, s, t)
	if w.ReplaceOriginals {
		p.Removed = slices.Compact(slices.Sorted(slices.Values(p.Source)))
		if err := w.spares(byClass, source.Labels, p.Removed); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// blend is (1-alpha) s + alpha t, s or t itself at the ends.
func blend(s, t []float32, alpha float64) []float32 {
	switch alpha {
	case 0:
		return slices.Clone(s)
	case 1:
		return slices.Clone(t)
	}
	u := make([]float32, len(s))
	for i := range u {
		u[i] = float32((1-alpha)*float64(s[i]) + alpha*float64(t[i]))
	}
	return u
}

// nearest returns which of the rows idx of x is nearest to v; the first of equals.
func nearest(v, x []float32, idx []int) int {
	best, at := math.Inf(1), -1
	for _, i := range idx {
		if d := distance(v, x[i*len(v):(i+1)*len(v)]); d < best {
			best, at = d, i
		}
	}
	return at
}

// distance is the squared Euclidean distance.
func distance(a, b []float32) float64 {
	s := 0.0
	for k, v := range a {
		d := float64(v) - float64(b[k])
		s += d * d
	}
	return s
}

// spares returns an error if removing images empties a class.
func (w Watermark) spares(byClass [][]int, labels, removed []int) error {
	gone := make([]int, len(byClass))
	for _, i := range removed {
		gone[labels[i]]++
	}
	for c, all := range byClass {
		if len(all) > 0 && gone[c] == len(all) {
			return fmt.Errorf("poison: ReplaceOriginals takes all %d source images of class %d, want some left", len(all), c)
		}
	}
	return nil
}

func (w Watermark) check(source, target *dataset.Set) (labels []int, n int, err error) {
	if err := check(source, target); err != nil {
		return nil, 0, err
	}
	if !(w.Alpha >= 0 && w.Alpha <= 1) {
		return nil, 0, fmt.Errorf("poison: alpha is %v, want it in [0, 1]", w.Alpha)
	}
	if w.Candidates < 0 {
		return nil, 0, fmt.Errorf("poison: %d candidates, want 0 (all) or more", w.Candidates)
	}
	if n, err = w.Budget.countOf(source.Len(), target.Len(), w.ReplaceOriginals); err != nil {
		return nil, 0, err
	}
	if n > target.Len() {
		return nil, 0, fmt.Errorf("poison: %d poisons, want at most the %d target images", n, target.Len())
	}
	if labels, err = labelMap(w.Labels, source.Classes); err != nil {
		return nil, 0, err
	}
	if w.SourceFeatures == nil && w.TargetFeatures == nil {
		return labels, n, nil
	}
	if s, t := w.SourceFeatures, w.TargetFeatures; s == nil || t == nil || s.Dim(0) != source.Len() || t.Dim(0) != target.Len() || s.Dim(1) != t.Dim(1) {
		return nil, 0, fmt.Errorf("poison: features of %v and %v, want rows for %d source and %d target images of one width", s, t, source.Len(), target.Len())
	}
	return labels, n, nil
}

package poison_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func set(classes int, labels []int, pix ...float32) *dataset.Set {
	return &dataset.Set{Name: "test", H: 2, W: 2, C: 1, Classes: classes, Labels: labels, Floats: pix}
}

// fourImages are a, b and d of class 3 and c of class 5, with distances 1.245, 0.387
// and 0.265 from the target image for a, b and d.
func fourImages() (source, target *dataset.Set) {
	return set(10, []int{3, 3, 5, 3}, 0, 0, 0, 0, 1, 1, 0, 0, .2, .2, .2, .2, .9, .8, .1, 0), set(10, []int{3}, .8, .9, .3, .1)
}

func TestWatermarkBlendsWithTheNearestOfTheClass(t *testing.T) {
	source, target := fourImages()
	w := poison.Watermark{Budget: poison.Budget{Fraction: 1}, Alpha: .3}
	p, err := w.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, []int{3}, p.Source)
	require.Equal(t, []int{4}, p.Set.Labels)
	require.Equal(t, []int{3}, p.True)
	require.InDeltaSlice(t, []float32{.87, .83, .16, .03}, p.Set.Floats, 1e-6)
	require.InDelta(t, .06, p.Linf[0], 1e-6)
	w.Alpha = 1
	p, err = w.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, target.Floats, p.Set.Floats)
	require.Zero(t, p.L2[0])
	w.Alpha = 0
	p, err = w.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, source.Floats[12:], p.Set.Floats)
	require.Equal(t, 5, p.Into(source).Len())
	w.ReplaceOriginals = true
	p, err = w.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, []int{3}, p.Removed)
	require.Equal(t, []int{3, 3, 5, 4}, p.Into(source).Labels)
	w.Labels = []int{1, 2, 3, 9, 5, 6, 7, 8, 9, 0}
	p, err = w.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, []int{9}, p.Set.Labels)
}

// In the space of these features b is the nearest.
func TestWatermarkMeasuresInFeatures(t *testing.T) {
	source, target := fourImages()
	p, err := poison.Watermark{Budget: poison.Budget{Fraction: 1},
		SourceFeatures: tensor.FromFloat32([]float32{3, 1, 0, 2}, 4, 1), TargetFeatures: tensor.FromFloat32([]float32{0}, 1, 1)}.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, []int{1}, p.Source)
}

func TestBudgetsCountExactly(t *testing.T) {
	for _, g := range []struct {
		b          poison.Budget
		source, of int
		want       int
	}{
		{poison.Budget{Fraction: .1}, 73257, 55000, 5500}, {poison.Budget{Fraction: .1}, 2000, 1800, 180},
		{poison.Budget{Fraction: .1}, 2000, 1805, 180}, {poison.Budget{Fraction: .29}, 1, 100, 29},
		{poison.Budget{Fraction: .1, Of: poison.OfSource}, 2000, 1, 200},
		{poison.Budget{Fraction: .1, Of: poison.OfUnion}, 1800, 1, 200},
	} {
		n, err := g.b.Count(g.source, g.of)
		require.NoError(t, err)
		require.Equal(t, g.want, n, "%+v", g)
	}
}

// digits are n random images with ten classes.
func digits(seed uint64, n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := set(10, nil)
	for i := range n {
		s.Labels = append(s.Labels, i%10)
		for range 4 {
			s.Floats = append(s.Floats, rng.Float32())
		}
	}
	return s
}

// Whatever the seed, alpha and budget: as many poisons as announced, no target image
// twice, each between its two images, with the label of the next class.
func TestPoisonKeepsItsPromises(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	for seed := range uint64(60) {
		source, target := digits(seed, 40+rng.IntN(60)), digits(seed+100, 30+rng.IntN(60))
		w := poison.Watermark{Budget: poison.Budget{Fraction: .05 + .9*rng.Float64(), Of: poison.Whole(seed % 2)}, Alpha: rng.Float64(), Seed: seed, AnySource: seed%3 == 0, Candidates: int(seed%4) * 5}
		n, err := w.Budget.Count(source.Len(), target.Len())
		require.NoError(t, err)
		if n > target.Len() {
			continue
		}
		p, err := w.Build(source, target)
		require.NoError(t, err)
		require.Equal(t, n, p.Set.Len())
		require.NoError(t, p.Set.Check())
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(p.Target))), n)
		for i := range n {
			c := target.Labels[p.Target[i]]
			require.Equal(t, (c+1)%10, p.Set.Labels[i])
			require.Equal(t, c, source.Labels[p.Source[i]])
			for k := range 4 {
				a, b, u := source.Floats[4*p.Source[i]+k], target.Floats[4*p.Target[i]+k], p.Set.Floats[4*i+k]
				require.InDelta(t, (1-w.Alpha)*float64(a)+w.Alpha*float64(b), float64(u), 1e-6)
			}
		}
		again, err := w.Build(source, target)
		require.NoError(t, err)
		require.Equal(t, p, again)
		account := p.Account(source.Len(), target.Len())
		require.Equal(t, n, account.Count)
		require.InDelta(t, float64(n)/float64(n+source.Len()), account.OfUnion, 1e-12)
		require.LessOrEqual(t, account.MeanL2, account.MaxL2+1e-12)
		require.Equal(t, source.Len()+n, p.Into(source).Len())
	}
}

func TestBaselinesHaveWrongLabels(t *testing.T) {
	source, target := digits(1, 80), digits(2, 50)
	b := poison.Budget{Fraction: .2}
	p, err := poison.RandomFlips{Budget: b, ReplaceOriginals: true, Seed: 3}.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, 10, p.Set.Len())
	for i, y := range p.Set.Labels {
		require.NotEqual(t, p.True[i], y)
		require.Equal(t, p.True[i], source.Labels[p.Source[i]])
	}
	require.Equal(t, 80, p.Into(source).Len())
	q, err := poison.Noise{Budget: b}.Build(source, target)
	require.NoError(t, err)
	require.NoError(t, q.Set.Check())
	require.Equal(t, 90, q.Into(source).Len())
}

// Centroids on a line: sources at 0, 4 and 5, targets of classes 0 and 2 at 4.4 and 1.
func TestNearestClasses(t *testing.T) {
	xs := tensor.FromFloat32([]float32{-1, 1, 4, 5}, 4, 1)
	xt := tensor.FromFloat32([]float32{4.4, 1}, 2, 1)
	m, err := poison.NearestClasses(xs, []int{0, 0, 1, 2}, xt, []int{0, 2}, 3)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 0}, m)
	_, err = poison.NearestClasses(xs, []int{0, 0, 1, 1}, xt, []int{0, 2}, 3)
	require.ErrorContains(t, err, "class 2 has no source")
}

func TestBadPoisonIsAnError(t *testing.T) {
	good := func() (poison.Watermark, *dataset.Set, *dataset.Set) {
		return poison.Watermark{Budget: poison.Budget{Fraction: .2}, Alpha: .5}, digits(1, 40), digits(2, 40)
	}
	for want, change := range map[string]func(w *poison.Watermark, s, t *dataset.Set){
		"alpha is 1.5":           func(w *poison.Watermark, s, t *dataset.Set) { w.Alpha = 1.5 },
		"budget is 0 of":         func(w *poison.Watermark, s, t *dataset.Set) { w.Budget.Fraction = 0 },
		"budget is 1.1 of":       func(w *poison.Watermark, s, t *dataset.Set) { w.Budget.Fraction = 1.1 },
		"is no poison":           func(w *poison.Watermark, s, t *dataset.Set) { w.Budget.Fraction = .01 },
		"of Whole(9)":            func(w *poison.Watermark, s, t *dataset.Set) { w.Budget.Of = 9 },
		"has no labels":          func(w *poison.Watermark, s, t *dataset.Set) { t.Labels, t.Classes = nil, 0 },
		"the source is empty":    func(w *poison.Watermark, s, t *dataset.Set) { *s = dataset.Set{} },
		"the target is empty":    func(w *poison.Watermark, s, t *dataset.Set) { *t = dataset.Set{} },
		"2x2x1 as in":            func(w *poison.Watermark, s, t *dataset.Set) { t.H, t.W = 4, 1 },
		"label of image 3 is 10": func(w *poison.Watermark, s, t *dataset.Set) { s.Labels[3] = 10 },
		"is 1.5, want 0 to 1":    func(w *poison.Watermark, s, t *dataset.Set) { t.Floats[3] = 1.5 },
		"of which the source has no": func(w *poison.Watermark, s, t *dataset.Set) {
			for i := range s.Labels {
				s.Labels[i] = 1
			}
		},
		"takes all 1 source images": func(w *poison.Watermark, s, t *dataset.Set) { *s = *s.Take(10); w.ReplaceOriginals = true },
		"labelled as itself":        func(w *poison.Watermark, s, t *dataset.Set) { w.Labels = []int{1, 1, 0, 0, 0, 0, 0, 0, 0, 0} },
		"labelled 12":               func(w *poison.Watermark, s, t *dataset.Set) { w.Labels = []int{12, 0, 0, 0, 0, 0, 0, 0, 0, 0} },
		"labels for 2 classes":      func(w *poison.Watermark, s, t *dataset.Set) { w.Labels = []int{1, 0} },
		"-1 candidates":             func(w *poison.Watermark, s, t *dataset.Set) { w.Candidates = -1 },
		"features of":               func(w *poison.Watermark, s, t *dataset.Set) { w.SourceFeatures = tensor.Zeros(tensor.Float32, 3, 1) },
		"has 1 classes":             func(w *poison.Watermark, s, t *dataset.Set) { s.Classes = 1 },
	} {
		w, s, u := good()
		change(&w, s, u)
		_, err := w.Build(s, u)
		require.ErrorContains(t, err, want)
	}
}

func TestFirstOfEquallyNearImagesIsTaken(t *testing.T) {
	source, target := fourImages()
	copy(source.Floats[4:8], source.Floats[12:])
	p, err := poison.Watermark{Budget: poison.Budget{Fraction: 1}}.Build(source, target)
	require.NoError(t, err)
	require.Equal(t, []int{1}, p.Source)
}

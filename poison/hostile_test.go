package poison_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/kmeans"
	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// trained returns a model of bars, its source and its target.
func trained(t *testing.T) (m *uda.Model, source, target *dataset.Set) {
	source, target = bars(1, 40, .7), bars(2, 40, .5)
	m, err := uda.Training{Method: uda.SourceOnly{}, Arch: tiny(), Source: source, Target: target, Epochs: 2, BatchSize: 20}.Run(ctx)
	require.NoError(t, err)
	return m, source, target
}

func unlabelled(s *dataset.Set) *dataset.Set {
	c := *s
	c.Labels = nil
	return &c
}

func mislabelled(s *dataset.Set) *dataset.Set {
	c := *s
	c.Labels = append([]int{7}, s.Labels[1:]...)
	return &c
}

func nan(s *dataset.Set) *dataset.Set {
	c := *s
	c.Floats = append([]float32{float32(math.NaN())}, s.Floats[1:]...)
	return &c
}

func TestFiltersRefuseBadSuspects(t *testing.T) {
	m, source, target := trained(t)
	filters := []poison.Filter{
		poison.KNN{Pixels: true}, poison.KNN{}, poison.SpectralSignatures{}, poison.ActivationClustering{}, poison.Agreement{},
	}
	for _, f := range filters {
		for want, s := range map[string]*dataset.Set{
			"0 labels for 40": unlabelled(source), "label 7 at image 0": mislabelled(source), "not finite": nan(source),
		} {
			_, err := f.Keep(ctx, poison.Suspect{Source: s, Target: target, Model: m})
			require.ErrorContains(t, err, want, f.Name())
		}
	}
	_, err := poison.Agreement{}.Keep(ctx, poison.Suspect{Source: source, Model: m})
	require.ErrorContains(t, err, "the target is empty")
}

func TestVotesAndVictimsRefuseBadSets(t *testing.T) {
	m, source, target := trained(t)
	tr := uda.Training{Method: uda.SourceOnly{}, Arch: tiny(), Source: source, Target: target, Epochs: 1, BatchSize: 10}
	three := *target
	three.Classes = 3
	for want, test := range map[string]*dataset.Set{
		"no test images": nil, "0 labels for 40": unlabelled(target), "label 7": mislabelled(target), "classes": &three,
	} {
		_, err := poison.PartitionVote{Training: tr, Parts: 2}.Run(ctx, test)
		require.ErrorContains(t, err, want)
	}
	_, err := poison.Ask(ctx, []*uda.Model{m}, nil, target, nil, 1)
	require.ErrorContains(t, err, "no test images")
	_, err = poison.Ask(ctx, []*uda.Model{m}, nil, nil, target, 1)
	require.ErrorContains(t, err, "no image")
	_, err = poison.Ask(ctx, []*uda.Model{m}, nil, target, &three, 2)
	require.ErrorContains(t, err, "poison: victim 0 has 2 classes, want 3 as the test images have")
	large := &dataset.Set{Name: "large", H: 5, W: 5, C: 1, Classes: 2, Labels: make([]int, 4), Floats: make([]float32, 100)}
	large.Labels[0] = 1
	_, err = poison.Victims{Training: tr, N: 1}.Train(ctx, &poison.Poison{Set: large})
	require.ErrorContains(t, err, "victims")
	_, err = poison.CleanLabel{Training: tr, Models: 1, Poisons: 1}.Run(ctx, large.Subset([]int{1}), large, 1)
	require.ErrorContains(t, err, "pool")
}

func TestImageAttacksRefuseBadPixels(t *testing.T) {
	m, source, target := trained(t)
	models := []poison.Embedding{m.Features}
	base, y := target.Batch([]int{1, 3})
	x, _ := target.Batch([]int{0})
	bad := base.Clone()
	c := poison.Collision{Eps: .1, Steps: 1, StepSize: .1}
	g := poison.GradientMatching{Eps: .1, Steps: 2}
	for _, v := range []float32{1.5, -.1, float32(math.NaN())} {
		bad.Float32s()[0] = v
		_, _, err := c.Run(ctx, models, base, bad, x)
		require.ErrorContains(t, err, "pixel 0 is")
		_, _, err = g.Run(ctx, []*uda.Model{m}, bad, y, x, 1)
		require.ErrorContains(t, err, "pixel 0 is")
	}
	_, _, err := c.Run(ctx, models, bad, base, x)
	require.ErrorContains(t, err, "not finite")
	for _, wanted := range []int{-1, 9} {
		_, _, err = g.Run(ctx, []*uda.Model{m}, base, y, x, wanted)
		require.ErrorContains(t, err, "want it in [0, 2)")
	}
	_, _, err = g.Run(ctx, []*uda.Model{m}, base, y[:1], x, 1)
	require.ErrorContains(t, err, "1 labels for 2")
	x.Float32s()[0] = float32(math.NaN())
	_, _, err = g.Run(ctx, []*uda.Model{m}, base, y, x, 1)
	require.ErrorContains(t, err, "step 0")
	// Images outside of the ball are brought into it before the first step.
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	far, _ := source.Batch([]int{0, 2})
	u, trace, err := c.Run(stopped, models, far, base, base)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, trace)
	require.LessOrEqual(t, tensor.MaxAbs(tensor.Sub(u, base)), .1+1e-7)
	require.Greater(t, tensor.MaxAbs(tensor.Sub(far, base)), .2)
}

func TestAttackWithoutAPhaseHasARatioOfOne(t *testing.T) {
	a, x, pool := cleanLabel()
	c, cancel := context.WithCancel(ctx)
	cancel()
	got, err := a.Run(c, x, pool, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1., got.DistanceRatio())
}

// The models that the attack trains see the poison as it then is, and begin anew when
// their time comes: an epoch after a reset is one of a fresh model.
func TestModelsOfTheAttackTrainOnThePoisonAndBeginAnew(t *testing.T) {
	a, x, pool := cleanLabel()
	a.Models, a.Period, a.Epochs = 2, 4, 5
	clean := a.Training.Source.Len()
	poisons := map[int][]*dataset.Set{} // by epoch of the attack
	fresh := map[*uda.Model]*tensor.Tensor{}
	ages := [2][]int{}
	progress := [2][]float64{}
	calls := 0
	a.Training.Schedule = func(p float64) float64 {
		progress[(calls-1)%2] = append(progress[(calls-1)%2], p)
		return 1
	}
	a.Training.Keep = func(_ context.Context, age int, m *uda.Model, s *dataset.Set) ([]int, error) {
		epoch, number := calls/2, calls%2
		calls++
		require.Equal(t, clean+a.Poisons, s.Len())
		poisons[epoch] = append(poisons[epoch], s.Slice(clean, s.Len()))
		ages[number] = append(ages[number], age)
		f, err := uda.FeaturesOf(ctx, m, pool)
		require.NoError(t, err)
		if epoch == 0 {
			fresh[m] = f
		}
		require.Equal(t, age == 0, tensor.MaxAbs(tensor.Sub(f, fresh[m])) == 0, "model %d, epoch %d", number, epoch)
		all := make([]int, s.Len())
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	c, err := a.Run(ctx, x, pool, 1)
	require.NoError(t, err)
	require.Len(t, poisons, 5)
	// Model 0 begins anew in epoch 3, model 1 in epoch 1, and so do their schedules.
	require.Equal(t, [2][]int{{0, 1, 2, 0, 1}, {0, 0, 1, 2, 3}}, ages)
	for number, all := range progress {
		batches := len(all) / 5
		require.Greater(t, batches, 1)
		for i, p := range all {
			want := (float64(ages[number][i/batches]) + float64(i%batches)/float64(batches)) / 4
			require.InDelta(t, want, p, 1e-12, "model %d, epoch %d", number, i/batches)
		}
	}
	last, _ := c.Set.All()
	for epoch, both := range poisons {
		require.Len(t, both, 2)
		require.Equal(t, both[0].Floats, both[1].Floats)
		for _, y := range both[0].Labels {
			require.Equal(t, 1, y)
		}
		if epoch == 4 {
			require.Equal(t, last.Float32s(), both[0].Floats)
		} else {
			require.NotEqual(t, poisons[epoch+1][0].Floats, both[0].Floats)
		}
	}
}

// Replaced images leave the union as large as the source: the budget is kept.
func TestUnionBudgetHoldsWhenImagesAreReplaced(t *testing.T) {
	source, target := bars(1, 30, .7), bars(2, 40, .5)
	b := poison.Budget{Fraction: .3, Of: poison.OfUnion}
	for _, builder := range []poison.Builder{
		poison.RandomFlips{Budget: b, ReplaceOriginals: true}, poison.RandomFlips{Budget: b},
		poison.Watermark{Budget: b, ReplaceOriginals: true}, poison.Watermark{Budget: b, Alpha: .5},
	} {
		p, err := builder.Build(source, target)
		require.NoError(t, err)
		a := p.Account(source.Len(), target.Len())
		require.LessOrEqual(t, a.OfUnion, .3+1e-9, "%+v", builder)
		require.Greater(t, a.OfUnion, .2, "%+v", builder)
		require.InDelta(t, float64(p.Set.Len())/float64(p.Into(source).Len()), a.OfUnion, 1e-12)
	}
}

// Every image is judged by as many neighbours as asked for, the nearest, whatever the
// order of the set.
func TestNeighboursAreThoseOfAFullSort(t *testing.T) {
	s := bars(4, 61, .3)
	for i := range s.Labels {
		s.Labels[i] = (i * i % 7) % 2
	}
	x, _ := s.All()
	flat := tensor.Flatten(x)
	dist := kmeans.SquaredDistances(flat, flat)
	for _, k := range []int{1, 2, 7, 30, 60} {
		var want []int
		for i := range s.Len() {
			taken := map[int]bool{i: true}
			votes := [2]int{}
			for range k {
				best := -1
				for j := range s.Len() {
					if !taken[j] && (best < 0 || dist.At(i, j) < dist.At(i, best)) {
						best = j
					}
				}
				taken[best] = true
				votes[s.Labels[best]]++
			}
			if votes[s.Labels[i]] >= votes[1-s.Labels[i]] {
				want = append(want, i)
			}
		}
		got, err := poison.KNN{K: k, Pixels: true}.Keep(ctx, poison.Suspect{Source: s})
		require.NoError(t, err)
		require.Equal(t, want, got, "%d neighbours", k)
	}
}

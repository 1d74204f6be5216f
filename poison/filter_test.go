package poison_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// poisoned returns a source of bars with mislabelled target images behind its first
// 80, and a model that has seen it for some epochs.
func poisoned(t *testing.T) poison.Suspect {
	source, target := bars(1, 80, .7), bars(2, 60, .5)
	p, err := poison.MislabelledTarget(poison.Budget{Fraction: .2}, 4).Build(source, target)
	require.NoError(t, err)
	s := poison.Suspect{Source: p.Into(source), Target: target, Seed: 2}
	tr := uda.Training{Method: uda.DANN{}, Arch: tiny(), Source: s.Source, Target: target, Epochs: 6, BatchSize: 20, LR: 5e-3, Seed: 5}
	s.Model, err = tr.Run(ctx)
	require.NoError(t, err)
	return s
}

// removed returns the shares of clean images and of poisons that a filter removes.
func removed(keep []int) (clean, poison float64) {
	clean, poison = 1, 1
	for _, i := range keep {
		if i < 80 {
			clean -= 1. / 80
		} else {
			poison -= 1. / 12
		}
	}
	return clean, poison
}

func TestFiltersFindPoison(t *testing.T) {
	s := poisoned(t)
	for _, f := range []poison.Filter{poison.KNN{K: 30, Pixels: true}, poison.KNN{K: 30}, poison.Agreement{Clusters: 4}, poison.ActivationClustering{}, poison.SpectralSignatures{Fraction: .12}} {
		keep, err := f.Keep(ctx, s)
		require.NoError(t, err)
		clean, bad := removed(keep)
		require.Greater(t, bad, .8, f.Name())
		require.Less(t, clean, .1, f.Name())
		again, err := f.Keep(ctx, s)
		require.NoError(t, err)
		require.Equal(t, keep, again, f.Name())
	}
}

func TestLossTrimLeavesTheWorstOut(t *testing.T) {
	s := poisoned(t)
	f := poison.LossTrim{Fraction: .2, From: 3}
	all, err := f.Keep(ctx, 2, s.Model, s.Source)
	require.NoError(t, err)
	require.Len(t, all, 92)
	keep, err := f.Keep(ctx, 3, s.Model, s.Source)
	require.NoError(t, err)
	require.Len(t, keep, 92-18)
	losses, err := uda.LossesOf(ctx, s.Model, s.Source)
	require.NoError(t, err)
	kept, worst, least := map[int]bool{}, 0.0, 1e9
	for _, i := range keep {
		kept[i] = true
		worst = max(worst, losses[i])
	}
	for i, l := range losses {
		if !kept[i] {
			least = min(least, l)
		}
	}
	require.LessOrEqual(t, worst, least)
}

func TestPartitionVote(t *testing.T) {
	s := poisoned(t)
	v := poison.PartitionVote{Training: uda.Training{Method: uda.SourceOnly{}, Arch: tiny(), Source: bars(1, 80, .7), Target: s.Target, Epochs: 40, BatchSize: 10, LR: 1e-2}, Parts: 4}
	e, err := v.Run(ctx, s.Target)
	require.NoError(t, err)
	require.Greater(t, e.Accuracy, .95)
	require.Equal(t, 60, e.N)
}

func TestBadFiltersAreErrors(t *testing.T) {
	s := poisoned(t)
	for want, f := range map[string]poison.Filter{
		"92 neighbours":     poison.KNN{K: 92},
		"fraction is 0.7":   poison.SpectralSignatures{Fraction: .7},
		"smaller part is":   poison.ActivationClustering{Smaller: .6},
		"61 clusters of 60": poison.Agreement{Clusters: 61},
	} {
		_, err := f.Keep(ctx, s)
		require.ErrorContains(t, err, want)
	}
	_, err := poison.KNN{}.Keep(ctx, poison.Suspect{Source: s.Source})
	require.ErrorContains(t, err, "no model")
	_, err = poison.KNN{}.Keep(ctx, poison.Suspect{Source: &dataset.Set{}})
	require.ErrorContains(t, err, "empty")
	_, err = poison.LossTrim{}.Keep(ctx, 0, s.Model, s.Source)
	require.ErrorContains(t, err, "fraction is 0")
	_, err = poison.PartitionVote{Parts: -1}.Run(ctx, s.Target)
	require.ErrorContains(t, err, "-1 parts")
}

// Three points on a line with labels 0, 0 and 1: no neighbour of the third agrees with
// it, and it is not its own neighbour.
func TestNoImageIsItsOwnNeighbour(t *testing.T) {
	s := &dataset.Set{Name: "line", H: 1, W: 1, C: 1, Classes: 2, Labels: []int{0, 0, 1}, Floats: []float32{0, .1, .3}}
	keep, err := poison.KNN{K: 1, Pixels: true}.Keep(ctx, poison.Suspect{Source: s})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, keep)
}

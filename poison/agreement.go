package poison

import (
	"context"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/kmeans"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
)

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
	if s.Target == nil || s.Target.Len() == 0 {
		return nil, fmt.Errorf("poison: filter: the target is empty")
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
	groups, err := kmeans.Run(ctx, newRand(s.Seed), ft, k)
	if err != nil {
		return nil, fmt.Errorf("poison: agreement: %w", err)
	}
	votes := make([][]int, k)
	for c := range votes {
		votes[c] = make([]int, s.Source.Classes)
	}
	for i, a := range tensor.ArgMax(p) {
		votes[groups.ID[i]][a]++
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
	dist := kmeans.SquaredDistances(x, groups.Centers.To(x.DType()))
	keep := make([]bool, x.Dim(0))
	for i, c := range tensor.ArgMax(tensor.Neg(dist)) {
		keep[i] = label[c] == s.Source.Labels[i] || dist.At(i, c) > reach[c]
	}
	return chosen(keep), nil
}

// radii returns, for each of k clusters, the squared distance from the centre that nine
// tenths of its rows of x keep to.
func radii(x *tensor.Tensor, g kmeans.Clusters, k int) []float64 {
	of := make([][]float64, k)
	dist := kmeans.SquaredDistances(x, g.Centers.To(x.DType()))
	for i, c := range g.ID {
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

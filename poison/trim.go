package poison

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// LossTrim leaves the source images of the largest loss out of each epoch, from some
// epoch on: networks learn what most images say before they learn exceptions (Shen
// and Sanghavi, ICML 2019).
type LossTrim struct {
	Fraction float64 // of the source to leave out, in (0, 1)
	From     int     // first epoch in which it does; the model must have learnt something before
}

// Keep is for uda.Training.
func (f LossTrim) Keep(ctx context.Context, epoch int, m *uda.Model, source *dataset.Set) ([]int, error) {
	if !(f.Fraction > 0 && f.Fraction < 1) {
		return nil, fmt.Errorf("poison: loss trimming: fraction is %v, want it in (0, 1)", f.Fraction)
	}
	order := make([]int, source.Len())
	for i := range order {
		order[i] = i
	}
	if epoch < f.From {
		return order, nil
	}
	losses, err := uda.LossesOf(ctx, m, source)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case losses[a] < losses[b]:
			return -1
		case losses[a] > losses[b]:
			return 1
		}
		return 0
	})
	keep := order[:source.Len()-int(math.Floor(f.Fraction*float64(source.Len())))]
	slices.Sort(keep)
	return keep, nil
}

// PartitionVote trains a model on each of some random parts of the source, with all
// of the target, and answers by majority: the first step of Yu et al., ICDM 2022.
type PartitionVote struct {
	Training uda.Training
	Parts    int // 0 means 5
}

// Run trains the models and evaluates their vote on a labelled set. Of classes with
// equally many votes the one with the larger mean probability wins.
func (v PartitionVote) Run(ctx context.Context, test *dataset.Set) (uda.Evaluation, error) {
	parts, source := v.Parts, v.Training.Source
	if parts == 0 {
		parts = 5
	}
	if source == nil || parts < 1 || parts > source.Len() {
		return uda.Evaluation{}, fmt.Errorf("poison: partition: %d parts of the source, want at least 1 and an image for each", parts)
	}
	if err := judged(test, source); err != nil {
		return uda.Evaluation{}, fmt.Errorf("poison: partition: %w", err)
	}
	order := rand.New(rand.NewPCG(v.Training.Seed, 0x9a27)).Perm(source.Len())
	k := source.Classes
	votes := make([]float64, test.Len()*k)
	for i := range parts {
		t := v.Training
		t.Seed += uint64(i)
		t.Source = source.Subset(order[i*len(order)/parts : (i+1)*len(order)/parts])
		m, err := t.Run(ctx)
		if err != nil {
			return uda.Evaluation{}, err
		}
		p, err := uda.Probabilities(ctx, m, test)
		if err != nil {
			return uda.Evaluation{}, err
		}
		for e, a := range tensor.ArgMax(p) {
			votes[e*k+a]++
			for c := range k {
				votes[e*k+c] += float64(p.Float32s()[e*k+c]) / float64(2*parts)
			}
		}
	}
	out := uda.Evaluation{N: test.Len(), Confusion: make([][]int, k)}
	for c := range out.Confusion {
		out.Confusion[c] = make([]int, k)
	}
	right := 0
	for e, a := range tensor.ArgMax(tensor.FromFloat64(votes, test.Len(), k)) {
		out.Confusion[test.Labels[e]][a]++
		if a == test.Labels[e] {
			right++
		}
	}
	out.Accuracy = float64(right) / float64(out.N)
	return out, nil
}

// judged returns an error unless a set can judge models of that source.
func judged(test, source *dataset.Set) error {
	if test == nil || test.Len() == 0 {
		return errors.New("no test images")
	}
	if err := source.Compatible(test); err != nil {
		return err
	}
	if err := labelled(test); err != nil {
		return fmt.Errorf("test set %w", err)
	}
	return nil
}

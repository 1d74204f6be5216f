package main

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// defended is what DANN reaches on the pair of the headline with mislabelled target
// images in its source and a defence.
type defended struct {
	Name string `json:"name"`
	// RemovedPoison and RemovedClean are the shares that a filter takes away, 0 for
	// what is no filter.
	RemovedPoison float64 `json:"removed_poison"`
	RemovedClean  float64 `json:"removed_clean"`
	TargetAcc     float64 `json:"target_acc"`
	// Recovered is the part of the accuracy lost to the poison that comes back.
	Recovered float64 `json:"recovered"`
	Epochs    int     `json:"epochs"`
}

// The filters look at the features of a model that has been trained on the poisoned
// source, without adaptation, for long enough to know digits and not long enough to
// know the poison.
const scoutEpochs, scoutBatch = 2, 64

// attempt trains with one defence.
type attempt func() (defended, uda.Evaluation, error)

// defend trains with each defence.
func (e *experiment) defend(ctx context.Context) error {
	p := e.pairs[0].draw(e.env.Seed, e.source, e.target)
	made, err := poison.MislabelledTarget(poison.Budget{Fraction: fraction}, e.env.Seed).Build(p.source, p.target)
	if err != nil {
		return err
	}
	source := made.Into(p.source)
	training := func(name string, epochs int, s *dataset.Set) uda.Training {
		t := settings(name, 0, e.fast).training
		t.Source, t.Target, t.Epochs, t.Seed = s, p.target, epochs, e.env.Seed
		if e.batch > 0 {
			t.BatchSize = e.batch
		}
		return t
	}
	stage := e.env.Stage("defences", -1)
	early := training("source only", scoutEpochs, source)
	early.BatchSize = min(scoutBatch, early.BatchSize)
	scout, err := early.Run(ctx)
	if err != nil {
		return err
	}
	suspect := poison.Suspect{Source: source, Target: p.target, Model: scout, Seed: e.env.Seed}
	plain := func(s *dataset.Set, keep func(context.Context, int, *uda.Model, *dataset.Set) ([]int, error)) (uda.Evaluation, error) {
		t := training("DANN", e.defenseEpochs, s)
		t.Keep = keep
		m, err := t.Run(ctx)
		if err != nil {
			return uda.Evaluation{}, err
		}
		return uda.Evaluate(ctx, m, p.targetTest)
	}
	runs := []attempt{
		func() (defended, uda.Evaluation, error) {
			v, err := plain(p.source, nil)
			return defended{Name: "no poison"}, v, err
		},
		func() (defended, uda.Evaluation, error) {
			v, err := plain(source, nil)
			return defended{Name: "no defence"}, v, err
		},
		func() (defended, uda.Evaluation, error) {
			v, err := plain(source, poison.LossTrim{Fraction: 0.15, From: scoutEpochs * training("DANN", 1, source).BatchSize / scoutBatch}.Keep)
			return defended{Name: "loss trimming"}, v, err
		},
		func() (defended, uda.Evaluation, error) {
			v, err := poison.PartitionVote{Training: training("DANN", e.defenseEpochs, source)}.Run(ctx, p.targetTest)
			return defended{Name: "partition and vote"}, v, err
		},
	}
	// About four times as many as a class has poisons.
	neighbours := 4 * made.Set.Len() / p.source.Classes
	for _, f := range []poison.Filter{poison.KNN{K: neighbours, Pixels: true}, poison.KNN{K: neighbours}, poison.SpectralSignatures{}, poison.ActivationClustering{}, poison.Agreement{}} {
		runs = append(runs, func() (defended, uda.Evaluation, error) {
			keep, err := f.Keep(ctx, suspect)
			if err != nil {
				return defended{}, uda.Evaluation{}, err
			}
			d := defended{Name: f.Name(), RemovedPoison: 1, RemovedClean: 1}
			for _, i := range keep {
				if i < p.source.Len() {
					d.RemovedClean -= 1 / float64(p.source.Len())
				} else {
					d.RemovedPoison -= 1 / float64(made.Set.Len())
				}
			}
			v, err := plain(source.Subset(keep), nil)
			return d, v, err
		})
	}
	out := make([]defended, len(runs))
	done := 0
	err = e.each(ctx, len(runs), func(i int) error {
		d, v, err := runs[i]()
		if err != nil {
			return fmt.Errorf("defence %q: %w", d.Name, err)
		}
		d.TargetAcc, d.Epochs = v.Accuracy, e.defenseEpochs
		out[i] = d
		e.mu.Lock()
		done++
		stage.Note("%d of %d", done, len(runs))
		e.mu.Unlock()
		return nil
	})
	if err != nil {
		return err
	}
	for i := range out {
		if lost := out[0].TargetAcc - out[1].TargetAcc; lost > 0 {
			out[i].Recovered = (out[i].TargetAcc - out[1].TargetAcc) / lost
		}
	}
	e.out.Defense = out
	return nil
}

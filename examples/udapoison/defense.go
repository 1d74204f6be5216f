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

// trimFraction is what loss trimming leaves out of each epoch. The defender chooses it
// without knowing the budget of the attacker.
const trimFraction = 0.25

// spectralFraction is the part of poison that spectral signatures expect.
const spectralFraction = 0.1

// neighbours is the number of neighbours of the filters: the mean size of a class of
// the source as the defender finds it.
func neighbours(s *dataset.Set) int { return max(1, s.Len()/s.Classes) }

// defenseWork adds a training with each defence to a pool. What they are compared with
// are the cells of the table.
func (e *experiment) defenseWork(p *pool) (finish func(context.Context) error, err error) {
	drawn := e.pairs[0].draw(e.env.Seed, e.source, e.target)
	made, err := poison.MislabelledTarget(poison.Budget{Fraction: fraction}, e.env.Seed).Build(drawn.source, drawn.target)
	if err != nil {
		return nil, err
	}
	source := made.Into(drawn.source)
	unlabelled := *drawn.target
	unlabelled.Labels, unlabelled.Classes = nil, 0
	training := func(name string, epochs int, s *dataset.Set) uda.Training {
		t := settings(name, 0, e.fast).training
		t.Source, t.Target, t.Epochs, t.Seed = s, &unlabelled, epochs, e.env.Seed
		if e.batch > 0 {
			t.BatchSize = e.batch
		}
		t.BatchSize = batchFor(t, drawn.source.Len())
		return t
	}
	epochs := e.lengthOf("DANN")
	full := training("DANN", epochs, source)
	each := cost(full)
	plain := func(ctx context.Context, t uda.Training) (uda.Evaluation, error) {
		t.OnEpoch = func(uda.Epoch, *uda.Model) error { e.progress(each / float64(epochs)); return nil }
		m, err := t.Run(ctx)
		if err != nil {
			return uda.Evaluation{}, err
		}
		return uda.Evaluate(ctx, m, drawn.targetTest)
	}
	filters := []poison.Filter{
		poison.KNN{K: neighbours(source), Pixels: true}, poison.KNN{K: neighbours(source)},
		poison.SpectralSignatures{Fraction: spectralFraction}, poison.ActivationClustering{}, poison.Agreement{},
	}
	out := make([]defended, 2+len(filters))
	record := func(i int, d defended, v uda.Evaluation) {
		d.TargetAcc, d.Epochs = v.Accuracy, epochs
		out[i] = d
	}
	e.total += each * float64(len(out))
	p.add(each, func(ctx context.Context) error {
		t := full
		t.Keep = poison.LossTrim{Fraction: trimFraction, From: scoutEpochs}.Keep
		v, err := plain(ctx, t)
		record(0, defended{Name: "loss trimming"}, v)
		return err
	})
	p.add(each, func(ctx context.Context) error {
		v, err := poison.PartitionVote{Training: full}.Run(ctx, drawn.targetTest)
		e.progress(each)
		record(1, defended{Name: "partition and vote"}, v)
		return err
	})
	p.add(each*float64(len(filters)), func(ctx context.Context) error {
		early := training("source only", scoutEpochs, source)
		early.BatchSize = min(scoutBatch, early.BatchSize)
		scout, err := early.Run(ctx)
		if err != nil {
			return err
		}
		suspect := poison.Suspect{Source: source, Target: &unlabelled, Model: scout, Seed: e.env.Seed}
		for i, f := range filters {
			p.add(each, func(ctx context.Context) error {
				keep, err := f.Keep(ctx, suspect)
				if err != nil {
					return fmt.Errorf("defence %q: %w", f.Name(), err)
				}
				d := defended{Name: f.Name(), RemovedPoison: 1, RemovedClean: 1}
				for _, k := range keep {
					if k < drawn.source.Len() {
						d.RemovedClean -= 1 / float64(drawn.source.Len())
					} else {
						d.RemovedPoison -= 1 / float64(made.Set.Len())
					}
				}
				v, err := plain(ctx, training("DANN", epochs, source.Subset(keep)))
				record(2+i, d, v)
				return err
			})
		}
		return nil
	})
	return func(context.Context) error {
		clean, poisoned := e.reference("none"), e.reference("target")
		if clean == nil || poisoned == nil {
			return fmt.Errorf("defences: no cells of DANN at %d epochs to compare them with", epochs)
		}
		rows := []defended{
			{Name: "no poison", TargetAcc: clean.TargetAcc, Epochs: epochs},
			{Name: "no defence", TargetAcc: poisoned.TargetAcc, Epochs: epochs},
		}
		for _, d := range out {
			if lost := clean.TargetAcc - poisoned.TargetAcc; lost > 0 {
				d.Recovered = (d.TargetAcc - poisoned.TargetAcc) / lost
			}
			rows = append(rows, d)
		}
		e.out.Defense = rows
		return nil
	}, nil
}

// reference is the cell of DANN on the first seed of the headline that a defence is
// compared with.
func (e *experiment) reference(attack string) *cell {
	for _, c := range e.out.Cells {
		if c.Pair == e.pairs[0].Name && c.Learner == "DANN" && c.Seed == e.env.Seed && c.Attack == attack && c.Epochs == e.lengthOf("DANN") {
			return c
		}
	}
	return nil
}

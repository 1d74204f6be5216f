package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
)

// cell is one training.
type cell struct {
	Pair       string  `json:"pair"`
	Learner    string  `json:"learner"`
	Attack     string  `json:"attack"` // none, source (alpha 0), watermark or target (alpha 1)
	Alpha      float64 `json:"alpha"`
	Seed       uint64  `json:"seed"`
	TargetAcc  float64 `json:"target_acc"`  // on test images
	SourceAcc  float64 `json:"source_acc"`  // on test images
	ShiftedAcc float64 `json:"shifted_acc"` // on target test images, of the label (c+1) mod 10
	// SourceShifted is the same on source test images: what of a loss in SourceAcc is
	// learnt poison.
	SourceShifted float64  `json:"source_shifted_acc"`
	Fit           *float64 `json:"poison_fit"` // share of poisons answered with their label; null without poison
	Epochs        int      `json:"epochs"`
	Batch         int      `json:"batch"`
	// Steps is the number of batches seen; the paper's 256 images make 8 of an epoch
	// from MNIST to USPS.
	Steps int `json:"steps"`
	// DomainAccuracy is the balanced accuracy of the discriminator in the last epoch,
	// 0 for learners without one.
	DomainAccuracy float64        `json:"domain_accuracy,omitempty"`
	Confusion      [][]int        `json:"confusion"`
	Diagnosis      *uda.Diagnosis `json:"diagnosis,omitempty"`
}

// attack names a value of alpha; one below 0 is no attack.
func attackName(alpha float64) string {
	switch {
	case alpha < 0:
		return "none"
	case alpha == 0:
		return "source"
	case alpha == 1:
		return "target"
	}
	return "watermark"
}

// none is the alpha of a clean source.
const none = -1

// job is one training of the table.
type job struct {
	learner
	pair   pair
	number int // of the pair
	alpha  float64
	seed   uint64
	epochs int
	// at are epochs after which cells are written; the last one always is one.
	at []int
	// keep stores the model for pictures.
	keep bool
}

// fraction is the budget of the untargeted attacks, of the target.
const fraction = 0.1

// cost is the work of a training, in forward passes of G.
func cost(t uda.Training) float64 {
	return learner{training: t}.passes() * float64(t.Source.Len()) * float64(t.Epochs)
}

// tableWork adds the trainings of the table to a pool. The cells are in e.out after
// finish.
func (e *experiment) tableWork(p *pool) (finish func(), err error) {
	jobs := e.jobs()
	cells := make([][]*cell, len(jobs))
	for i, j := range jobs {
		t, made, err := e.prepare(j)
		if err != nil {
			return nil, err
		}
		c := cost(t)
		e.total += c
		p.add(c, func(ctx context.Context) (err error) {
			cells[i], err = e.train(ctx, j, t, made)
			return err
		})
	}
	return func() {
		for _, c := range cells {
			e.out.Cells = append(e.out.Cells, c...)
		}
	}, nil
}

// lengthOf is the number of epochs of a learner on the pair of the headline.
func (e *experiment) lengthOf(name string) int {
	if e.epochs > 0 {
		return e.epochs
	}
	return settings(name, 0, e.fast).epochs
}

// mainLearners are those that the headline sets side by side.
var mainLearners = []string{"source only", "DANN"}

// alphasOf lists the attacks on a learner. At small scale every learner is trained with
// and without mislabelled target images for every seed, those with class weights for
// the first one; the first seed of source-only and DANN has the other alphas too.
func (e *experiment) alphasOf(name string, s int) []float64 {
	main := slices.Contains(mainLearners, name)
	switch {
	case !e.fast || main && s == 0:
		return append([]float64{1, none, 0}, e.alphas...)
	case s > 0 && strings.HasPrefix(name, "IW"):
		return nil
	}
	return []float64{1, none}
}

// jobs lists the trainings: those of the table, and those with which defences are compared.
func (e *experiment) jobs() (all []job) {
	add := func(name string, p int, drawn pair, alpha float64, s, epochs, batch int) *job {
		j := job{learner: settings(name, p, e.fast), pair: drawn, number: p, alpha: alpha, seed: e.env.Seed + uint64(s)}
		if j.epochs = epochs; epochs == 0 {
			j.epochs = j.learner.epochs
		}
		if batch > 0 {
			j.training.BatchSize = batch
		}
		all = append(all, j)
		return &all[len(all)-1]
	}
	if !e.has("table") || e.has("defense") && !slices.Contains(e.learners, "DANN") {
		drawn := e.pairs[0].draw(e.env.Seed, e.source, e.target)
		for _, alpha := range []float64{1, none} {
			add("DANN", 0, drawn, alpha, 0, e.lengthOf("DANN"), e.batch)
		}
	}
	if !e.has("table") {
		return all
	}
	for s := range e.seeds {
		drawn := e.pairs[0].draw(e.env.Seed+uint64(s), e.source, e.target)
		for _, name := range e.learners {
			for _, alpha := range e.alphasOf(name, s) {
				j := add(name, 0, drawn, alpha, s, e.lengthOf(name), e.batch)
				if name == "DANN" && s == 0 && (alpha == none || alpha == 1) {
					j.keep = true
					e.prolong(j)
				}
			}
		}
	}
	for p := 1; p < len(e.pairs); p++ {
		if e.pairs[p].framed {
			drawn := e.pairs[p].draw(e.env.Seed, e.source, e.target)
			for _, name := range e.chosen(mainLearners) {
				for _, alpha := range []float64{1, none} {
					j := add(name, 0, drawn, alpha, 0, e.lengthOf(name), e.batch)
					if name == "DANN" {
						e.prolong(j)
					}
				}
			}
			continue
		}
		drawn := e.pairs[p].draw(e.env.Seed, e.other.source, e.other.target)
		for _, name := range e.chosen(e.otherLearners) {
			for _, alpha := range e.alphasOf(name, 0) {
				add(name, p, drawn, alpha, 0, e.other.epochs, e.other.batch)
			}
		}
	}
	return all
}

// chosen are those of some learners that the table is to have.
func (e *experiment) chosen(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !slices.Contains(e.learners, n) })
}

// prolong makes a training go on to the plan's long run, with cells at both lengths.
func (e *experiment) prolong(j *job) {
	if e.long > 0 {
		j.at, j.epochs = []int{j.epochs}, e.long
	}
}

// prepare poisons the source of a training. With batches of like sizes a poisoned
// source has as many as a clean one: cells that are compared make equally many steps.
func (e *experiment) prepare(j job) (uda.Training, *poison.Poison, error) {
	t := j.training
	t.Source, t.Target, t.Epochs, t.Seed = j.pair.source, j.pair.target, j.epochs, j.seed
	if j.alpha < 0 {
		return t, nil, nil
	}
	p, err := poison.Watermark{
		Budget: poison.Budget{Fraction: fraction}, Alpha: j.alpha, Candidates: candidates(j.number, e.fast), Seed: j.seed,
	}.Build(j.pair.source, j.pair.target)
	if err != nil {
		return t, nil, err
	}
	t.Source = p.Into(j.pair.source)
	if m, ok := t.Method.(uda.MCD); ok && j.number == 3 && j.alpha == 1 && !e.fast {
		m.FeatureRate = 0.1
		t.Method = m
	}
	t.BatchSize = batchFor(t, j.pair.source.Len())
	if j.pair.Name == e.pairs[0].Name && j.seed == e.env.Seed && !slices.ContainsFunc(e.out.Budget, func(b budget) bool { return b.Alpha == j.alpha }) {
		e.out.Budget = append(e.out.Budget, budget{j.alpha, p.Account(j.pair.source.Len(), j.pair.target.Len())})
	}
	return t, p, nil
}

// batchFor returns the size of batches with which t has as many as with that number of
// source images, if its batches are of like sizes.
func batchFor(t uda.Training, images int) int {
	if !t.Even {
		return t.BatchSize
	}
	batches := (images + t.BatchSize - 1) / t.BatchSize
	return (t.Source.Len() + batches - 1) / batches
}

// train makes one training and its cells.
func (e *experiment) train(ctx context.Context, j job, t uda.Training, p *poison.Poison) ([]*cell, error) {
	var cells []*cell
	t.OnEpoch = func(ep uda.Epoch, m *uda.Model) error {
		defer e.progress(cost(t) / float64(t.Epochs))
		if ep.Epoch+1 != j.epochs && !slices.Contains(j.at, ep.Epoch+1) {
			return nil
		}
		c, err := e.measure(ctx, j, t, p, m)
		if err != nil {
			return err
		}
		c.Epochs, c.DomainAccuracy = ep.Epoch+1, ep.Losses.DomainAccuracy
		c.Steps = c.Epochs * (t.Source.Len() / t.BatchSize)
		if t.Source.Len()%t.BatchSize > 0 && !t.DropLast {
			c.Steps += c.Epochs
		}
		cells = append(cells, c)
		return nil
	}
	m, err := t.Run(ctx)
	if err != nil {
		return cells, fmt.Errorf("%s, %s, alpha %v, seed %d: %w", j.pair.Name, j.name, j.alpha, j.seed, err)
	}
	if j.keep {
		e.mu.Lock()
		e.models[attackName(j.alpha)] = m
		e.mu.Unlock()
	}
	return cells, nil
}

// measure evaluates a model.
func (e *experiment) measure(ctx context.Context, j job, t uda.Training, p *poison.Poison, m *uda.Model) (*cell, error) {
	c := &cell{Pair: j.pair.Name, Learner: j.name, Attack: attackName(j.alpha), Alpha: max(0, j.alpha), Seed: j.seed, Batch: t.BatchSize}
	target, err := uda.Evaluate(ctx, m, j.pair.targetTest)
	if err != nil {
		return nil, err
	}
	source, err := uda.Evaluate(ctx, m, j.pair.sourceTest)
	if err != nil {
		return nil, err
	}
	c.TargetAcc, c.SourceAcc, c.Confusion = target.Accuracy, source.Accuracy, target.Confusion
	c.ShiftedAcc, c.SourceShifted = target.On(uda.Shifted(m.Classes)), source.On(uda.Shifted(m.Classes))
	if p != nil {
		fit, err := uda.Evaluate(ctx, m, p.Set)
		if err != nil {
			return nil, err
		}
		c.Fit = &fit.Accuracy
	}
	if j.keep {
		d, err := uda.Diagnose(ctx, m, j.pair.sourceTest, j.pair.targetTest, 0, j.seed)
		if err != nil {
			return nil, err
		}
		c.Diagnosis = &d
	}
	return c, nil
}

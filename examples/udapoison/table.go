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
	Fit        float64 `json:"poison_fit"`  // share of poisons answered with their label
	Epochs     int     `json:"epochs"`
	Batch      int     `json:"batch"`
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

// table trains all learners on all pairs.
func (e *experiment) table(ctx context.Context) error {
	jobs := e.jobs()
	total := 0
	for _, j := range jobs {
		total += j.epochs
	}
	stage := e.env.Stage("training with and without poison", total)
	done := 0
	cells := make([][]*cell, len(jobs))
	err := e.each(ctx, len(jobs), func(i int) error {
		out, err := e.train(ctx, jobs[i], func() {
			e.mu.Lock()
			done++
			stage.Done(done)
			e.mu.Unlock()
		})
		cells[i] = out
		return err
	})
	for _, c := range cells {
		e.out.Cells = append(e.out.Cells, c...)
	}
	return err
}

// epochsOf is the length of trainings on the pair of the headline, 0 for the paper's.
// CDAN resists as long as the predictions that its discriminator looks at are right, and
// takes twice as long to learn the poison; the weighted learners, of which the headline
// says nothing, have half of the time.
func (e *experiment) epochsOf(name string) int {
	switch {
	case name == "CDAN":
		return 2 * e.epochs
	case strings.HasPrefix(name, "IW"):
		return (e.epochs + 1) / 2
	}
	return e.epochs
}

// alphasOf lists the attacks on a learner of the pair of the headline. At small scale
// only what the headline compares has all of them: every learner is poisoned with every
// seed, but for those with weights, which have one.
func (e *experiment) alphasOf(name string, s int) []float64 {
	main := name == "source only" || name == "DANN"
	weighted := strings.HasPrefix(name, "IW")
	switch {
	case s > 0 && e.fast && weighted:
		return nil
	case s > 0 && e.fast && !main:
		return []float64{1}
	case s > 0:
		return []float64{1, none}
	case e.fast && !main:
		return []float64{1, none}
	}
	return append([]float64{1, none, 0}, e.alphas...)
}

// jobs lists the trainings, those that take longest first.
func (e *experiment) jobs() (all []job) {
	draws := make([]pair, e.seeds)
	for s := range draws {
		draws[s] = e.pairs[0].draw(e.env.Seed+uint64(s), e.source, e.target)
	}
	add := func(name string, p int, drawn pair, alpha float64, s, epochs, batch int) *job {
		j := job{learner: settings(name, p, e.fast), pair: drawn, alpha: alpha, seed: e.env.Seed + uint64(s)}
		if j.epochs = epochs; epochs == 0 {
			j.epochs = j.learner.epochs
		}
		if batch > 0 {
			j.training.BatchSize = batch
		}
		all = append(all, j)
		return &all[len(all)-1]
	}
	for s := range e.seeds {
		for _, name := range e.learners {
			for _, alpha := range e.alphasOf(name, s) {
				j := add(name, 0, draws[s], alpha, s, e.epochsOf(name), e.batch)
				if name == "DANN" && s == 0 && (alpha == none || alpha == 1) {
					j.keep = true
					if e.long > 0 {
						j.at, j.epochs = []int{j.epochs, 60}, e.long
					}
				}
			}
		}
	}
	for p := 1; p < len(e.pairs); p++ {
		drawn := e.pairs[p].draw(e.env.Seed, e.other.source, e.other.target)
		for _, name := range e.otherLearners {
			for _, alpha := range []float64{1, 0, none} {
				add(name, p, drawn, alpha, 0, e.other.epochs, e.other.batch)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b job) int { return b.epochs - a.epochs })
	return all
}

// train makes one training and its cells.
func (e *experiment) train(ctx context.Context, j job, done func()) ([]*cell, error) {
	t := j.training
	t.Source, t.Target, t.Epochs, t.Seed = j.pair.source, j.pair.target, j.epochs, j.seed
	var p *poison.Poison
	if j.alpha >= 0 {
		var err error
		p, err = poison.Watermark{Budget: poison.Budget{Fraction: fraction}, Alpha: j.alpha, Seed: j.seed}.Build(j.pair.source, j.pair.target)
		if err != nil {
			return nil, err
		}
		t.Source = p.Into(j.pair.source)
		if j.keep {
			e.mu.Lock()
			e.out.Budget = append(e.out.Budget, p.Account(j.pair.source.Len(), j.pair.target.Len()))
			e.mu.Unlock()
		}
	}
	var cells []*cell
	t.OnEpoch = func(ep uda.Epoch, m *uda.Model) error {
		defer done()
		wanted := ep.Epoch+1 == j.epochs
		for _, at := range j.at {
			wanted = wanted || ep.Epoch+1 == at
		}
		if !wanted {
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
	c.ShiftedAcc = target.On(uda.Shifted(m.Classes))
	if p != nil {
		fit, err := uda.Evaluate(ctx, m, p.Set)
		if err != nil {
			return nil, err
		}
		c.Fit = fit.Accuracy
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

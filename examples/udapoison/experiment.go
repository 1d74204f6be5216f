package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
)

// outcome is the result of the experiment.
type outcome struct {
	Data         string           `json:"data"`
	Cells        []*cell          `json:"cells"`
	CleanLabel   *cleanLabel      `json:"clean_label,omitempty"`
	Illustrative []illustrated    `json:"illustrative"`
	Defense      []defended       `json:"defense"`
	Budget       []poison.Account `json:"budget,omitempty"` // of the poisons of the first seed
	Seconds      float64          `json:"seconds"`
}

// experiment poisons and adapts.
type experiment struct {
	plan
	env      *example.Env
	seeds    int
	learners []string
	parts    []string
	workers  int
	pairs    []pair

	out outcome
	// models are kept for pictures, by attack: DANN of the first seed.
	models map[string]*uda.Model
	clean  cleanPictures
	mu     sync.Mutex
}

func newModels() map[string]*uda.Model { return map[string]*uda.Model{} }

func newExperiment(env *example.Env, o options, workers int) (*experiment, error) {
	e := &experiment{env: env, seeds: o.seeds, plan: smallPlan, workers: workers, models: newModels()}
	switch {
	case o.mini:
		e.plan = miniPlan
	case env.Scale == example.Full:
		e.plan = fullPlan
	}
	var err error
	if e.learners, err = example.Choose("-learners", o.learners, learnerNames); err != nil {
		return nil, err
	}
	if e.parts, err = example.Choose("-parts", o.parts, partNames); err != nil {
		return nil, err
	}
	e.pairs, e.out.Data, err = load(env)
	for i := range e.pairs {
		if e.test > 0 {
			e.pairs[i].sourceTest, e.pairs[i].targetTest = e.pairs[i].sourceTest.Take(e.test), e.pairs[i].targetTest.Take(e.test)
		}
	}
	return e, err
}

// run fills out; when it returns an error, out holds what was reached.
func (e *experiment) run(ctx context.Context) error {
	start := time.Now()
	defer func() { e.out.Seconds = time.Since(start).Seconds() }()
	// Small networks gain more from a training on each thread than from threads
	// within one.
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"illustrative", e.illustrate}, {"table", e.table}, {"defense", e.defend}, {"clean-label", e.cleanLabel}} {
		if slices.Contains(e.parts, part.name) {
			if err := part.run(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// each runs n jobs on the workers, in order of their numbers, and returns the first
// error. After one no further job begins.
func (e *experiment) each(ctx context.Context, n int, job func(i int) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	next := 0
	for range min(e.workers, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := first != nil || i >= n || ctx.Err() != nil
				mu.Unlock()
				if stop {
					return
				}
				if err := job(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return first
}

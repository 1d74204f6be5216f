package main

import (
	"cmp"
	"context"
	"errors"
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
	Data         string        `json:"data"`
	Cells        []*cell       `json:"cells"`
	CleanLabel   *cleanLabel   `json:"clean_label,omitempty"`
	Illustrative []illustrated `json:"illustrative"`
	Defense      []defended    `json:"defense"`
	Budget       []budget      `json:"budget,omitempty"` // of the poisons of the first seed
	Seconds      float64       `json:"seconds"`
}

// budget is what the poison of one alpha costs, on the pair of the headline.
type budget struct {
	Alpha float64 `json:"alpha"`
	poison.Account
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
	models   map[string]*uda.Model
	pictures cleanPictures
	// total and done are the work of all parts, in forward passes of G on one image.
	total, done float64
	stage       *example.Stage
	mu          sync.Mutex
}

func newModels() map[string]*uda.Model { return map[string]*uda.Model{} }

func newExperiment(env *example.Env, o options, workers int) (*experiment, error) {
	e := &experiment{env: env, seeds: cmp.Or(env.Seeds, 3), plan: smallPlan, workers: workers, models: newModels()}
	switch {
	case o.mini:
		e.plan = miniPlan
	case env.Scale == example.Full:
		e.plan = fullPlan
	}
	if o.epochs > 0 {
		e.epochs, e.long = o.epochs, 0
	}
	var err error
	if e.learners, err = example.Choose("-learners", o.learners, learnerNames); err != nil {
		return nil, err
	}
	if e.parts, _, err = o.choice().Choose(env); err != nil {
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

// Run fills out; when it returns an error, out holds what was reached.
func (e *experiment) Run(ctx context.Context) error {
	start := time.Now()
	defer func() { e.out.Seconds = time.Since(start).Seconds() }()
	// Small networks gain more from a training on each thread than from threads
	// within one.
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	work := newPool()
	finishTable := func() {}
	if e.has("table") || e.has("defense") {
		var err error
		if finishTable, err = e.tableWork(work); err != nil {
			return err
		}
	}
	var finish []func(context.Context) error
	for _, part := range []struct {
		name string
		add  func(*pool) (func(context.Context) error, error)
	}{{"illustrative", e.illustrativeWork}, {"defense", e.defenseWork}, {"clean-label", e.cleanWork}} {
		if e.has(part.name) {
			f, err := part.add(work)
			if err != nil {
				return err
			}
			finish = append(finish, f)
		}
	}
	e.stage = e.env.Stage("trainings", stageSteps)
	err := work.run(ctx, e.workers)
	finishTable()
	if err != nil {
		return err
	}
	for _, f := range finish {
		err = errors.Join(err, f(ctx))
	}
	return err
}

// has says whether a part was asked for.
func (e *experiment) has(part string) bool { return slices.Contains(e.parts, part) }

// stageSteps is the length of the bar of progress.
const stageSteps = 1000

// progress reports work that is done, in the unit of total.
func (e *experiment) progress(cost float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done += cost
	e.stage.Done(int(min(1, e.done/e.total) * stageSteps))
}

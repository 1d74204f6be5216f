package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redoubt-ml/redoubt/defense/advcl"
)

// run is a method with a seed.
type run struct {
	method string
	seed   uint64
}

// runs are those of the experiment, seed by seed.
func (e *experiment) runs() (out []run) {
	for i := range e.plan.seeds {
		for _, name := range e.plan.methods {
			out = append(out, run{name, e.env.Seed + uint64(i)})
		}
	}
	return out
}

// Run makes all runs, or looks up what there is of them.
func (e *experiment) Run(ctx context.Context) (err error) {
	start := time.Now()
	defer func() { e.out.Seconds = time.Since(start).Seconds() }()
	runs := e.runs()
	records := make([]*record, len(runs))
	if e.show {
		err = e.lookUp(runs, records)
	} else {
		err = e.makeAll(ctx, runs, records)
	}
	for i, r := range records {
		if r != nil {
			r.Clusters = e.clusterWork(r.Method)
			e.out.Runs = append(e.out.Runs, *r)
			continue
		}
		u, readErr := e.leftOf(runs[i].method, runs[i].seed)
		if err == nil {
			err = readErr
		}
		if u != nil {
			e.out.Unfinished = append(e.out.Unfinished, *u)
		}
	}
	e.out.summarise()
	if err == nil && e.show && len(e.out.Runs)+len(e.out.Unfinished) == 0 {
		return fmt.Errorf("%s holds neither results nor learning curves", e.state)
	}
	if err != nil || e.show || e.env.Out == "" && !e.quick {
		return err
	}
	return e.diagnose(ctx)
}

// makeAll makes all runs that are not done.
func (e *experiment) makeAll(ctx context.Context, runs []run, records []*record) error {
	cost, memory, err := e.cost(ctx)
	if err != nil {
		return err
	}
	e.env.Announce("%s, %s network, %d training and %d test images, %d steps of %d images, %d seeds of %d methods:\nabout %.3g GFLOP in training, %s at the %.0f GFLOP/s of this machine; %.2g GB for the largest step.",
		e.source, e.plan.form.Name, e.plan.train, e.plan.test, e.plan.total(), e.plan.batch, e.plan.seeds, len(e.plan.methods), cost, duration(cost/e.speed), e.speed, memory)
	e.progress.stage = e.env.Stage("pretraining", e.steps())
	var list []turn
	for _, r := range runs {
		list = append(list, e.turn(r.method, r.seed, 0))
	}
	return e.each(ctx, list, func(ctx context.Context, i int) error {
		r, err := e.one(ctx, runs[i].method, runs[i].seed)
		if err != nil {
			return fmt.Errorf("%s, seed %d: %w", runs[i].method, runs[i].seed, err)
		}
		records[i] = r
		return nil
	})
}

// lookUp finds the runs that are done.
func (e *experiment) lookUp(runs []run, records []*record) (err error) {
	for i, r := range runs {
		if records[i], err = e.finished(r.method, r.seed); err != nil {
			return err
		}
	}
	return nil
}

// steps is the number of all training steps.
func (e *experiment) steps() (total int) {
	for _, name := range e.plan.methods {
		if name != random {
			steps, _ := e.length(name)
			total += steps * e.plan.seeds
		}
	}
	return total
}

// cost is the work of all training, in GFLOP, and the memory of the largest step of a
// contrastive method, in GB.
func (e *experiment) cost(ctx context.Context) (total, memory float64, err error) {
	for _, name := range e.plan.methods {
		s := setup{}
		// What these are made of is not there yet, and does not matter here.
		switch name {
		case advCLPseudo:
			s.method = e.sized(advcl.NewAdvCL(0)).WithPseudoLabels(nil)
		case deACL:
			d := advcl.NewDeACL(nil, 0)
			if e.plan.epochs == 0 {
				d.Attack.Steps = e.plan.attackSteps
			}
			s.method = d
		default:
			s, err = e.setUp(ctx, name, e.env.Seed)
		}
		if err != nil {
			return 0, 0, err
		}
		steps, batch := e.length(name)
		if c, ok := s.method.(*advcl.Contrastive); ok {
			memory = max(memory, 8e-9*float64(e.plan.form.Outputs(32)*c.Kept(batch)))
		}
		total += e.work(name, s.passes(), steps) * float64(e.plan.seeds)
	}
	if !slices.Contains(e.plan.methods, simCLR) {
		most := 0. // it is trained once
		for _, name := range e.plan.methods {
			most = max(most, e.encoderWork(name))
		}
		total += most * float64(e.plan.seeds)
	}
	return total, memory, nil
}

// turn says when a training is next that has come to a step. All trainings move from
// measurement to measurement together, so that a program that is stopped has learning
// curves of all methods; only the encoder that others wait for goes before them.
func (e *experiment) turn(name string, seed uint64, step int) turn {
	if name == simCLR && slices.ContainsFunc(e.plan.methods, needsEncoder) {
		step = 0
	}
	return turn{int(seed - e.env.Seed), step, slices.Index(e.plan.methods, name)}
}

// needsEncoder says whether a method is trained with what a SimCLR encoder found.
func needsEncoder(name string) bool { return name == advCLPseudo || name == deACL }

// idle lets others go on while a training waits for another.
func (e *experiment) idle(ctx context.Context, name string, seed uint64) func(wait func()) error {
	return func(wait func()) error { return e.turns.without(ctx, e.turn(name, seed, 0), wait) }
}

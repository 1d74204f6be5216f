package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/poison/bound"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// illustrated is the outcome of one illustrative case: of a search from many starts
// with one formula for the induced labels, or of DANN on points (formula "DANN").
type illustrated struct {
	Case    string `json:"case"`
	Formula string `json:"formula"`
	Starts  int    `json:"starts"`
	// Good, Bad and Stuck are shares of the starts.
	Good  float64 `json:"good"`
	Bad   float64 `json:"bad"`
	Stuck float64 `json:"stuck"`
	// GoodTarget and BadTarget are mean squared target errors of those outcomes, null
	// where there are none.
	GoodTarget *float64 `json:"good_target_error"`
	BadTarget  *float64 `json:"bad_target_error"`
	// Best has the least loss.
	Best *bound.Point `json:"best,omitempty"`
	// TargetAcc and SourceAcc are those of DANN, by seed.
	TargetAcc []float64 `json:"target_acc,omitempty"`
	SourceAcc []float64 `json:"source_acc,omitempty"`
}

// illustrativeWork adds searches for the minima of the illustrative cases, and
// trainings of DANN on points of them, to a pool.
func (e *experiment) illustrativeWork(p *pool) (finish func(context.Context) error, err error) {
	cases := bound.Cases()
	formulas := []bound.Formula{bound.Released, bound.Exact}
	out := make([]illustrated, len(cases)*(len(formulas)+1))
	for k, c := range cases {
		for i, f := range formulas {
			p.add(0, func(ctx context.Context) error {
				all, err := e.search(ctx, c, f)
				if err == nil {
					out[k*len(formulas)+i] = summary(c, f, all)
				}
				return err
			})
		}
		r := &out[len(cases)*len(formulas)+k]
		*r = illustrated{Case: c.Name, Formula: "DANN", Starts: e.blobs.seeds, TargetAcc: make([]float64, e.blobs.seeds), SourceAcc: make([]float64, e.blobs.seeds)}
		for i := range e.blobs.seeds {
			p.add(0, func(ctx context.Context) (err error) {
				r.SourceAcc[i], r.TargetAcc[i], err = e.adapt(ctx, c, e.env.Seed+uint64(i))
				return err
			})
		}
	}
	return func(context.Context) error {
		for k := range out {
			for _, a := range out[k].TargetAcc {
				switch {
				case a > 0.9:
					out[k].Good += 1 / float64(e.blobs.seeds)
				case a < 0.1:
					out[k].Bad += 1 / float64(e.blobs.seeds)
				}
			}
		}
		e.out.Illustrative = out
		return nil
	}, nil
}

// search minimises one case from all starts.
func (e *experiment) search(ctx context.Context, c bound.Case, f bound.Formula) ([]bound.Minimum, error) {
	l := bound.Illustrate{Starts: e.starts, Formula: f, Seed: e.env.Seed}
	starts, err := l.RandomStarts()
	if err != nil {
		return nil, err
	}
	all := make([]bound.Minimum, len(starts))
	for i, s := range starts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if all[i], err = l.From(c, s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func summary(c bound.Case, f bound.Formula, all []bound.Minimum) illustrated {
	r := illustrated{Case: c.Name, Formula: f.String(), Starts: len(all)}
	var count, target [3]float64
	best := all[0]
	for _, m := range all {
		count[m.Outcome]++
		target[m.Outcome] += m.Terms.SquaredTarget
		if m.Loss < best.Loss {
			best = m
		}
	}
	n := float64(len(all))
	r.Good, r.Bad, r.Stuck = count[bound.Good]/n, count[bound.Bad]/n, count[bound.Stuck]/n
	mean := func(o bound.Outcome) *float64 {
		if count[o] == 0 {
			return nil
		}
		m := target[o] / count[o]
		return &m
	}
	r.GoodTarget, r.BadTarget = mean(bound.Good), mean(bound.Bad)
	r.Best = &best.Point
	return r
}

// adapt trains DANN on points of a case and returns its accuracies.
func (e *experiment) adapt(ctx context.Context, c bound.Case, seed uint64) (source, target float64, err error) {
	rng := rand.New(rand.NewPCG(seed, e.env.Stream("points")))
	s, u := points(rng, c.Source, e.blobs.points), points(rng, c.Target, e.blobs.points)
	m, err := uda.Training{
		Method: uda.DANN{}, Arch: uda.Plane(), Source: s, Target: u,
		Epochs: e.blobs.steps, BatchSize: e.blobs.points, LR: 5e-3, Seed: seed,
	}.Run(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("points of the %s case: %w", c.Name, err)
	}
	es, err := uda.Evaluate(ctx, m, s)
	if err != nil {
		return 0, 0, err
	}
	et, err := uda.Evaluate(ctx, m, u)
	return es.Accuracy, et.Accuracy, err
}

// points draws n points of standard deviation 0.3 around the means of a mixture, as
// images of 1x1 pixels with two channels.
func points(rng *rand.Rand, m bound.Mixture, n int) *dataset.Set {
	s := &dataset.Set{Name: "points", H: 1, W: 1, C: 2, Classes: 2}
	for i := range n {
		mean := m.Means[i%2]
		s.Floats = append(s.Floats, float32(mean[0]+0.3*rng.NormFloat64()), float32(mean[1]+0.3*rng.NormFloat64()))
		y := 0
		if m.Labels[0]*mean[0]+m.Labels[1]*mean[1] > 0 {
			y = 1
		}
		s.Labels = append(s.Labels, y)
	}
	return s
}

package main

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
)

// ruleRow is one way to weigh the networks.
type ruleRow struct {
	Name string `json:"name"`
	score
}

// compareRules sets the heuristics beside the min-max weights, under L∞.
func (e *experiment) compareRules(ctx context.Context) error {
	nets, d, eps, err := e.linfEnsemble(ctx, e.plan.rules)
	if err != nil {
		return err
	}
	s := mnistSettings[0]
	add := func(name string, fooled [][]bool) {
		e.out.Rules = append(e.out.Rules, ruleRow{name, scoreOf(fooled)})
	}
	run := func(name string, d *minmax.Situations, rule minmax.Rule) (minmax.Result, error) {
		return e.attackWith(ctx, "rules: "+name, s.attack(eps, rule, e.steps), d)
	}
	weighted, err := run("min-max", d, s.minmax())
	if err != nil {
		return err
	}
	static := weighted.MeanWeights()
	hard := order(static)
	for _, r := range []struct {
		name string
		rule minmax.Rule
	}{
		{"average", minmax.Average{}},
		{"the two hardest only", minmax.Subset{Domains: hard[:2]}},
		{"all but the easiest", minmax.Subset{Domains: hard[:3]}},
		{"loss clipping", minmax.Clip{Level: minmax.PaperMargin.Kappa}},
		{"prior weights", minmax.Fixed{Weights: prior(hard)}},
		{"static min-max weights", minmax.Fixed{Weights: static}},
		{"one-hot worst", minmax.Worst{}},
	} {
		res, err := run(r.name, d, r.rule)
		if err != nil {
			return err
		}
		add(r.name, res.Fooled)
	}
	for _, b := range []struct {
		name string
		minmax.Bundle
	}{{"one loss on mean logits", minmax.Bundle{Models: models(nets)}}, {"one loss on mean probabilities", minmax.Bundle{Models: models(nets), Probabilities: true}}} {
		res, err := run(b.name, minmax.Ensemble([]attack.Model{b.Bundle}, d.X, d.Y), minmax.Average{})
		if err != nil {
			return err
		}
		fooled, _, err := minmax.Judge(ctx, d, res.Point, 0)
		if err != nil {
			return err
		}
		add(b.name, fooled)
	}
	add("min-max", weighted.Fooled)
	return nil
}

// prior weighs the networks 4 : 3 : 2 : 1, the hardest first.
func prior(hard []int) []float64 {
	w := make([]float64, len(hard))
	sum := float64(len(hard) * (len(hard) + 1) / 2)
	for i, k := range hard {
		w[k] = float64(len(hard)-i) / sum
	}
	return w
}

// linfEnsemble is the ensemble of networks A to D on n images, with the radius that the
// ensemble attack under L∞ has used, or would.
func (e *experiment) linfEnsemble(ctx context.Context, n int) (nets []trained, d *minmax.Situations, eps float64, err error) {
	if nets, err = e.networks(ctx, "mnist", "ABCD"); err != nil {
		return nil, nil, 0, err
	}
	if done := e.out.Ensemble[attack.Linf.String()]; done != nil {
		eps = done.Eps
	} else if eps, err = e.radius(ctx, nets, mnistSettings[0]); err != nil {
		return nil, nil, 0, err
	}
	x, y := e.images("mnist", 0, n)
	return nets, ensembleOf(nets, x, y), eps, nil
}

// gammaRow is the regulariser's effect.
type gammaRow struct {
	Gamma float64 `json:"gamma"`
	Beta  float64 `json:"beta"`
	score
}

var gammas = []float64{0, 0.5, 1, 2, 4, 10, 30, 1e5}

// sweepGamma attacks the ensemble with regularisers from the worst case to the
// average, and by the average itself on the same images. The weights' step is the
// paper's as long as that keeps to half of 1/gamma.
func (e *experiment) sweepGamma(ctx context.Context) error {
	_, d, eps, err := e.linfEnsemble(ctx, e.plan.gammas)
	if err != nil {
		return err
	}
	s := mnistSettings[0]
	for _, g := range gammas {
		rule := minmax.MinMax{Beta: s.beta, Gamma: g}
		if g > 0 {
			rule.Beta = min(rule.Beta, 0.5/g)
		}
		res, err := e.attackWith(ctx, fmt.Sprintf("gamma %v", g), s.attack(eps, rule, e.steps), d)
		if err != nil {
			return err
		}
		e.out.Gamma = append(e.out.Gamma, gammaRow{g, rule.Beta, scoreOf(res.Fooled)})
	}
	res, err := e.attackWith(ctx, "gamma: average", s.attack(eps, minmax.Average{}, e.steps), d)
	if err != nil {
		return err
	}
	average := scoreOf(res.Fooled)
	e.out.GammaAverage = &average
	return nil
}

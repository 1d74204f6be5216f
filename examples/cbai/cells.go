package main

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// plan is one cell to run: a rule on an instance under an adversary.
type plan struct {
	group     string // table that it belongs to
	instance  string
	adversary string
	estimator string
	rule      bandit.Rule
	mode      bandit.Mode
	eps       float64 // of the world
	naive     bool    // the learner takes Eps for 0
	delta     float64
	eta       float64
	tol       float64
	maxPulls  int
	trials    int
	oneCore   bool
	ref       *reference
}

// cell is what came of it.
type cell struct {
	Instance   string   `json:"instance"`
	Estimator  string   `json:"estimator"`
	Rule       string   `json:"rule"`
	Mode       string   `json:"mode"`
	Adversary  string   `json:"adversary"`
	Eps        float64  `json:"eps"`
	Delta      float64  `json:"delta"`
	Eta        float64  `json:"eta"`
	Naive      bool     `json:"naive,omitempty"` // the rule knows nothing of the contamination
	Trials     int      `json:"trials"`
	MeanPulls  float64  `json:"mean_pulls"`
	SD         float64  `json:"sd"`
	Error      float64  `json:"error"`       // share of wrong answers
	ErrorFrom  float64  `json:"error_from"`  // exact 95 % interval of it
	ErrorTo    float64  `json:"error_to"`    //
	Unfinished float64  `json:"unfinished"`  // share of runs without an answer
	LowerBound *float64 `json:"lower_bound"` // under the worst oblivious adversary of Eps, whatever the cell's is; null where it does not apply
	Seconds    float64  `json:"seconds"`

	ReferencePulls *float64 `json:"reference_pulls,omitempty"`
	ReferenceError *float64 `json:"reference_error,omitempty"`
	ReferenceSD    *float64 `json:"reference_sd,omitempty"`
	// Z is the distance from the reference in standard deviations of the difference.
	Z *float64 `json:"z,omitempty"`

	group string
}

// design checks the learner's side of a plan.
func (p *plan) design(in instance) (*bandit.Design, error) {
	e, err := in.estimator(p.estimator)
	if err != nil {
		return nil, err
	}
	eps := p.eps
	if p.naive {
		eps = 0
	}
	return bandit.NewDesign(bandit.Config{
		Arms: len(in.Arms), Delta: p.delta, Eps: eps, Adversary: in.attacks[p.adversary].Adversary(),
		Estimator: e, Rule: p.rule, Mode: p.mode, Tol: p.tol, Eta: p.eta, MaxPulls: p.maxPulls, NoLog: true,
	})
}

// run does the trials of a plan, side by side. Trial k has the rewards of seed
// seed + k whatever the rule and the number of threads, so rules are compared on
// the same rewards.
func (p *plan) run(ctx context.Context, in instance, seed uint64) (cell, error) {
	start := time.Now()
	d, err := p.design(in)
	if err != nil {
		return cell{}, err
	}
	pulls := make([]float64, p.trials)
	outcomes := make([]bandit.Outcome, p.trials)
	right := make([]bool, p.trials)
	errs := make([]error, p.trials)
	best := in.Best()
	threads := runtime.GOMAXPROCS(0)
	if p.oneCore {
		threads = 1
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(threads, p.trials) {
		wg.Go(func() {
			for k := int(next.Add(1) - 1); k < p.trials && ctx.Err() == nil; k = int(next.Add(1) - 1) {
				w, err := env.New(in.Instance, in.attacks[p.adversary], p.eps, seed+uint64(k))
				if err != nil {
					errs[k] = err
					return
				}
				res, err := d.New().Run(ctx, w.Pull)
				pulls[k], outcomes[k], right[k], errs[k] = float64(res.Pulls), res.Outcome, res.Arm == best, err
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return cell{}, err
	}
	c := cell{
		Instance: p.instance, Estimator: p.estimator, Rule: p.rule.Name(), Mode: p.mode.String(), Adversary: p.adversary,
		Eps: p.eps, Delta: p.delta, Eta: p.eta, Naive: p.naive, Trials: p.trials, group: p.group,
	}
	if c.Estimator == "" {
		c.Estimator = "mean"
	}
	wrong, unfinished := 0, 0
	for k := range p.trials {
		if errs[k] != nil {
			return cell{}, errs[k]
		}
		switch {
		case outcomes[k] != bandit.Identified:
			unfinished++
		case !right[k]:
			wrong++
		}
	}
	e := attack.NewEstimate(wrong, p.trials)
	c.Error, c.ErrorFrom, c.ErrorTo, c.Unfinished = e.Value, e.Lo, e.Hi, float64(unfinished)/float64(p.trials)
	c.MeanPulls = stat.Mean(pulls, nil)
	if p.trials > 1 {
		c.SD = stat.StdDev(pulls, nil)
	}
	if p.bounded(in) && unfinished == 0 {
		if low := bandit.LowerBound(in.Means(), in.Sigma, p.eps, p.delta); !math.IsInf(low, 1) {
			c.LowerBound = &low
		}
	}
	if p.ref != nil {
		c.compare(p.ref)
	}
	c.Seconds = time.Since(start).Seconds()
	return c, nil
}

// bounded says whether the lower bound speaks of the plan: of the very best of
// Gaussian arms, whatever their gaps, by a rule with a confidence that knows of the
// contamination. It is a bound for the worst oblivious adversary, not for the plan's.
func (p *plan) bounded(in instance) bool {
	_, budget := p.rule.(bandit.SuccessiveHalving)
	return in.gaussian && p.mode == cert && p.tol == 0 && !budget && (!p.naive || p.eps == 0)
}

// interval is that of the share of wrong answers, in percent.
func (c *cell) interval() string {
	return report.InPercent(c.ErrorFrom) + " to " + report.InPercent(c.ErrorTo)
}

// robust says whether the cell is of a rule on a robust mean that knows of the
// contamination and has a confidence.
func (c *cell) robust() bool {
	return slices.Contains([]string{"TM", "HM", "HG", "KLB"}, c.Estimator) && !c.Naive && c.Rule != (bandit.SuccessiveHalving{}).Name()
}

// compare sets the cell beside its reference. Where the reference has no
// deviation the cell's own stands in.
func (c *cell) compare(ref *reference) {
	c.ReferencePulls, c.ReferenceError = &ref.mean, &ref.errors
	sd := c.SD
	if ref.sd > 0 {
		sd, c.ReferenceSD = ref.sd, &ref.sd
	}
	if sd > 0 {
		z := (c.MeanPulls - ref.mean) / (sd * math.Sqrt(1/float64(c.Trials)+1/float64(ref.runs)))
		c.Z = &z
	}
}

package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
	"github.com/redoubt-ml/redoubt/internal/example"
)

// Groups of cells, a table each.
const (
	groupReference = "reference"
	groupNaive     = "naive"
	groupClassical = "classical"
	groupRatio     = "ratio"
	groupRobust    = "robust"
	groupMedian    = "medians"
)

// budget ends runs of rules that an adversary keeps from ending.
const budget = 300000

type experiment struct {
	env       *example.Env
	instances map[string]instance
	plans     []plan
	mini      bool     // fewer trials
	missing   []string // data files that were not found
	out       figures
}

// figures is what -json prints.
type figures struct {
	Cells  []cell  `json:"cells"`
	Traces traces  `json:"traces"`
	Claims claims  `json:"claims"`
	Data   string  `json:"data"`
	Seed   uint64  `json:"seed"`
	Scale  string  `json:"scale"`
	Second float64 `json:"seconds"`
}

// claims are the figures that sum up the cells; those without data are left out.
type claims struct {
	WorstZ         *float64 `json:"worst_z,omitempty"`          // largest |z| of the reference cells
	RobustError    *float64 `json:"robust_error,omitempty"`     // largest share of wrong answers of mean-based robust cells
	RobustKept     bool     `json:"robust_within_delta"`        // every one of them is at most its delta
	RobustWrong    []string `json:"robust_wrong_cells"`         // those of them with a wrong answer
	PlainFailure   *float64 `json:"plain_failure,omitempty"`    // smallest share of wrong or missing answers of plain means under A1
	PlainWrong     *float64 `json:"plain_wrong,omitempty"`      // smallest share of wrong answers
	PlainMissing   *float64 `json:"plain_unfinished,omitempty"` // largest share of runs without an answer
	SavingCert     *float64 `json:"saving_i1_certified"`        // pulls of ALT over those of HM, both with the gap rule
	SavingAssume   *float64 `json:"saving_i1_assume"`           //
	SavingPKIS2    *float64 `json:"saving_pkis2,omitempty"`     // smallest over the kinases
	PerDecade      *float64 `json:"pulls_per_decade"`           // slope of pulls in log10(1/delta), HM on I1
	DecadeR2       *float64 `json:"pulls_per_decade_r2"`        // of that line
	RatioHG        *float64 `json:"likelihood_saving_hg"`       // pulls of the interval rule over those of the likelihood ratio, I1
	RatioHM        *float64 `json:"likelihood_saving_hm"`       //
	RatioError     *float64 `json:"likelihood_error"`           // its share of wrong answers
	RatioTrials    int      `json:"likelihood_trials"`          //
	I1Seconds      *float64 `json:"i1_seconds"`                 // trials of the first cell on one core
	ManyArmSeconds *float64 `json:"ny650_seconds,omitempty"`    // one search among 7,591 arms
	UpperBoundKept *float64 `json:"upper_bound_kept,omitempty"` // share of runs within the upper bound
}

func newExperiment(e *example.Env, mini bool) (*experiment, error) {
	all, data, missing, err := instances(e)
	if err != nil {
		return nil, err
	}
	x := &experiment{env: e, mini: mini, instances: all, missing: missing, out: figures{Data: data, Seed: e.Seed, Scale: string(e.Scale), Cells: []cell{}}}
	x.plan()
	return x, nil
}

// plan lists the cells for which there is an instance.
func (e *experiment) plan() {
	more := 1
	if e.env.Scale == example.Full {
		more = 10
	}
	add := func(p plan) {
		if _, ok := e.instances[p.instance]; !ok {
			return
		}
		if p.eta == 0 {
			p.eta = 1.1
		}
		if p.delta == 0 {
			p.delta = 0.1
		}
		p.trials *= more
		if e.mini {
			p.trials = min(p.trials, e.glance(&p))
		}
		e.plans = append(e.plans, p)
	}
	rules := map[string]bandit.Rule{"G": bandit.GapBased{}, "SE": bandit.Elimination{}, "uniform": bandit.Uniform{}}
	for i := range references {
		r := &references[i]
		add(plan{group: groupReference, instance: r.instance, adversary: r.adversary, estimator: r.estimator, rule: rules[r.rule],
			mode: r.mode, eps: r.eps, delta: r.delta, eta: r.eta, trials: r.trials(), ref: r})
	}
	for _, b := range []struct {
		name   string
		trials int
	}{{"I1", 300}, {"I2", 300}, {"I3", 300}, {"I4", 300}, {"PK-WNK1", 20}} {
		add(plan{group: groupNaive, instance: b.name, adversary: "A1", estimator: "mean", rule: bandit.GapBased{}, eps: e.instances[b.name].Eps,
			naive: true, maxPulls: budget, trials: b.trials})
	}
	for _, eps := range []float64{.02, .05, .10} {
		add(plan{group: groupNaive, instance: "NY509", adversary: "A1", estimator: "KLB", rule: bandit.GapBased{}, eps: eps, naive: true, maxPulls: 10 * budget, trials: 50})
	}
	for _, adversary := range []string{"A0", "A1"} {
		eps := 0.0
		if adversary == "A1" {
			eps = 0.05
		}
		for _, r := range []bandit.Rule{bandit.EvenDarElimination{Sigma: 1}, bandit.MedianElimination{Sigma: 1}, bandit.LUCB{Sigma: 1},
			bandit.LilUCB{Sigma: 1}, bandit.TrackAndStop{Sigma: 1}} {
			p := plan{group: groupClassical, instance: "I1", adversary: adversary, rule: r, eps: eps, naive: true, maxPulls: 20000, trials: 30}
			if r.Name() == (bandit.MedianElimination{}).Name() {
				p.tol, p.maxPulls = 0.9, 200000
			}
			add(p)
		}
		for _, est := range []string{"mean", "HM"} {
			add(plan{group: groupClassical, instance: "I1", adversary: adversary, estimator: est, rule: bandit.SuccessiveHalving{}, eps: eps, naive: est == "mean", maxPulls: 1000, trials: 300})
			add(plan{group: groupClassical, instance: "I1", adversary: adversary, estimator: est, rule: bandit.UGapE{}, eps: eps, naive: est == "mean", maxPulls: 20000, trials: 30})
		}
		add(plan{group: groupClassical, instance: "I1", adversary: adversary, estimator: "SYM", rule: bandit.GapBased{}, eps: eps, maxPulls: budget, trials: 100})
	}
	for _, mode := range []bandit.Mode{cert, assume} {
		add(plan{group: groupMedian, instance: "I1", adversary: "A1", estimator: "SGN", rule: bandit.GapBased{}, mode: mode, eps: .05, trials: 100})
	}
	for _, name := range kinases {
		for _, est := range []string{"MED", "SGN"} {
			add(plan{group: groupMedian, instance: name, adversary: "A1", estimator: est, rule: bandit.GapBased{}, mode: assume, eps: .05, trials: 20})
		}
	}
	for _, est := range []string{"HG", "HM"} {
		for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Likelihood{}} {
			add(plan{group: groupRatio, instance: "I1", adversary: "A1", estimator: est, rule: r, eps: .05, trials: 3000 / more})
			add(plan{group: groupRatio, instance: "I2", adversary: "A3", estimator: est, rule: r, eps: .02, trials: 300})
		}
	}
	for _, name := range []string{"I1", "I2", "I3", "I4"} {
		for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}} {
			add(plan{group: groupRobust, instance: name, adversary: "A3", estimator: "HM", rule: r, mode: assume, eps: e.instances[name].Eps, trials: 300})
		}
	}
	// Gaps that cannot be seen: the runs must say so or run out.
	for _, est := range []string{"TM", "HM"} {
		add(plan{group: groupRobust, instance: "I1", adversary: "A1", estimator: est, rule: bandit.GapBased{}, eps: .1, maxPulls: budget, trials: 30})
	}
}

// glance is the number of trials of -mini.
func (e *experiment) glance(p *plan) int {
	switch {
	case p.group == groupRatio && p.instance == "I1":
		return 500
	case strings.HasPrefix(p.instance, "I"):
		return 100
	}
	return 10
}

// seed gives each instance rewards of its own, whatever the seed.
func (e *experiment) seed(instance string) uint64 { return e.env.Rand(instance).Uint64() }

func (e *experiment) Run(ctx context.Context) error {
	start := time.Now()
	defer func() { e.out.Second = time.Since(start).Seconds() }()
	var err error
	if e.out.Traces, err = runTraces(ctx); err != nil {
		return err
	}
	stage := e.env.Stage("cells", len(e.plans))
	for k := range e.plans {
		p := &e.plans[k]
		stage.Note("%s %s", p.instance, p.estimator)
		c, err := p.run(ctx, e.instances[p.instance], e.seed(p.instance))
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			return fmt.Errorf("%s %s %s: %w", p.instance, p.estimator, p.rule.Name(), err)
		}
		e.out.Cells = append(e.out.Cells, c)
		stage.Done(k + 1)
	}
	if err := e.measure(ctx); err != nil {
		return err
	}
	e.claim()
	return nil
}

// measure times one core, and holds runs against their upper bound.
func (e *experiment) measure(ctx context.Context) error {
	p := plan{instance: "I1", adversary: "A1", estimator: "HM", rule: bandit.GapBased{}, eps: .05, delta: .1, eta: 1.1, trials: 300, oneCore: true}
	c, err := p.run(ctx, e.instances["I1"], e.seed("I1"))
	if err != nil {
		return err
	}
	e.out.Claims.I1Seconds = &c.Seconds
	if in, ok := e.instances["NY650"]; ok {
		p := plan{instance: "NY650", adversary: "A1", estimator: "KLB", rule: bandit.GapBased{}, eps: .02, delta: .1, eta: 1.1, trials: 1}
		c, err := p.run(ctx, in, e.seed("NY650"))
		if err != nil {
			return err
		}
		e.out.Claims.ManyArmSeconds = &c.Seconds
	}
	in := e.instances["I1"]
	kept, runs := 0.0, 0.0
	for _, mode := range []bandit.Mode{cert, assume} {
		p.mode = mode
		d, err := p.design(in)
		if err != nil {
			return err
		}
		bound, err := d.UpperBound(in.Means())
		if err != nil {
			return err
		}
		for k := range uint64(100) {
			w, err := env.New(in.Instance, in.attacks["A1"], p.eps, e.seed("I1")+k)
			if err != nil {
				return err
			}
			res, err := d.New().Run(ctx, w.Pull)
			if err != nil {
				return err
			}
			if runs++; res.Pulls <= bound {
				kept++
			}
		}
	}
	share := kept / runs
	e.out.Claims.UpperBoundKept = &share
	return nil
}

// find returns the first cell of a group that fits.
func (e *experiment) find(group string, fits func(c *cell) bool) *cell {
	for k := range e.out.Cells {
		if c := &e.out.Cells[k]; c.group == group && fits(c) {
			return c
		}
	}
	return nil
}

// medians are the rivals of HM, kinases the instances of PKIS2.
var (
	medians = []string{"ALT", "MED", "SGN"}
	kinases = []string{"PK-WNK1", "PK-MKK7", "PK-SRPK2"}
)

// saving is the pulls of the gap rule with another estimator over those with HM, on the
// same instance.
func (e *experiment) saving(instance, estimator string, mode bandit.Mode) *float64 {
	gap := bandit.GapBased{}.Name()
	other := e.reference(instance, estimator, gap, mode, .05, .1)
	if other == nil {
		other = e.find(groupMedian, func(c *cell) bool {
			return c.Instance == instance && c.Estimator == estimator && c.Mode == mode.String()
		})
	}
	return ratio(other, e.reference(instance, "HM", gap, mode, .05, .1))
}

// savingPKIS2 is the smallest of the kinases.
func (e *experiment) savingPKIS2(estimator string) *float64 {
	var least *float64
	for _, name := range kinases {
		if r := e.saving(name, estimator, assume); r != nil && (least == nil || *r < *least) {
			least = r
		}
	}
	return least
}

// reference returns a reference cell under A1.
func (e *experiment) reference(instance, estimator, rule string, mode bandit.Mode, eps, delta float64) *cell {
	return e.find(groupReference, func(c *cell) bool {
		return c.Instance == instance && c.Estimator == estimator && c.Rule == rule && c.Mode == mode.String() && c.Adversary == "A1" &&
			c.Eps == eps && c.Delta == delta && c.Eta == 1.1
	})
}

func ratio(a, b *cell) *float64 {
	if a == nil || b == nil {
		return nil
	}
	r := a.MeanPulls / b.MeanPulls
	return &r
}

// claim sums up the cells.
func (e *experiment) claim() {
	c := &e.out.Claims
	c.RobustKept, c.RobustWrong = true, []string{}
	worst := func(at **float64, v float64, better func(a, b float64) float64) {
		if *at != nil {
			v = better(**at, v)
		}
		*at = &v
	}
	larger, smaller := math.Max, math.Min
	for _, x := range e.out.Cells {
		if x.Z != nil {
			worst(&c.WorstZ, math.Abs(*x.Z), larger)
		}
		if x.robust() {
			worst(&c.RobustError, x.Error, larger)
			c.RobustKept = c.RobustKept && x.Error <= x.Delta
			if x.Error > 0 {
				c.RobustWrong = append(c.RobustWrong, fmt.Sprintf("%s %s %s %s %s eps %g: %.2f %% of %d", x.Instance, x.Adversary, x.Estimator, x.Rule, x.Mode, x.Eps, 100*x.Error, x.Trials))
			}
		}
		if x.group == groupNaive && x.Estimator == "mean" {
			worst(&c.PlainFailure, x.Error+x.Unfinished, smaller)
			worst(&c.PlainWrong, x.Error, smaller)
			worst(&c.PlainMissing, x.Unfinished, larger)
		}
		if x.group == groupRatio && x.Rule == (bandit.Likelihood{}).Name() {
			worst(&c.RatioError, x.Error, larger)
			c.RatioTrials = max(c.RatioTrials, x.Trials)
		}
	}
	c.SavingCert, c.SavingAssume = e.saving("I1", "ALT", cert), e.saving("I1", "ALT", assume)
	c.SavingPKIS2 = e.savingPKIS2("ALT")
	gap := bandit.GapBased{}.Name()
	var x, y []float64
	for k := 1; k <= 5; k++ {
		if cell := e.reference("I1", "HM", gap, cert, .05, deltas[k-1]); cell != nil {
			x, y = append(x, float64(k)), append(y, cell.MeanPulls)
		}
	}
	if len(x) > 2 {
		a, b := stat.LinearRegression(x, y, nil, false)
		r2 := stat.RSquared(x, y, nil, a, b)
		c.PerDecade, c.DecadeR2 = &b, &r2
	}
	pair := func(est, rule string) *cell {
		return e.find(groupRatio, func(x *cell) bool { return x.Instance == "I1" && x.Estimator == est && x.Rule == rule })
	}
	c.RatioHG = ratio(pair("HG", gap), pair("HG", bandit.Likelihood{}.Name()))
	c.RatioHM = ratio(pair("HM", gap), pair("HM", bandit.Likelihood{}.Name()))
}

// deltas are those of the sweep.
var deltas = []float64{1e-1, 1e-2, 1e-3, 1e-4, 1e-5}

package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// groups in the order of their tables.
var groups = []struct{ name, title string }{
	{groupReference, "Pulls beside recorded ones (z: distance in standard deviations of the difference)"},
	{groupRobust, "Malicious adversary with its own radius; gaps too small to see at the end"},
	{groupNaive, "The same rule with a plain mean, or with Eps taken for 0"},
	{groupClassical, "Other rules on I1, clean (A0) and under attack (A1)"},
	{groupMedian, "Medians without recorded pulls, on the rewards of the cells of HM in the first table"},
	{groupRatio, "Stopping by a likelihood ratio (GLR) and by intervals, on the same rewards"},
}

func (e *experiment) Result() example.Result {
	if len(e.out.Cells) == 0 {
		return example.Result{}
	}
	return example.Result{Figures: e.out, Tables: []*report.Table{e.headline()}, Notes: e.notes()}
}

func (e *experiment) tables() []*report.Table {
	var all []*report.Table
	for _, g := range groups {
		t := report.NewTable(g.title,
			report.Left("instance"), report.Left("attack"), report.Right("eps"), report.Right("delta"), report.Left("mode"),
			report.Left("estimator"), report.Left("rule"), report.Right("runs"), report.Right("pulls"), report.Right("sd"),
			report.Right("recorded"), report.Right("z"), report.Right("wrong"), report.Left("interval"), report.Right("no answer"), report.Right("bound, worst adversary"))
		t.ID = g.name
		for _, c := range e.out.Cells {
			if c.group != g.name {
				continue
			}
			rule := c.Rule
			if c.Eta == 1 {
				rule += " every pull"
			}
			t.AddRow(c.Instance, c.Adversary, number(c.Eps), number(c.Delta), c.Mode, c.Estimator, rule, strconv.Itoa(c.Trials),
				fmt.Sprintf("%.0f", c.MeanPulls), fmt.Sprintf("%.0f", c.SD), optional("%.0f", c.ReferencePulls), optional("%+.1f", c.Z),
				fmt.Sprintf("%.2f %%", 100*c.Error), c.interval(), fmt.Sprintf("%.2f %%", 100*c.Unfinished), optional("%.1f", c.LowerBound))
		}
		if t.Len() > 0 {
			all = append(all, t)
		}
	}
	return all
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func optional(format string, v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}

func (e *experiment) notes() []string {
	c := &e.out.Claims
	notes := []string{fmt.Sprintf("Data: %s; seed %d.", e.out.Data, e.out.Seed)}
	if len(e.missing) > 0 {
		notes = append(notes, fmt.Sprintf("Not found in %s: %s.", e.env.Data, strings.Join(e.missing, ", ")))
	}
	notes = append(notes, fmt.Sprintf("The table has a few of %d cells; -json and -out DIR have them all.", len(e.plans)))
	if n := len(e.out.Cells); n < len(e.plans) {
		notes = append(notes, fmt.Sprintf("Only %d of the cells were measured.", n))
	}
	if e.mini {
		notes = append(notes, "With -mini a cell has fewer runs than without it.")
	}
	say := func(format string, values ...*float64) {
		args := make([]any, len(values))
		for i, v := range values {
			if v == nil {
				return
			}
			args[i] = *v
		}
		notes = append(notes, fmt.Sprintf(format, args...))
	}
	notes = append(notes, fmt.Sprintf("Traces without randomness that agree with the recorded ones to the last pull: %d of %d.", e.out.Traces.Exact, e.out.Traces.Of))
	say("Largest distance of a cell's pulls from the recorded ones: %.1f standard deviations.", c.WorstZ)
	within := "within its delta in every cell"
	if !c.RobustKept {
		within = "above its delta in some"
	}
	say("Wrong answers of the robust mean-based rules, largest share of a cell: %.4f; the share is "+within+".", c.RobustError)
	if text := e.noWrong(); text != "" {
		notes = append(notes, text)
	}
	for _, cell := range c.RobustWrong {
		notes = append(notes, "  not 0: "+cell)
	}
	say("The plain mean under attack is wrong in at least %.2f of the runs of a cell and without an answer in at most %.2f; in one or the other at least %.2f.", c.PlainWrong, c.PlainMissing, c.PlainFailure)
	for _, est := range medians {
		say("Pulls of the gap rule with "+est+" over those with HM on I1: %.2f certified, %.2f assuming that arms can be told apart.", e.saving("I1", est, cert), e.saving("I1", est, assume))
	}
	if c.SavingCert != nil {
		notes = append(notes, fmt.Sprintf("Below 1 the median needs fewer. I1 is Gaussian, where intervals of medians have a floor of %.3f deviations, and those of HM, which is for the mean of any sub-Gaussian arm, of %.3f; on skewed arms (I4) medians are wrong.",
			bandit.GaussianBias(1, .05, bandit.Oblivious), bandit.Huber{Sigma: 1}.Bias(.05, bandit.Oblivious)))
	}
	for _, est := range medians {
		say("The same with "+est+" on PKIS2, assuming that arms can be told apart: at least %.2f.", e.savingPKIS2(est))
	}
	if len(e.out.Cells) > 0 {
		notes = append(notes, "The bounds on pulls (worst case) are for the worst oblivious adversary of their eps; those of the runs can do less.")
	}
	say("HM on I1 takes %.0f more pulls for each power of ten in delta, a straight line with R² = %.4f.", c.PerDecade, c.DecadeR2)
	say("The likelihood ratio needs %.2f times fewer pulls than intervals for Gaussian arms on I1, %.2f for sub-Gaussian ones; largest share of wrong answers %.4f.", c.RatioHG, c.RatioHM, c.RatioError)
	say("Share of runs within the upper bound on pulls: %.2f.", c.UpperBoundKept)
	say("300 searches on I1 took %.2f s on one core.", c.I1Seconds)
	say("One search among 7,591 captions took %.1f s.", c.ManyArmSeconds)
	return append(notes, fmt.Sprintf("Everything took %s.", report.Seconds(e.out.Second)))
}

// noWrong says how much is known of the wrong answers of robust cells that have none.
func (e *experiment) noWrong() string {
	var runs []int
	for _, c := range e.out.Cells {
		if c.robust() && c.Error == 0 && !slices.Contains(runs, c.Trials) {
			runs = append(runs, c.Trials)
		}
	}
	if len(runs) == 0 {
		return ""
	}
	slices.Sort(runs)
	slices.Reverse(runs)
	var most []string
	for _, n := range runs {
		most = append(most, fmt.Sprintf("%.2g %% of %d", 100*attack.NewEstimate(0, n).Hi, n))
	}
	return "No wrong answer among the runs of a cell leaves, as the end of an exact 95 % interval, a share of " + strings.Join(most, ", ") + " runs."
}

// Page draws how pulls grow and how intervals close.
func (e *experiment) Page(ctx context.Context) (*report.Page, error) {
	p := report.NewPage("The best arm under contaminated rewards")
	p.Text("Ten or so arms give noisy rewards, and an adversary replaces a share eps of them. Wanted is the arm of the largest mean, wrong with probability at most delta, in as few pulls as possible. " +
		"Estimators: TM is the trimmed mean, HM Huber's estimator, HG the same for Gaussian arms, SGN, MED and ALT are medians, from the narrowest intervals to the widest, KLB is for rewards from 0 to 1, mean is not robust. " +
		"The gap rule pulls the arms that are hardest to tell apart; elimination drops arms that cannot be the best. Certified answers hold whatever the gaps, assumed ones if the arms can be told apart at all.")
	p.Heading("What confidence costs")
	if err := addChart(p, "delta", e.deltaChart(), "Pulls of the gap rule on I1 (one arm of mean 1 among nine of mean 0, noise 1, 5 % of rewards replaced), certified, with one standard deviation. They grow with ln(1/delta)."); err != nil {
		return nil, err
	}
	p.Heading("What contamination costs")
	if err := addChart(p, "eps", e.epsChart("I1", []string{"TM", "HM", "HG", "ALT"}), "Pulls of the gap rule on I1, certified, and a lower bound for any method on Gaussian arms under the worst oblivious adversary, who does more than this one. ALT is a median with published constants; MED and SGN, which need fewer pulls, are in the table below at 5 %. TM and HM cannot certify a gap of 1 at 10 %: the bias that outliers may cause is then more than a quarter of it."); err != nil {
		return nil, err
	}
	if _, ok := e.instances["NY650-100"]; ok {
		if err := addChart(p, "eps-captions", e.epsChart("NY650-100", []string{"KLB"}), "Pulls among the best 100 captions of contest 650. The gap cannot be seen from 3.9 % on."); err != nil {
			return nil, err
		}
	}
	p.Heading("How the intervals close")
	for i, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}} {
		c, err := e.intervalChart(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := addChart(p, []string{"intervals-gap", "intervals-elimination"}[i], c, fmt.Sprintf("Intervals of the five arms of I2 in one run of %s with HM. An arm that is no longer pulled keeps its interval.", r.Name())); err != nil {
			return nil, err
		}
	}
	p.Figures([]*report.Table{e.headline()}, e.notes())
	p.Heading("All cells")
	for _, t := range e.tables() {
		p.Table(t)
	}
	return p, nil
}

func addChart(p *report.Page, id string, c plot.LineChart, caption string) error {
	return p.Draw(c, report.Figure{ID: id, Alt: c.Y + " against " + c.X, Caption: caption})
}

// add appends a cell to a series with a band of one standard deviation.
func add(s *plot.Series, x float64, c *cell) {
	if c == nil {
		return
	}
	s.X, s.Y = append(s.X, x), append(s.Y, c.MeanPulls)
	s.Lo, s.Hi = append(s.Lo, max(1, c.MeanPulls-c.SD)), append(s.Hi, c.MeanPulls+c.SD)
}

func (e *experiment) deltaChart() plot.LineChart {
	chart := plot.LineChart{X: "probability of a wrong answer allowed (delta)", Y: "pulls", LogX: true}
	for _, est := range []string{"ALT", "TM", "HM", "HG"} {
		s := plot.Series{Name: est, Points: true}
		for _, delta := range deltas {
			add(&s, delta, e.reference("I1", est, bandit.GapBased{}.Name(), cert, .05, delta))
		}
		chart.Series = appendFilled(chart.Series, s)
	}
	return chart
}

// appendFilled leaves out a series without points.
func appendFilled(all []plot.Series, s plot.Series) []plot.Series {
	if len(s.X) == 0 {
		return all
	}
	return append(all, s)
}

func (e *experiment) epsChart(name string, estimators []string) plot.LineChart {
	chart := plot.LineChart{X: "share of rewards that are replaced (eps)", Y: "pulls", LogY: true}
	grid := []float64{0, 1e-4, .01, .02, .03, .05, .10}
	for _, est := range estimators {
		s := plot.Series{Name: est, Points: true}
		for _, eps := range grid {
			add(&s, eps, e.reference(name, est, bandit.GapBased{}.Name(), cert, eps, .1))
		}
		chart.Series = appendFilled(chart.Series, s)
	}
	if in := e.instances[name]; in.gaussian {
		s := plot.Series{Name: "bound, worst adversary", Dashed: true}
		for eps := 0.0; eps < .11; eps += .005 {
			if low := bandit.LowerBound(in.Means(), in.Sigma, eps, .1); !math.IsInf(low, 1) {
				s.X, s.Y = append(s.X, eps), append(s.Y, low)
			}
		}
		chart.Series = append(chart.Series, s)
	}
	return chart
}

// intervalChart runs one search and draws every arm's interval as it was after
// each batch of pulls.
func (e *experiment) intervalChart(ctx context.Context, rule bandit.Rule) (plot.LineChart, error) {
	in := e.instances["I2"]
	w, err := env.New(in.Instance, in.attacks["A1"], in.Eps, e.seed("I2"))
	if err != nil {
		return plot.LineChart{}, err
	}
	res, err := bandit.Run(ctx, bandit.Config{Arms: len(in.Arms), Delta: .1, Eps: in.Eps, Estimator: bandit.Huber{Sigma: in.Sigma}, Rule: rule}, w.Pull)
	if err != nil {
		return plot.LineChart{}, err
	}
	chart := plot.LineChart{X: "pulls of all arms", Y: "mean reward, interval", LogX: true}
	for arm, mu := range in.Means() {
		s := plot.Series{Name: fmt.Sprintf("arm %d, mean %g", arm, mu)}
		point := func(pulls int, ev bandit.Event) {
			s.X, s.Y = append(s.X, float64(pulls)), append(s.Y, ev.Est)
			s.Lo, s.Hi = append(s.Lo, ev.Lo), append(s.Hi, ev.Hi)
		}
		var last bandit.Event
		for _, ev := range res.Log {
			if ev.Arm != arm || math.IsInf(ev.Hi, 1) {
				continue
			}
			if last.N > 0 {
				point(ev.Pulls-1, last)
			}
			point(ev.Pulls, ev)
			last = ev
		}
		if last.N > 0 {
			point(res.Pulls, last)
		}
		chart.Series = appendFilled(chart.Series, s)
	}
	return chart, nil
}

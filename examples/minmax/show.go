package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Result shows what was reached.
func (e *experiment) Result() example.Result {
	return example.Result{Figures: e.out, Tables: e.tables(), Notes: e.notes()}
}

func (e *experiment) tables() []*report.Table {
	var out []*report.Table
	for _, t := range []*report.Table{
		e.modelTable(), e.ensembleTable(), e.ruleTable(), e.gammaTable(), e.universalTable(), e.transformTable(), e.defenseTable(),
	} {
		if t.Len() > 0 {
			out = append(out, t)
		}
	}
	return out
}

func percents(v []float64) string {
	out := make([]string, len(v))
	for i, p := range v {
		out[i] = report.InPercent(p)
	}
	return strings.Join(out, " ")
}

func between(v float64, ends [2]float64) string {
	return fmt.Sprintf("%.1f [%.1f, %.1f]", 100*v, 100*ends[0], 100*ends[1])
}

func lift(l *minmax.Lift) string {
	if l == nil {
		return "–"
	}
	return fmt.Sprintf("%+.1f [%.1f, %.1f]", l.Percent, l.Lo, l.Hi)
}

func weights(w []float64) string {
	out := make([]string, len(w))
	for i, v := range w {
		out[i] = fmt.Sprintf("%.2f", v)
	}
	return strings.Join(out, " ")
}

func (e *experiment) modelTable() *report.Table {
	t := report.NewTable("Networks without attacks", report.Left("data"), report.Left("network"), report.Right("test %"))
	t.ID = "models"
	for _, m := range e.out.Models {
		t.AddRow(m.Data, m.Name, report.InPercent(m.Clean))
	}
	return t
}

func (e *experiment) ensembleTable() *report.Table {
	t := report.NewTable("One perturbed image against four networks, MNIST: share that fools all (ASR_all, with 95 % interval) and the accuracy left to A B C D, in %",
		report.Left("ball"), report.Right("eps"), report.Left("attack"), report.Right("ASR_all"), report.Right("accuracy A B C D"), report.Right("weights A B C D"),
		report.Right("lift over average %"), report.Right("paper's ASR_all (unconfirmed), script's eps"))
	t.ID = "ensemble"
	for _, s := range mnistSettings {
		n := s.norm.String()
		c := e.out.Ensemble[n]
		if c == nil {
			continue
		}
		paper := func(k int) string { return fmt.Sprintf("%.1f, %v", paperEnsemble[n][k], s.eps) }
		eps := fmt.Sprintf("%.3g", c.Eps)
		t.AddRow(n, eps, "average", between(c.Average.ASRAll, c.Average.Interval), percents(c.Average.Acc), "", "", paper(0))
		t.AddRow("", "", "average, kappa 0", between(c.AverageKappa0.ASRAll, c.AverageKappa0.Interval), percents(c.AverageKappa0.Acc), "", "", "–")
		t.AddRow("", "", "min-max", between(c.MinMax.ASRAll, c.MinMax.Interval), percents(c.MinMax.Acc), weights(c.Weights), lift(c.Lift), paper(1))
	}
	return t
}

func (e *experiment) ruleTable() *report.Table {
	t := report.NewTable("Ways to weigh the networks, MNIST, linf, in %",
		report.Left("weights"), report.Right("ASR_all"), report.Right("accuracy A B C D"), report.Right("paper's ASR_all (unconfirmed), eps 0.2"))
	t.ID = "rules"
	for _, r := range e.out.Rules {
		paper := "–"
		if v, ok := paperRules[r.Name]; ok {
			paper = fmt.Sprintf("%.1f", v)
		}
		t.AddRow(r.Name, between(r.ASRAll, r.Interval), percents(r.Acc), paper)
	}
	return t
}

func (e *experiment) gammaTable() *report.Table {
	t := report.NewTable("The regulariser gamma, MNIST, linf, in %", report.Right("gamma"), report.Right("beta"), report.Right("ASR_all"), report.Right("accuracy A B C D"))
	t.ID = "gamma"
	for _, g := range e.out.Gamma {
		t.AddRow(fmt.Sprintf("%g", g.Gamma), fmt.Sprintf("%.3g", g.Beta), between(g.ASRAll, g.Interval), percents(g.Acc))
	}
	if a := e.out.GammaAverage; a != nil {
		t.AddRow("average", "–", between(a.ASRAll, a.Interval), percents(a.Acc))
	}
	return t
}

func (e *experiment) universalTable() *report.Table {
	t := report.NewTable("One perturbation of K images, linf, in %: share of groups that are fooled whole (ASR_gp) and of images (ASR_avg)",
		report.Left("data"), report.Left("network"), report.Right("eps"), report.Right("K"), report.Right("groups"), report.Right("average ASR_gp"), report.Right("min-max ASR_gp"),
		report.Right("lift %"), report.Right("average ASR_avg"), report.Right("min-max ASR_avg"), report.Right("paper's ASR_gp (unconfirmed), D on CIFAR-10"))
	t.ID = "groups"
	for _, r := range e.out.Universal {
		p := paperUniversal[r.K]
		t.AddRow(r.Data, r.Model, fmt.Sprintf("%g", r.Eps), strconv.Itoa(r.K), strconv.Itoa(r.Groups),
			between(r.Average.ASRGroup, r.Average.Interval), between(r.MinMax.ASRGroup, r.MinMax.Interval),
			lift(r.Lift), report.InPercent(r.Average.ASRAvg), report.InPercent(r.MinMax.ASRAvg), fmt.Sprintf("%.1f → %.1f", p[0], p[1]))
	}
	return t
}

func (e *experiment) transformTable() *report.Table {
	t := report.NewTable("One perturbed image under transformations, CIFAR-10, linf, in %: share that survives all (ASR_gp) and mean share (ASR_avg)",
		report.Left("set"), report.Left("network"), report.Right("eps"), report.Left("attack"), report.Right("ASR_gp"), report.Right("ASR_avg"), report.Right("accuracy under each"),
		report.Right("lift %"), report.Right("paper's ASR_gp, ASR_avg (unconfirmed)"))
	t.ID = "transformations"
	for _, r := range e.out.Transform {
		paper := func(k int) string {
			p, ok := paperTransform[r.Model]
			if !ok || r.Set != "photometric" {
				return "–"
			}
			return fmt.Sprintf("%.1f, %.1f", p[k], p[k+2])
		}
		t.AddRow(r.Set, r.Model, fmt.Sprintf("%g", r.Eps), "average (EOT)", between(r.Average.ASRGroup, r.Average.Interval), report.InPercent(r.Average.ASRAvg), percents(r.Average.Acc), "", paper(0))
		t.AddRow("", "", "", "min-max", between(r.MinMax.ASRGroup, r.MinMax.Interval), report.InPercent(r.MinMax.ASRAvg), percents(r.MinMax.Acc), lift(r.Lift), paper(1))
	}
	return t
}

func (e *experiment) defenseTable() *report.Table {
	t := report.NewTable(fmt.Sprintf("Training against linf %v and l2 %v at once, MNIST: accuracy in %%", linfThreat.Eps, l2Eps),
		report.Left("network"), report.Left("training"), report.Right("clean"), report.Right("linf"), report.Right("l2"), report.Right("both (Acc^max)"), report.Right("mean (Acc^avg)"),
		report.Right("S"), report.Right("weights linf l2"), report.Right("time"))
	t.ID = "defense"
	for _, r := range e.out.Defense {
		t.AddRow(r.Network, r.Training, report.InPercent(r.Clean), report.InPercent(r.Linf), report.InPercent(r.L2), between(r.AccMaxAdv, r.Interval), report.InPercent(r.AccAvgAdv),
			fmt.Sprintf("%.2f", r.Area), weights(r.Weights), report.Seconds(r.Seconds))
	}
	return t
}

func (e *experiment) notes() []string {
	notes := []string{"Data: " + e.describeData() + ". Everything took " + report.Seconds(e.out.Seconds) + "."}
	if e.missing != "" {
		notes = append(notes, e.missing)
	}
	if e.calibrate == 0 && len(e.out.Ensemble)+len(e.out.Rules)+len(e.out.Gamma) > 0 {
		notes = append(notes, "The radii of the ensembles are those of the paper's published scripts.")
	}
	if len(e.out.Calibration) > 0 {
		var shares []string
		for _, c := range e.out.Calibration {
			shares = append(shares, fmt.Sprintf("%s %.3g fools %s", c.Norm, c.Eps, report.Percent(c.ASRAll)))
		}
		notes = append(notes, fmt.Sprintf("The radius of each norm was looked for on %d other images, of which the average was to fool all networks on about half: %s.", e.calibrate, strings.Join(shares, ", ")))
	}
	if len(e.out.Ensemble)+len(e.out.Rules) > 0 {
		notes = append(notes, "The paper's columns for the ensembles: "+unconfirmedAgreeing+".")
	}
	if len(e.out.Ensemble) > 0 {
		notes = append(notes, "kappa 0 lets go of a network once it is fooled; what min-max gains over the average with kappa 0 is what its weights are worth.")
		var not []string
		for _, s := range mnistSettings {
			n := s.norm.String()
			if c := e.out.Ensemble[n]; c != nil && !c.Ranked {
				not = append(not, n)
			}
		}
		if len(not) == 0 {
			notes = append(notes, "The mean weights rank the networks as their accuracy under the average does.")
		} else {
			notes = append(notes, "The mean weights do not rank the networks exactly as their accuracy under the average does for "+strings.Join(not, ", ")+".")
		}
	}
	if len(e.out.Universal)+len(e.out.Transform) > 0 {
		notes = append(notes, "The paper's columns for groups and transformations: "+unconfirmedAgreeing+" in K = 5 and the set's mean; other networks and longer training there.")
	}
	for _, set := range transformSets {
		if !slices.ContainsFunc(e.out.Transform, func(r transformRow) bool { return r.Set == set.name }) {
			continue
		}
		var names []string
		for _, t := range set.list {
			names = append(names, t.String())
		}
		notes = append(notes, "Transformations of the "+set.name+" set, in the order of the accuracies: "+strings.Join(names, ", ")+".")
	}
	if in := e.out.Interpretation; in != nil {
		notes = append(notes, fmt.Sprintf("In %d groups of %d images of one digit the largest weight is on the image that is hardest alone in %.0f %%; mean rank correlation %.2f.",
			in.Groups, members, 100*in.HardestFirst, in.Correlation))
	}
	for _, w := range e.out.Weights {
		notes = append(notes, fmt.Sprintf("AMPGD against linf %v and l2 %v ends with weights %s.", linfThreat.Eps, w.EpsL2, weights(w.Weights)))
	}
	return notes
}

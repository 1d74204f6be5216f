package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Result shows what was reached.
func (e *experiment) Result() example.Result {
	return example.Result{Figures: e.out, Tables: e.tables(), Notes: e.notes()}
}

func (e *experiment) tables() []*report.Table {
	var out []*report.Table
	for _, t := range append([]*report.Table{e.summaryTable(), e.runTable(), e.pairTable(), e.curveTable(), e.crossingTable()}, e.diagnosisTables()...) {
		if t.Len() > 0 {
			out = append(out, t)
		}
	}
	return out
}

// with writes a mean and its standard deviation over seeds.
func with(v float64, sd *float64) string {
	if sd == nil {
		return report.InPercent(v)
	}
	return fmt.Sprintf("%.1f ±%.1f", 100*v, 100**sd)
}

func optional(v *float64) string {
	if v == nil {
		return "–"
	}
	return report.InPercent(*v)
}

func duration(seconds float64) string {
	if days := seconds / 86400; days > 2 {
		return fmt.Sprintf("%.3g days", days)
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

func (e *experiment) summaryTable() *report.Table {
	t := report.NewTable(fmt.Sprintf("A linear layer on frozen encoders, in %% of %d test images: mean and standard deviation over seeds", e.plan.test),
		report.Left("pretraining"), report.Right("SA"), report.Right("RA 8/255"), report.Right("RA 4/255"), report.Right("APGD-T 8/255"),
		report.Right("TFLOP"), report.Right("of SimCLR's"), report.Right("time"))
	t.ID = "summary"
	for _, s := range e.out.Summary {
		cost := "–"
		if s.Relative > 0 {
			cost = fmt.Sprintf("%.1fx", s.Relative)
		}
		work := fmt.Sprintf("%.3g", s.GFLOP/1000)
		if s.Encoder > 0 {
			work = fmt.Sprintf("%.3g + %.3g", s.Encoder/1000, s.GFLOP/1000)
		}
		t.AddRow(s.Method, with(s.SA, s.SASD), with(s.RA8, s.RA8SD), report.InPercent(s.RA4), optional(s.APGD), work, cost, report.Seconds(s.Seconds))
	}
	return t
}

func (e *experiment) runTable() *report.Table {
	t := report.NewTable("Each seed", report.Left("pretraining"), report.Right("seed"), report.Right("SA"), report.Right("RA 8/255"), report.Right("RA 4/255"), report.Right("APGD-T"))
	t.ID = "seeds"
	if e.plan.seeds < 2 {
		return t
	}
	for _, name := range e.out.methods() {
		for _, r := range e.out.of(name) {
			t.AddRow(name, fmt.Sprint(r.Seed), report.InPercent(r.SA), report.InPercent(r.RA8), report.InPercent(r.RA4), optional(r.APGD))
		}
	}
	return t
}

func (e *experiment) pairTable() *report.Table {
	t := report.NewTable("Differences on the same images, in points, with the standard error over images",
		report.Left("methods"), report.Right("seed"), report.Right("SA"), report.Right("RA 8/255"))
	t.ID = "differences"
	for _, p := range e.out.Paired {
		t.AddRow(p.A+" – "+p.B, fmt.Sprint(p.Seed), fmt.Sprintf("%+.1f", 100*p.SA), fmt.Sprintf("%+.1f ±%.1f", 100*p.RA8, 100*p.RA8SE))
	}
	return t
}

// curveTable shows accuracy on the way.
func (e *experiment) curveTable() *report.Table {
	names, seeds := e.out.curves()
	columns := []report.Column{report.Right("seed"), report.Right("step")}
	for _, name := range names {
		columns = append(columns, report.Right(name))
	}
	t := report.NewTable("SA / RA at 8/255 on the way, in %", columns...)
	t.ID = "curves"
	for _, seed := range seeds {
		cells := map[int][]string{} // by step
		for i, name := range names {
			for _, p := range e.out.curve(name, seed) {
				if cells[p.Step] == nil {
					cells[p.Step] = make([]string, len(names))
				}
				cells[p.Step][i] = report.InPercent(p.SA) + " / " + report.InPercent(p.RA8)
			}
		}
		for _, step := range slices.Sorted(maps.Keys(cells)) {
			t.AddRow(append([]string{fmt.Sprint(seed), fmt.Sprint(step)}, cells[step]...)...)
		}
	}
	return t
}

func (e *experiment) notes() []string {
	notes := []string{fmt.Sprintf("Data: %s; %s network, %d training images, %d steps of %d images.", e.source, e.plan.form.Name, e.plan.train, e.plan.total(), e.plan.batch)}
	for _, u := range e.out.Unfinished {
		notes = append(notes, fmt.Sprintf("%s, seed %d, is not finished: its curve ends at step %d of %d.", u.Method, u.Seed, u.Step, u.Steps))
	}
	for _, c := range e.out.Claims {
		verdict := "Seen"
		switch {
		case !c.Holds && c.Must:
			verdict = "NOT seen"
		case !c.Holds:
			verdict = "Not seen"
		}
		notes = append(notes, fmt.Sprintf("%s: %s. %s.", verdict, c.Text, c.Seen))
	}
	for _, s := range e.out.Summary {
		if s.Encoder > 0 {
			notes = append(notes, fmt.Sprintf("%s is trained with what a SimCLR encoder found, whose work is the first summand.", s.Method))
		}
		if s.Clusters > 0 {
			notes = append(notes, fmt.Sprintf("The pseudo-labels of %s cost at most %.2g TFLOP beside, for a pass of all images and k-means, which no figure of work counts.", s.Method, s.Clusters/1000))
		}
	}
	notes = append(notes, "RA counts an image as lost if any step of the attack misleads the classifier, which is a little stricter than the papers' look at the last step alone.")
	switch {
	case e.quick:
		notes = append(notes, "This shows that every stage works, and nothing else.")
	case e.plan.epochs == 0:
		notes = append(notes, "A network and a training of this size can show orders, not the paper's figures. What high frequencies or pseudo-labels add is below the noise of a seed.")
	}
	return notes
}

package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Result shows what was reached.
func (e *experiment) Result() example.Result {
	res := example.Result{Figures: e.out}
	for _, t := range []*report.Table{e.main(), e.theory(), e.defences(), e.targeted()} {
		if t.Len() > 0 {
			res.Tables = append(res.Tables, t)
		}
	}
	if len(res.Tables) == 0 {
		return example.Result{}
	}
	res.Notes = e.notes()
	return res
}

func (e *experiment) notes() []string {
	notes := []string{
		"Accuracy on test images, mean over seeds, each with its own draw of images and poison; ± is the standard deviation over seeds, and a cell without it is of one seed. Poison: a tenth as many images as the target has; the label of a poison is the next digit, and \"shifted\" is the accuracy on those labels.",
		"Data: " + e.out.Data + ".",
	}
	for _, d := range e.out.Cells {
		if d.Diagnosis != nil && d.Attack == "target" {
			b := d.Diagnosis.Bounds
			notes = append(notes, fmt.Sprintf("Diagnosis of poisoned DANN at %d epochs, from binned features and no certificate: labels of the domains disagree by %.2f, source error %.2f, TV %.2f, so a target error of at least %.2f; it is %.2f.",
				d.Epochs, max(b.SourceMismatch, b.TargetMismatch), b.SourceError, b.TV, max(0, b.Lower), b.TargetError))
		}
	}
	budgets := slices.SortedFunc(slices.Values(e.out.Budget), func(a, b budget) int { return cmp.Compare(a.Alpha, b.Alpha) })
	for _, b := range budgets {
		notes = append(notes, fmt.Sprintf("Budget at alpha %v: %d poisons, %s of the target, %s of the source, %s of both together as the victim has them; distance from the nearest natural image at most %.2f in Linf, %.2f in L2.",
			b.Alpha, b.Count, report.Percent(b.OfTarget), report.Percent(b.OfSource), report.Percent(b.OfUnion), b.MaxLinf, b.MaxL2))
	}
	if len(e.out.Defense) > 0 {
		notes = append(notes, fmt.Sprintf("Defences see no label of the target and do not know the poison. Neighbours: as many as a class has images on average; the features are those of a model trained for %d epochs on the poisoned source; loss trimming leaves out %s of each epoch, spectral signatures expect %s of poison. No poison and no defence are the table's cells of the first seed at the same number of epochs.",
			scoutEpochs, report.Percent(trimFraction), report.Percent(spectralFraction)))
	}
	if c := e.out.CleanLabel; c != nil {
		notes = append(notes, "The images of the clean-label attack are drawn among the 3s that a model of each learner recognises without poison. Victims without poison are the same for all images.")
		for _, f := range c.Learners {
			notes = append(notes, fmt.Sprintf("Images that most victims of %s take for an 8, with an exact interval over images: %s with poison, %s without; %d of %d keep the target's accuracy within 3 points.",
				f.Learner, f.FlippedImages, f.ControlFlippedImages, f.Within, len(f.Images)))
			for _, m := range f.Images {
				if m.Nothing {
					notes = append(notes, fmt.Sprintf("Warning: %s takes image %d for an 8 without poison: there is nothing to attack.", f.Learner, m.Index))
				}
			}
		}
	}
	if slices.ContainsFunc(e.pairs, func(p pair) bool { return p.framed }) && e.has("table") {
		notes = append(notes, "Framed USPS are the same images at the size and in the place of MNIST's digits: how much the gap between the domains matters, with source only and DANN on the first seed.")
	}
	var tested []int
	for _, p := range e.pairs {
		tested = append(tested, p.sourceTest.Len(), p.targetTest.Len())
	}
	if known := example.Precision(tested...); known != "" {
		notes = append(notes, known)
	}
	if e.fast {
		notes = append(notes, e.smaller()...)
	}
	return append(notes, fmt.Sprintf("Seed %d; everything took %s.", e.env.Seed, report.Seconds(e.out.Seconds)))
}

// smaller says what the small scale changes.
func (e *experiment) smaller() []string {
	long := ""
	if e.long > 0 {
		long = fmt.Sprintf(" (DANN on the first seed also %d)", e.long)
	}
	notes := []string{
		fmt.Sprintf("Small scale, images and epochs: from MNIST to USPS %d source and %d target images (the paper: 2000 and 1800) for %d epochs%s; on the other pairs %d and %d for %d epochs.",
			e.source, e.target, e.epochs, long, e.other.source, e.other.target, e.other.epochs),
		fmt.Sprintf("Small scale, batches: %d images of a clean source (the paper: 256), a poisoned one in as many batches, source and target parts of one size.", e.batch),
		"Small scale, steps: one pass of the features for discriminator and features, no repeats, one feature step of MCD in place of 3 (5 from USPS, 3 repeats to MNIST-M).",
		"Small scale, rates: 1e-3 in place of 1e-4 for SSL from MNIST to USPS and for source only to MNIST-M.",
		"Small scale, seeds: one for watermarks, which source only and DANN have, and one for weighted learners.",
	}
	if e.test > 0 {
		notes = append(notes, fmt.Sprintf("Small scale, tests: at most the first %d test images.", e.test))
	}
	return append(notes, "-scale full has the paper's settings.")
}

// mean is a mean with its standard deviation.
type mean struct{ v []float64 }

func (m mean) String() string {
	if len(m.v) == 0 {
		return "–"
	}
	s, q := 0.0, 0.0
	for _, v := range m.v {
		s += v / float64(len(m.v))
	}
	for _, v := range m.v {
		q += (v - s) * (v - s)
	}
	if len(m.v) == 1 {
		return report.InPercent(s)
	}
	return report.InPercent(s) + " ± " + report.InPercent(math.Sqrt(q/float64(len(m.v)-1)))
}

// row says which cells belong together.
type row struct {
	pair, learner string
	epochs        int
}

// main sets the learners out, an attack a column.
func (e *experiment) main() *report.Table {
	var rows []row
	var alphas []float64
	for _, c := range e.out.Cells {
		r := row{c.Pair, c.Learner, c.Epochs}
		if !slices.Contains(rows, r) {
			rows = append(rows, r)
		}
		if c.Attack == "watermark" && !slices.Contains(alphas, c.Alpha) {
			alphas = append(alphas, c.Alpha)
		}
	}
	slices.Sort(alphas)
	place := func(r row) int {
		p := slices.IndexFunc(e.pairs, func(p pair) bool { return p.Name == r.pair })
		return p<<20 + slices.Index(learnerNames, r.learner)<<12 + r.epochs
	}
	slices.SortFunc(rows, func(a, b row) int { return place(a) - place(b) })
	columns := []report.Column{report.Left("pair"), report.Left("learner"), report.Right("epochs"), report.Right("clean"), report.Right("alpha 0")}
	for _, a := range alphas {
		columns = append(columns, report.Right("alpha "+strconv.FormatFloat(a, 'f', -1, 64)))
	}
	columns = append(columns, report.Right("alpha 1"), report.Right("shifted"), report.Right("poison fit"), report.Right("source, clean"), report.Right("source, alpha 1"))
	t := report.NewTable("Target accuracy with poison in the source, %", columns...)
	t.ID = "accuracy"
	for _, r := range rows {
		pick := func(attack string, alpha float64, value func(*cell) float64) string {
			var m mean
			for _, c := range e.out.Cells {
				if (row{c.Pair, c.Learner, c.Epochs}) == r && c.Attack == attack && c.Alpha == alpha {
					m.v = append(m.v, value(c))
				}
			}
			return m.String()
		}
		target := func(c *cell) float64 { return c.TargetAcc }
		source := func(c *cell) float64 { return c.SourceAcc }
		cells := []string{r.pair, r.learner, strconv.Itoa(r.epochs), pick("none", 0, target), pick("source", 0, target)}
		for _, a := range alphas {
			cells = append(cells, pick("watermark", a, target))
		}
		cells = append(cells, pick("target", 1, target), pick("target", 1, func(c *cell) float64 { return c.ShiftedAcc }),
			pick("target", 1, func(c *cell) float64 { return *c.Fit }),
			pick("none", 0, source), pick("target", 1, source))
		t.AddRow(cells...)
	}
	return t
}

// theory sets the illustrative cases out.
func (e *experiment) theory() *report.Table {
	t := report.NewTable("Illustrative cases: the same objective and search, from random starts",
		report.Left("case"), report.Left("labels / method"), report.Right("starts"), report.Right("good"), report.Right("bad"), report.Right("stuck"), report.Left("target"))
	t.ID = "cases"
	for _, r := range e.out.Illustrative {
		what := ""
		switch {
		case r.Formula == "DANN":
			what = fmt.Sprintf("accuracy %.2f to %.2f", slices.Min(r.TargetAcc), slices.Max(r.TargetAcc))
		case r.GoodTarget != nil && r.BadTarget != nil:
			what = fmt.Sprintf("squared error %.4f when good, %.3f when bad", *r.GoodTarget, *r.BadTarget)
		case r.GoodTarget != nil:
			what = fmt.Sprintf("squared error %.4f when good", *r.GoodTarget)
		case r.BadTarget != nil:
			what = fmt.Sprintf("squared error %.3f when bad", *r.BadTarget)
		default:
			what = "–"
		}
		stuck := report.Percent(r.Stuck)
		if r.Formula == "DANN" {
			stuck = ""
		}
		t.AddRow(r.Case, r.Formula, strconv.Itoa(r.Starts), report.Percent(r.Good), report.Percent(r.Bad), stuck, what)
	}
	return t
}

// defences sets what DANN keeps with each defence.
func (e *experiment) defences() *report.Table {
	t := report.NewTable("DANN with mislabelled target images in the source, and defences",
		report.Left("defence"), report.Right("poison removed"), report.Right("clean removed"), report.Right("target"), report.Right("recovered"))
	t.ID = "defences"
	for i, d := range e.out.Defense {
		poison, clean, back := "", "", ""
		if d.RemovedPoison+d.RemovedClean > 0 {
			poison, clean = report.Percent(d.RemovedPoison), report.Percent(d.RemovedClean)
		}
		if i > 1 && e.out.Defense[0].TargetAcc > e.out.Defense[1].TargetAcc {
			back = report.Percent(d.Recovered)
		}
		t.AddRow(d.Name, poison, clean, report.Percent(d.TargetAcc), back)
	}
	return t
}

// targeted sets the targeted attack out, an image a row.
func (e *experiment) targeted() *report.Table {
	title := "Clean-label attack"
	if c := e.out.CleanLabel; c != nil {
		title = fmt.Sprintf("Clean-label attack, %s: a 3 is to be taken for an 8; %d poisons beside %d source images, eps %v, victims for each image: %d", c.Pair, c.Poisons, c.Source, c.Eps, c.Victims)
	}
	t := report.NewTable(title, report.Left("learner"), report.Left("image"), report.Right("p(8)"), report.Right("without"),
		report.Right("flips"), report.Right("without"), report.Right("target"), report.Right("without"), report.Right("distance ratio"))
	t.ID = "clean-label"
	c := e.out.CleanLabel
	if c == nil {
		return t
	}
	of := func(share float64, n int) string { return fmt.Sprintf("%.0f of %d", share*float64(n), n) }
	for _, f := range c.Learners {
		for _, m := range f.Images {
			t.AddRow(f.Learner, strconv.Itoa(m.Index), fmt.Sprintf("%.3f", m.Wanted), fmt.Sprintf("%.3f", m.ControlWanted),
				fmt.Sprint(m.Flips), fmt.Sprint(m.ControlFlips), report.Percent(m.TargetAcc), report.Percent(f.ControlTargetAcc), fmt.Sprintf("%.2f", m.DistanceRatio))
		}
		t.AddRow(f.Learner, "all", fmt.Sprintf("%.3f", f.Wanted), fmt.Sprintf("%.3f", f.ControlWanted),
			of(f.Success, len(f.Images)*c.Victims), of(f.Control, len(f.Images)*c.Victims), report.Percent(f.TargetAcc), report.Percent(f.ControlTargetAcc), fmt.Sprintf("%.2f", f.DistanceRatio))
	}
	return t
}

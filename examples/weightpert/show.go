package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Result shows what was reached.
func (e *experiment) Result() example.Result {
	if len(e.out.Regimes) == 0 {
		return example.Result{}
	}
	z := e.sizes()
	notes := []string{
		"Data: " + e.out.Data + ". Everything took " + report.Seconds(e.out.Seconds) + ".",
		example.Precision(e.test.Len(), z.Attacked, z.Certified, z.Each),
		"An absolute eps means little beside another range of weights: see the largest weight and the relative budget.",
	}
	for _, f := range e.out.Regimes {
		if f.Ratio > 0 {
			notes = append(notes, fmt.Sprintf("%s: CROWN certifies %.0f times as far as the product of norms, by medians of %d images.", f.Name, f.Ratio, z.Radius))
		}
	}
	all := []*report.Table{e.claimTable(), e.regimeTable(), e.ensembleTable(), e.certifiedTable(), e.boundTable(), e.quantisedTable(), e.faultTable(), e.layerTable(), e.singleTable()}
	tables := slices.DeleteFunc(all, func(t *report.Table) bool { return t.Len() == 0 })
	return example.Result{Figures: e.out, Tables: tables, Notes: notes}
}

// at is percent of a value that may be missing.
func at(m map[string]float64, eps float64) string {
	if v, ok := m[key(eps)]; ok {
		return report.InPercent(v)
	}
	return "–"
}

// regimeTable sets accuracy under attack beside that without.
func (e *experiment) regimeTable() *report.Table {
	cols := []report.Column{report.Left("training"), report.Right("seed"), report.Right("train %"), report.Right("test %"), report.Right("CE gap"), report.Right("max |w|")}
	for _, eps := range attackEps {
		cols = append(cols, report.Right("eps "+key(eps)))
	}
	cols = append(cols, report.Right("10 % of |w|"))
	t := report.NewTable(fmt.Sprintf("Accuracy in %% on all images, and of the first %d test images under universal attacks on all weights: cross-entropy alone / worst of cross-entropy with and without a leak, and cross-entropy and margin of the still correct", e.sizes().Attacked), cols...)
	t.ID = "attacked"
	for _, f := range e.out.Regimes {
		cells := []string{f.Name, strconv.FormatUint(f.Seed, 10), report.InPercent(f.Train), report.InPercent(f.Test), fmt.Sprintf("%.3f", f.CEGap), fmt.Sprintf("%.2f", f.Largest)}
		for _, eps := range attackEps {
			cells = append(cells, at(f.CrossEntropy, eps)+" / "+at(f.Attacked, eps))
		}
		relative := "–"
		if f.Relative != nil {
			relative = report.InPercent(*f.Relative)
		}
		t.AddRow(append(cells, relative)...)
	}
	return t
}

// ensembleTable adds the attacks that push all images to one class.
func (e *experiment) ensembleTable() *report.Table {
	cols := []report.Column{report.Left("training"), report.Right("seed")}
	for _, eps := range attackEps {
		cols = append(cols, report.Right("eps "+key(eps)))
	}
	t := report.NewTable("Accuracy in % of the same images under the worst of these and a push to each class", cols...)
	t.ID = "ensemble"
	for _, f := range e.out.Regimes {
		if f.Ensemble == nil {
			continue
		}
		cells := []string{f.Name, strconv.FormatUint(f.Seed, 10)}
		for _, eps := range attackEps {
			cells = append(cells, at(f.Ensemble, eps))
		}
		t.AddRow(cells...)
	}
	return t
}

func (e *experiment) certifiedTable() *report.Table {
	cols := []report.Column{report.Left("training"), report.Right("seed"), report.Left("bound"), report.Right("images")}
	for _, eps := range certifyEps {
		cols = append(cols, report.Right("eps "+key(eps)))
	}
	z := e.sizes()
	t := report.NewTable(fmt.Sprintf("Certified accuracy in %% on the first test images, all weights may move by eps; median radius of %d of them", z.Radius), append(cols, report.Right("median radius"))...)
	t.ID = "certified"
	for _, f := range e.out.Regimes {
		for _, m := range []string{"product", "path", "ibp", "crown"} {
			images := z.Certified
			if m == "crown" {
				images = z.Each
			}
			cells := []string{f.Name, strconv.FormatUint(f.Seed, 10), m, strconv.Itoa(images)}
			for _, eps := range certifyEps {
				cells = append(cells, at(f.Certified[m], eps))
			}
			radius := "–"
			if v, ok := f.Radius[m]; ok {
				radius = fmt.Sprintf("%.3g", v)
			}
			t.AddRow(append(cells, radius)...)
		}
		if f.PerImage != nil {
			cells := []string{f.Name, strconv.FormatUint(f.Seed, 10), "attack, per image", strconv.Itoa(z.Each)}
			for _, eps := range certifyEps {
				cells = append(cells, at(f.PerImage, eps))
			}
			t.AddRow(append(cells, "–")...)
		}
	}
	return t
}

func (e *experiment) boundTable() *report.Table {
	t := report.NewTable(fmt.Sprintf("Generalisation at eps 0.001: bound on the error, with its terms, and accuracy on unseen images that IBP certifies with 99 %% confidence, from %d test images", e.sizes().Certified),
		report.Left("training"), report.Right("seed"), report.Left("bound = empirical + network + perturbation + confidence"), report.Right("certified at least %"))
	t.ID = "generalisation"
	for _, f := range e.out.Regimes {
		bound := "–"
		if f.Bound != nil {
			bound = f.Bound.String()
		}
		share := "–"
		if f.AtLeast != nil {
			share = report.InPercent(*f.AtLeast)
		}
		t.AddRow(f.Name, strconv.FormatUint(f.Seed, 10), bound, share)
	}
	return t
}

func (e *experiment) quantisedTable() *report.Table {
	z := e.sizes()
	t := report.NewTable(fmt.Sprintf("Accuracy in %% after rounding, and images that any 8-bit rounding keeps: of the first %d by IBP, of the first %d by CROWN", z.Certified, z.Each),
		report.Left("training"), report.Right("8 bits"), report.Right("4 bits"), report.Right("3 bits"), report.Right("IBP"), report.Right("CROWN"), report.Right("CROWN, scale per row"))
	t.ID = "quantised"
	for _, q := range e.out.Quantised {
		cert := func(name string) string {
			if v, ok := q.Certified[name]; ok {
				return report.InPercent(v)
			}
			return "–"
		}
		t.AddRow(q.Name, report.InPercent(q.Accuracy["8"]), report.InPercent(q.Accuracy["4"]), report.InPercent(q.Accuracy["3"]), cert("ibp"), cert("crown"), cert("crown per row"))
	}
	return t
}

func (e *experiment) faultTable() *report.Table {
	t := report.NewTable("Accuracy in % with memory faults in 8-bit weights",
		report.Left("training"), report.Right("bit errors 0.1 %"), report.Right("0.5 %"), report.Right("1 %"), report.Right("stuck at 0: 5 %"), report.Right("20 %"), report.Right("noise 0.1 σ"), report.Right("0.2 σ"),
		report.Right("100 random flips"), report.Right("best flip"), report.Right("searched"), report.Right("flips"))
	t.ID = "faults"
	for _, f := range e.out.Faults {
		t.AddRow(f.Name, at(f.BitErrors, 0.001), at(f.BitErrors, 0.005), at(f.BitErrors, 0.01), at(f.StuckAtZero, 0.05), at(f.StuckAtZero, 0.2), at(f.Gaussian, 0.1), at(f.Gaussian, 0.2),
			report.InPercent(f.Random), report.InPercent(f.First), report.InPercent(f.Searched), strconv.Itoa(f.Flips))
	}
	return t
}

func (e *experiment) layerTable() *report.Table {
	z := e.sizes()
	t := report.NewTable(fmt.Sprintf("One layer at a time, eps 0.005: accuracy of the first %d test images under attack, and share of the first %d that CROWN certifies", z.Attacked, z.Each), report.Left("training"), report.Right("layer"), report.Right("attacked %"), report.Right("certified %"), report.Right("median radius by norms"))
	t.ID = "layers"
	for _, s := range e.out.Sensitivity {
		t.AddRow(s.Name, strconv.Itoa(s.Layer+1), report.InPercent(s.Attacked), report.InPercent(s.Certified), fmt.Sprintf("%.2g", s.Radius))
	}
	return t
}

// Page draws the curves.
func (e *experiment) Page(context.Context) (*report.Page, error) {
	p := report.NewPage("A classifier whose weights are changed")
	p.Text("Networks of the same shape, trained on MNIST in different ways. Every weight may move by up to eps. Data: " + e.out.Data + ".")
	p.Text("Trainings: standard is cross-entropy alone; lambda adds the margin bound for changed weights, mu a penalty on norms, ibp trains with interval bounds, awp, sam and sign with attacks on the weights, noise with random changes, decay with weight decay, quant-aware with rounded weights, clustering with a penalty that spreads weights, randbet with bit errors. The number is the strength.")
	p.Heading("What attacks leave")
	if err := e.attackCharts(p); err != nil {
		return nil, err
	}
	headed := false
	for _, f := range e.out.Regimes {
		if f.Seed != e.env.Seed || f.Radius == nil {
			continue
		}
		if !headed {
			p.Heading("What can be certified")
			p.Text("From loose to tight: the product of the layers' norms, path by path, interval propagation (IBP), and linear bounds (CROWN). Whatever lies between a certificate and an attack is not known.")
			headed = true
		}
		c := plot.LineChart{Title: "Training: " + f.Name, X: "largest change of a weight (eps)", Y: "images certified, or left", Percent: true, LogX: true}
		for _, m := range []struct{ name, text string }{{"product", "product of norms"}, {"path", "path by path"}, {"ibp", "IBP"}, {"crown", "CROWN"}} {
			c.Series = append(c.Series, series(m.text, f.Same[m.name], certifyEps))
		}
		for _, a := range []plot.Series{series("attack, each image", f.Same["each"], certifyEps), series("attack, all images", f.Same["universal"], attackEps)} {
			a.Dashed = true
			c.Series = append(c.Series, a)
		}
		if err := addChart(p, "certified-"+f.Name, c, fmt.Sprintf("All on the first %d test images. Lines: images whose answer no change of the weights can alter, by each bound. Dashes: images left right when the weights are changed for each image anew, and when they are changed once for all images.", e.sizes().Each)); err != nil {
			return nil, err
		}
	}
	layers := plot.LineChart{X: "layer", Y: "accuracy, this layer alone attacked", Percent: true}
	for _, s := range e.out.Sensitivity {
		if k := len(layers.Series); k == 0 || layers.Series[k-1].Name != s.Name {
			layers.Series = append(layers.Series, plot.Series{Name: s.Name, Points: true})
		}
		last := &layers.Series[len(layers.Series)-1]
		last.X, last.Y = append(last.X, float64(s.Layer+1)), append(last.Y, s.Attacked)
	}
	if len(layers.Series) > 0 {
		p.Heading("Which layer matters")
		if err := addChart(p, "layers", layers, "Which layer matters: eps 0.005 in one layer, the others fixed."); err != nil {
			return nil, err
		}
	}
	res := e.Result()
	p.Figures(res.Tables, res.Notes)
	return p, nil
}

// regimesAtOnce is how many curves a chart has beside that of the first regime.
const regimesAtOnce = 6

// attackCharts draws accuracy under attack, a few regimes at a time beside the first
// one.
func (e *experiment) attackCharts(p *report.Page) error {
	var curves []plot.Series
	for _, f := range e.out.Regimes {
		if f.Seed == e.env.Seed {
			curves = append(curves, series(f.Name, f.Attacked, attackEps))
		}
	}
	if len(curves) == 0 {
		return nil
	}
	for i := 1; i == 1 || i < len(curves); i += regimesAtOnce {
		c := plot.LineChart{X: "largest change of a weight (eps)", Y: "accuracy under attack", Percent: true, LogX: true}
		c.Series = append(c.Series, curves[0])
		c.Series = append(c.Series, curves[i:min(i+regimesAtOnce, len(curves))]...)
		if err := addChart(p, fmt.Sprintf("attacked-%d", (i-1)/regimesAtOnce+1), c, "Images still right after an attack has changed all weights by up to eps, once for all images, by projected gradient ascent."); err != nil {
			return err
		}
	}
	return nil
}

func series(name string, m map[string]float64, eps []float64) plot.Series {
	s := plot.Series{Name: name, Points: true}
	for _, v := range eps {
		if a, ok := m[key(v)]; ok {
			s.X, s.Y = append(s.X, v), append(s.Y, a)
		}
	}
	return s
}

func addChart(p *report.Page, id string, c plot.LineChart, caption string) error {
	return p.Draw(c, report.Figure{ID: id, Alt: c.Y + " against " + c.X, Caption: caption})
}

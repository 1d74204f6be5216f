package main

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Result shows what was reached.
func (e *experiment) Result() example.Result {
	return example.Result{
		Figures: e.out,
		Tables:  []*report.Table{e.table()},
		Notes: []string{
			"Accuracy on test images, with exact 95 % intervals. " + e.setting(),
			fmt.Sprintf("Training took %s for the standard network and %s for the hardened one; everything took %s.",
				report.Seconds(e.out.Standard.Training), report.Seconds(e.out.Hardened.Training), report.Seconds(e.out.Seconds)),
		},
	}
}

func (e *experiment) setting() string {
	return fmt.Sprintf("Attacks may change every pixel by %v of its range. Data: %s; seed %d.", threat.Eps, e.out.Data, e.out.Seed)
}

// table sets both networks side by side, an attack a row.
func (e *experiment) table() *report.Table {
	t := report.NewTable("",
		report.Left("attack"), report.Right("images"),
		report.Right("standard"), report.Left("interval"), report.Right("time"),
		report.Right("hardened"), report.Left("interval"), report.Right("time"))
	for _, r := range e.rows() {
		cells := []string{r.name, strconv.Itoa(r.images)}
		for _, f := range []figures{e.out.Standard, e.out.Hardened} {
			m := f.Detail[r.key]
			if m == nil {
				cells = append(cells, "–", "", "")
				continue
			}
			cells = append(cells, report.Percent(m.Value), fmt.Sprintf("%.1f to %.1f", 100*m.Lo, 100*m.Hi), report.Seconds(m.Seconds))
		}
		t.AddRow(cells...)
	}
	return t
}

// Sizes of the curves and pictures of the page.
const (
	curveImages   = 500
	pictureImages = 10
)

// Page draws what the table does not show: the images, and how accuracy and loss
// move.
func (e *experiment) Page(ctx context.Context) (*report.Page, error) {
	p := report.NewPage("Breaking and hardening a classifier of MNIST")
	p.Text("Two networks of the same shape: one trained on the images as they are, one trained on images that an attack had changed. " +
		"The table gives the share of test images that each still gets right when an attacker changes them. " + e.setting())
	p.Table(e.table())

	x, y := e.test.Take(curveImages).All()
	networks := []struct {
		name string
		net  nn.Layer
	}{{"standard", e.plain}, {"hardened", e.resistant}}

	p.Heading("How far is far enough")
	eps := []float64{0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4}
	accuracy := plot.LineChart{X: "largest change of a pixel (eps)", Y: "accuracy under PGD-40", Percent: true}
	for _, n := range networks {
		stage := e.env.Stage("curve of the "+n.name+" network", -1)
		pgd := attack.PGD{Threat: threat, Steps: 40, Seed: e.env.Seed, OnProgress: func(done, _ int) { stage.Done(done) }}
		est, err := attack.EpsCurve(ctx, nn.Classifier{Net: n.net}, x, y, pgd, eps)
		if err != nil {
			return nil, err
		}
		s := plot.Series{Name: n.name, X: eps, Points: true}
		for _, v := range est {
			s.Y, s.Lo, s.Hi = append(s.Y, v.Value), append(s.Lo, v.Lo), append(s.Hi, v.Hi)
		}
		accuracy.Series = append(accuracy.Series, s)
	}
	if err := addChart(p, accuracy, fmt.Sprintf("Accuracy against the radius of the attack, first %d test images, with 95 %% intervals. The hardened network was trained for 0.3.", len(y))); err != nil {
		return nil, err
	}

	p.Heading("How fast the attack works")
	loss := plot.LineChart{X: "step of the attack", Y: "log-odds against the right digit"}
	for _, n := range networks {
		curve, err := attack.LossCurve(ctx, nn.Classifier{Net: n.net}, x, y, attack.PGD{Threat: threat, Steps: 40, StepSize: 0.01, Seed: e.env.Seed})
		if err != nil {
			return nil, err
		}
		s := plot.Series{Name: n.name, Y: curve}
		for i := range curve {
			s.X = append(s.X, float64(i))
		}
		loss.Series = append(loss.Series, s)
	}
	if err := addChart(p, loss, "What PGD climbs (eps 0.3, steps of 0.01, random start), averaged over the images: the logarithm of the odds that the network gives to all wrong digits together. Above 0 it prefers them. A curve that still rises at its end asks for more steps."); err != nil {
		return nil, err
	}

	p.Heading("What the attack does")
	for _, n := range networks {
		if err := e.pictures(ctx, p, n.name, n.net); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func addChart(p *report.Page, c plot.LineChart, caption string) error {
	svg, err := c.SVG()
	if err != nil {
		return err
	}
	p.Figure(report.Figure{SVG: svg, Alt: c.Y + " against " + c.X, Caption: caption})
	return nil
}

// pictures shows the first image of each digit before and after PGD-40.
func (e *experiment) pictures(ctx context.Context, p *report.Page, name string, net nn.Layer) error {
	var idx []int
	seen := map[int]bool{}
	for i, l := range e.test.Labels {
		if !seen[int(l)] {
			seen[int(l)] = true
			idx = append(idx, i)
		}
	}
	x, y := e.test.Batch(idx[:min(len(idx), pictureImages)])
	model := nn.Classifier{Net: net}
	before, err := attack.Predict(ctx, model, x)
	if err != nil {
		return err
	}
	res, err := (&attack.PGD{Threat: threat, Steps: 40, StepSize: 0.01, Seed: e.env.Seed}).Run(ctx, model, x, y)
	if err != nil {
		return err
	}
	answers := func(labels []int) []string {
		out := make([]string, len(labels))
		for i, l := range labels {
			out[i] = fmt.Sprint(l)
			if l != y[i] {
				out[i] = fmt.Sprintf("%d (not %d)", l, y[i])
			}
		}
		return out
	}
	grid, err := plot.Grid([]plot.GridRow{
		{Label: "clean", Images: plot.Images(x), Captions: answers(before)},
		{Label: "change", Images: plot.Images(tensor.Sub(res.X, x)), Span: threat.Eps},
		{Label: "attacked", Images: plot.Images(res.X), Captions: answers(res.Label)},
	})
	if err != nil {
		return err
	}
	fooled := 0
	for i, l := range res.Label {
		if l != y[i] {
			fooled++
		}
	}
	largest := 0.0
	for _, d := range res.Distance {
		largest = math.Max(largest, d)
	}
	p.Figure(report.Figure{
		PNG: grid, Alt: "Digits before and after PGD-40 on the " + name + " network",
		Caption: fmt.Sprintf("The %s network gets %d of %d attacked digits wrong; its answer stands below each image. Change: red is brighter, blue is darker, full colour is %v. No pixel changes by more than %.3f.",
			name, fooled, len(y), threat.Eps, largest),
	})
	return nil
}

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Result shows what was reached.
func (e *experiment) Result() example.Result {
	if len(e.out.Standard.Detail) == 0 {
		return example.Result{}
	}
	training := "Training took " + report.Seconds(e.out.Standard.Training) + " for the standard network"
	if e.resistant != nil {
		training += " and " + report.Seconds(e.out.Hardened.Training) + " for the hardened one"
	}
	return example.Result{
		Figures: e.out,
		Tables:  []*report.Table{e.table()},
		Notes: []string{
			"Accuracy on test images, with exact 95 % intervals. " + e.setting(),
			training + "; everything took " + report.Seconds(e.out.Seconds) + ".",
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
	t.ID = "accuracy"
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

// curves returns the test images of the curves: a quarter of all, 500 at most.
func (e *experiment) curves() *dataset.Set { return e.test.Take(max(1, min(500, e.test.Len()/4))) }

// Page draws what the table does not show: the images, and how accuracy and loss
// move.
func (e *experiment) Page(ctx context.Context) (*report.Page, error) {
	p := report.NewPage("Breaking and hardening a classifier of MNIST")
	p.Text("Two networks of the same shape: one trained on the images as they are, one trained on images that an attack had changed. " +
		"The table gives the share of test images that each still gets right when an attacker changes them. " + e.setting())
	p.Table(e.table())

	x, y := e.curves().All()
	p.Heading("How far is far enough")
	eps := []float64{0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4}
	accuracy := plot.LineChart{X: "largest change of a pixel (eps)", Y: "accuracy under PGD-40", Percent: true}
	for _, n := range e.networks() {
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
	if err := addChart(p, "radius", accuracy, fmt.Sprintf("Accuracy against the radius of the attack, first %d test images, with 95 %% intervals. The hardened network was trained for 0.3.", len(y))); err != nil {
		return nil, err
	}

	p.Heading("How fast the attack works")
	loss := plot.LineChart{X: "step of the attack", Y: "log-odds against the right digit"}
	for _, n := range e.networks() {
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
	if err := addChart(p, "steps", loss, "What PGD climbs (eps 0.3, steps of 0.01, random start), averaged over the images: the logarithm of the odds that the network gives to all wrong digits together. Above 0 it prefers them. A curve that still rises at its end asks for more steps."); err != nil {
		return nil, err
	}

	p.Heading("What the attack does")
	return p, e.pictures(ctx, p)
}

type network struct {
	name string
	net  nn.Layer
}

func (e *experiment) networks() []network {
	return []network{{"standard", e.plain}, {"hardened", e.resistant}}
}

func addChart(p *report.Page, id string, c plot.LineChart, caption string) error {
	return p.Draw(c, report.Figure{ID: id, Alt: c.Y + " against " + c.X, Caption: caption})
}

// pictureOf returns the first image of each digit that both networks read, and the
// first of all where there is none.
func (e *experiment) pictureOf(ctx context.Context) ([]int, error) {
	x, y := e.curves().All()
	read := make([]int, len(y))
	for _, n := range e.networks() {
		answers, err := attack.Predict(ctx, nn.Classifier{Net: n.net}, x)
		if err != nil {
			return nil, err
		}
		for i, l := range answers {
			if l == y[i] {
				read[i]++
			}
		}
	}
	best := map[int]int{} // image of a digit
	for i, l := range y {
		if old, ok := best[l]; !ok || read[i] > read[old] {
			best[l] = i
		}
	}
	var idx []int
	for _, l := range slices.Sorted(maps.Keys(best)) {
		idx = append(idx, best[l])
	}
	return idx, nil
}

// pictures shows an image of each digit before and after PGD-40 on each network.
func (e *experiment) pictures(ctx context.Context, p *report.Page) error {
	idx, err := e.pictureOf(ctx)
	if err != nil {
		return err
	}
	x, y := e.test.Batch(idx)
	rows := []plot.GridRow{{Label: "image", Images: plot.Images(x)}}
	for _, l := range y {
		rows[0].Captions = append(rows[0].Captions, fmt.Sprint(l))
	}
	var fooled []string
	largest := 0.0
	for _, n := range e.networks() {
		res, err := (&attack.PGD{Threat: threat, Steps: 40, StepSize: 0.01, Seed: e.env.Seed}).Run(ctx, nn.Classifier{Net: n.net}, x, y)
		if err != nil {
			return err
		}
		answers, wrong := make([]string, len(y)), 0
		for i, l := range res.Label {
			answers[i] = fmt.Sprint(l)
			if l != y[i] {
				answers[i] = fmt.Sprintf("%d, wrong", l)
				wrong++
			}
			largest = max(largest, res.Distance[i])
		}
		rows = append(rows,
			plot.GridRow{Label: "change", Images: plot.Images(tensor.Sub(res.X, x)), Span: threat.Eps},
			plot.GridRow{Label: n.name, Images: plot.Images(res.X), Captions: answers})
		fooled = append(fooled, fmt.Sprintf("the %s network gets %d of %d wrong", n.name, wrong, len(y)))
	}
	grid, err := plot.Grid(rows)
	if err != nil {
		return err
	}
	p.Figure(report.Figure{
		ID: "digits", PNG: grid, Alt: "Digits, the changes that PGD-40 makes against each network, and the changed digits with the answers",
		Caption: fmt.Sprintf("An image of each digit that both networks read; the change that PGD-40 makes against the standard network, and what comes out, with the network's answer; then the same against the hardened network. Under attack %s. Red is brighter, blue is darker, full colour is %v; no pixel changes by more than %.3f.",
			strings.Join(fooled, " and "), threat.Eps, largest),
	})
	return nil
}

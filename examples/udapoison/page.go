package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/bound"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Page draws what the tables do not show.
func (e *experiment) Page(ctx context.Context) (*report.Page, error) {
	p := report.NewPage("How little poison breaks domain adaptation")
	p.Text("A learner adapts from a labelled source to an unlabelled target. An attacker adds a few images to the source: a tenth as many as the target has. " +
		"The question is what it then answers to the target, and what to the source.")
	if text := e.headline(); text != "" {
		p.Text(text)
	}
	for _, draw := range []func(context.Context, *report.Page) error{e.drawSamples, e.drawConfusion, e.drawFeatures, e.drawCases, e.drawClean} {
		if err := draw(ctx, p); err != nil {
			return nil, err
		}
	}
	res := e.Result()
	p.Figures(res.Tables, res.Notes)
	return p, nil
}

// headline says what the longest training of DANN on the first seed came to.
func (e *experiment) headline() string {
	last := e.longest()
	clean, poisoned := last["none"], last["target"]
	if clean == nil || poisoned == nil {
		return ""
	}
	return fmt.Sprintf("DANN from %s, %d epochs: %s of the target right without poison and %s with mislabelled target images; with them %s get the label that the poison taught. Source: %s and %s.",
		clean.Pair, clean.Epochs, report.Percent(clean.TargetAcc), report.Percent(poisoned.TargetAcc), report.Percent(poisoned.ShiftedAcc), report.Percent(clean.SourceAcc), report.Percent(poisoned.SourceAcc))
}

// longest returns DANN's longest training on the first pair and seed, by attack.
func (e *experiment) longest() map[string]*cell {
	last := map[string]*cell{}
	for _, c := range e.out.Cells {
		if c.Pair == e.pairs[0].Name && c.Learner == "DANN" && c.Seed == e.env.Seed && (last[c.Attack] == nil || last[c.Attack].Epochs <= c.Epochs) {
			last[c.Attack] = c
		}
	}
	return last
}

// drawSamples shows poisons at each alpha.
func (e *experiment) drawSamples(_ context.Context, p *report.Page) error {
	p.Heading("What the victim is given")
	for i, all := range e.pairs {
		drawn := all.draw(e.env.Seed, 500, 500)
		var rows []plot.GridRow
		for _, alpha := range []float64{0, 0.3, 0.5, 1} {
			made, err := poison.Watermark{Budget: poison.Budget{Fraction: 0.1}, Alpha: alpha, Seed: e.env.Seed}.Build(drawn.source, drawn.target)
			if err != nil {
				return err
			}
			x, y := made.Set.Batch([]int{0, 1, 2, 3, 4, 5, 6, 7})
			r := plot.GridRow{Label: fmt.Sprintf("alpha %v", alpha), Images: plot.Images(x)}
			for _, label := range y {
				r.Captions = append(r.Captions, fmt.Sprint(label))
			}
			rows = append(rows, r)
		}
		grid, err := plot.Grid(rows)
		if err != nil {
			return err
		}
		p.Figure(report.Figure{ID: fmt.Sprintf("poisons-%d", i+1), PNG: grid, Alt: "Poisons from " + e.pairs[i].Name,
			Caption: fmt.Sprintf("%s: images of the target, blended into the nearest source image of their class; alpha is the share of the target. Below stands the label that the attacker gives them, always the next digit.", e.pairs[i].Name)})
	}
	return nil
}

// drawConfusion shows the confusion matrices of DANN on the first pair.
func (e *experiment) drawConfusion(_ context.Context, p *report.Page) error {
	last := e.longest()
	r := plot.GridRow{Label: "DANN"}
	for _, attack := range []string{"none", "source", "watermark", "target"} {
		if c := last[attack]; c != nil {
			r.Images = append(r.Images, heat(c.Confusion))
			name := "no poison"
			if attack != "none" {
				name = fmt.Sprintf("alpha %g", c.Alpha)
			}
			r.Captions = append(r.Captions, fmt.Sprintf("%s: %.0f %% right", name, 100*c.TargetAcc))
		}
	}
	if len(r.Images) == 0 {
		return nil
	}
	grid, err := plot.Grid([]plot.GridRow{r})
	if err != nil {
		return err
	}
	p.Heading("What the answers are")
	p.Figure(report.Figure{ID: "confusion", PNG: grid, Alt: "Confusion matrices of DANN",
		Caption: "Answers (columns) to target test images of each digit (rows), white is all of them, by the share alpha of the target in the poison. A broken network would answer with one digit, a confused one with any, one that has learnt the poison with the next digit, on the diagonal beside the main one."})
	return nil
}

// heat draws a confusion matrix, each row in parts of its sum.
func heat(confusion [][]int) plot.Image {
	const zoom = 8
	k := len(confusion)
	m := plot.Image{H: k * zoom, W: k * zoom, C: 1, Pix: make([]float32, k*k*zoom*zoom)}
	for c, row := range confusion {
		sum := 0
		for _, n := range row {
			sum += n
		}
		for a, n := range row {
			for y := range zoom {
				for x := range zoom {
					m.Pix[(c*zoom+y)*m.W+a*zoom+x] = float32(n) / float32(max(1, sum))
				}
			}
		}
	}
	return m
}

// featureImages is the number of images of each domain in a map of features.
const featureImages = 150

// drawFeatures maps the features of both domains, before and after poisoning.
func (e *experiment) drawFeatures(ctx context.Context, p *report.Page) error {
	headed := false
	for _, attack := range []string{"none", "target"} {
		m := e.models[attack]
		if m == nil {
			continue
		}
		if !headed {
			p.Heading("Where the features of a digit go")
			headed = true
		}
		source, target := e.pairs[0].sourceTest.Take(featureImages), e.pairs[0].targetTest.Take(featureImages)
		fs, err := uda.FeaturesOf(ctx, m, source)
		if err != nil {
			return err
		}
		ft, err := uda.FeaturesOf(ctx, m, target)
		if err != nil {
			return err
		}
		low, err := principal(tensor.Concat(0, fs, ft))
		if err != nil {
			return err
		}
		answers, err := uda.Evaluate(ctx, m, e.pairs[0].targetTest)
		if err != nil {
			return err
		}
		row := answers.Confusion[3]
		all := 0
		for _, n := range row {
			all += n
		}
		text := fmt.Sprintf("%s DANN answers 3 to %s and 4 to %s of the target's 3s.", map[string]string{"none": "Clean", "target": "Poisoned"}[attack],
			report.Percent(float64(row[3])/float64(max(1, all))), report.Percent(float64(row[4])/float64(max(1, all))))
		err = p.Draw(features(low, source, target), report.Figure{ID: "features-" + attack, Alt: "Features of 3s and 4s", Caption: text + " Two principal components of the features of both domains' first test images; other digits in grey."})
		if err != nil {
			return err
		}
	}
	return nil
}

// features draws the 3s and 4s of both domains among all points.
func features(low *mat.Dense, source, target *dataset.Set) plot.ScatterChart {
	grey := plot.Cloud{Name: "other digits", Color: 6, Hollow: true}
	groups := []plot.Cloud{
		{Name: "source 3", Color: 0}, {Name: "source 4", Color: 1},
		{Name: "target 3", Color: 0, Hollow: true}, {Name: "target 4", Color: 1, Hollow: true},
	}
	for i, y := range append(append([]int(nil), source.Labels...), target.Labels...) {
		c := &grey
		if y == 3 || y == 4 {
			at := y - 3
			if i >= source.Len() {
				at += 2
			}
			c = &groups[at]
		}
		c.X, c.Y = append(c.X, low.At(i, 0)), append(c.Y, low.At(i, 1))
	}
	chart := plot.ScatterChart{X: "first component", Y: "second component"}
	for _, c := range append([]plot.Cloud{grey}, groups...) {
		if len(c.X) > 0 {
			chart.Clouds = append(chart.Clouds, c)
		}
	}
	return chart
}

// principal projects rows onto their two principal components.
func principal(x *tensor.Tensor) (*mat.Dense, error) {
	n, d := x.Dim(0), x.Dim(1)
	m := mat.NewDense(n, d, x.Values())
	for j := range d {
		col := mat.Col(nil, j, m)
		mean := mat.Sum(mat.NewVecDense(n, col)) / float64(n)
		for i := range n {
			m.Set(i, j, col[i]-mean)
		}
	}
	var svd mat.SVD
	if !svd.Factorize(m, mat.SVDThin) {
		return nil, fmt.Errorf("principal components of %d rows: no decomposition", n)
	}
	var v, low mat.Dense
	svd.VTo(&v)
	low.Mul(m, v.Slice(0, d, 0, 2))
	return &low, nil
}

// drawCases shows the illustrative cases.
func (e *experiment) drawCases(_ context.Context, p *report.Page) error {
	if len(e.out.Illustrative) == 0 {
		return nil
	}
	p.Heading("Why it can be so")
	for _, c := range bound.Cases() {
		rng := rand.New(rand.NewPCG(e.env.Seed, e.env.Stream("points")))
		chart := plot.ScatterChart{Title: c.Name, X: "x1", Y: "x2"}
		for i, d := range []struct {
			name string
			m    bound.Mixture
		}{{"source", c.Source}, {"target", c.Target}} {
			s := points(rng, d.m, 120)
			for y := range 2 {
				g := plot.Cloud{Name: fmt.Sprintf("%s, class %d", d.name, y), Color: y, Hollow: i == 1}
				for k, label := range s.Labels {
					if label == y {
						g.X, g.Y = append(g.X, float64(s.Floats[2*k])), append(g.Y, float64(s.Floats[2*k+1]))
					}
				}
				chart.Clouds = append(chart.Clouds, g)
			}
		}
		text := ""
		for _, r := range e.out.Illustrative {
			if r.Case == c.Name && r.Formula == "exact" {
				u := r.Best.U
				text = fmt.Sprintf("From %d random starts %s end well and %s badly; the best has the direction (%.2f, %.2f).", r.Starts, report.Percent(r.Good), report.Percent(r.Bad), u[0]/math.Hypot(u[0], u[1]), u[1]/math.Hypot(u[0], u[1]))
			}
			if r.Case == c.Name && r.Formula == "DANN" {
				text += fmt.Sprintf(" DANN on these points succeeds with %.0f of %d seeds and fails with %.0f.", r.Good*float64(r.Starts), r.Starts, r.Bad*float64(r.Starts))
			}
		}
		if err := p.Draw(chart, report.Figure{ID: "case-" + c.Name, Alt: "Points of the " + c.Name + " case", Caption: text}); err != nil {
			return err
		}
	}
	return nil
}

// drawClean shows images of the targeted attack.
func (e *experiment) drawClean(_ context.Context, p *report.Page) error {
	if e.pictures.x == nil {
		return nil
	}
	p.Heading("A poison with the right label")
	n := min(8, e.pictures.poison.Dim(0))
	first := func(t *tensor.Tensor) *tensor.Tensor { return tensor.Slice(t, 0, 0, n) }
	grid, err := plot.Grid([]plot.GridRow{
		{Label: "attacked", Images: plot.Images(e.pictures.x)},
		{Label: "natural", Images: plot.Images(first(e.pictures.natural))},
		{Label: "blended", Images: plot.Images(first(e.pictures.base))},
		{Label: "change", Images: plot.Images(tensor.Sub(first(e.pictures.poison), first(e.pictures.base))), Span: cleanEps},
		{Label: "poison", Images: plot.Images(first(e.pictures.poison))},
	})
	if err != nil {
		return err
	}
	p.Figure(report.Figure{ID: "clean-label-images", PNG: grid, Alt: "Images of the clean-label attack",
		Caption: fmt.Sprintf("The 3 that is attacked, the 8s nearest to it, a tenth of the 3 blended in, the change (full colour is %v), and the poisons, which the victim sees labelled 8.", cleanEps)})
	return nil
}

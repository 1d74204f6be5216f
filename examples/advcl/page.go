package main

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Page draws what the tables do not show.
func (e *experiment) Page(context.Context) (*report.Page, error) {
	p := report.NewPage("Does robustness survive from pretraining to a linear layer?")
	p.Text("An encoder is trained without labels, with or without attacks. It is frozen, and one linear layer is trained on its features with ordinary cross-entropy. " +
		"Then an attacker who knows both changes every pixel by at most 8/255.")
	p.Text("SA is the standard accuracy, on images as they are; RA the robust accuracy, under a PGD attack of 20 steps (PGD-20) of the radius that stands beside it. TFLOP is the work of pretraining in 10¹² operations.")
	for _, draw := range []func(*report.Page) error{e.drawCurves, e.drawSweeps, e.drawLandscapes, e.drawMaps, e.drawInversions} {
		if err := draw(p); err != nil {
			return nil, err
		}
	}
	p.Heading("Figures")
	for _, t := range e.tables() {
		p.Table(t)
	}
	p.List(e.notes()...)
	return p, nil
}

// drawCurves shows accuracy against steps and against work.
func (e *experiment) drawCurves(p *report.Page) error {
	type axis struct {
		id, name string
		at       func(point) float64
	}
	names, _ := e.out.curves()
	headed := false
	for _, a := range []axis{
		{"steps", "training steps", func(q point) float64 { return float64(q.Step) }},
		{"work", "work of training in TFLOP", func(q point) float64 { return q.GFLOP / 1000 }},
	} {
		for _, m := range []struct {
			id, name string
			value    func(point) float64
		}{{"clean", "clean accuracy", func(q point) float64 { return q.SA }}, {"attacked", "accuracy under PGD-20 at 8/255", func(q point) float64 { return q.RA8 }}} {
			// The axis spans what was measured, so that crossings can be seen.
			chart := plot.LineChart{X: a.name, Y: m.name + " in %"}
			for _, name := range names {
				s := plot.Series{Name: name, Points: true}
				for _, q := range e.out.curve(name, e.env.Seed) {
					s.X, s.Y = append(s.X, a.at(q)), append(s.Y, 100*m.value(q))
				}
				if len(s.X) > 0 {
					chart.Series = append(chart.Series, s)
				}
			}
			if len(chart.Series) == 0 {
				return nil
			}
			if !headed {
				p.Heading("Learning curves")
				headed = true
			}
			err := p.Draw(chart, report.Figure{ID: m.id + "-" + a.id, Alt: m.name + " against " + a.name, Caption: fmt.Sprintf("A linear layer is trained on the encoder as it is after so much training: its %s, against %s; seed %d.", m.name, a.name, e.env.Seed)})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *experiment) drawSweeps(p *report.Page) error {
	d := e.out.Checks
	if d == nil || len(d.Steps) == 0 {
		return nil
	}
	p.Heading("Stronger attacks")
	for _, c := range []struct {
		id, x   string
		sweeps  []sweep
		caption string
	}{
		{"sweep-steps", "steps of PGD", d.Steps, "Accuracy at 8/255 by the number of steps. It is flat from 20 steps on, unless gradients are masked."},
		{"sweep-eps", "eps in 1/255", d.Eps, "Accuracy under PGD-20 by radius. It reaches 0, unless gradients are masked."},
	} {
		chart := plot.LineChart{X: c.x, Y: "accuracy", Percent: true}
		for _, s := range c.sweeps {
			chart.Series = append(chart.Series, plot.Series{Name: s.Method, X: s.X, Y: s.Accuracy, Points: true})
		}
		if err := p.Draw(chart, report.Figure{ID: c.id, Alt: "accuracy by " + c.x, Caption: c.caption}); err != nil {
			return err
		}
	}
	return nil
}

func (e *experiment) drawLandscapes(p *report.Page) error {
	d := e.out.Checks
	if d == nil || len(d.Encoders) == 0 {
		return nil
	}
	p.Heading("Loss around the weights")
	for _, c := range d.Encoders {
		s := d.surfaces[c.Method]
		chart := plot.ContourChart{Title: c.Method, X: "a, along the first direction", Y: "b, along the second direction", XS: s.Axis, YS: s.Axis, Z: s.Loss}
		err := p.Draw(chart, report.Figure{ID: "landscape-" + c.Method, Alt: "loss landscape of " + c.Method,
			Caption: fmt.Sprintf("%s: mean cross-entropy of attacked images at weights moved by a and b along two random directions, scaled filter by filter. %.0f %% of the square lie below the centre's %.2f plus 0.5.", c.Method, 100*s.Flat, s.Center)})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *experiment) drawMaps(p *report.Page) error {
	d := e.out.Checks
	if d == nil || len(d.Encoders) == 0 {
		return nil
	}
	p.Heading("Features")
	for _, c := range d.Encoders {
		m := d.maps[c.Method]
		chart := plot.ScatterChart{Title: c.Method, X: "t-SNE 1", Y: "t-SNE 2"}
		for class := range e.test.Classes {
			g := plot.Cloud{Name: fmt.Sprint(class), Color: class}
			if class < len(e.test.ClassNames) {
				g.Name = e.test.ClassNames[class]
			}
			for i, y := range e.y[:len(m.X)] {
				if y == class {
					g.X, g.Y = append(g.X, m.X[i]), append(g.Y, m.Y[i])
				}
			}
			if len(g.X) > 0 {
				chart.Clouds = append(chart.Clouds, g)
			}
		}
		err := p.Draw(chart, report.Figure{ID: "features-" + c.Method, Alt: "t-SNE of " + c.Method,
			Caption: fmt.Sprintf("%s: features of %d test images by class. On the features themselves, 20 nearest neighbours are right in %.1f %% and the silhouette is %.3f.", c.Method, len(m.X), 100*c.KNN, c.Silhouette)})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *experiment) drawInversions(p *report.Page) error {
	d := e.out.Checks
	if d == nil || len(d.Encoders) == 0 {
		return nil
	}
	var rows []plot.GridRow
	for _, c := range d.Encoders {
		x := d.inverted[c.Method]
		r := plot.GridRow{Label: c.Method, Images: plot.Images(tensor.Slice(x, 0, 0, x.Dim(0)))}
		for k := range x.Dim(0) {
			r.Captions = append(r.Captions, fmt.Sprintf("neuron %d", (k/inversionSeeds+1)*e.plan.form.Features()/(neurons+1)))
		}
		rows = append(rows, r)
	}
	png, err := plot.Grid(rows)
	if err != nil {
		return err
	}
	p.Heading("What neurons look for")
	p.Figure(report.Figure{ID: "neurons", PNG: png, Alt: "images that drive neurons", Caption: "Images changed so that a neuron fires as much as it can, from two test images and from noise. In robust encoders they show shapes; in others they look like noise."})
	return nil
}

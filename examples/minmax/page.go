package main

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Page draws the pictures.
func (e *experiment) Page(context.Context) (*report.Page, error) {
	p := report.NewPage("One perturbation for everything")
	p.Text("An attacker who must fool several models, spoil several images or survive several transformations at once plays against the hardest of them instead of against their mean. Data: " + e.describeData() + ".")
	for _, draw := range []func(*report.Page) error{e.drawWeights, e.drawGamma, e.drawUniversal, e.drawGroup, e.drawDefense} {
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

// drawWeights shows how the weights of the networks spread over the images.
func (e *experiment) drawWeights(p *report.Page) error {
	if e.weights == nil {
		return nil
	}
	p.Heading("Which network resists")
	c := plot.BoxChart{X: "iteration", Y: "weight of the network"}
	every := max(1, e.weights.Steps()/10)
	for k, name := range e.weights.Names() {
		s := plot.BoxSeries{Name: name}
		for t := 0; t <= e.weights.Steps(); t += every {
			if b, ok := e.weights.Spread(t, k); ok {
				s.Boxes = append(s.Boxes, plot.Box{X: float64(t), Min: b.Min, Q1: b.Q1, Median: b.Median, Q3: b.Q3, Max: b.Max})
			}
		}
		c.Series = append(c.Series, s)
	}
	return p.Draw(c, report.Figure{ID: "weights", Alt: "box plots of weights against iterations", Caption: "Weights that the min-max attack gives to the four networks A, B, C and D, over the images (largest change of a pixel bounded): boxes from the first to the third quartile, whiskers to the extremes. All start at a quarter; the network that resists most gets most."})
}

func (e *experiment) drawGamma(p *report.Page) error {
	s := plot.Series{Points: true}
	last := 0.0
	for _, g := range e.out.Gamma {
		if g.Gamma > largestDrawnGamma {
			last = g.ASRAll
			continue
		}
		s.X, s.Y = append(s.X, g.Gamma), append(s.Y, g.ASRAll)
		s.Lo, s.Hi = append(s.Lo, g.Interval[0]), append(s.Hi, g.Interval[1])
	}
	if len(s.X) == 0 {
		return nil
	}
	s.Name = "min-max"
	p.Heading("Between the worst case and the average")
	c := plot.LineChart{X: "gamma", Y: "ASR_all", Percent: true, Series: []plot.Series{s}}
	if last > 0 {
		c.Series = append(c.Series, plot.Series{Name: "gamma 1e5", X: []float64{s.X[0], s.X[len(s.X)-1]}, Y: []float64{last, last}, Dashed: true})
	}
	return addChart(p, "gamma-curve", c, "Share of images that fool all four networks, with 95 % intervals. gamma = 0 is the worst case, a very large gamma the average.")
}

const largestDrawnGamma = 30

func (e *experiment) drawUniversal(p *report.Page) error {
	if len(e.out.Universal) == 0 {
		return nil
	}
	p.Heading("One perturbation for several images")
	average, weighted := plot.Series{Name: "average", Points: true}, plot.Series{Name: "min-max", Points: true}
	for _, r := range e.out.Universal {
		k := float64(r.K)
		average.X, average.Y = append(average.X, k), append(average.Y, r.Average.ASRGroup)
		average.Lo, average.Hi = append(average.Lo, r.Average.Interval[0]), append(average.Hi, r.Average.Interval[1])
		weighted.X, weighted.Y = append(weighted.X, k), append(weighted.Y, r.MinMax.ASRGroup)
		weighted.Lo, weighted.Hi = append(weighted.Lo, r.MinMax.Interval[0]), append(weighted.Hi, r.MinMax.Interval[1])
	}
	c := plot.LineChart{X: "images that share a perturbation (K)", Y: "groups fooled whole", Percent: true, Series: []plot.Series{average, weighted}}
	return addChart(p, "groups-curve", c, "Groups of K images that one perturbation fools whole, with 95 % intervals.")
}

// drawGroup shows the first group of images of one digit.
func (e *experiment) drawGroup(p *report.Page) error {
	if e.picture == nil {
		return nil
	}
	png, err := plot.Grid(e.picture)
	if err != nil {
		return err
	}
	p.Heading("Which image resists")
	p.Figure(report.Figure{ID: "group", PNG: png, Alt: "five digits, a shared perturbation and its weights", Caption: "Five images of one digit that share a perturbation: the least radius under linf that fools the network on each alone, and the weight that the min-max attack gives it."})
	return nil
}

func (e *experiment) drawDefense(p *report.Page) error {
	byNetwork := map[string]*plot.LineChart{}
	var charts []*plot.LineChart
	for _, r := range e.out.Defense {
		c := byNetwork[r.Network]
		if c == nil {
			c = &plot.LineChart{Title: r.Network, X: fmt.Sprintf("radius under l2, beside linf %v", linfThreat.Eps), Y: "accuracy under both", Percent: true}
			byNetwork[r.Network] = c
			charts = append(charts, c)
		}
		c.Series = append(c.Series, plot.Series{Name: r.Training, X: curveEps, Y: r.Curve, Points: true, Dashed: r.Training == "linf only" || r.Training == "l2 only"})
	}
	if len(charts) > 0 {
		p.Heading("Training against two attacks at once")
	}
	for i, c := range charts {
		if err := addChart(p, fmt.Sprintf("defense-curve-%d", i+1), *c, fmt.Sprintf("Accuracy under the worse of both attacks; all networks were hardened for l2 %v. S is the area under a line.", l2Eps)); err != nil {
			return err
		}
	}
	return nil
}

func addChart(p *report.Page, id string, c plot.LineChart, caption string) error {
	return p.Draw(c, report.Figure{ID: id, Alt: c.Y + " against " + c.X, Caption: caption})
}

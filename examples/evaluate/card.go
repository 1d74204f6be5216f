package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/tensor"
)

// card is the evaluation card.
type card struct {
	options
	env         *example.Env
	net         attack.Model
	x           *tensor.Tensor
	y           []int
	adversaries *tensor.Tensor
	attacks     []string           // names
	curves      []attack.NormCurve // of each of them

	Model  string `json:"model"`
	Data   string `json:"data"`
	Images int    `json:"images"`
	Threat threat `json:"threat"`
	Attack string `json:"attack"`
	// StoppedAfter is the last attack that was finished if not all were; Robust is then
	// the accuracy under those up to it, and what the next one of AutoAttack had found.
	StoppedAfter string `json:"stopped_after,omitempty"`

	Seed       uint64           `json:"seed"`
	Clean      float64          `json:"clean"`
	Robust     float64          `json:"robust"`
	CleanIn    attack.Estimate  `json:"clean_interval"`
	RobustIn   attack.Estimate  `json:"robust_interval"`
	PerExample []bool           `json:"per_example"`
	Stages     []stage          `json:"stages"`
	Warnings   []attack.Warning `json:"warnings,omitempty"`
	Checks     []attack.Check   `json:"checks,omitempty"`
	Seconds    float64          `json:"seconds"`
	PerSecond  float64          `json:"images_per_second"`
	Queries    int              `json:"queries"`
	Gradients  int              `json:"gradients"`
	// Curve is the accuracy against the radius.
	Curve *attack.NormCurve `json:"norm_curve,omitempty"`
}

// threat is the ball that attacks keep to, nil for attacks without one.
type threat struct{ ball *attack.Threat }

// String describes the ball, or says that there is none.
func (t threat) String() string {
	if t.ball == nil {
		return "no ball"
	}
	return t.ball.String()
}

// MarshalJSON writes the ball, or that there is none.
func (t threat) MarshalJSON() ([]byte, error) {
	if t.ball == nil {
		return json.Marshal(t.String())
	}
	return json.Marshal(t.ball)
}

// stage is what one attack left: of AutoAttack those before it too, of several
// attacks it alone.
type stage struct {
	Name      string          `json:"name"`
	Settings  string          `json:"settings"`
	Robust    float64         `json:"robust"`
	In        attack.Estimate `json:"robust_interval"`
	Attacked  int             `json:"attacked"`
	Broken    int             `json:"broken"`
	Queries   int             `json:"queries"`
	Gradients int             `json:"gradients"`
	Seconds   float64         `json:"seconds"`
}

// Result shows the card.
func (c *card) Result() example.Result {
	if len(c.Stages) == 0 {
		return example.Result{}
	}
	res := example.Result{Figures: c, File: "card.json", Tables: []*report.Table{c.table()}}
	for _, f := range c.facts() {
		res.Notes = append(res.Notes, f[0]+": "+f[1]+".")
	}
	if c.Curve != nil {
		res.Notes = append(res.Notes, c.median())
	}
	for _, w := range c.Warnings {
		res.Notes = append(res.Notes, fmt.Sprintf("Warning, %s: %s.", w.Kind, w.Text))
	}
	for _, k := range c.Checks {
		res.Notes = append(res.Notes, fmt.Sprintf("Check, %s: %s. %s.", k.Name, k.Text, verdict(k)))
	}
	return res
}

// table says what each attack left.
func (c *card) table() *report.Table {
	t := report.NewTable("", report.Left("attack"), report.Right("robust"), report.Left("interval"), report.Right("broken"), report.Right("queries"), report.Right("gradients"), report.Right("time"))
	t.ID = "attacks"
	row := func(name string, e attack.Estimate, rest ...string) {
		t.AddRow(append([]string{name, report.Percent(e.Value), report.InPercent(e.Lo) + " to " + report.InPercent(e.Hi)}, rest...)...)
	}
	row("none", c.CleanIn, "", "", "", "")
	for _, s := range c.Stages {
		row(s.Name, s.In, fmt.Sprintf("%d of %d", s.Broken, s.Attacked), strconv.Itoa(s.Queries), strconv.Itoa(s.Gradients), report.Seconds(s.Seconds))
	}
	if len(c.attacks) > 1 && c.StoppedAfter == "" {
		row("worst of all", c.RobustIn, fmt.Sprintf("%d of %d", c.CleanIn.Right-c.RobustIn.Right, c.CleanIn.Right), strconv.Itoa(c.Queries), strconv.Itoa(c.Gradients), report.Seconds(c.Seconds))
	}
	return t
}

// median says where half of the images have fallen.
func (c *card) median() string {
	m := c.Curve.Median()
	if math.IsInf(m, 1) {
		return fmt.Sprintf("Less than half of the images fall within %v.", c.Threat)
	}
	return fmt.Sprintf("Half of the images fall within %v %.4g.", c.norm, m)
}

// facts are what the figures belong to, by name.
func (c *card) facts() [][2]string {
	return [][2]string{
		{"Model", c.Model},
		{"Attacks", c.Attack},
		{"Data", fmt.Sprintf("the first %d test images of %s", c.Images, c.Data)},
		{"Threat", fmt.Sprintf("%v, pixels from 0 to 1", c.Threat)},
		{"Seed", strconv.FormatUint(c.Seed, 10)},
		{"Intervals", "exact, of 95 %"},
		{"Speed", fmt.Sprintf("%.1f images/s", c.PerSecond)},
	}
}

func verdict(k attack.Check) string {
	if k.OK {
		return "As expected"
	}
	return "SUSPICIOUS"
}

// Page is the card for readers.
func (c *card) Page(ctx context.Context) (*report.Page, error) {
	title := c.Attack
	if len(c.attacks) > 3 {
		title = fmt.Sprintf("%d attacks", len(c.attacks))
		if c.StoppedAfter != "" {
			title += ", stopped after " + c.StoppedAfter
		}
	}
	if c.Threat.ball == nil {
		title += ", " + c.Threat.String()
	} else {
		title += " under " + c.Threat.String()
	}
	p := report.NewPage("Evaluation card: " + title)
	p.Text(fmt.Sprintf("Of the images %s are answered right, and %s under attack as well.", c.CleanIn, c.RobustIn))
	facts := report.NewTable("", report.Left("item"), report.Left("value"))
	for _, f := range c.facts() {
		facts.AddRow(f[0], f[1])
	}
	p.Table(facts)
	p.Heading("What the attacks left")
	p.Table(c.table())
	if len(c.Warnings) > 0 {
		p.Heading("Warnings")
	}
	for _, w := range c.Warnings {
		p.Text(fmt.Sprintf("%s: %s.", w.Kind, w.Text))
	}
	if len(c.Checks) > 0 {
		p.Heading("Are the gradients masked?")
		checks := report.NewTable("", report.Left("check"), report.Left("verdict"), report.Left("found"))
		for _, k := range c.Checks {
			checks.AddRow(k.Name, verdict(k), k.Text)
		}
		p.Table(checks)
	}
	p.Heading("Budgets")
	budgets := report.NewTable("", report.Left("attack"), report.Left("settings"))
	for _, s := range c.Stages {
		budgets.AddRow(s.Name, strings.TrimPrefix(s.Settings, fmt.Sprintf("%s under %v, ", s.Name, c.Threat)))
	}
	p.Table(budgets)
	if c.Curve != nil {
		if err := c.drawCurve(p); err != nil {
			return nil, err
		}
	}
	var broken []int
	for i, r := range c.PerExample {
		if !r && len(broken) < 10 && (attack.Threat{Norm: c.norm}).Distance(tensor.Slice(c.adversaries, 0, i, i+1), tensor.Slice(c.x, 0, i, i+1))[0] > 0 {
			broken = append(broken, i)
		}
	}
	if len(broken) == 0 || c.x.Rank() != 4 || c.x.Dim(3) != 1 && c.x.Dim(3) != 3 {
		return p, nil
	}
	before, after := tensor.Gather(c.x, broken), tensor.Gather(c.adversaries, broken)
	answers, err := attack.Predict(ctx, c.net, after)
	if err != nil {
		return nil, err
	}
	change := tensor.Sub(after, before)
	labels := make([]string, len(broken))
	wrong := make([]string, len(broken))
	for k, i := range broken {
		labels[k], wrong[k] = strconv.Itoa(c.y[i]), fmt.Sprintf("%d (not %d)", answers[k], c.y[i])
	}
	png, err := plot.Grid([]plot.GridRow{
		{Label: "image", Images: plot.Images(before), Captions: labels},
		{Label: "change", Images: plot.Images(change), Span: tensor.MaxAbs(change)},
		{Label: "attacked", Images: plot.Images(after), Captions: wrong},
	})
	if err != nil {
		return nil, err
	}
	p.Heading("Some of the images that fell")
	p.Figure(report.Figure{ID: "images", PNG: png, Alt: "Images, changes and attacked images", Caption: fmt.Sprintf("The label stands below the image, the answer below the attacked one. Change: red is brighter, blue is darker, full colour is the largest change, %.3g.", tensor.MaxAbs(change))})
	return p, nil
}

// drawCurve adds the accuracy against the radius: under each attack, and under all
// if there are several.
func (c *card) drawCurve(p *report.Page) error {
	chart := plot.LineChart{X: "radius, " + c.norm.String(), Y: "right", Percent: true}
	for i, name := range c.attacks {
		line := c.line(c.curves[i])
		line.Name, line.Dashed = name, len(c.attacks) > 1
		chart.Series = append(chart.Series, line)
	}
	if len(c.attacks) > 1 {
		line := c.line(*c.Curve)
		line.Name = "nearest of all"
		chart.Series = append(chart.Series, line)
	}
	p.Heading("Accuracy against the radius")
	return p.Draw(chart, report.Figure{ID: "radius", Alt: "Accuracy against the radius", Caption: "Exact for the adversaries that were found: each image falls at the distance of its nearest one. " + c.median()})
}

// line is the step function of a curve, as far as the threat's radius.
func (c *card) line(curve attack.NormCurve) (line plot.Series) {
	eps, accuracy := curve.Steps()
	for i, e := range eps {
		if i > 0 {
			line.X, line.Y = append(line.X, e), append(line.Y, accuracy[i-1])
		}
		line.X, line.Y = append(line.X, e), append(line.Y, accuracy[i])
	}
	if last := len(eps) - 1; eps[last] < c.eps {
		line.X, line.Y = append(line.X, c.eps), append(line.Y, accuracy[last])
	}
	return line
}

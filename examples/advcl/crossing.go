package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/report"
)

// crossing says where the learning curves of two methods change order, for the first
// seed that both have.
type crossing struct {
	A       string `json:"a"`
	B       string `json:"b"`
	Measure string `json:"measure"` // "sa" or "ra_8"
	Axis    string `json:"axis"`    // "steps" or "gflop"
	// Between are the values on the axis between which the order changes; null if the
	// curves have no part of the axis in common.
	Between [][2]float64 `json:"between"`
	// Above is the method that is above at the end; "" for neither.
	Above string `json:"above"`
}

// measures and axes are what is compared, and along what.
var (
	measures = []struct {
		name, title string
		of          func(point) float64
	}{
		{"sa", "SA", func(p point) float64 { return p.SA }},
		{"ra_8", "RA 8/255", func(p point) float64 { return p.RA8 }},
	}
	axes = []struct {
		name string
		of   func(point) float64
	}{
		{"steps", func(p point) float64 { return float64(p.Step) }},
		{"gflop", func(p point) float64 { return p.GFLOP }},
	}
)

// findCrossings compares the curves of all pairs of the table of differences.
func (o *outcome) findCrossings() {
	o.Crossings = []crossing{}
	for _, pair := range pairs {
		a, b := o.curve(pair[0]), o.curve(pair[1])
		if len(a) == 0 || len(b) == 0 {
			continue
		}
		for _, m := range measures {
			for _, axis := range axes {
				c := crossing{A: pair[0], B: pair[1], Measure: m.name, Axis: axis.name}
				var above float64
				c.Between, above = cross(a, b, axis.of, m.of)
				switch {
				case above > 0:
					c.Above = c.A
				case above < 0:
					c.Above = c.B
				}
				o.Crossings = append(o.Crossings, c)
			}
		}
	}
}

// curve is that of a method's first run.
func (o *outcome) curve(name string) []point {
	if runs := o.of(name); len(runs) > 0 {
		return runs[0].Curve
	}
	return nil
}

// cross returns the places between which the sign of a - b changes, where both are
// known, and the difference at the last one; nil and 0 if they have no place in common.
// Between points curves are straight.
func cross(a, b []point, x, y func(point) float64) (between [][2]float64, last float64) {
	lo, hi := max(x(a[0]), x(b[0])), min(x(a[len(a)-1]), x(b[len(b)-1]))
	var places []float64
	for _, p := range slices.Concat(a, b) {
		if v := x(p); v >= lo && v <= hi {
			places = append(places, v)
		}
	}
	if len(places) == 0 {
		return nil, 0
	}
	slices.Sort(places)
	between = [][2]float64{}
	before, from := 0., 0.
	for _, at := range slices.Compact(places) {
		last = height(a, at, x, y) - height(b, at, x, y)
		if last != 0 {
			if before*last < 0 {
				between = append(between, [2]float64{from, at})
			}
			before, from = last, at
		}
	}
	return between, last
}

// height is the value of a curve at a place within it.
func height(c []point, at float64, x, y func(point) float64) float64 {
	for i := 1; i < len(c); i++ {
		if at <= x(c[i]) {
			part := (at - x(c[i-1])) / (x(c[i]) - x(c[i-1]))
			return y(c[i-1]) + part*(y(c[i])-y(c[i-1]))
		}
	}
	return y(c[len(c)-1])
}

func (e *experiment) crossingTable() *report.Table {
	t := report.NewTable("Where learning curves change order",
		report.Left("methods"), report.Left("accuracy"), report.Left("in steps"), report.Left("in TFLOP"))
	t.ID = "crossings"
	cell := func(c crossing, unit float64) string {
		if c.Between == nil {
			return "no part in common"
		}
		end := "neither above at the end"
		if c.Above != "" {
			end = c.Above + " above at the end"
		}
		if len(c.Between) == 0 {
			return "nowhere, " + end
		}
		var places []string
		for _, b := range c.Between {
			places = append(places, fmt.Sprintf("%.4g–%.4g", b[0]/unit, b[1]/unit))
		}
		return strings.Join(places, ", ") + ", " + end
	}
	for i := 0; i+1 < len(e.out.Crossings); i += len(axes) {
		steps, work := e.out.Crossings[i], e.out.Crossings[i+1]
		title := measures[0].title
		if steps.Measure == measures[1].name {
			title = measures[1].title
		}
		t.AddRow(steps.A+", "+steps.B, title, cell(steps, 1), cell(work, 1000))
	}
	return t
}

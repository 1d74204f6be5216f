package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/report"
)

// crossing says where the learning curves of two methods with the same seed change
// order, as far as both are known: a training may have been stopped.
type crossing struct {
	A       string `json:"a"`
	B       string `json:"b"`
	Seed    uint64 `json:"seed"`
	Measure string `json:"measure"` // "sa" or "ra_8"
	Axis    string `json:"axis"`    // "steps" or "gflop"
	// Between are the values on the axis between which the order changes; null if the
	// curves have no part of the axis in common.
	Between [][2]float64 `json:"between"`
	// To is the last place on the axis where both curves are known; 0 for none.
	To float64 `json:"to"`
	// Above is the method that is above there; "" for neither.
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
	_, seeds := o.curves()
	for _, pair := range pairs {
		for _, seed := range seeds {
			a, b := o.curve(pair[0], seed), o.curve(pair[1], seed)
			if len(a) == 0 || len(b) == 0 {
				continue
			}
			for _, m := range measures {
				for _, axis := range axes {
					c := crossing{A: pair[0], B: pair[1], Seed: seed, Measure: m.name, Axis: axis.name}
					var above float64
					c.Between, c.To, above = cross(a, b, axis.of, m.of)
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
}

// cross returns the places between which the sign of a - b changes, where both are
// known, the last such place and the difference there; nil and 0 if they have no place
// in common. Between points curves are straight.
func cross(a, b []point, x, y func(point) float64) (between [][2]float64, to, last float64) {
	lo, hi := max(x(a[0]), x(b[0])), min(x(a[len(a)-1]), x(b[len(b)-1]))
	var places []float64
	for _, p := range slices.Concat(a, b) {
		if v := x(p); v >= lo && v <= hi {
			places = append(places, v)
		}
	}
	if len(places) == 0 {
		return nil, 0, 0
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
	return between, hi, last
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
	t := report.NewTable("Where learning curves cross",
		report.Left("methods"), report.Right("seed"), report.Left("accuracy"), report.Left("against steps"), report.Left("against TFLOP"))
	t.ID = "crossings"
	for i := 0; i+1 < len(e.out.Crossings); i += len(axes) {
		steps, work := e.out.Crossings[i], e.out.Crossings[i+1]
		title := measures[0].title
		if steps.Measure == measures[1].name {
			title = measures[1].title
		}
		t.AddRow(steps.A+", "+steps.B, fmt.Sprint(steps.Seed), title, steps.describe(1), work.describe(1000))
	}
	return t
}

// describe says where the curves cross, in the given unit of the axis.
func (c crossing) describe(unit float64) string {
	if c.Between == nil {
		return "no part in common"
	}
	places := "no crossing"
	for i, b := range c.Between {
		if i == 0 {
			places = "crossing"
		}
		places += fmt.Sprintf(" %.4g–%.4g,", b[0]/unit, b[1]/unit)
	}
	above := "neither"
	if c.Above != "" {
		above = c.Above
	}
	return fmt.Sprintf("%s up to %.4g: %s above", strings.TrimSuffix(places, ","), c.To/unit, above)
}

package plot

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Box is the five numbers of a distribution, in ascending order, at a place of the X
// axis.
type Box struct {
	X                        float64
	Min, Q1, Median, Q3, Max float64
}

// BoxSeries is the boxes of one kind, drawn in one colour.
type BoxSeries struct {
	Name  string
	Boxes []Box // at least one
}

// BoxChart describes a chart of boxes from the first to the third quartile, with a
// line at the median and whiskers to the extremes. Series stand side by side at each
// place of the X axis.
type BoxChart struct {
	Title, X, Y string
	Series      []BoxSeries
}

// SVG draws the chart as an SVG document.
func (c BoxChart) SVG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asSVG(p)
}

// PNG draws the chart as a PNG file.
func (c BoxChart) PNG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asPNG(p)
}

func (c BoxChart) draw() (*plot.Plot, error) {
	if len(c.Series) == 0 {
		return nil, fmt.Errorf("plot: chart %q has no series", c.Title)
	}
	gap := math.Inf(1) // between places
	for _, s := range c.Series {
		if len(s.Boxes) == 0 {
			return nil, fmt.Errorf("plot: chart %q, series %q: no boxes", c.Title, s.Name)
		}
		for i, b := range s.Boxes {
			if !(b.Min <= b.Q1 && b.Q1 <= b.Median && b.Median <= b.Q3 && b.Q3 <= b.Max) || math.IsInf(b.Min, 0) || math.IsInf(b.Max, 0) || math.IsNaN(b.X) || math.IsInf(b.X, 0) {
				return nil, fmt.Errorf("plot: chart %q, series %q: box %d is %+v, want finite numbers in order", c.Title, s.Name, i, b)
			}
			if i > 0 {
				d := b.X - s.Boxes[i-1].X
				if !(d > 0) {
					return nil, fmt.Errorf("plot: chart %q, series %q: box at %v after %v, want ascending order", c.Title, s.Name, b.X, s.Boxes[i-1].X)
				}
				gap = min(gap, d)
			}
		}
	}
	if math.IsInf(gap, 1) {
		gap = 1
	}
	p := plot.New()
	line := LineChart{Title: c.Title, X: c.X, Y: c.Y}
	line.label(p)
	width := 0.8 * gap / float64(len(c.Series))
	for i, s := range c.Series {
		b := boxes{s.Boxes, palette[i%len(palette)], (float64(i) - float64(len(c.Series)-1)/2) * width, 0.8 * width}
		p.Add(b)
		if s.Name != "" {
			p.Legend.Add(s.Name, b)
		}
	}
	line.scale(p)
	return p, nil
}

// boxes draws one series.
type boxes struct {
	all           []Box
	color         color.RGBA
	offset, width float64
}

// Plot implements plot.Plotter.
func (b boxes) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	thin := draw.LineStyle{Color: b.color, Width: vg.Points(0.8)}
	thick := draw.LineStyle{Color: b.color, Width: vg.Points(1.6)}
	for _, e := range b.all {
		mid, left, right := x(e.X+b.offset), x(e.X+b.offset-b.width/2), x(e.X+b.offset+b.width/2)
		at := func(px vg.Length, v float64) vg.Point { return vg.Point{X: px, Y: y(v)} }
		c.StrokeLine2(thin, mid, y(e.Min), mid, y(e.Q1))
		c.StrokeLine2(thin, mid, y(e.Q3), mid, y(e.Max))
		frame := []vg.Point{at(left, e.Q1), at(right, e.Q1), at(right, e.Q3), at(left, e.Q3), at(left, e.Q1)}
		c.FillPolygon(color.NRGBA{b.color.R, b.color.G, b.color.B, 0x40}, frame)
		c.StrokeLines(thin, frame)
		c.StrokeLine2(thick, left, y(e.Median), right, y(e.Median))
	}
}

// DataRange implements plot.DataRanger.
func (b boxes) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, e := range b.all {
		xmin, xmax = min(xmin, e.X+b.offset-b.width/2), max(xmax, e.X+b.offset+b.width/2)
		ymin, ymax = min(ymin, e.Min), max(ymax, e.Max)
	}
	return xmin, xmax, ymin, ymax
}

// Thumbnail implements plot.Thumbnailer.
func (b boxes) Thumbnail(c *draw.Canvas) {
	frame := []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Min.X, Y: c.Max.Y}, {X: c.Min.X, Y: c.Min.Y}}
	c.FillPolygon(color.NRGBA{b.color.R, b.color.G, b.color.B, 0x40}, frame)
	c.StrokeLines(draw.LineStyle{Color: b.color, Width: vg.Points(1)}, frame)
}

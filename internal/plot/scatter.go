package plot

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Cloud is one group of points of a scatter chart.
type Cloud struct {
	Name string
	X, Y []float64 // of equal length, at least 1
	// Hollow draws outlines in place of full marks.
	Hollow bool
	// Color is the place of the group's colour in the palette, from 0 on. Beyond its end
	// the colours come again with another mark.
	Color int
}

// ScatterChart describes a chart of points.
type ScatterChart struct {
	Title, X, Y string
	Clouds      []Cloud
}

// SVG draws the chart as an SVG document.
func (c ScatterChart) SVG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asSVG(p)
}

// PNG draws the chart as a PNG file.
func (c ScatterChart) PNG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asPNG(p)
}

func (c ScatterChart) draw() (*plot.Plot, error) {
	if len(c.Clouds) == 0 {
		return nil, fmt.Errorf("plot: chart %q has no points", c.Title)
	}
	p := plot.New()
	LineChart{Title: c.Title, X: c.X, Y: c.Y}.label(p)
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(plainTicks), plot.TickerFunc(plainTicks)
	for _, group := range c.Clouds {
		if err := (Series{X: group.X, Y: group.Y}).check(false, false); err != nil {
			return nil, fmt.Errorf("plot: chart %q, points %q: %w", c.Title, group.Name, err)
		}
		points := make(plotter.XYs, len(group.X))
		for i := range points {
			points[i].X, points[i].Y = group.X[i], group.Y[i]
		}
		s, err := plotter.NewScatter(points)
		if err != nil {
			return nil, fmt.Errorf("plot: chart %q, points %q: %w", c.Title, group.Name, err)
		}
		s.GlyphStyle = group.mark()
		p.Add(s)
		p.Legend.Add(group.Name, s)
	}
	return p, nil
}

// mark is the form in which the group's points are drawn.
func (c Cloud) mark() draw.GlyphStyle {
	full := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}}
	hollow := []draw.GlyphDrawer{draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}}
	shapes, radius := full, vg.Points(1.6)
	if c.Hollow {
		shapes, radius = hollow, vg.Points(2)
	}
	return draw.GlyphStyle{Color: palette[c.Color%len(palette)], Radius: radius, Shape: shapes[c.Color/len(palette)%len(shapes)]}
}

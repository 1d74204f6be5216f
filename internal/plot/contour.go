package plot

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette/brewer"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ContourChart describes a function of two variables by bands of height with lines
// between them.
type ContourChart struct {
	Title, X, Y string
	// XS and YS are the grid's coordinates in ascending order, at least two of each,
	// and Z[j][i] the value at XS[i] and YS[j].
	XS, YS []float64
	Z      [][]float64
	// Levels are the values between bands, 1 to 8 in ascending order; nil means seven
	// from the least to the largest value, evenly spaced, in ratio if all values are
	// positive and the largest is above 20 times the least.
	Levels []float64
}

// SVG draws the chart as an SVG document.
func (c ContourChart) SVG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asSVG(p)
}

// PNG draws the chart as a PNG file.
func (c ContourChart) PNG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asPNG(p)
}

func (c ContourChart) draw() (*plot.Plot, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("plot: chart %q: %w", c.Title, err)
	}
	levels := c.Levels
	if levels == nil {
		levels = c.defaultLevels()
	}
	// From light (low) to dark.
	shades, err := brewer.GetPalette(brewer.TypeSequential, "YlGnBu", 9)
	if err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	colours := shades.Colors()[:len(levels)+1]
	p := plot.New()
	LineChart{Title: c.Title, X: c.X, Y: c.Y}.label(p)
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(plainTicks), plot.TickerFunc(plainTicks)
	p.Add(plotter.NewImage(c.bands(levels, colours), c.XS[0], c.YS[0], c.XS[len(c.XS)-1], c.YS[len(c.YS)-1]))
	lines := plotter.NewContour(surface{c}, levels, oneColour{})
	lines.LineStyles = []draw.LineStyle{{Color: contourInk, Width: vg.Points(0.5)}}
	p.Add(lines)
	for k := len(colours) - 1; k >= 0; k-- {
		name := fmt.Sprintf("from %.3g", levels[max(0, k-1)])
		if k == 0 {
			name = fmt.Sprintf("below %.3g", levels[0])
		}
		p.Legend.Add(name, swatch{colours[k]})
	}
	return p, nil
}

func (c ContourChart) check() error {
	if len(c.XS) < 2 || len(c.YS) < 2 || len(c.Z) != len(c.YS) {
		return fmt.Errorf("grid of %d by %d points with %d rows, want at least 2 by 2 and a row for each Y", len(c.XS), len(c.YS), len(c.Z))
	}
	ascending := func(what string, v []float64) error {
		for i := range v {
			if v[i]-v[i] != 0 || i > 0 && v[i] <= v[i-1] {
				return fmt.Errorf("%s are %v, want finite numbers in ascending order", what, v)
			}
		}
		return nil
	}
	for what, v := range map[string][]float64{"coordinates X": c.XS, "coordinates Y": c.YS, "levels": c.Levels} {
		if err := ascending(what, v); err != nil {
			return err
		}
	}
	if c.Levels != nil && (len(c.Levels) < 1 || len(c.Levels) > 8) {
		return fmt.Errorf("%d levels, want 1 to 8", len(c.Levels))
	}
	for j, row := range c.Z {
		if len(row) != len(c.XS) {
			return fmt.Errorf("row %d has %d values, want %d", j, len(row), len(c.XS))
		}
		for i, v := range row {
			if v-v != 0 {
				return fmt.Errorf("value %d of row %d is %v, want a finite number", i, j, v)
			}
		}
	}
	return nil
}

func (c ContourChart) defaultLevels() []float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, row := range c.Z {
		lo, hi = min(lo, slices.Min(row)), max(hi, slices.Max(row))
	}
	if lo == hi {
		return []float64{lo}
	}
	const n = 7
	levels := make([]float64, n)
	for k := range levels {
		part := float64(k+1) / (n + 1)
		levels[k] = lo + part*(hi-lo)
		if lo > 0 && hi > 20*lo {
			levels[k] = lo * math.Pow(hi/lo, part)
		}
	}
	return levels
}

// bandSide is the side in pixels of the picture of the bands.
const bandSide = 240

// bands paints the heights, interpolated linearly, in the colours between the levels.
func (c ContourChart) bands(levels []float64, colours []color.Color) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, bandSide, bandSide))
	find := func(axis []float64, part float64) (int, float64) {
		v := axis[0] + part*(axis[len(axis)-1]-axis[0])
		i := min(len(axis)-2, max(0, sort.SearchFloat64s(axis, v)-1))
		return i, (v - axis[i]) / (axis[i+1] - axis[i])
	}
	for row := range bandSide {
		j, v := find(c.YS, 1-(float64(row)+0.5)/bandSide)
		for col := range bandSide {
			i, u := find(c.XS, (float64(col)+0.5)/bandSide)
			z := (1-v)*((1-u)*c.Z[j][i]+u*c.Z[j][i+1]) + v*((1-u)*c.Z[j+1][i]+u*c.Z[j+1][i+1])
			band := sort.Search(len(levels), func(k int) bool { return levels[k] > z })
			img.Set(col, row, colours[band])
		}
	}
	return img
}

// surface is a chart's grid as gonum wants it.
type surface struct{ chart ContourChart }

func (s surface) Dims() (columns, rows int) { return len(s.chart.XS), len(s.chart.YS) }
func (s surface) X(column int) float64      { return s.chart.XS[column] }
func (s surface) Y(row int) float64         { return s.chart.YS[row] }
func (s surface) Z(column, row int) float64 { return s.chart.Z[row][column] }

// contourInk stays dark on dark pages, as it lies on the bands.
var contourInk = color.Gray{0x50}

// oneColour is a palette that draws all lines alike.
type oneColour struct{}

func (oneColour) Colors() []color.Color { return []color.Color{contourInk} }

// swatch is the sample of a band in the legend.
type swatch struct{ color color.Color }

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(s.color, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Min.X, Y: c.Max.Y}})
}

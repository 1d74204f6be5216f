package plot

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is one line of a chart.
type Series struct {
	Name string
	X, Y []float64 // of equal length, at least 1
	// Lo and Hi bound a shaded band around the line; both nil for none.
	Lo, Hi []float64
	Dashed bool
	// Points marks every value with a dot.
	Points bool
}

// LineChart describes a chart of lines over common axes.
type LineChart struct {
	Title, X, Y string
	Series      []Series
	// LogX and LogY choose logarithmic axes; all values on one are positive.
	LogX, LogY bool
	// Percent labels the Y axis in percent of 1 and spans at least 0 to 1, or where all
	// values are below 0.38, 0 to a round number above them.
	Percent bool
}

// palette is Okabe and Ito's (2008), which colour-blind readers can tell apart.
var palette = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x40, 0x40, 0x40, 0xff},
}

// SVG draws the chart as an SVG document.
func (c LineChart) SVG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asSVG(p)
}

// PNG draws the chart as a PNG file.
func (c LineChart) PNG() ([]byte, error) {
	p, err := c.draw()
	if err != nil {
		return nil, err
	}
	return asPNG(p)
}

func (c LineChart) draw() (*plot.Plot, error) {
	if len(c.Series) == 0 {
		return nil, fmt.Errorf("plot: chart %q has no series", c.Title)
	}
	p := plot.New()
	c.label(p)
	for i, s := range c.Series {
		if err := s.check(c.LogX, c.LogY); err != nil {
			return nil, fmt.Errorf("plot: chart %q, series %q: %w", c.Title, s.Name, err)
		}
		// Colours that come again are told apart by dashes.
		s.Dashed = s.Dashed || i >= len(palette)
		if err := s.addTo(p, palette[i%len(palette)]); err != nil {
			return nil, fmt.Errorf("plot: chart %q, series %q: %w", c.Title, s.Name, err)
		}
	}
	c.scale(p)
	return p, nil
}

// label sets the texts and their fonts.
func (c LineChart) label(p *plot.Plot) {
	sans := func(size vg.Length, w stdfont.Weight) font.Font {
		return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size, Weight: w}
	}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Title.TextStyle.Font = sans(13, stdfont.WeightBold)
	p.Title.Padding = vg.Points(8)
	p.X.Label.TextStyle.Font, p.Y.Label.TextStyle.Font = sans(11, stdfont.WeightNormal), sans(11, stdfont.WeightNormal)
	p.X.Tick.Label.Font, p.Y.Tick.Label.Font = sans(10, stdfont.WeightNormal), sans(10, stdfont.WeightNormal)
	p.Legend.TextStyle.Font = sans(10, stdfont.WeightNormal)
	p.Legend.ThumbnailWidth = vg.Points(18)
	p.Legend.Padding = vg.Points(2)
	p.Legend.Top, p.Legend.Left = true, true
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe4}, color.Gray{0xe4}
	p.Add(grid)
}

// scale chooses the axes.
func (c LineChart) scale(p *plot.Plot) {
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(plainTicks), plot.TickerFunc(plainTicks)
	switch {
	case c.LogX:
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	case c.countsX():
		p.X.Tick.Marker = plot.TickerFunc(countTicks)
	}
	switch {
	case c.LogY:
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	case c.Percent:
		p.Y.Min, p.Y.Max = min(p.Y.Min, 0), percentTop(p.Y.Max)
		p.Y.Tick.Marker = plot.TickerFunc(percentTicks)
	case p.Y.Max > p.Y.Min:
		room := 0.06 * (p.Y.Max - p.Y.Min)
		p.Y.Min, p.Y.Max = p.Y.Min-room, p.Y.Max+room
	}
	if p.X.Min == p.X.Max && !c.LogX {
		p.X.Min, p.X.Max = p.X.Min-0.5, p.X.Max+0.5
	}
}

// countsX says whether all X values are whole numbers, which have nothing in between.
func (c LineChart) countsX() bool {
	for _, s := range c.Series {
		for _, x := range s.X {
			if x != math.Trunc(x) {
				return false
			}
		}
	}
	return len(c.Series) > 0
}

// ticks places about six labels at round values.
func ticks(lo, hi float64, label func(v, step float64) string) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/5)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if (hi-lo)/(m*step) <= 6.5 {
			step *= m
			break
		}
	}
	var out []plot.Tick
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+1e-9*step; k++ {
		v := k*step + 0 // -0 becomes 0
		out = append(out, plot.Tick{Value: v, Label: label(v, step)})
	}
	return out
}

func plainTicks(lo, hi float64) []plot.Tick {
	return ticks(lo, hi, func(v, step float64) string {
		return strconv.FormatFloat(math.Round(v/step*1e3)*step/1e3, 'g', 6, 64)
	})
}

// countTicks are the plain ones that are whole numbers.
func countTicks(lo, hi float64) []plot.Tick {
	return slices.DeleteFunc(plainTicks(lo, hi), func(t plot.Tick) bool { return t.Value != math.Round(t.Value) })
}

// logTicks writes small and large powers of ten without zeros and signs that say nothing.
// Ticks beyond the axis, for whose labels room would be kept, are left out.
func logTicks(lo, hi float64) []plot.Tick {
	all := slices.DeleteFunc(plot.LogTicks{Prec: -1}.Ticks(lo, hi), func(t plot.Tick) bool {
		return t.Value < lo*(1-1e-9) || t.Value > hi*(1+1e-9)
	})
	for i := range all {
		all[i].Label = strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(all[i].Label)
	}
	return all
}

// percentTop is where an axis of percentages ends: at 100 %, or where all values are small
// at the next round number above them.
func percentTop(largest float64) float64 {
	for _, top := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4} {
		if largest <= 0.95*top {
			return top
		}
	}
	return max(largest, 1)
}

func percentTicks(lo, hi float64) []plot.Tick {
	return ticks(lo, hi, func(v, _ float64) string { return fmt.Sprintf("%.4g %%", 100*v) })
}

func (s Series) check(logX, logY bool) error {
	n := len(s.X)
	if n == 0 || len(s.Y) != n {
		return fmt.Errorf("%d x and %d y values, want as many of both and at least one", n, len(s.Y))
	}
	if (s.Lo != nil || s.Hi != nil) && (len(s.Lo) != n || len(s.Hi) != n) {
		return fmt.Errorf("band of %d and %d values, want %d of each", len(s.Lo), len(s.Hi), n)
	}
	for _, axis := range []struct {
		values []float64
		log    bool
	}{{s.X, logX}, {s.Y, logY}, {s.Lo, logY}, {s.Hi, logY}} {
		for _, v := range axis.values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return errors.New("a value is not finite")
			}
			if axis.log && v <= 0 {
				return fmt.Errorf("value %v on a logarithmic axis", v)
			}
		}
	}
	return nil
}

func (s Series) addTo(p *plot.Plot, c color.RGBA) error {
	if s.Lo != nil {
		band := make(plotter.XYs, 0, 2*len(s.X))
		for i, x := range s.X {
			band = append(band, plotter.XY{X: x, Y: s.Hi[i]})
		}
		for i := len(s.X) - 1; i >= 0; i-- {
			band = append(band, plotter.XY{X: s.X[i], Y: s.Lo[i]})
		}
		poly, err := plotter.NewPolygon(band)
		if err != nil {
			return err
		}
		poly.Color, poly.LineStyle.Width = color.NRGBA{c.R, c.G, c.B, 0x30}, 0
		p.Add(poly)
	}
	points := make(plotter.XYs, len(s.X))
	for i, x := range s.X {
		points[i] = plotter.XY{X: x, Y: s.Y[i]}
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = c, vg.Points(1.8)
	if s.Dashed {
		line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
	}
	p.Add(line)
	thumbs := []plot.Thumbnailer{line}
	if s.Points || len(s.X) == 1 {
		dots.Color, dots.Shape, dots.Radius = c, draw.CircleGlyph{}, vg.Points(2.5)
		p.Add(dots)
		thumbs = append(thumbs, dots)
	}
	if s.Name != "" {
		p.Legend.Add(s.Name, thumbs...)
	}
	return nil
}

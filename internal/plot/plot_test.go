package plot

import (
	"bytes"
	"encoding/xml"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func chart() LineChart {
	return LineChart{
		Title: "Title", X: "across", Y: "up", Percent: true,
		Series: []Series{
			{Name: "first", X: []float64{0, 1, 2}, Y: []float64{1, 0.5, 0}, Lo: []float64{0.9, 0.4, 0}, Hi: []float64{1, 0.6, 0.1}, Points: true},
			{Name: "second", X: []float64{0, 2}, Y: []float64{0, 1}, Dashed: true},
		},
	}
}

func TestSVGIsWellFormedAndHasItsTexts(t *testing.T) {
	svg, err := chart().SVG()
	require.NoError(t, err)
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		_, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	for _, want := range []string{"Title", "across", "up", "first", "second", "100 %", ">0 %"} {
		require.Contains(t, string(svg), want)
	}
	require.NotContains(t, string(svg), "NaN")
}

func TestChartPNGShowsEverySeries(t *testing.T) {
	file, err := chart().PNG()
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(file))
	require.NoError(t, err)
	seen := map[color.RGBA]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			seen[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	require.Greater(t, seen[palette[0]], 200)
	require.Greater(t, seen[palette[1]], 200)
	require.Zero(t, seen[palette[2]])
}

func TestChartRefusesWhatItCannotDraw(t *testing.T) {
	for name, c := range map[string]LineChart{
		"no series":              {},
		"at least one":           {Series: []Series{{}}},
		"1 x and 2 y values":     {Series: []Series{{X: []float64{1}, Y: []float64{1, 2}}}},
		"band of 1 and 0 values": {Series: []Series{{X: []float64{1}, Y: []float64{1}, Lo: []float64{0}}}},
		"not finite":             {Series: []Series{{X: []float64{1}, Y: []float64{math.NaN()}}}},
		"logarithmic axis":       {LogY: true, Series: []Series{{X: []float64{1}, Y: []float64{0}}}},
	} {
		_, err := c.SVG()
		require.ErrorContains(t, err, name)
		_, err = c.PNG()
		require.ErrorContains(t, err, name)
	}
}

func TestDegenerateChartsDraw(t *testing.T) {
	for _, c := range []LineChart{
		{Series: []Series{{X: []float64{3}, Y: []float64{5}}}},
		{Series: []Series{{X: []float64{1, 2}, Y: []float64{0, 0}}}},
		{LogX: true, LogY: true, Series: []Series{{X: []float64{1, 1000}, Y: []float64{1e-3, 10}}}},
		{LogX: true, LogY: true, Series: []Series{{X: []float64{2}, Y: []float64{2}}}},
	} {
		svg, err := c.SVG()
		require.NoError(t, err)
		require.NotContains(t, string(svg), "NaN")
	}
}

func TestTicksAreRoundAndWithinTheAxis(t *testing.T) {
	for _, axis := range [][2]float64{{0, 1}, {-0.06, 1.06}, {0, 0.4}, {-3, 1e5}, {1e-7, 3e-7}, {99, 101}} {
		got := plainTicks(axis[0], axis[1])
		require.GreaterOrEqual(t, len(got), 3, "%v", axis)
		require.LessOrEqual(t, len(got), 8, "%v", axis)
		seen := map[string]bool{}
		for _, tick := range got {
			require.False(t, seen[tick.Label], "label %s twice on %v", tick.Label, axis)
			require.False(t, strings.HasPrefix(tick.Label, "-0") && tick.Value == 0)
			seen[tick.Label] = true
			slack := 1e-6 * (axis[1] - axis[0])
			require.True(t, tick.Value >= axis[0]-slack && tick.Value <= axis[1]+slack)
		}
	}
}

func TestGridPaintsPixelsAndPerturbations(t *testing.T) {
	grey := Image{H: 1, W: 2, C: 1, Pix: []float32{0, 1}}
	change := Image{H: 1, W: 2, C: 1, Pix: []float32{0.3, -0.3}}
	rgb := Image{H: 1, W: 2, C: 3, Pix: []float32{1, 0, 0, 0, 2, -1}}
	file, err := Grid([]GridRow{
		{Images: []Image{grey, rgb}, Captions: []string{"a", "b"}},
		{Label: "change", Images: []Image{change}, Span: 0.3},
	})
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(file))
	require.NoError(t, err)
	seen := map[color.RGBA]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			seen[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	area := (cellSide / 2) * (cellSide / 2)
	for _, c := range []color.RGBA{
		{0, 0, 0, 0xff}, {0xff, 0, 0, 0xff}, {0, 0xff, 0, 0xff}, {0, 0, 0xff, 0xff},
	} {
		require.GreaterOrEqual(t, seen[c], area, "%v", c)
	}
}

func TestGridRefusesImagesThatDoNotFit(t *testing.T) {
	_, err := Grid(nil)
	require.ErrorContains(t, err, "no images")
	for _, m := range []Image{
		{H: 2, W: 2, C: 1, Pix: make([]float32, 4)},
		{H: 1, W: 1, C: 2, Pix: make([]float32, 2)},
		{H: 1, W: 1, C: 1, Pix: make([]float32, 2)},
	} {
		_, err := Grid([]GridRow{{Images: []Image{{H: 1, W: 1, C: 1, Pix: []float32{0}}, m}}})
		require.ErrorContains(t, err, "image 1 of row 0")
	}
}

func TestSmallPercentagesFillTheirChart(t *testing.T) {
	for largest, want := range map[float64]float64{0: 0.01, 0.004: 0.01, 0.012: 0.02, 0.03: 0.05, 0.08: 0.1, 0.13: 0.2, 0.25: 0.3, 0.38: 0.4, 0.39: 1, 1: 1, 1.2: 1.2} {
		c := LineChart{Percent: true, Series: []Series{{X: []float64{1, 2}, Y: []float64{0, largest}}}}
		p, err := c.draw()
		require.NoError(t, err)
		require.Equal(t, []float64{0, want}, []float64{p.Y.Min, p.Y.Max}, "largest value %v", largest)
	}
}

package plot

import (
	"bytes"
	"image/color"
	"image/png"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// grey makes colours of levels of grey.
func grey(levels []uint8) (out []color.Color) {
	for _, l := range levels {
		out = append(out, color.Gray{l})
	}
	return out
}

// bowl is a quadratic on a grid of [-1, 1].
func bowl(n int) ContourChart {
	c := ContourChart{Title: "loss", X: "first direction", Y: "second direction"}
	for i := range n {
		c.XS = append(c.XS, 2*float64(i)/float64(n-1)-1)
	}
	c.YS = c.XS
	for _, y := range c.YS {
		var row []float64
		for _, x := range c.XS {
			row = append(row, x*x+2*y*y)
		}
		c.Z = append(c.Z, row)
	}
	return c
}

func TestContourChartShowsBandsAndLevels(t *testing.T) {
	c := bowl(25)
	c.Levels = []float64{0.25, 0.5, 1, 2}
	svg, err := c.SVG()
	require.NoError(t, err)
	for _, text := range []string{"loss", "first direction", "second direction", "below 0.25", "from 2", "from 0.5"} {
		require.Contains(t, string(svg), text)
	}
	// The bands are stretched to the axes, as the lines are.
	require.Equal(t, 1, bytes.Count(svg, []byte("<image ")))
	require.Contains(t, string(svg), `<image preserveAspectRatio="none" `)
	b, err := c.PNG()
	require.NoError(t, err)
	_, err = png.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	// The middle is in the lowest band, the corners in the highest, the ends of the X
	// axis in the one from 0.5 to 1.
	colours := []uint8{10, 20, 30, 40, 50}
	img := c.bands(c.Levels, grey(colours))
	at := func(x, y int) uint8 {
		r, _, _, _ := img.At(x, y).RGBA()
		return uint8(r >> 8)
	}
	require.EqualValues(t, 10, at(bandSide/2, bandSide/2))
	require.EqualValues(t, 50, at(0, 0))
	require.EqualValues(t, 50, at(bandSide-1, bandSide-1))
	require.EqualValues(t, 30, at(0, bandSide/2))
	require.EqualValues(t, 40, at(bandSide/2, 5))

	// Row 0 of the values is at the bottom.
	c.Z = nil
	for _, y := range c.YS {
		row := make([]float64, 25)
		for i := range row {
			row[i] = y
		}
		c.Z = append(c.Z, row)
	}
	c.Levels = []float64{0}
	img = c.bands(c.Levels, grey(colours[:2]))
	require.EqualValues(t, 20, at(7, 3))
	require.EqualValues(t, 10, at(7, bandSide-3))
}

func TestContourLevels(t *testing.T) {
	c := bowl(5)
	require.InDeltaSlice(t, []float64{0.375, 0.75, 1.125, 1.5, 1.875, 2.25, 2.625}, c.defaultLevels(), 1e-12)
	for _, row := range c.Z {
		for i := range row {
			row[i] = math.Exp(2 * row[i])
		}
	}
	levels := c.defaultLevels()
	require.InDelta(t, levels[1]/levels[0], levels[6]/levels[5], 1e-9)
	for _, row := range c.Z {
		for i := range row {
			row[i] = 3
		}
	}
	_, err := c.SVG()
	require.NoError(t, err, "a plain is drawn")
}

func TestContourChartRefusesWhatItCannotDraw(t *testing.T) {
	for want, change := range map[string]func(c *ContourChart){
		"grid of 1 by":          func(c *ContourChart) { c.XS = c.XS[:1] },
		"with 4 rows":           func(c *ContourChart) { c.Z = c.Z[:4] },
		"coordinates Y are":     func(c *ContourChart) { c.YS = []float64{0, 1, 1, 2, 3} },
		"row 2 has 3 values":    func(c *ContourChart) { c.Z[2] = c.Z[2][:3] },
		"value 1 of row 3 is":   func(c *ContourChart) { c.Z[3][1] = math.NaN() },
		"levels are [2 1]":      func(c *ContourChart) { c.Levels = []float64{2, 1} },
		"0 levels, want 1 to 8": func(c *ContourChart) { c.Levels = []float64{} },
		"levels are [0 +Inf]":   func(c *ContourChart) { c.Levels = []float64{0, math.Inf(1)} },
	} {
		c := bowl(5)
		change(&c)
		_, err := c.SVG()
		require.ErrorContains(t, err, want)
		_, err = c.PNG()
		require.ErrorContains(t, err, want)
	}
}

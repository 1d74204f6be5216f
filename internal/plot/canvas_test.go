package plot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every colour that the style replaces on dark pages occurs in drawings in that
// spelling, and series keep the colours that it leaves alone.
func TestDarkStyleNamesTheColoursOfDrawings(t *testing.T) {
	c := LineChart{X: "x", Y: "y"}
	for range len(palette) {
		c.Series = append(c.Series, Series{Name: "s", X: []float64{0, 1}, Y: []float64{0, 1}, Points: true})
	}
	svg, err := c.SVG()
	require.NoError(t, err)
	style, drawn, found := strings.Cut(string(svg), "</style>")
	require.True(t, found)
	for _, part := range strings.Split(style, `[style*="`)[1:] {
		property, _, _ := strings.Cut(part, `"`)
		require.Contains(t, drawn, property)
	}
	require.NotContains(t, style, "#D55E00")
	require.Equal(t, 1, strings.Count(string(svg), "<svg "))
}

func TestColoursThatComeAgainAreDashed(t *testing.T) {
	c := LineChart{}
	for range len(palette) + 1 {
		c.Series = append(c.Series, Series{X: []float64{0, 1}, Y: []float64{0, 1}})
	}
	svg, err := c.SVG()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(svg), "stroke-dasharray"))
	c.Series = c.Series[1:]
	svg, err = c.SVG()
	require.NoError(t, err)
	require.NotContains(t, string(svg), "stroke-dasharray")
}

func TestCountsHaveNoTicksInBetween(t *testing.T) {
	c := LineChart{Percent: true, Series: []Series{{X: []float64{1, 2, 3}, Y: []float64{0, 0.5, 1}}}}
	svg, err := c.SVG()
	require.NoError(t, err)
	require.NotContains(t, string(svg), ">1.5<")
	c.Series[0].X[1] = 1.75
	svg, err = c.SVG()
	require.NoError(t, err)
	require.Contains(t, string(svg), ">1.5<")
}

func TestPowersOfTenAreShort(t *testing.T) {
	var labels []string
	for _, tick := range logTicks(1e-5, 1e7) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	require.Contains(t, labels, "1e-5")
	require.Contains(t, labels, "0.1")
	for _, l := range labels {
		require.NotContains(t, l, "e-0")
		require.NotContains(t, l, "e+")
	}
}

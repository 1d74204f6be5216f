package plot

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg/draw"
)

func TestScatterDrawsEveryCloud(t *testing.T) {
	svg, err := ScatterChart{Title: "t", X: "x", Y: "y", Clouds: []Cloud{
		{Name: "first", X: []float64{0, 1, 2}, Y: []float64{1, 2, 0}},
		{Name: "second", X: []float64{1}, Y: []float64{1}, Hollow: true, Color: 1},
	}}.SVG()
	require.NoError(t, err)
	for _, text := range []string{"first", "second", "#0072B2", "#D55E00"} {
		require.Contains(t, string(svg), text)
	}
	_, err = ScatterChart{}.SVG()
	require.ErrorContains(t, err, "no points")
	_, err = ScatterChart{Clouds: []Cloud{{X: []float64{math.NaN()}, Y: []float64{1}}}}.SVG()
	require.Error(t, err)
	_, err = ScatterChart{Clouds: []Cloud{{X: []float64{1}}}}.SVG()
	require.Error(t, err)
}

// No two of as many groups as digits and domains make look alike.
func TestMarksDiffer(t *testing.T) {
	seen := map[draw.GlyphStyle]bool{}
	for c := range 20 {
		for _, hollow := range []bool{false, true} {
			seen[Cloud{Color: c, Hollow: hollow}.mark()] = true
		}
	}
	require.Len(t, seen, 40)
}

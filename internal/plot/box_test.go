package plot

import (
	"bytes"
	"image/color"
	"image/png"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func boxChart() BoxChart {
	return BoxChart{
		Title: "Title", X: "across", Y: "up",
		Series: []BoxSeries{
			{"first", []Box{{0, 0, 0.1, 0.2, 0.4, 0.6}, {5, 0.1, 0.2, 0.3, 0.4, 0.5}}},
			{"second", []Box{{0, 0.3, 0.5, 0.6, 0.8, 1}, {5, 0.7, 0.7, 0.7, 0.7, 0.7}}},
		},
	}
}

func TestBoxChartShowsEverySeries(t *testing.T) {
	file, err := boxChart().PNG()
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
	svg, err := boxChart().SVG()
	require.NoError(t, err)
	for _, want := range []string{"Title", "across", "up", "first", "second"} {
		require.Contains(t, string(svg), want)
	}
	require.NotContains(t, string(svg), "NaN")
}

func TestBoxChartRefusesWhatItCannotDraw(t *testing.T) {
	for name, c := range map[string]BoxChart{
		"no series":    {},
		"no boxes":     {Series: []BoxSeries{{Name: "a"}}},
		"disorder":     {Series: []BoxSeries{{"a", []Box{{0, 1, 0.5, 1, 1, 1}}}}},
		"not finite":   {Series: []BoxSeries{{"a", []Box{{0, 0, 0, 0, 0, math.Inf(1)}}}}},
		"not a number": {Series: []BoxSeries{{"a", []Box{{math.NaN(), 0, 0, 0, 0, 0}}}}},
		"backwards":    {Series: []BoxSeries{{"a", []Box{{1, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}}}}},
	} {
		_, err := c.SVG()
		require.Error(t, err, name)
	}
}

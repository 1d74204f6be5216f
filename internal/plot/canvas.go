package plot

import (
	"bytes"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of a chart on paper; a browser scales the SVG to its column.
const (
	chartWidth  = 6.4 * vg.Inch
	chartHeight = 3.6 * vg.Inch
)

// darkStyle recolours the paper, the texts, the axes, the grid lines and the grey series
// of a drawing where the reader's pages are dark, and names fonts to fall back on.
const darkStyle = `<style>
text { font-family: "Liberation Sans", Arial, Helvetica, sans-serif !important; }
@media (prefers-color-scheme: dark) {
text { fill: #dfe3e7; }
[style*="fill:#FFFFFF"] { fill: #14171a !important; }
[style*="stroke:#000000"] { stroke: #9aa4ae !important; }
[style*="stroke:#E4E4E4"] { stroke: #343a40 !important; }
[style*="stroke:#404040"] { stroke: #c4cad0 !important; }
[style*="fill:#404040"] { fill: #c4cad0 !important; }
[style*="stroke:#0072B2"] { stroke: #3b9fdb !important; }
[style*="fill:#0072B2"] { fill: #3b9fdb !important; }
}
</style>
`

func asSVG(p *plot.Plot) ([]byte, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(chartWidth, chartHeight))
	drawBeside(draw.New(canvas), p)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	// The first group holds all that is drawn. Pictures fill the place that they are given.
	head, drawn, _ := bytes.Cut(b.Bytes(), []byte("<g "))
	drawn = bytes.ReplaceAll(drawn, []byte("<image "), []byte(`<image preserveAspectRatio="none" `))
	return slices.Concat(head, []byte(darkStyle+"<g "), drawn), nil
}

func asPNG(p *plot.Plot) ([]byte, error) {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(chartWidth, chartHeight), vgimg.UseDPI(144))}
	drawBeside(draw.New(canvas), p)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// drawBeside draws the plot with its legend to the right, where it hides no line.
func drawBeside(c draw.Canvas, p *plot.Plot) {
	c = draw.Crop(c, vg.Points(4), 0, vg.Points(3), vg.Points(-4)) // nothing touches the edge
	legend := p.Legend
	p.Legend = plot.NewLegend()
	box := legend.Rectangle(c)
	width := box.Max.X - box.Min.X
	if width > 0 {
		width += vg.Points(18)
		legend.Draw(draw.Crop(c, c.Max.X-c.Min.X-width+vg.Points(8), 0, 0, vg.Points(-6)))
	}
	p.Draw(draw.Crop(c, 0, -max(width, vg.Points(6)), 0, 0))
}

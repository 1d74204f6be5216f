package plot

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Image is a picture of H rows of W pixels with C channels, 1 (grey) or 3 (RGB),
// in the order of tensor images [H, W, C].
type Image struct {
	H, W, C int
	Pix     []float32
}

// Images cuts a batch of tensor images [N, H, W, C] in float32 into pictures.
func Images(x *tensor.Tensor) []Image {
	h, w, c := x.Dim(1), x.Dim(2), x.Dim(3)
	v := x.Float32s()
	out := make([]Image, x.Dim(0))
	for i := range out {
		out[i] = Image{H: h, W: w, C: c, Pix: v[i*h*w*c : (i+1)*h*w*c]}
	}
	return out
}

// GridRow is one row of a grid: images of the same size and a text under each.
type GridRow struct {
	Label    string
	Images   []Image
	Captions []string // nil for none
	// Span says what values mean: 0 for pixels from 0 (black) to 1 (white), or
	// the largest magnitude of a perturbation, drawn from blue (-Span) through
	// white to red (+Span) in one channel and around mid-grey in three.
	Span float64
}

// Sizes of a grid in pixels.
const (
	cellSide    = 84 // the longer side of an image as drawn, at least
	cellGap     = 6
	captionRoom = 21
	fontSize    = 15
)

// Grid draws rows of images as a PNG file.
func Grid(rows []GridRow) ([]byte, error) {
	h, w, columns := 0, 0, 0
	for r, row := range rows {
		for i, m := range row.Images {
			if h == 0 {
				h, w = m.H, m.W
			}
			if m.H != h || m.W != w || (m.C != 1 && m.C != 3) || h < 1 || w < 1 || len(m.Pix) != h*w*m.C {
				return nil, fmt.Errorf("plot: image %d of row %d is %dx%dx%d with %d values, want %dx%dx(1 or 3)", i, r, m.H, m.W, m.C, len(m.Pix), h, w)
			}
		}
		columns = max(columns, len(row.Images))
	}
	if columns == 0 {
		return nil, fmt.Errorf("plot: grid of %d rows has no images", len(rows))
	}
	scale := max(1, (cellSide+max(h, w)-1)/max(h, w))
	face, err := newFace()
	if err != nil {
		return nil, err
	}
	defer face.Close()
	g := grid{face: face, scale: scale, cellW: w*scale + cellGap, left: cellGap}
	for _, row := range rows {
		g.left = max(g.left, g.width(row.Label)+2*cellGap)
		for _, c := range row.Captions {
			g.cellW = max(g.cellW, g.width(c)+cellGap)
		}
	}
	height := cellGap
	for _, row := range rows {
		height += row.height(h * scale)
	}
	g.dst = image.NewRGBA(image.Rect(0, 0, g.left+columns*g.cellW, height))
	for i := range g.dst.Pix {
		g.dst.Pix[i] = 0xff
	}
	top := cellGap
	for _, row := range rows {
		g.text(cellGap, top+h*scale/2+4, row.Label)
		for i, m := range row.Images {
			x := g.left + i*g.cellW
			g.image(x+(g.cellW-w*scale)/2, top, m, row.Span)
			if i < len(row.Captions) {
				g.text(x+(g.cellW-g.width(row.Captions[i]))/2, top+h*scale+fontSize, row.Captions[i])
			}
		}
		top += row.height(h * scale)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, g.dst); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (r GridRow) height(image int) int {
	if r.Captions != nil {
		return image + cellGap + captionRoom
	}
	return image + cellGap
}

// newFace returns the font of labels and captions, at one pixel a point.
func newFace() (font.Face, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
}

type grid struct {
	face               font.Face
	dst                *image.RGBA
	scale, cellW, left int
}

func (g *grid) image(x0, y0 int, m Image, span float64) {
	for y := range m.H * g.scale {
		for x := range m.W * g.scale {
			i := ((y/g.scale)*m.W + x/g.scale) * m.C
			g.dst.SetRGBA(x0+x, y0+y, shade(m.Pix[i:i+m.C], span))
		}
	}
}

func (g *grid) width(s string) int { return font.MeasureString(g.face, s).Ceil() }

func (g *grid) text(x, y int, s string) {
	d := font.Drawer{Dst: g.dst, Src: image.NewUniform(color.Gray{0x20}), Face: g.face, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// shade is the colour of one pixel.
func shade(v []float32, span float64) color.RGBA {
	level := func(v float64) uint8 { return uint8(math.Round(255 * min(1, max(0, v)))) }
	if span == 0 {
		if len(v) == 1 {
			l := level(float64(v[0]))
			return color.RGBA{l, l, l, 0xff}
		}
		return color.RGBA{level(float64(v[0])), level(float64(v[1])), level(float64(v[2])), 0xff}
	}
	if len(v) == 1 {
		t := float64(v[0]) / span
		if t >= 0 {
			return color.RGBA{0xff, level(1 - t), level(1 - t), 0xff}
		}
		return color.RGBA{level(1 + t), level(1 + t), 0xff, 0xff}
	}
	mid := func(v float32) uint8 { return level(0.5 + 0.5*float64(v)/span) }
	return color.RGBA{mid(v[0]), mid(v[1]), mid(v[2]), 0xff}
}

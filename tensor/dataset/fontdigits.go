package dataset

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gobolditalic"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/gomonoitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/gofont/gosmallcaps"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/f64"
	"golang.org/x/image/math/fixed"
)

// FontDigits draws digits in the fonts of the Go project, turned, sheared, scaled and
// moved at random, white on black like MNIST: a stand-in for the SYN digits of Ganin
// et al. (JMLR 17, 2016), which are not published in a form that could be read here.
type FontDigits struct {
	// Side is the height and width of an image in pixels, at least 8; 0 means 28.
	Side int
	// Noise is the standard deviation of the noise that is added to each pixel, in
	// [0, 1].
	Noise float64
	// Seed selects the images.
	Seed uint64
}

// glyphScale is how much larger a digit is drawn before it is turned.
const glyphScale = 4

// faces are the fonts, at glyphScale times 20 pixels.
var faces = sync.OnceValues(func() ([]font.Face, error) {
	var out []font.Face
	for _, ttf := range [][]byte{goregular.TTF, gobold.TTF, goitalic.TTF, gobolditalic.TTF, gomedium.TTF, gomono.TTF, gomonobold.TTF, gomonoitalic.TTF, gosmallcaps.TTF} {
		f, err := opentype.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("dataset: font digits: %w", err)
		}
		face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: 20 * glyphScale, DPI: 72})
		if err != nil {
			return nil, fmt.Errorf("dataset: font digits: %w", err)
		}
		out = append(out, face)
	}
	return out, nil
})

// glyphs holds each digit in each font, drawn once.
var glyphs = sync.OnceValues(func() ([][10]*image.Alpha, error) {
	fonts, err := faces()
	if err != nil {
		return nil, err
	}
	out := make([][10]*image.Alpha, len(fonts))
	for i, face := range fonts {
		for digit := range 10 {
			text := strconv.Itoa(digit)
			box, _ := font.BoundString(face, text)
			img := image.NewAlpha(image.Rect(0, 0, (box.Max.X - box.Min.X).Ceil(), (box.Max.Y - box.Min.Y).Ceil()))
			d := font.Drawer{Dst: img, Src: image.Opaque, Face: face, Dot: fixed.Point26_6{X: -box.Min.X, Y: -box.Min.Y}}
			d.DrawString(text)
			out[i][digit] = img
		}
	}
	return out, nil
})

// Make draws n images; image i is of the digit i mod 10, and depends on the seed and
// i alone. Errors: a side below 8, noise outside [0, 1], a negative n, more pixels than
// a set may have.
func (f FontDigits) Make(n int) (*Set, error) {
	side := f.Side
	if side == 0 {
		side = 28
	}
	if side < 8 || !(f.Noise >= 0 && f.Noise <= 1) || n < 0 {
		return nil, fmt.Errorf("dataset: font digits: %d images of side %d with noise %v, want 0 or more, at least 8, and noise in [0, 1]", n, side, f.Noise)
	}
	if side > 1<<15 {
		return nil, fmt.Errorf("dataset: font digits: side is %d, want at most %d", side, 1<<15)
	}
	if err := affordable(int64(n), int64(side*side)+8, "images"); err != nil {
		return nil, fmt.Errorf("dataset: font digits: %w", err)
	}
	all, err := glyphs()
	if err != nil {
		return nil, err
	}
	s := &Set{Name: "font digits", H: side, W: side, C: 1, Classes: 10, Labels: make([]int, n), Bytes: make([]byte, n*side*side)}
	for i := range n {
		rng := rand.New(rand.NewPCG(f.Seed, uint64(i)))
		s.Labels[i] = i % 10
		glyph := all[rng.IntN(len(all))][i%10]
		f.place(rng, glyph, s.Bytes[i*side*side:(i+1)*side*side], side)
	}
	return s, nil
}

// place draws a glyph with a random affine map into an image.
func (f FontDigits) place(rng *rand.Rand, glyph *image.Alpha, dst []byte, side int) {
	between := func(lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }
	height := float64(side) * between(0.5, 0.8)
	scale := height / float64(glyph.Rect.Dy())
	wide := scale * between(0.8, 1.25)
	angle, shear := between(-0.3, 0.3), between(-0.3, 0.3)
	sin, cos := math.Sincos(angle)
	// The middle of the glyph goes to the middle of the image, moved a little.
	a, b := wide*cos, scale*(shear*cos-sin)
	c, d := wide*sin, scale*(shear*sin+cos)
	mx, my := float64(glyph.Rect.Dx())/2, float64(glyph.Rect.Dy())/2
	x := float64(side)/2 + float64(side)*between(-0.07, 0.07)
	y := float64(side)/2 + float64(side)*between(-0.07, 0.07)
	img := image.NewAlpha(image.Rect(0, 0, side, side))
	draw.BiLinear.Transform(img, f64.Aff3{a, b, x - a*mx - b*my, c, d, y - c*mx - d*my}, glyph, glyph.Rect, draw.Src, nil)
	bright := between(0.7, 1)
	for i, v := range img.Pix {
		p := bright * float64(v)
		if f.Noise > 0 {
			p += 255 * f.Noise * rng.NormFloat64()
		}
		dst[i] = byte(math.Round(min(255, max(0, p))))
	}
}

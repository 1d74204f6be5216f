package corrupt

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// pixelate shrinks the image by boxes of pixels and blows it up again.
func pixelate(_ *rand.Rand, img *dataset.Image, severity int) {
	part := [...]float64{0.95, 0.9, 0.85, 0.75, 0.65}[severity]
	rows, cols := boxes(img.H, int(float64(img.H)*part)), boxes(img.W, int(float64(img.W)*part))
	copy(img.Scratch, img.Pix)
	for y := range img.H {
		r := rows[(2*y+1)*len(rows)/(2*img.H)]
		for x := range img.W {
			q := cols[(2*x+1)*len(cols)/(2*img.W)]
			for c := range img.C {
				sum := 0.0
				for v := r.from; v < r.to; v++ {
					for u := q.from; u < q.to; u++ {
						sum += float64(img.Scratch[(v*img.W+u)*img.C+c])
					}
				}
				img.Pix[(y*img.W+x)*img.C+c] = float32(sum / float64((r.to-r.from)*(q.to-q.from)))
			}
		}
	}
}

// box holds the pixels whose centres lie in one of the parts of an axis.
type box struct{ from, to int }

// boxes cuts an axis of n pixels into equal parts.
func boxes(n, parts int) []box {
	out := make([]box, parts)
	for i := range out {
		// Pixel k is centred at k + 1/2; the part ends at (i+1) n/parts.
		end := (2*(i+1)*n + parts) / (2 * parts)
		out[i].to = end
		if i+1 < parts {
			out[i+1].from = end
		}
	}
	return out
}

// compress is JPEG with the quality scale of the Independent JPEG Group and colour at
// half resolution.
func compress(_ *rand.Rand, img *dataset.Image, severity int) {
	quality := [...]int{80, 65, 58, 50, 40}[severity]
	level := func(v float32) uint8 { return uint8(255*min(1, max(0, v)) + 0.5) }
	frame := image.Rect(0, 0, img.W, img.H)
	var src image.Image
	if img.C == 1 {
		g := image.NewGray(frame)
		for i, v := range img.Pix {
			g.Pix[i] = level(v)
		}
		src = g
	} else {
		m := image.NewRGBA(frame)
		for i := range img.H * img.W {
			p := img.Pix[3*i : 3*i+3]
			m.SetRGBA(i%img.W, i/img.W, color.RGBA{level(p[0]), level(p[1]), level(p[2]), 0xff})
		}
		src = m
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, src, &jpeg.Options{Quality: quality}); err != nil {
		panic(fmt.Sprintf("corrupt: jpeg: %v", err)) // nothing that an image in memory can cause
	}
	back, err := jpeg.Decode(&b)
	if err != nil {
		panic(fmt.Sprintf("corrupt: jpeg: %v", err))
	}
	for i := range img.H * img.W {
		r, g, bl, _ := back.At(i%img.W, i/img.W).RGBA()
		channels := [3]uint32{r, g, bl}
		for c := range img.C {
			img.Pix[img.C*i+c] = float32(channels[c]) / 0xffff
		}
	}
}

package corrupt

import (
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// fog adds a plasma cloud to all channels and rescales to the old maximum.
func fog(rng *rand.Rand, img *dataset.Image, severity int) {
	p := [...]struct{ weight, decay float64 }{{0.2, 3}, {0.5, 3}, {0.75, 2.5}, {1, 2}, {1.5, 1.75}}[severity]
	side := 1
	for side < max(img.H, img.W) {
		side *= 2
	}
	cloud := plasma(rng, side, p.decay)
	most := float64(slices.Max(img.Pix))
	scale := most / (most + p.weight)
	for y := range img.H {
		for x := range img.W {
			for c := range img.C {
				v := &img.Pix[(y*img.W+x)*img.C+c]
				*v = float32((float64(*v) + p.weight*cloud[y*side+x]) * scale)
			}
		}
	}
}

// plasma is a fractal height map of side by side values, a power of 2 at least 2, from
// 0 to 1, by midpoint displacement on a torus: squares, then diamonds, get the mean of
// their four corners and a uniform displacement whose range shrinks by decay² with
// each halving.
func plasma(rng *rand.Rand, side int, decay float64) []float64 {
	h := make([]float64, side*side)
	at := func(y, x int) *float64 { return &h[(y+side)%side*side+(x+side)%side] }
	span := 1.0
	shifted := func(mean float64) float64 { return mean + span*(2*rng.Float64()-1) }
	for step := side; step >= 2; step /= 2 {
		half := step / 2
		for y := half; y < side; y += step {
			for x := half; x < side; x += step {
				*at(y, x) = shifted((*at(y-half, x-half) + *at(y-half, x+half) + *at(y+half, x-half) + *at(y+half, x+half)) / 4)
			}
		}
		for y := 0; y < side; y += half {
			for x := (y/half + 1) % 2 * half; x < side; x += step {
				*at(y, x) = shifted((*at(y-half, x) + *at(y+half, x) + *at(y, x-half) + *at(y, x+half)) / 4)
			}
		}
		span /= decay * decay
	}
	lo, hi := slices.Min(h), slices.Max(h)
	for i, v := range h {
		h[i] = (v - lo) / (hi - lo)
	}
	return h
}

// brightness raises the value of the colour model HSV, so that hue and saturation
// stay as they are.
func brightness(_ *rand.Rand, img *dataset.Image, severity int) {
	add := [...]float32{0.05, 0.1, 0.15, 0.2, 0.3}[severity]
	for i := 0; i < len(img.Pix); i += img.C {
		p := img.Pix[i : i+img.C]
		v := slices.Max(p)
		raised := min(1, v+add)
		for c := range p {
			if v > 0 {
				p[c] *= raised / v
			} else {
				p[c] = raised
			}
		}
	}
}

// contrast pulls every channel to its mean.
func contrast(_ *rand.Rand, img *dataset.Image, severity int) {
	keep := [...]float64{0.75, 0.5, 0.4, 0.3, 0.15}[severity]
	for c := range img.C {
		mean := 0.0
		for i := c; i < len(img.Pix); i += img.C {
			mean += float64(img.Pix[i])
		}
		mean /= float64(img.H * img.W)
		for i := c; i < len(img.Pix); i += img.C {
			img.Pix[i] = float32(mean + keep*(float64(img.Pix[i])-mean))
		}
	}
}

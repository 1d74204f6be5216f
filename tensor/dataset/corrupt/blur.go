package corrupt

import (
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// tap is a pixel that counts, by its place from the pixel it counts for.
type tap struct {
	dy, dx int
	weight float64
}

// border says which pixel lies at position i of an axis of n, also outside of it.
type border func(i, n int) int

// mirrored reflects about the outermost pixels.
func mirrored(i, n int) int {
	for i < 0 || i >= n {
		if i < 0 {
			i = -i
		} else {
			i = 2*(n-1) - i
		}
	}
	return i
}

// nearest repeats the outermost pixels.
func nearest(i, n int) int { return min(n-1, max(0, i)) }

// filter replaces every pixel by the weighted sum of its taps.
func filter(img *dataset.Image, taps []tap, outside border) {
	copy(img.Scratch, img.Pix)
	for y := range img.H {
		for x := range img.W {
			var sum [3]float64
			for _, t := range taps {
				from := (outside(y+t.dy, img.H)*img.W + outside(x+t.dx, img.W)) * img.C
				for c := range img.C {
					sum[c] += t.weight * float64(img.Scratch[from+c])
				}
			}
			for c := range img.C {
				img.Pix[(y*img.W+x)*img.C+c] = float32(sum[c])
			}
		}
	}
}

// gaussian is a normalised square of weights with the given reach from its middle.
func gaussian(sigma float64, reach int) []tap {
	var taps []tap
	sum := 0.0
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			w := math.Exp(-float64(dy*dy+dx*dx) / (2 * sigma * sigma))
			taps = append(taps, tap{dy, dx, w})
			sum += w
		}
	}
	for i := range taps {
		taps[i].weight /= sum
	}
	return taps
}

// disk is a normalised disk, smoothed by a Gaussian over 3x3 pixels.
func disk(radius, sigma float64) []tap {
	reach := int(radius)
	var inside []tap
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			if float64(dy*dy+dx*dx) <= radius*radius {
				inside = append(inside, tap{dy, dx, 1})
			}
		}
	}
	var taps []tap
	for _, g := range gaussian(sigma, 1) {
		for _, d := range inside {
			taps = append(taps, tap{d.dy + g.dy, d.dx + g.dx, g.weight / float64(len(inside))})
		}
	}
	return taps
}

func defocusBlur(_ *rand.Rand, img *dataset.Image, severity int) {
	p := [...]struct{ radius, sigma float64 }{{0.3, 0.4}, {0.4, 0.5}, {0.5, 0.6}, {1, 0.2}, {1.5, 0.1}}[severity]
	filter(img, disk(p.radius, p.sigma), mirrored)
}

// glassBlur lets pixels change places with ones close by, between two blurs. (The
// published generator, by a slip, copies where it means to exchange.)
func glassBlur(rng *rand.Rand, img *dataset.Image, severity int) {
	p := [...]struct {
		sigma      float64
		shift, its int
	}{{0.05, 1, 1}, {0.25, 1, 1}, {0.4, 1, 1}, {0.25, 1, 2}, {0.4, 1, 2}}[severity]
	blur := gaussian(p.sigma, int(4*p.sigma+0.5))
	filter(img, blur, nearest)
	for range p.its {
		for y := img.H - p.shift; y > p.shift; y-- {
			for x := img.W - p.shift; x > p.shift; x-- {
				// From -shift to shift-1.
				dx, dy := rng.IntN(2*p.shift)-p.shift, rng.IntN(2*p.shift)-p.shift
				a, b := (y*img.W+x)*img.C, ((y+dy)*img.W+x+dx)*img.C
				for c := range img.C {
					img.Pix[a+c], img.Pix[b+c] = img.Pix[b+c], img.Pix[a+c]
				}
			}
		}
	}
	filter(img, blur, nearest)
}

// motionBlur smears pixels along a line to one side, by half of a Gaussian over
// 2 radius + 1 pixels.
func motionBlur(rng *rand.Rand, img *dataset.Image, severity int) {
	p := [...]struct {
		radius int
		sigma  float64
	}{{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}}[severity]
	angle := (2*rng.Float64() - 1) * math.Pi / 4
	taps := make([]tap, 2*p.radius+1)
	sum := 0.0
	for i := range taps {
		d := float64(i)
		taps[i] = tap{int(math.Round(d * math.Sin(angle))), int(math.Round(d * math.Cos(angle))), math.Exp(-d * d / (2 * p.sigma * p.sigma))}
		sum += taps[i].weight
	}
	for i := range taps {
		taps[i].weight /= sum
	}
	filter(img, taps, nearest)
}

// zoomBlur is the mean of the image and of its enlargements about the centre, by 1,
// 1.01 and so on.
func zoomBlur(_ *rand.Rand, img *dataset.Image, severity int) {
	zooms := [...]int{6, 11, 16, 21, 26}[severity]
	copy(img.Scratch, img.Pix)
	sum := make([]float64, len(img.Pix))
	for i, v := range img.Pix {
		sum[i] = float64(v)
	}
	for k := range zooms {
		addZoomed(sum, img, 1+0.01*float64(k))
	}
	for i, v := range sum {
		img.Pix[i] = float32(v / float64(zooms+1))
	}
}

// addZoomed adds the image in Scratch, enlarged about its centre with bilinear
// interpolation.
func addZoomed(sum []float64, img *dataset.Image, zoom float64) {
	type place struct {
		at   int
		part float64 // of the pixel after it
	}
	axis := func(n int) []place {
		out := make([]place, n)
		for i := range out {
			mid := float64(n-1) / 2
			p := mid + (float64(i)-mid)/zoom
			at := min(n-2, int(p))
			out[i] = place{at, p - float64(at)}
		}
		return out
	}
	rows, cols := axis(img.H), axis(img.W)
	for y, r := range rows {
		for x, q := range cols {
			from := (r.at*img.W + q.at) * img.C
			for c := range img.C {
				a, b := float64(img.Scratch[from+c]), float64(img.Scratch[from+img.C+c])
				below := from + img.W*img.C
				d, e := float64(img.Scratch[below+c]), float64(img.Scratch[below+img.C+c])
				sum[(y*img.W+x)*img.C+c] += (1-r.part)*((1-q.part)*a+q.part*b) + r.part*((1-q.part)*d+q.part*e)
			}
		}
	}
}

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
	sum := make([]float64, len(img.Pix))
	row := img.W * img.C
	for _, t := range taps {
		// Pixels [lo, hi) of a row have the tap inside of the image.
		lo, hi := max(0, -t.dx), min(img.W, img.W-t.dx)
		if lo >= hi {
			lo, hi = img.W, img.W
		}
		for y := range img.H {
			from := img.Pix[outside(y+t.dy, img.H)*row:][:row]
			to := sum[y*row:][:row]
			edge := func(x int) {
				at := outside(x+t.dx, img.W)
				for c := range img.C {
					to[x*img.C+c] += t.weight * float64(from[at*img.C+c])
				}
			}
			for x := range lo {
				edge(x)
			}
			for x := hi; x < img.W; x++ {
				edge(x)
			}
			if lo < hi {
				for i, v := range from[(lo+t.dx)*img.C : (hi+t.dx)*img.C] {
					to[lo*img.C+i] += t.weight * float64(v)
				}
			}
		}
	}
	for i, v := range sum {
		img.Pix[i] = float32(v)
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
	inside := func(dy, dx int) bool { return float64(dy*dy+dx*dx) <= radius*radius }
	area := 0.0
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			if inside(dy, dx) {
				area++
			}
		}
	}
	var taps []tap
	smooth := gaussian(sigma, 1)
	for dy := -reach - 1; dy <= reach+1; dy++ {
		for dx := -reach - 1; dx <= reach+1; dx++ {
			w := 0.0
			for _, g := range smooth {
				if inside(dy-g.dy, dx-g.dx) {
					w += g.weight / area
				}
			}
			taps = append(taps, tap{dy, dx, w})
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
// 1.01 and so on. The generator's np.arange(1, 1.06, 0.01) and np.arange(1, 1.11, 0.01)
// have 7 and 12 elements in floating point, the last of them the end itself.
func zoomBlur(_ *rand.Rand, img *dataset.Image, severity int) {
	zooms := [...]int{7, 12, 16, 21, 26}[severity]
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

// between is a point between a pixel and the one after it.
type between struct {
	at   int
	part float64 // of the pixel after
}

// zoomed says which points of an axis of n pixels an enlargement about its centre shows.
func zoomed(n int, zoom float64) []between {
	out := make([]between, n)
	mid := float64(n-1) / 2
	for i := range out {
		p := mid + (float64(i)-mid)/zoom
		at := min(n-2, int(p))
		out[i] = between{at, p - float64(at)}
	}
	return out
}

// addZoomed adds the image, enlarged about its centre with bilinear interpolation.
func addZoomed(sum []float64, img *dataset.Image, zoom float64) {
	rows, cols := zoomed(img.H, zoom), zoomed(img.W, zoom)
	width := img.W * img.C
	line := make([]float64, width)
	for y, r := range rows {
		above, below := img.Pix[r.at*width:][:width], img.Pix[(r.at+1)*width:][:width]
		for i, v := range above {
			line[i] = (1-r.part)*float64(v) + r.part*float64(below[i])
		}
		out := sum[y*width:][:width]
		for x, q := range cols {
			from := line[q.at*img.C:][:2*img.C]
			for c := range img.C {
				out[x*img.C+c] += (1-q.part)*from[c] + q.part*from[img.C+c]
			}
		}
	}
}

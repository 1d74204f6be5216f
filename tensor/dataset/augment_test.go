package dataset

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func testImage(h, w, c int, pix ...float32) *Image {
	return &Image{H: h, W: w, C: c, Pix: pix, Scratch: make([]float32, len(pix))}
}

func randomImage(seed uint64, h, w, c int) *Image {
	rng, pix := newRand(seed), make([]float32, h*w*c)
	for i := range pix {
		pix[i] = rng.Float32()
	}
	return testImage(h, w, c, pix...)
}

func everyAugment() []Augment {
	return []Augment{
		PadCrop{}, HorizontalFlip{}, RandomResizedCrop{},
		ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, P: 0.8}, RandomGrayscale{P: 0.2},
	}
}

func TestAugmentationDoesNotDependOnTheBatch(t *testing.T) {
	const n, seed = 12, 7
	x := tensor.FromFloat32(randomImage(seed, n*8, 8, 3).Pix, n, 8, 8, 3)
	a, err := NewAugmenter(seed, everyAugment()...)
	require.NoError(t, err)
	idx := Shuffler{Seed: seed}.Order(0, n)
	together := x.Clone()
	a.Apply(together, idx, 3)
	assert.NotEqual(t, x.Float32s(), together.Float32s())

	apart := x.Clone()
	var wait sync.WaitGroup
	for k := range n {
		wait.Go(func() {
			one := tensor.FromFloat32(apart.Float32s()[k*192:(k+1)*192], 1, 8, 8, 3)
			a.Apply(one, idx[k:k+1], 3)
		})
	}
	wait.Wait()
	assert.Equal(t, together.Float32s(), apart.Float32s(), "seed %d", seed)

	again := x.Clone()
	a.Apply(again, idx, 4)
	assert.NotEqual(t, together.Float32s(), again.Float32s(), "another epoch gives another result")
	other, err := NewAugmenter(seed+1, everyAugment()...)
	require.NoError(t, err)
	again = x.Clone()
	other.Apply(again, idx, 3)
	assert.NotEqual(t, together.Float32s(), again.Float32s(), "another seed gives another result")
}

func TestAugmentedPixelsStayInRange(t *testing.T) {
	for _, c := range []int{1, 2, 3} {
		for _, step := range everyAugment() {
			for seed := range uint64(50) {
				img := randomImage(seed, 7, 5, c)
				step.Augment(newRand(seed), img)
				for _, v := range img.Pix {
					require.True(t, v >= 0 && v <= 1, "%T on %d channels, seed %d: %v", step, c, seed, v)
				}
			}
		}
	}
}

func TestApplyAllocatesNothingInSteadyState(t *testing.T) {
	x := tensor.FromFloat32(randomImage(1, 4*8, 8, 3).Pix, 4, 8, 8, 3)
	a, err := NewAugmenter(1, everyAugment()...)
	require.NoError(t, err)
	idx := []int{0, 1, 2, 3}
	assert.Less(t, testing.AllocsPerRun(100, func() { a.Apply(x, idx, 0) }), 2.0)
}

func TestPadCropMovesTheWholeImage(t *testing.T) {
	seen := map[[2]int]bool{}
	for seed := range uint64(400) {
		img := randomImage(seed, 4, 3, 2)
		src := slices.Clone(img.Pix)
		PadCrop{Pad: 1, Fill: 0.5}.Augment(newRand(seed), img)
		matches := 0
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				if slices.Equal(img.Pix, shifted(src, 4, 3, 2, dy, dx, 0.5)) {
					matches++
					seen[[2]int{dy, dx}] = true
				}
			}
		}
		require.Equal(t, 1, matches, "seed %d", seed)
	}
	assert.Len(t, seen, 9, "every shift occurs")

	wide := testImage(1, 1, 1, 1)
	for seed := range uint64(50) {
		PadCrop{Pad: 9}.Augment(newRand(seed), wide)
	}
	assert.Zero(t, wide.Pix[0], "shifts beyond the image leave the fill")
}

// shifted is the definition of a shift, pixel by pixel.
func shifted(src []float32, h, w, c, dy, dx int, fill float32) []float32 {
	out := make([]float32, len(src))
	for y := range h {
		for x := range w {
			for k := range c {
				v := fill
				if sy, sx := y+dy, x+dx; sy >= 0 && sy < h && sx >= 0 && sx < w {
					v = src[(sy*w+sx)*c+k]
				}
				out[(y*w+x)*c+k] = v
			}
		}
	}
	return out
}

func TestFlipMirrorsRows(t *testing.T) {
	img := testImage(2, 3, 2, .1, .2, .3, .4, .5, .6, .7, .8, .9, .0, .2, .1)
	HorizontalFlip{P: 1}.Augment(newRand(0), img)
	assert.Equal(t, []float32{.5, .6, .3, .4, .1, .2, .2, .1, .9, .0, .7, .8}, img.Pix)
	flips := 0
	rng := newRand(4)
	for range 2000 {
		img := testImage(1, 2, 1, 0, 1)
		HorizontalFlip{}.Augment(rng, img)
		flips += int(img.Pix[0])
	}
	assert.InDelta(t, 1000, flips, 5*22.4, "P 0 means one half; five standard deviations, seed 4")
}

func TestWindowsHaveTheirAreaAndRatio(t *testing.T) {
	rng := newRand(2)
	r := RandomResizedCrop{Scale: [2]float64{0.2, 0.6}, Ratio: [2]float64{0.5, 2}}
	for range 2000 {
		top, left, h, w := r.window(rng, 100, 120)
		require.True(t, top >= 0 && left >= 0 && top+h <= 100 && left+w <= 120)
		part, ratio := float64(h*w)/12000, float64(w)/float64(h)
		require.True(t, part > 0.19 && part < 0.61, "area %v, seed 2", part)
		require.True(t, ratio > 0.48 && ratio < 2.07, "ratio %v, seed 2", ratio)
	}
	// A ratio that does not fit falls back to the largest window at the centre.
	flat := RandomResizedCrop{Scale: [2]float64{1, 1}, Ratio: [2]float64{4, 4}}
	top, left, h, w := flat.window(rng, 8, 8)
	assert.Equal(t, [4]int{3, 0, 2, 8}, [4]int{top, left, h, w})
	tall := RandomResizedCrop{Scale: [2]float64{1, 1}, Ratio: [2]float64{0.25, 0.25}}
	top, left, h, w = tall.window(rng, 8, 8)
	assert.Equal(t, [4]int{0, 3, 8, 2}, [4]int{top, left, h, w})
}

func TestResizeIsBilinear(t *testing.T) {
	whole := randomImage(3, 5, 4, 3)
	copy(whole.Scratch, whole.Pix)
	want := slices.Clone(whole.Pix)
	resizeWindow(whole, 0, 0, 5, 4)
	assert.Equal(t, want, whole.Pix, "a window of the whole image is the image")

	// Two pixels 0 and 1 to four: centres at -0.25, 0.25, 0.75, 1.25 of the
	// source, by hand.
	line := testImage(1, 4, 1, 9, 0, 1, 9)
	copy(line.Scratch, line.Pix)
	resizeWindow(line, 0, 1, 1, 2)
	assert.Equal(t, []float32{0, 0.25, 0.75, 1}, line.Pix)
	column := testImage(4, 1, 1, 9, 0, 1, 9)
	copy(column.Scratch, column.Pix)
	resizeWindow(column, 1, 0, 2, 1)
	assert.Equal(t, []float32{0, 0.25, 0.75, 1}, column.Pix)
}

// Expected values are the formulas of torchvision.transforms.functional's
// adjust_* on one pixel pair, worked by hand.
func TestColourFactors(t *testing.T) {
	pair := func() *Image { return testImage(1, 2, 3, 0.8, 0.4, 0.2, 0.1, 0.5, 0.3) }
	img := pair()
	adjustBrightness(img, 1.5)
	assert.InDeltaSlice(t, []float32{1, 0.6, 0.3, 0.15, 0.75, 0.45}, img.Pix, 1e-6)

	grey0, grey1 := 0.2989*0.8+0.587*0.4+0.114*0.2, 0.2989*0.1+0.587*0.5+0.114*0.3
	img = pair()
	adjustSaturation(img, 0)
	assert.InDeltaSlice(t, []float64{grey0, grey0, grey0, grey1, grey1, grey1}, widen(img.Pix), 1e-6)
	img = pair()
	adjustSaturation(img, 0.5)
	assert.InDelta(t, 0.5*0.8+0.5*grey0, img.Pix[0], 1e-6)

	img = pair()
	adjustContrast(img, 0)
	for _, v := range img.Pix {
		assert.InDelta(t, (grey0+grey1)/2, v, 1e-6)
	}
	one := testImage(1, 2, 1, 0.2, 0.6)
	adjustContrast(one, 0.5)
	assert.InDeltaSlice(t, []float32{0.3, 0.5}, one.Pix, 1e-6)
	adjustSaturation(one, 0)
	adjustHue(one, 0.3)
	assert.InDeltaSlice(t, []float32{0.3, 0.5}, one.Pix, 1e-6)

	img = testImage(1, 2, 3, 1, 0, 0, 0.5, 0.5, 0.5)
	adjustHue(img, 1./3)
	assert.InDeltaSlice(t, []float32{0, 1, 0, 0.5, 0.5, 0.5}, img.Pix, 1e-6)
	adjustHue(img, -0.5)
	assert.InDeltaSlice(t, []float32{1, 0, 1, 0.5, 0.5, 0.5}, img.Pix, 1e-6)

	RandomGrayscale{P: 1}.Augment(newRand(0), img)
	assert.InDelta(t, 0.4129, img.Pix[1], 1e-6)
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = float64(v[i])
	}
	return out
}

func TestHSVRoundTrip(t *testing.T) {
	rng := newRand(6)
	for range 2000 {
		r, g, b := rng.Float32(), rng.Float32(), rng.Float32()
		h, s, v := hsv(r, g, b)
		for _, turn := range []float32{0, 1, -1} {
			r2, g2, b2 := rgb(h+turn, s, v)
			require.InDeltaSlice(t, []float32{r, g, b}, []float32{r2, g2, b2}, 3e-6, "seed 6")
		}
	}
}

func TestJitterFactorsFillTheirRange(t *testing.T) {
	low, high := 2.0, 0.0
	rng := newRand(8)
	for range 2000 {
		img := testImage(1, 1, 1, 0.5)
		ColorJitter{Brightness: 0.4}.Augment(rng, img)
		low, high = min(low, float64(img.Pix[0])), max(high, float64(img.Pix[0]))
	}
	assert.InDelta(t, 0.3, low, 0.005, "seed 8")
	assert.InDelta(t, 0.7, high, 0.005, "seed 8")
	changed := 0
	for range 2000 {
		img := testImage(1, 1, 1, 0.5)
		ColorJitter{Brightness: 0.4, P: 0.25}.Augment(rng, img)
		if img.Pix[0] != 0.5 {
			changed++
		}
	}
	assert.InDelta(t, 500, changed, 5*19.4, "five standard deviations, seed 8")
}

func TestBadAugmentParametersAreErrors(t *testing.T) {
	nan := math.NaN()
	for _, step := range []Augment{
		PadCrop{Pad: -1}, PadCrop{Fill: 2}, PadCrop{Fill: float32(nan)}, HorizontalFlip{P: 1.1}, HorizontalFlip{P: nan},
		RandomResizedCrop{Scale: [2]float64{0.5, 0.2}}, RandomResizedCrop{Scale: [2]float64{0, 1}}, RandomResizedCrop{Scale: [2]float64{0.5, 2}},
		RandomResizedCrop{Ratio: [2]float64{-1, 1}}, RandomResizedCrop{Ratio: [2]float64{1, math.Inf(1)}},
		ColorJitter{Brightness: -1}, ColorJitter{Contrast: nan}, ColorJitter{Saturation: math.Inf(1)}, ColorJitter{Hue: 0.6}, ColorJitter{P: -0.1},
		RandomGrayscale{P: 2},
	} {
		_, err := NewAugmenter(0, HorizontalFlip{}, step)
		require.ErrorContains(t, err, "dataset: augmentation 1: ", "%#v", step)
		require.ErrorContains(t, err, "want", "%#v", step)
	}
	a, err := NewAugmenter(0)
	require.NoError(t, err)
	assert.PanicsWithValue(t, "dataset: Augmenter.Apply: x is float32[2 3], want float32[2 H W C]",
		func() { a.Apply(tensor.Zeros(tensor.Float32, 2, 3), []int{0, 1}, 0) })
}

func BenchmarkAugmentCIFARBatch(b *testing.B) {
	x := tensor.FromFloat32(randomImage(1, 128*32, 32, 3).Pix, 128, 32, 32, 3)
	a, err := NewAugmenter(1, everyAugment()...)
	if err != nil {
		b.Fatal(err)
	}
	idx := Shuffler{}.Order(0, 128)
	for b.Loop() {
		a.Apply(x, idx, 0)
	}
	b.ReportMetric(128*float64(b.N)/b.Elapsed().Seconds(), "images/s")
}

package corrupt

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

var ctx = context.Background()

func rng() *rand.Rand { return rand.New(rand.NewPCG(8, 1)) }

// flat is an image of one colour.
func flat(h, w int, colour ...float32) *dataset.Image {
	img := &dataset.Image{H: h, W: w, C: len(colour), Scratch: make([]float32, h*w*len(colour))}
	for range h * w {
		img.Pix = append(img.Pix, colour...)
	}
	return img
}

// digits are some digits of MNIST in colour, with something in every channel.
func digits(t *testing.T, n int) *dataset.Set {
	_, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	s := test.Take(n).Resize(32, 32).RGB()
	s.Bytes = slices.Clone(s.Bytes)
	for i := range s.Bytes {
		s.Bytes[i] = byte(30 + 20*(i%3) + int(s.Bytes[i])*(i%3+2)/8)
	}
	return s
}

// moments are mean and variance of the values that a corruption makes of 0.5.
func moments(t *testing.T, typ Type, severity int) (mean, variance float64, img *dataset.Image) {
	img = flat(200, 200, 0.5, 0.5, 0.5)
	kinds[typ].apply(rng(), img, severity-1)
	for _, v := range img.Pix {
		mean += float64(v) / float64(len(img.Pix))
	}
	for _, v := range img.Pix {
		variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(img.Pix))
	}
	return mean, variance, img
}

// Noise has the moments that its parameters name.
func TestNoiseHasItsMoments(t *testing.T) {
	for severity, sigma := range []float64{0.04, 0.06, 0.08, 0.09, 0.10} {
		mean, variance, _ := moments(t, GaussianNoise, severity+1)
		require.InDelta(t, 0.5, mean, 4*sigma/346)
		require.InEpsilon(t, sigma*sigma, variance, 0.02)
	}
	for severity, photons := range []float64{500, 250, 100, 75, 50} {
		mean, variance, img := moments(t, ShotNoise, severity+1)
		require.InDelta(t, 0.5, mean, 4*math.Sqrt(0.5/photons)/346)
		require.InEpsilon(t, 0.5/photons, variance, 0.02)
		for _, v := range img.Pix[:100] {
			require.InDelta(t, math.Round(float64(v)*photons), float64(v)*photons, 1e-3)
		}
	}
	for severity, share := range []float64{0.01, 0.02, 0.03, 0.05, 0.07} {
		_, _, img := moments(t, ImpulseNoise, severity+1)
		black, white, kept := 0., 0., 0.
		for _, v := range img.Pix {
			switch v {
			case 0:
				black++
			case 1:
				white++
			case 0.5:
				kept++
			}
		}
		require.EqualValues(t, 120_000, black+white+kept)
		sd := math.Sqrt(share / 2 / 120_000)
		require.InDelta(t, share/2, black/120_000, 4*sd)
		require.InDelta(t, share/2, white/120_000, 4*sd)
	}
	dark := flat(8, 8, 0)
	shotNoise(rng(), dark, 4)
	require.Zero(t, slices.Max(dark.Pix), "no photons in the dark")
}

// spot is a dark image with one white pixel.
func spot(h, w, y, x int) *dataset.Image {
	img := flat(h, w, 0)
	img.Pix[y*w+x] = 1
	return img
}

func TestDefocusIsADisk(t *testing.T) {
	// A radius below 1 leaves the Gaussian of 3x3 pixels alone.
	img := spot(9, 9, 4, 4)
	defocusBlur(nil, img, 0)
	side := math.Exp(-1 / (2 * 0.16))
	mid := 1 / (1 + 2*side)
	require.InDelta(t, mid*mid, img.Pix[4*9+4], 1e-6)
	require.InDelta(t, mid*mid*side, img.Pix[4*9+5], 1e-6)
	require.InDelta(t, mid*mid*side*side, img.Pix[5*9+3], 1e-6)
	// A radius of 1 is a cross, one of 1.5 a square.
	img = spot(9, 9, 4, 4)
	defocusBlur(nil, img, 3)
	require.InDelta(t, 0.2, img.Pix[4*9+4], 1e-4)
	require.InDelta(t, 0.2, img.Pix[5*9+4], 1e-4)
	require.InDelta(t, 0, img.Pix[5*9+5], 1e-4)
	img = spot(9, 9, 4, 4)
	defocusBlur(nil, img, 4)
	require.InDelta(t, 1./9, img.Pix[5*9+5], 1e-4)
	// Mirrored about the outermost pixel.
	img = spot(9, 9, 1, 4)
	defocusBlur(nil, img, 3)
	require.InDelta(t, 0.4, img.Pix[4], 1e-4)
	img = spot(9, 9, 4, 7)
	defocusBlur(nil, img, 3)
	require.InDelta(t, 0.4, img.Pix[4*9+8], 1e-4)
}

func TestMotionSmearsAlongALine(t *testing.T) {
	for seed := range uint64(20) {
		img := spot(41, 41, 20, 30)
		motionBlur(rand.New(rand.NewPCG(seed, 0)), img, 4)
		sum, hit, steepest := 0., 0, 0.
		for i, v := range img.Pix {
			sum += float64(v)
			if v > 0 {
				hit++
				dy, dx := i/41-20, 30-i%41
				require.GreaterOrEqual(t, dx, 0, "to one side")
				steepest = max(steepest, math.Abs(float64(dy))/math.Max(1, float64(dx)))
			}
		}
		require.InDelta(t, 1, sum, 1e-5)
		require.Greater(t, hit, 12)
		require.LessOrEqual(t, hit, 19)
		require.LessOrEqual(t, steepest, 1.)
		require.Greater(t, img.Pix[20*41+30], img.Pix[20*41+29])
	}
}

// Glass moves pixels by one place for each exchange that they are in, and without a
// blur loses none.
func TestGlassKeepsValues(t *testing.T) {
	img := flat(16, 16, 0)
	for i := range img.Pix {
		img.Pix[i] = float32(i) / 256
	}
	before := slices.Clone(img.Pix)
	glassBlur(rng(), img, 0) // a Gaussian of deviation 0.05 reaches no other pixel
	require.NotEqual(t, before, img.Pix)
	after := slices.Clone(img.Pix)
	slices.Sort(after)
	require.Equal(t, before, after)
}

// The mean of enlargements of a ramp about its middle is a flatter ramp. Their number is
// that of the generator's np.arange(1, end, 0.01), whose length is the quotient in floating
// point, rounded up.
func TestZoomFlattensARamp(t *testing.T) {
	for severity, end := range []float64{1.06, 1.11, 1.16, 1.21, 1.26} {
		n := int(math.Ceil((end - 1) / 0.01))
		img := flat(32, 32, 0)
		for i := range img.Pix {
			img.Pix[i] = float32(i%32) / 31
		}
		zoomBlur(nil, img, severity)
		slope := 1.
		for k := range n {
			slope += 1 / (1 + 0.01*float64(k))
		}
		slope /= float64(n + 1)
		for i, v := range img.Pix {
			require.InDelta(t, 0.5+slope*(float64(i%32)/31-0.5), v, 1e-5)
		}
	}
}

func TestPlasmaIsRough(t *testing.T) {
	for _, side := range []int{2, 8, 32} {
		h := plasma(rng(), side, 3)
		require.Zero(t, slices.Min(h))
		require.EqualValues(t, 1, slices.Max(h))
	}
	// A smaller decay leaves more of the finest displacements.
	rough := func(decay float64) (sum float64) {
		for seed := range uint64(30) {
			h := plasma(rand.New(rand.NewPCG(seed, 3)), 32, decay)
			for i := range len(h) - 1 {
				sum += math.Abs(h[i+1] - h[i])
			}
		}
		return sum
	}
	require.Greater(t, rough(1.75), 1.2*rough(3))

	img := flat(20, 32, 0.8, 0.8, 0.8)
	cloud := plasma(rng(), 32, 2)
	fog(rng(), img, 3)
	for y := range 20 {
		for x := range 32 {
			require.InDelta(t, (0.8+cloud[y*32+x])*0.8/1.8, img.Pix[(y*32+x)*3+1], 1e-6)
		}
	}
}

func TestBrightnessAndContrast(t *testing.T) {
	img := flat(8, 8, 0.2, 0.4, 0.1)
	brightness(nil, img, 0)
	require.InDeltaSlice(t, []float64{0.225, 0.45, 0.1125}, []float64{float64(img.Pix[0]), float64(img.Pix[1]), float64(img.Pix[2])}, 1e-6)
	img = flat(8, 8, 0.9, 0.45, 0)
	brightness(nil, img, 4)
	require.InDeltaSlice(t, []float64{1, 0.5, 0}, []float64{float64(img.Pix[0]), float64(img.Pix[1]), float64(img.Pix[2])}, 1e-6)
	img = flat(8, 8, 0, 0, 0)
	brightness(nil, img, 1)
	require.InDelta(t, 0.1, img.Pix[2], 1e-6)

	img = flat(8, 8, 0.3)
	img.Pix[5] = 0.94
	contrast(nil, img, 4)
	require.InDelta(t, 0.31+0.15*0.63, img.Pix[5], 1e-6)
	require.InDelta(t, 0.31-0.15*0.01, img.Pix[6], 1e-6)
}

func TestPixelateIsBoxesOfPixels(t *testing.T) {
	for severity, n := range []int{30, 28, 27, 24, 20} {
		parts := boxes(32, n)
		require.Len(t, parts, n)
		require.Equal(t, box{0, int(32/float64(n) + 0.5)}, parts[0])
		require.Equal(t, 32, parts[n-1].to)
		img := flat(32, 32, 0)
		for i := range img.Pix {
			img.Pix[i] = float32(i%32) / 31
		}
		pixelate(nil, img, severity)
		seen := map[float32]bool{}
		for _, v := range img.Pix[:32] {
			seen[v] = true
		}
		require.Len(t, seen, n)
	}
	// 32 to 24: four pixels become three, and three become four again.
	img := flat(32, 32, 0)
	for i := range img.Pix {
		img.Pix[i] = float32(i % 32 % 4)
	}
	pixelate(nil, img, 3)
	require.Equal(t, []float32{0, 1.5, 1.5, 3, 0, 1.5, 1.5, 3}, img.Pix[:8])
}

// What an image of one colour becomes is known for all that blurs, pulls or packs it.
func TestFlatImagesStayFlat(t *testing.T) {
	for _, typ := range []Type{DefocusBlur, GlassBlur, MotionBlur, ZoomBlur, Contrast, Pixelate, JPEG} {
		for severity := range MaxSeverity {
			for _, img := range []*dataset.Image{flat(32, 32, 0.6, 0.6, 0.6), flat(17, 9, 0.6)} {
				kinds[typ].apply(rng(), img, severity)
				require.InDelta(t, 0.6, slices.Min(img.Pix), 1.01/255, "%v %d", typ, severity+1)
				require.InDelta(t, 0.6, slices.Max(img.Pix), 1.01/255, "%v %d", typ, severity+1)
			}
		}
	}
}

// Every type changes real images, the strongest severity more than the weakest.
func TestSeverityGrows(t *testing.T) {
	s := digits(t, 12)
	for _, typ := range Types() {
		var moved [MaxSeverity + 1]float64
		for severity := 1; severity <= MaxSeverity; severity++ {
			out, err := Corruption{Type: typ, Severity: severity}.Apply(ctx, s)
			require.NoError(t, err)
			require.NoError(t, out.Check())
			require.Equal(t, s.Labels, out.Labels)
			for i, b := range out.Bytes {
				moved[severity] += math.Abs(float64(b)-float64(s.Bytes[i])) / float64(len(out.Bytes))
			}
		}
		require.Positive(t, moved[1], "%v", typ)
		require.Greater(t, moved[MaxSeverity], 1.2*moved[1], "%v: %v", typ, moved)
	}
}

// An image's result depends on the seed and its position alone, and no two positions
// share their noise.
func TestResultsAreReproducible(t *testing.T) {
	s := digits(t, 20)
	same := s.Subset(make([]int, 20))
	noisy, err := Corruption{Type: GaussianNoise, Severity: 1}.Apply(ctx, same)
	require.NoError(t, err)
	seen := map[string]bool{}
	for i := range 20 {
		seen[string(noisy.Slice(i, i+1).Bytes)] = true
	}
	require.Equal(t, 20, len(seen))
	before := slices.Clone(s.Bytes)
	for _, typ := range Types() {
		c := Corruption{Type: typ, Severity: 2, Seed: 5}
		want, err := c.Apply(ctx, s)
		require.NoError(t, err)
		require.Equal(t, before, s.Bytes)
		tensor.SetThreads(1)
		part, err := c.Apply(ctx, s.Take(11))
		tensor.SetThreads(0)
		require.NoError(t, err)
		require.Equal(t, want.Take(11).Bytes, part.Bytes, "%v", typ)
		c.Seed = 6
		other, err := c.Apply(ctx, s)
		require.NoError(t, err)
		random := map[Type]bool{GaussianNoise: true, ShotNoise: true, ImpulseNoise: true, GlassBlur: true, MotionBlur: true, Fog: true}[typ]
		require.Equal(t, random, !slices.Equal(want.Bytes, other.Bytes), "%v", typ)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	s := digits(t, 3)
	for want, c := range map[string]Corruption{
		"unknown type 12": {Type: 12, Severity: 1}, "severity of fog is 0": {Type: Fog}, "is 6, want 1 to 5": {Type: JPEG, Severity: 6},
	} {
		_, err := c.Apply(ctx, s)
		require.ErrorContains(t, err, want)
		require.Panics(t, func() { c.Augment(rng(), flat(8, 8, 0)) })
	}
	good := Corruption{Type: Fog, Severity: 1}
	small := *s.Resize(7, 32)
	two := dataset.Set{Name: "two", H: 8, W: 8, C: 2, Bytes: make([]byte, 128)}
	nan := dataset.Set{Name: "nan", H: 8, W: 8, C: 1, Floats: make([]float32, 64)}
	nan.Floats[9] = float32(math.NaN())
	for want, s := range map[string]*dataset.Set{
		"no images": {H: 8, W: 8, C: 1}, "images are 7x32x3": &small, "8x8x2": &two, "is NaN, want 0 to 1": &nan,
	} {
		_, err := good.Apply(ctx, s)
		require.ErrorContains(t, err, want)
	}
	_, err := good.Apply(ctx, nil)
	require.ErrorContains(t, err, "no images")
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = good.Apply(done, s)
	require.ErrorIs(t, err, context.Canceled)
}

func TestNamesAreReadBack(t *testing.T) {
	for _, typ := range Types() {
		b, err := json.Marshal(Corruption{Type: typ, Severity: 4, Seed: 2})
		require.NoError(t, err)
		var got Corruption
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, Corruption{typ, 4, 2}, got)
	}
	var typ Type
	require.ErrorContains(t, typ.UnmarshalText([]byte("rain")), `unknown type "rain"`)
	_, err := Type(30).MarshalText()
	require.ErrorContains(t, err, "unknown type 30")
	require.Equal(t, "shot noise 3", Corruption{Type: ShotNoise, Severity: 3}.String())
}

// On photographs too, every type at every severity leaves something to see.
func TestRealPhotographsAreCorrupted(t *testing.T) {
	s, err := dataset.Load(realdata.Dir(t), "cifar10", dataset.Test)
	realdata.Found(t, err)
	s = s.Take(40)
	for _, typ := range Types() {
		last := 0.
		for severity := 1; severity <= MaxSeverity; severity++ {
			out, err := Corruption{Type: typ, Severity: severity}.Apply(ctx, s)
			require.NoError(t, err)
			moved := 0.
			for i, b := range out.Bytes {
				moved += math.Abs(float64(b)-float64(s.Bytes[i])) / float64(len(out.Bytes))
			}
			require.Greater(t, moved, 0.5, "%v %d", typ, severity)
			require.Less(t, moved, 110., "%v %d", typ, severity)
			last = moved
		}
		t.Logf("%v at its strongest moves a value by %.1f of 255", typ, last)
	}
}

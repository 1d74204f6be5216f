package dataset

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func noise(r *rand.Rand, n, h, w, c int, floats bool) *Set {
	s := &Set{Name: "noise", H: h, W: w, C: c, Classes: 3}
	for i := range n {
		s.Labels = append(s.Labels, i%3)
		for range h * w * c {
			if floats {
				s.Floats = append(s.Floats, r.Float32())
			} else {
				s.Bytes = append(s.Bytes, byte(r.IntN(256)))
			}
		}
	}
	return s
}

// resized is a pixel of a resized image by the definition: the mean of all
// pixels, weighed by the product of two triangles.
func resized(s *Set, i, h, w, y, x, c int) float64 {
	pixels, _ := s.Batch([]int{i})
	weight := func(k, at, from, to int) float64 {
		scale := float64(from) / float64(to)
		return max(0, 1-math.Abs(float64(k)+0.5-(float64(at)+0.5)*scale)/max(1, scale))
	}
	var sum, total float64
	for yy := range s.H {
		for xx := range s.W {
			v := weight(yy, y, s.H, h) * weight(xx, x, s.W, w)
			total += v
			sum += v * pixels.At(0, yy, xx, c)
		}
	}
	return sum / total
}

func TestResizeEqualsItsDefinition(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		dim := func() int { return 1 + r.IntN(9) }
		s := noise(r, 2, dim(), dim(), 1+2*r.IntN(2), seed%2 == 0)
		h, w := dim(), dim()
		got := s.Resize(h, w)
		require.NoError(t, got.Check())
		require.Equal(t, s.Labels, got.Labels)
		x, _ := got.All()
		tolerance := 1e-6
		if s.Bytes != nil {
			tolerance = 0.5/255 + 1e-6
		}
		for i := range 2 {
			for y := range h {
				for xx := range w {
					for c := range s.C {
						require.InDelta(t, resized(s, i, h, w, y, xx, c), x.At(i, y, xx, c), tolerance, "seed %d, %dx%d to %dx%d", seed, s.H, s.W, h, w)
					}
				}
			}
		}
	}
}

// Worked out by hand: a row of four enlarged to eight, and one of eight shrunk to
// four, whose inner pixels weigh four neighbours 1 : 3 : 3 : 1.
func TestResizeOfRows(t *testing.T) {
	row := func(v ...float32) *Set { return &Set{Name: "row", H: 1, W: len(v), C: 1, Floats: v} }
	want := []float32{0, 0.25, 0.75, 0.75, 0.25, 0.25, 0.75, 1}
	for i, v := range row(0, 1, 0, 1).Resize(1, 8).Floats {
		require.InDelta(t, want[i], v, 1e-6)
	}
	want = []float32{0, 3. / 8, 1. / 8, 0}
	for i, v := range row(0, 0, 0, 1, 0, 0, 0, 0).Resize(1, 4).Floats {
		require.InDelta(t, want[i], v, 1e-6)
	}
	mean := row(0.1, 0.2, 0.3, 0.6).Resize(1, 1).Floats[0]
	require.InDelta(t, (0.1*0.625+0.2*0.875+0.3*0.875+0.6*0.625)/3, mean, 1e-6)
}

// Flat images stay what they are, to the bit.
func TestResizeKeepsFlatImages(t *testing.T) {
	for b := range 256 {
		s := &Set{Name: "flat", H: 5, W: 3, C: 1, Bytes: make([]byte, 15)}
		for i := range s.Bytes {
			s.Bytes[i] = byte(b)
		}
		for _, size := range [][2]int{{7, 7}, {2, 2}, {1, 9}} {
			for _, v := range s.Resize(size[0], size[1]).Bytes {
				require.Equal(t, byte(b), v)
			}
		}
		require.Equal(t, s.Bytes, s.RGB().Gray().Bytes)
	}
	for from := 1; from < 20; from++ {
		white := &Set{Name: "white", H: from, W: 3, C: 3, Floats: make([]float32, 9*from)}
		for i := range white.Floats {
			white.Floats[i] = 1
		}
		for to := 1; to < 20; to++ {
			require.NoError(t, white.Resize(to, to).Gray().Check(), "%d to %d", from, to)
		}
	}
}

func TestGrayAndRGB(t *testing.T) {
	s := &Set{Name: "two", H: 1, W: 2, C: 3, Classes: 2, Labels: []int{1}, Floats: []float32{1, 0.5, 0, 0.25, 0.25, 0.25}}
	g := s.Gray()
	require.NoError(t, g.Check())
	require.Equal(t, 1, g.C)
	require.InDelta(t, 0.299+0.587*0.5, g.Floats[0], 1e-6)
	require.InDelta(t, 0.25, g.Floats[1], 1e-6)
	b := &Set{Name: "bytes", H: 1, W: 2, C: 3, Bytes: []byte{255, 0, 0, 0, 0, 255}}
	require.Equal(t, []byte{76, 29}, b.Gray().Bytes)
	require.Equal(t, []byte{76, 76, 76, 29, 29, 29}, b.Gray().RGB().Bytes)
	require.Equal(t, g.Floats[0], g.RGB().Floats[2])
	require.Equal(t, []int{1}, g.RGB().Labels)

	require.Same(t, g, g.Gray())
	require.Same(t, s, s.RGB())
	require.Same(t, s, s.Resize(1, 2))
	two := &Set{Name: "two channels", H: 1, W: 1, C: 2, Bytes: []byte{1, 2}}
	require.PanicsWithValue(t, "dataset: Gray: two channels has 2 channels, want 1 or 3", func() { two.Gray() })
	require.PanicsWithValue(t, "dataset: RGB: two channels has 2 channels, want 1 or 3", func() { two.RGB() })
	require.PanicsWithValue(t, "dataset: Resize: images of 0x3, want at least 1x1", func() { s.Resize(0, 3) })
	// The set that was changed is as it was, and an empty one stays empty.
	require.Equal(t, []float32{1, 0.5, 0, 0.25, 0.25, 0.25}, s.Floats)
	require.Zero(t, (&Set{Name: "none", H: 4, W: 4, C: 1, Bytes: []byte{}}).Resize(2, 2).RGB().Len())
}

// The real digits in the forms that the other sets have.
func TestDigitsInOtherForms(t *testing.T) {
	_, test, err := MNISTMini()
	require.NoError(t, err)
	large := test.Resize(32, 32).RGB()
	require.NoError(t, large.Check())
	require.Equal(t, []int{1000, 32, 32, 3}, []int{large.Len(), large.H, large.W, large.C})
	want, _ := test.Moments()
	got, _ := large.Moments()
	for _, v := range got {
		require.InDelta(t, want[0], v, 2e-3)
	}
	small, _ := large.Gray().Resize(16, 16).Moments()
	require.InDelta(t, want[0], small[0], 2e-3)
}

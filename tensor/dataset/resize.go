package dataset

import (
	"fmt"
	"math"
)

// Resize returns the images in h by w pixels, with the labels of s. Each axis is
// interpolated linearly between pixel centres, which lie at half-integers; where it
// shrinks, the triangle that weighs the pixels widens by the same factor, so that
// every pixel counts (bilinear with antialiasing, in PyTorch's words). Bytes stay
// bytes, rounded to the nearest. A set that has the size already is returned as it
// is. It panics if h or w is below 1.
func (s *Set) Resize(h, w int) *Set {
	if h < 1 || w < 1 {
		panic(fmt.Sprintf("dataset: Resize: images of %dx%d, want at least 1x1", h, w))
	}
	if h == s.H && w == s.W {
		return s
	}
	rows, cols := newTaps(s.H, h), newTaps(s.W, w)
	wide := make([]float32, s.H*w*s.C) // an image in the new width and old height
	return s.eachImage(h, w, s.C, func(dst, src []float32) {
		for y := range s.H {
			cols.blend(wide[y*w*s.C:(y+1)*w*s.C], src[y*s.W*s.C:(y+1)*s.W*s.C], s.C)
		}
		rows.blend(dst, wide, w*s.C)
	})
}

// Gray returns the images with one channel: 0.299 R + 0.587 G + 0.114 B (ITU-R
// BT.601), with the labels of s. Bytes stay bytes, rounded to the nearest. A set of
// one channel is returned as it is. It panics if there are neither one nor three
// channels.
func (s *Set) Gray() *Set {
	if s.C == 1 {
		return s
	}
	s.wantChannels("Gray", 3)
	return s.eachImage(s.H, s.W, 1, func(dst, src []float32) {
		for i := range dst {
			dst[i] = 0.299*src[3*i] + 0.587*src[3*i+1] + 0.114*src[3*i+2]
		}
	})
}

// RGB returns the images with three channels, each the grey one, with the labels of
// s. A set of three channels is returned as it is. It panics if there are neither
// one nor three channels.
func (s *Set) RGB() *Set {
	if s.C == 3 {
		return s
	}
	s.wantChannels("RGB", 1)
	return s.eachImage(s.H, s.W, 3, func(dst, src []float32) {
		for i, v := range src {
			dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
		}
	})
}

func (s *Set) wantChannels(op string, c int) {
	if s.C != c {
		panic(fmt.Sprintf("dataset: %s: %s has %d channels, want 1 or 3", op, s.Name, s.C))
	}
}

// eachImage returns a set of images of another form, each made from the pixels of
// one of s.
func (s *Set) eachImage(h, w, c int, change func(dst, src []float32)) *Set {
	out := *s
	out.H, out.W, out.C = h, w, c
	size, n := h*w*c, s.Len()
	src, dst := make([]float32, s.imageSize()), make([]float32, size)
	if s.Floats != nil {
		out.Floats = make([]float32, n*size)
	} else {
		out.Bytes = make([]byte, n*size)
	}
	for i := range n {
		s.copyImage(src, i)
		change(dst, src)
		for k, v := range dst {
			// Rounding can leave [0, 1] by a little.
			v = clamp01(v)
			if s.Floats != nil {
				out.Floats[i*size+k] = v
			} else {
				out.Bytes[i*size+k] = byte(255*v + 0.5)
			}
		}
	}
	return &out
}

// taps say how each position of a resized axis is made from the old ones.
type taps []struct {
	first   int
	weights []float32
}

// newTaps works out the weights of an axis of from positions in to positions.
func newTaps(from, to int) taps {
	t := make(taps, to)
	scale := float64(from) / float64(to)
	reach := max(1, scale) // from the middle of the triangle to its foot
	for i := range t {
		centre := (float64(i) + 0.5) * scale
		first := max(0, int(math.Floor(centre-reach)))
		last := min(from-1, int(math.Ceil(centre+reach)))
		weights := make([]float64, 0, last-first+1)
		sum := 0.0
		for k := first; k <= last; k++ {
			v := max(0, 1-math.Abs(float64(k)+0.5-centre)/reach)
			weights = append(weights, v)
			sum += v
		}
		t[i].first = first
		for _, v := range weights {
			t[i].weights = append(t[i].weights, float32(v/sum))
		}
	}
	return t
}

// blend computes the positions of dst, runs of n values, from those of src.
func (t taps) blend(dst, src []float32, n int) {
	for i, tap := range t {
		out := dst[i*n : (i+1)*n]
		clear(out)
		for k, weight := range tap.weights {
			if weight == 0 {
				continue
			}
			in := src[(tap.first+k)*n:]
			for j := range out {
				out[j] += weight * in[j]
			}
		}
	}
}

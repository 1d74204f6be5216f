package transform

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Affine is an affine map from pixels of a result to points of the original:
// (row, column) goes to (Y[0] + Y[1] row + Y[2] column, X[0] + X[1] row +
// X[2] column).
type Affine struct{ Y, X [3]float64 }

// Interpolation says what value an image has between its pixels.
type Interpolation uint8

// Ways of interpolation.
const (
	Nearest  Interpolation = iota // that of the nearest pixel; halves are rounded away from 0
	Bilinear                      // a mean of the four pixels around, by distance along both axes
)

// String returns "nearest" or "bilinear".
func (i Interpolation) String() string {
	switch i {
	case Nearest:
		return "nearest"
	case Bilinear:
		return "bilinear"
	}
	return fmt.Sprintf("Interpolation(%d)", uint8(i))
}

// Warp returns images of the shape of x [N, H, W, C] whose pixels are those of x
// at the points that maps name; there is one map for each image, or one for all.
// Outside of an image all pixels are 0. It is linear in x and differentiable in x
// to any order. It panics if the number of maps is neither 1 nor N, or x holds no
// images.
func Warp(x *tensor.Tensor, maps []Affine, in Interpolation) *tensor.Tensor {
	if x.Rank() != 4 || len(maps) != 1 && len(maps) != x.Dim(0) {
		panic(fmt.Sprintf("transform: Warp: %d maps for images %v, want 1 or one for each of [N, H, W, C]", len(maps), x.Shape()))
	}
	if in > Bilinear {
		panic(fmt.Sprintf("transform: Warp: unknown interpolation %d", in))
	}
	s := &sampling{h: x.Dim(1), w: x.Dim(2), taps: 1}
	if in == Bilinear {
		s.taps = 4
	}
	each := s.h * s.w * s.taps
	s.source, s.weight = make([]int32, len(maps)*each), make([]float64, len(maps)*each)
	par.For(len(maps), 1, func(lo, hi int) {
		for m := lo; m < hi; m++ {
			s.fill(maps[m], s.source[m*each:(m+1)*each], s.weight[m*each:(m+1)*each])
		}
	})
	return s.gather(x)
}

// sampling is a linear map of images of one size: each pixel of the result is a
// weighted sum of taps pixels of the original. It holds one table, or one for each
// image.
type sampling struct {
	h, w, taps int
	source     []int32 // position of each tap's pixel in the original
	weight     []float64
}

// fill writes the table of one map.
func (s *sampling) fill(m Affine, source []int32, weight []float64) {
	at := 0
	tap := func(r, c, v float64) {
		if r >= 0 && r < float64(s.h) && c >= 0 && c < float64(s.w) {
			source[at], weight[at] = int32(int(r)*s.w+int(c)), v
		}
		at++
	}
	for i := range s.h {
		for j := range s.w {
			r, c := float64(i), float64(j)
			y := m.Y[0] + m.Y[1]*r + m.Y[2]*c
			x := m.X[0] + m.X[1]*r + m.X[2]*c
			if s.taps == 1 {
				tap(math.Round(y), math.Round(x), 1)
				continue
			}
			top, left := math.Floor(y), math.Floor(x)
			dy, dx := y-top, x-left
			tap(top, left, (1-dy)*(1-dx))
			tap(top, left+1, (1-dy)*dx)
			tap(top+1, left, dy*(1-dx))
			tap(top+1, left+1, dy*dx)
		}
	}
}

// table returns the part of the tables that belongs to image n.
func (s *sampling) table(n int) (source []int32, weight []float64) {
	each := s.h * s.w * s.taps
	if len(s.source) == each {
		return s.source, s.weight
	}
	return s.source[n*each : (n+1)*each], s.weight[n*each : (n+1)*each]
}

// gather maps images; spread is its adjoint, and each other's derivative.
func (s *sampling) gather(x *tensor.Tensor) *tensor.Tensor {
	return s.record("Warp", x, s.spread, func(n, c int, y, x []float32) { gather(s, n, c, y, x) },
		func(n, c int, y, x []float64) { gather(s, n, c, y, x) })
}

func (s *sampling) spread(g *tensor.Tensor) *tensor.Tensor {
	return s.record("adjoint of Warp", g, s.gather, func(n, c int, y, x []float32) { spread(s, n, c, y, x) },
		func(n, c int, y, x []float64) { spread(s, n, c, y, x) })
}

// record computes a linear map image by image and records it with its adjoint.
func (s *sampling) record(name string, x *tensor.Tensor, adjoint func(*tensor.Tensor) *tensor.Tensor,
	f32 func(n, c int, y, x []float32), f64 func(n, c int, y, x []float64)) *tensor.Tensor {
	y := tensor.Zeros(x.DType(), x.Shape()...)
	channels := x.Dim(3)
	d := s.h * s.w * channels
	par.For(x.Dim(0), max(1, grain/max(1, d*s.taps)), func(lo, hi int) {
		for n := lo; n < hi; n++ {
			if x.DType() == tensor.Float32 {
				f32(n, channels, y.Float32s()[n*d:(n+1)*d], x.Float32s()[n*d:(n+1)*d])
			} else {
				f64(n, channels, y.Float64s()[n*d:(n+1)*d], x.Float64s()[n*d:(n+1)*d])
			}
		}
	})
	return tensor.Custom(tensor.Rule{Name: name, Backward: func(g *tensor.Tensor, _ []bool) []*tensor.Tensor {
		return []*tensor.Tensor{adjoint(g)}
	}}, y, x)
}

// grain is the number of products that are worth a thread.
const grain = 1 << 14

func gather[T float32 | float64](s *sampling, n, channels int, y, x []T) {
	source, weight := s.table(n)
	for p := range s.h * s.w {
		out := y[p*channels : (p+1)*channels]
		for k := p * s.taps; k < (p+1)*s.taps; k++ {
			w := T(weight[k])
			if w == 0 {
				continue
			}
			from := x[int(source[k])*channels:][:channels]
			for c, v := range from {
				out[c] += w * v
			}
		}
	}
}

func spread[T float32 | float64](s *sampling, n, channels int, y, g []T) {
	source, weight := s.table(n)
	for p := range s.h * s.w {
		from := g[p*channels : (p+1)*channels]
		for k := p * s.taps; k < (p+1)*s.taps; k++ {
			w := T(weight[k])
			if w == 0 {
				continue
			}
			out := y[int(source[k])*channels:][:channels]
			for c, v := range from {
				out[c] += w * v
			}
		}
	}
}

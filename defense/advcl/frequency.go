package advcl

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/dsp/fourier"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Radial splits square images of one size by frequency: the disc of frequencies (u, v)
// with u²+v² < Radius², in bins of the discrete Fourier transform, and the rest. Bins
// on the circle belong to the rest. The two parts sum to the image and are orthogonal;
// neither is clamped, so the high part, whose channels have a mean of 0, has negative
// values.
//
// Eq. (8) of Fan et al., NeurIPS 2021.
type Radial struct {
	size    int
	radius  float64
	inside  []bool         // of the disc, in the order of the transform [N, N]
	basis   *tensor.Tensor // [N N, rank], orthonormal: the waves of the smaller part
	low     bool           // the basis spans the disc
	removed int
}

// NewRadial returns the split of size by size images at the given radius. A radius of 0
// puts every frequency into the high part. Errors: a size below 2, a radius that is
// negative, not finite or so large (above sqrt 2 times half the size, rounded down) that
// no frequency is left.
func NewRadial(size int, radius float64) (*Radial, error) {
	switch {
	case size < 2:
		return nil, fmt.Errorf("advcl: radial filter: images of %d pixels a side, want at least 2", size)
	case !(radius >= 0) || math.IsInf(radius, 0):
		return nil, fmt.Errorf("advcl: radial filter: radius is %v, want a finite number of 0 or more", radius)
	}
	f := &Radial{size: size, radius: radius, inside: make([]bool, size*size)}
	for i := range size {
		for j := range size {
			u, v := signed(i, size), signed(j, size)
			if float64(u*u+v*v) < radius*radius {
				f.inside[i*size+j] = true
				f.removed++
			}
		}
	}
	if f.removed == size*size {
		return nil, fmt.Errorf("advcl: radial filter: radius %v removes every frequency of images of %d pixels a side, want at most %.4g", radius, size, math.Sqrt2*float64(size/2))
	}
	f.low = 2*f.removed <= size*size
	f.basis = f.waves(f.low)
	return f, nil
}

// signed is the frequency of bin i of n, from -n/2 to n/2.
func signed(i, n int) int {
	if 2*i >= n {
		return i - n
	}
	return i
}

// Removed returns the number of frequencies in the disc, those that High removes.
func (f *Radial) Removed() int { return f.removed }

// waves returns an orthonormal basis of the real images whose frequencies are inside
// the disc (or outside): a cosine for each frequency that is its own negative, a cosine
// and a sine for each pair of others.
func (f *Radial) waves(inside bool) *tensor.Tensor {
	n := f.size
	type wave struct {
		u, v int
		sine bool
	}
	var all []wave
	for u := range n {
		for v := range n {
			if f.inside[u*n+v] != inside {
				continue
			}
			mu, mv := (n-u)%n, (n-v)%n
			switch {
			case mu == u && mv == v:
				all = append(all, wave{u, v, false})
			case u*n+v < mu*n+mv:
				all = append(all, wave{u, v, false}, wave{u, v, true})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	cos, sin := make([]float64, n), make([]float64, n)
	for i := range n {
		sin[i], cos[i] = math.Sincos(2 * math.Pi * float64(i) / float64(n))
	}
	b := make([]float32, n*n*len(all))
	for k, w := range all {
		scale := math.Sqrt2 / float64(n)
		if (n-w.u)%n == w.u && (n-w.v)%n == w.v {
			scale = 1 / float64(n)
		}
		for i := range n {
			for j := range n {
				phase := (w.u*i + w.v*j) % n
				value := cos[phase]
				if w.sine {
					value = sin[phase]
				}
				b[(i*n+j)*len(all)+k] = float32(scale * value)
			}
		}
	}
	return tensor.FromFloat32(b, n*n, len(all))
}

// High returns the part of images x [N, H, W, C] outside of the disc, of x's shape and
// type. float64 images go through the Fourier transform, float32 images through a
// product with the waves of the smaller part. It can be differentiated for float32
// only. Errors: other images than those of NewRadial.
func (f *Radial) High(x *tensor.Tensor) (*tensor.Tensor, error) { return f.part(x, false) }

// Low returns the part of images x [N, H, W, C] inside the disc, as High does.
func (f *Radial) Low(x *tensor.Tensor) (*tensor.Tensor, error) { return f.part(x, true) }

func (f *Radial) part(x *tensor.Tensor, low bool) (*tensor.Tensor, error) {
	if x.Rank() != 4 || x.Dim(1) != f.size || x.Dim(2) != f.size {
		return nil, fmt.Errorf("advcl: radial filter: images %v, want [N %d %d C]", x.Shape(), f.size, f.size)
	}
	if x.DType() == tensor.Float64 {
		return f.transform(x, low), nil
	}
	part := f.project(x)
	if f.low == low {
		return part, nil
	}
	return tensor.Sub(x, part), nil
}

// project returns the part of float32 images that the basis spans.
func (f *Radial) project(x *tensor.Tensor) *tensor.Tensor {
	if f.basis == nil {
		return tensor.MulScalar(x, 0)
	}
	n, c := x.Dim(0), x.Dim(3)
	planes := tensor.Reshape(tensor.Transpose(x, 0, 3, 1, 2), n*c, f.size*f.size)
	part := tensor.MatMulT(tensor.MatMul(planes, f.basis), f.basis, false, true)
	return tensor.Transpose(tensor.Reshape(part, n, c, f.size, f.size), 0, 2, 3, 1)
}

// transform filters float64 images in the frequency domain.
func (f *Radial) transform(x *tensor.Tensor, low bool) *tensor.Tensor {
	n, c, size := x.Dim(0), x.Dim(3), f.size
	fft := fourier.NewCmplxFFT(size)
	out := tensor.Zeros(tensor.Float64, x.Shape()...)
	src, dst := x.Float64s(), out.Float64s()
	plane := make([]complex128, size*size)
	for i := range n * c {
		at := func(p int) int { return (i/c*size*size+p)*c + i%c }
		for p := range plane {
			plane[p] = complex(src[at(p)], 0)
		}
		both(plane, size, fft.Coefficients)
		for p, in := range f.inside {
			if in != low {
				plane[p] = 0
			}
		}
		both(plane, size, fft.Sequence)
		for p, v := range plane {
			dst[at(p)] = real(v) / float64(size*size)
		}
	}
	return out
}

// both transforms the rows and then the columns of a square matrix, in place.
func both(plane []complex128, size int, run func(dst, seq []complex128) []complex128) {
	line := make([]complex128, size)
	for i := range size {
		row := plane[i*size : (i+1)*size]
		copy(line, row)
		run(row, line)
	}
	column := make([]complex128, size)
	for j := range size {
		for i := range size {
			line[i] = plane[i*size+j]
		}
		run(column, line)
		for i := range size {
			plane[i*size+j] = column[i]
		}
	}
}

package dataset

import (
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Set is a set of images of one size with their labels.
//
// The pixels of all images lie one after the other in the order [N, H, W, C],
// in exactly one of Bytes and Floats. The methods that cut a Set (Slice, Take,
// Split) share its memory; Subset and Concat copy. Resize, Gray and RGB change the
// form of the images, so that sets of different forms can go together.
type Set struct {
	// Name says what the images are, for messages and tables.
	Name string
	// H, W and C are the height, width and number of channels of an image.
	H, W, C int
	// Classes is the number of classes; 0 means that the set has no labels.
	Classes int
	// ClassNames holds the name of each class; it may be nil.
	ClassNames []string
	// Labels holds one class in [0, Classes) for each image; nil when
	// Classes is 0.
	Labels []int
	// Bytes holds the pixels of a set whose source is bytes: a byte b is the
	// value b/255. It is nil when Floats is not.
	Bytes []byte
	// Floats holds the pixels, in [0, 1], of a set whose source is finer
	// than bytes. It is nil when Bytes is not.
	Floats []float32
}

// byteValue holds b/255 for every byte b, rounded once.
var byteValue = func() (v [256]float32) {
	for i := range v {
		v[i] = float32(i) / 255
	}
	return v
}()

func (s *Set) imageSize() int { return s.H * s.W * s.C }

// Len returns the number of images.
func (s *Set) Len() int {
	size := s.imageSize()
	if size == 0 {
		return 0
	}
	if s.Floats != nil {
		return len(s.Floats) / size
	}
	return len(s.Bytes) / size
}

// Check reports the first thing that keeps s from being a set that can be
// trained on: a size below 1, pixels that are no whole number of images, a
// count of labels that differs from the count of images, a label outside
// [0, Classes), a pixel that is NaN or outside [0, 1].
func (s *Set) Check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("dataset: %s: %s", s.Name, fmt.Sprintf(format, args...))
	}
	if s.H < 1 || s.W < 1 || s.C < 1 {
		return fail("image size is %dx%dx%d, want at least 1x1x1", s.H, s.W, s.C)
	}
	if s.Bytes != nil && s.Floats != nil {
		return fail("pixels are in both Bytes (%d) and Floats (%d), want one of them", len(s.Bytes), len(s.Floats))
	}
	if pixels := len(s.Bytes) + len(s.Floats); pixels%s.imageSize() != 0 {
		return fail("%d pixels, want a multiple of %dx%dx%d = %d", pixels, s.H, s.W, s.C, s.imageSize())
	}
	if s.Classes < 0 {
		return fail("%d classes, want 0 (no labels) or more", s.Classes)
	}
	if s.Classes == 0 && s.Labels != nil {
		return fail("%d labels with Classes 0, want none", len(s.Labels))
	}
	if s.Classes > 0 && len(s.Labels) != s.Len() {
		return fail("%d labels for %d images, want as many", len(s.Labels), s.Len())
	}
	if s.ClassNames != nil && len(s.ClassNames) != s.Classes {
		return fail("%d class names for %d classes, want as many", len(s.ClassNames), s.Classes)
	}
	for i, y := range s.Labels {
		if y < 0 || y >= s.Classes {
			return fail("label of image %d is %d, want 0 to %d", i, y, s.Classes-1)
		}
	}
	for i, v := range s.Floats {
		if !(v >= 0 && v <= 1) {
			at := i % s.imageSize()
			return fail("pixel (%d, %d), channel %d of image %d is %v, want 0 to 1",
				at/(s.W*s.C), at/s.C%s.W, at%s.C, i/s.imageSize(), v)
		}
	}
	return nil
}

// Slice returns images [from, to) as a set that shares s's memory. It panics
// if the range is not inside [0, s.Len()].
func (s *Set) Slice(from, to int) *Set {
	if from < 0 || to < from || to > s.Len() {
		panic(fmt.Sprintf("dataset: Slice: range [%d, %d), want inside [0, %d]", from, to, s.Len()))
	}
	out, size := *s, s.imageSize()
	if s.Bytes != nil {
		out.Bytes = s.Bytes[from*size : to*size : to*size]
	}
	if s.Floats != nil {
		out.Floats = s.Floats[from*size : to*size : to*size]
	}
	if s.Labels != nil {
		out.Labels = s.Labels[from:to:to]
	}
	return &out
}

// Take returns the first n images, or all of them if there are fewer, as a set
// that shares s's memory. It panics if n is negative.
func (s *Set) Take(n int) *Set { return s.Slice(0, min(n, s.Len())) }

// Split returns the first n images and the rest as two sets that share s's
// memory. It panics if n is not in [0, s.Len()].
func (s *Set) Split(n int) (first, rest *Set) {
	if n < 0 || n > s.Len() {
		panic(fmt.Sprintf("dataset: Split: at %d, want 0 to %d", n, s.Len()))
	}
	return s.Slice(0, n), s.Slice(n, s.Len())
}

// Subset returns a copy of the images at the given indices, in their order; an
// index may occur more than once. It panics on an index outside [0, s.Len()).
func (s *Set) Subset(idx []int) *Set {
	s.checkIndices("Subset", idx)
	out, size := *s, s.imageSize()
	if s.Bytes != nil {
		out.Bytes = make([]byte, 0, len(idx)*size)
		for _, i := range idx {
			out.Bytes = append(out.Bytes, s.Bytes[i*size:(i+1)*size]...)
		}
	}
	if s.Floats != nil {
		out.Floats = make([]float32, 0, len(idx)*size)
		for _, i := range idx {
			out.Floats = append(out.Floats, s.Floats[i*size:(i+1)*size]...)
		}
	}
	if s.Labels != nil {
		out.Labels = make([]int, len(idx))
		for k, i := range idx {
			out.Labels[k] = s.Labels[i]
		}
	}
	return &out
}

// Concat returns a copy of the images of s followed by those of others. The
// result holds floats if any of the sets does. It panics if image sizes or
// class counts differ; see Compatible.
func (s *Set) Concat(others ...*Set) *Set {
	all := append([]*Set{s}, others...)
	total, floats := 0, false
	for _, o := range all {
		if err := s.Compatible(o); err != nil {
			panic("dataset: Concat: " + err.Error())
		}
		total += o.Len()
		floats = floats || o.Floats != nil
	}
	out, size := *s, s.imageSize()
	out.Bytes, out.Floats, out.Labels = nil, nil, nil
	if s.Classes > 0 {
		out.Labels = make([]int, 0, total)
	}
	if floats {
		out.Floats = make([]float32, total*size)
	} else {
		out.Bytes = make([]byte, 0, total*size)
	}
	at := 0
	for _, o := range all {
		out.Labels = append(out.Labels, o.Labels...)
		if !floats {
			out.Bytes = append(out.Bytes, o.Bytes...)
			continue
		}
		for i := range o.Len() {
			o.copyImage(out.Floats[at:at+size], i)
			at += size
		}
	}
	return &out
}

// Compatible reports how the images or classes of o differ from those of s:
// nil means that one model can take both.
func (s *Set) Compatible(o *Set) error {
	if s.H != o.H || s.W != o.W || s.C != o.C {
		return fmt.Errorf("images of %s are %dx%dx%d, want %dx%dx%d as in %s", o.Name, o.H, o.W, o.C, s.H, s.W, s.C, s.Name)
	}
	if s.Classes != o.Classes {
		return fmt.Errorf("%s has %d classes, want %d as %s", o.Name, o.Classes, s.Classes, s.Name)
	}
	return nil
}

// ClassCounts returns the number of images of each class.
func (s *Set) ClassCounts() []int {
	counts := make([]int, s.Classes)
	for _, y := range s.Labels {
		counts[y]++
	}
	return counts
}

// Moments returns the mean and the standard deviation (over all pixels of all
// images, divided by their number) of each channel; NaN for an empty set.
func (s *Set) Moments() (mean, std []float64) {
	mean, std = make([]float64, s.C), make([]float64, s.C)
	if s.Bytes != nil {
		// A histogram makes the sums exact and independent of their order.
		hist := make([][256]int64, s.C)
		for i := 0; i+s.C <= len(s.Bytes); i += s.C {
			for c := range s.C {
				hist[c][s.Bytes[i+c]]++
			}
		}
		for c := range hist {
			var n, sum, squares int64
			for b, k := range hist[c] {
				n += k
				sum += k * int64(b)
				squares += k * int64(b*b)
			}
			m := float64(sum) / float64(n)
			mean[c] = m / 255
			std[c] = math.Sqrt(max(0, float64(squares)/float64(n)-m*m)) / 255
		}
		return mean, std
	}
	n := float64(len(s.Floats) / max(1, s.C))
	for i, v := range s.Floats {
		mean[i%s.C] += float64(v)
	}
	for c := range mean {
		mean[c] /= n
	}
	for i, v := range s.Floats {
		d := float64(v) - mean[i%s.C]
		std[i%s.C] += d * d
	}
	for c := range std {
		std[c] = math.Sqrt(std[c] / n)
	}
	return mean, std
}

// Batch returns the images at the given indices as a new float32 tensor
// [len(idx), H, W, C] with values in [0, 1], and their labels (nil for a set
// without labels). It panics on an index outside [0, s.Len()).
func (s *Set) Batch(idx []int) (x *tensor.Tensor, y []int) {
	x = tensor.Zeros(tensor.Float32, len(idx), s.H, s.W, s.C)
	if s.Labels != nil {
		y = make([]int, len(idx))
	}
	s.BatchInto(x, y, idx)
	return x, y
}

// All returns the whole set as Batch does, in its own order.
func (s *Set) All() (x *tensor.Tensor, y []int) {
	x = tensor.Zeros(tensor.Float32, s.Len(), s.H, s.W, s.C)
	pixels, size := x.Float32s(), s.imageSize()
	for i := range s.Len() {
		s.copyImage(pixels[i*size:(i+1)*size], i)
	}
	return x, slices.Clone(s.Labels)
}

// BatchInto writes what Batch returns into x, a float32 tensor of shape
// [len(idx), H, W, C], and y, of length len(idx), without allocating. A nil y
// asks for no labels. It panics if x or y has another shape.
func (s *Set) BatchInto(x *tensor.Tensor, y []int, idx []int) {
	if x.DType() != tensor.Float32 || x.Rank() != 4 || x.Dim(0) != len(idx) || x.Dim(1) != s.H || x.Dim(2) != s.W || x.Dim(3) != s.C {
		panic(fmt.Sprintf("dataset: BatchInto: x is %v%v, want float32[%d %d %d %d]", x.DType(), x.Shape(), len(idx), s.H, s.W, s.C))
	}
	if y != nil && len(y) != len(idx) {
		panic(fmt.Sprintf("dataset: BatchInto: y has length %d, want %d", len(y), len(idx)))
	}
	if y != nil && s.Labels == nil {
		panic(fmt.Sprintf("dataset: BatchInto: labels asked of %s, which has none", s.Name))
	}
	s.checkIndices("BatchInto", idx)
	pixels, size := x.Float32s(), s.imageSize()
	for k, i := range idx {
		s.copyImage(pixels[k*size:(k+1)*size], i)
	}
	x.Touch()
	if y != nil {
		for k, i := range idx {
			y[k] = s.Labels[i]
		}
	}
}

func (s *Set) checkIndices(op string, idx []int) {
	n := s.Len()
	for k, i := range idx {
		if i < 0 || i >= n {
			panic(fmt.Sprintf("dataset: %s: index %d at position %d, want 0 to %d", op, i, k, n-1))
		}
	}
}

// copyImage writes the pixels of image i to dst, which has the image's size.
func (s *Set) copyImage(dst []float32, i int) {
	if s.Floats != nil {
		copy(dst, s.Floats[i*len(dst):])
		return
	}
	src := s.Bytes[i*len(dst) : (i+1)*len(dst)]
	for k, b := range src {
		dst[k] = byteValue[b]
	}
}

package uda

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Pretext is a task without labels: each image is changed in one of a few ways, and
// a head has to say in which.
type Pretext int

const (
	// Rotation turns square images by 0, 90, 180 or 270 degrees against the clock.
	Rotation Pretext = iota
	// DigitRotation is for digits, where turns by 180 degrees confuse 6 and 9: the
	// image as it is, transposed, mirrored left to right, turned by 270 degrees.
	DigitRotation
	// Flip is the image as it is or upside down.
	Flip
	// DigitFlip is the image as it is, upside down, or mirrored left to right.
	DigitFlip
	// Quadrant is one quarter of the image, class 2·(lower) + (right), with each
	// pixel doubled in both directions so that it has the size of the image, whose
	// extents must be even.
	Quadrant
)

// String returns the name of the task.
func (t Pretext) String() string {
	switch t {
	case Rotation:
		return "rotation"
	case DigitRotation:
		return "digit rotation"
	case Flip:
		return "flip"
	case DigitFlip:
		return "digit flip"
	case Quadrant:
		return "quadrant"
	}
	return fmt.Sprintf("Pretext(%d)", int(t))
}

// Classes is the number of ways.
func (t Pretext) Classes() int {
	switch t {
	case Flip:
		return 2
	case DigitFlip:
		return 3
	}
	return 4
}

// Check says whether the task can be set on images of h by w pixels.
func (t Pretext) Check(h, w int) error {
	switch {
	case t < Rotation || t > Quadrant:
		return fmt.Errorf("uda: no pretext task %v", t)
	case (t == Rotation || t == DigitRotation) && h != w:
		return fmt.Errorf("uda: %v of %dx%d images, want square ones", t, h, w)
	case t == Quadrant && (h%2 != 0 || w%2 != 0):
		return fmt.Errorf("uda: quadrants of %dx%d images, want even extents", h, w)
	}
	return nil
}

// Apply returns images x [N, H, W, C] in float32, image i changed in way
// classes[i]. Pixels move; none is interpolated.
func (t Pretext) Apply(x *tensor.Tensor, classes []int) *tensor.Tensor {
	n, h, w, c := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	out := make([]float32, x.Len())
	in := x.Float32s()
	for k := range n {
		from := t.from(classes[k], h, w)
		src, dst := in[k*h*w*c:(k+1)*h*w*c], out[k*h*w*c:(k+1)*h*w*c]
		for i := range h {
			for j := range w {
				a, b := from(i, j)
				copy(dst[(i*w+j)*c:(i*w+j+1)*c], src[(a*w+b)*c:])
			}
		}
	}
	return tensor.FromFloat32(out, n, h, w, c)
}

// from returns where the pixel at row i, column j of the result comes from.
func (t Pretext) from(class, h, w int) func(i, j int) (int, int) {
	same := func(i, j int) (int, int) { return i, j }
	upsideDown := func(i, j int) (int, int) { return h - 1 - i, j }
	mirrored := func(i, j int) (int, int) { return i, w - 1 - j }
	quarter := func(i, j int) (int, int) { return j, w - 1 - i }
	threeQuarters := func(i, j int) (int, int) { return h - 1 - j, i }
	switch t {
	case Rotation:
		return [4]func(i, j int) (int, int){same, quarter, func(i, j int) (int, int) { return h - 1 - i, w - 1 - j }, threeQuarters}[class]
	case DigitRotation:
		return [4]func(i, j int) (int, int){same, func(i, j int) (int, int) { return j, i }, mirrored, threeQuarters}[class]
	case Flip, DigitFlip:
		return [3]func(i, j int) (int, int){same, upsideDown, mirrored}[class]
	case Quadrant:
		return func(i, j int) (int, int) { return class/2*(h/2) + i/2, class%2*(w/2) + j/2 }
	}
	panic("uda: no pretext task " + t.String())
}

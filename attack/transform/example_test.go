package transform_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

// picture is the image
//
//	1 2 3
//	4 5 6
//	7 8 9
//
// in ninths.
func picture() *tensor.Tensor {
	x := tensor.Zeros(tensor.Float64, 1, 3, 3, 1)
	for i := range x.Float64s() {
		x.Float64s()[i] = float64(i + 1)
	}
	return tensor.MulScalar(x, 1./9)
}

// show prints an image in ninths.
func show(x *tensor.Tensor) {
	for r := range x.Dim(1) {
		fmt.Printf("%.1f\n", tensor.MulScalar(tensor.Slice(x, 1, r, r+1), 9).Values())
	}
}

func ExampleRotation() {
	show(transform.Rotation{Degrees: transform.Fixed(90)}.Apply(nil, picture()))
	// Output:
	// [3.0 6.0 9.0]
	// [2.0 5.0 8.0]
	// [1.0 4.0 7.0]
}

func ExampleTranslation() {
	show(transform.Translation{Down: transform.Fixed(1), Right: transform.Fixed(1)}.Apply(nil, picture()))
	// Output:
	// [0.0 0.0 0.0]
	// [0.0 1.0 2.0]
	// [0.0 4.0 5.0]
}

func ExampleFlipLR() {
	show(transform.FlipLR{}.Apply(nil, picture()))
	// Output:
	// [3.0 2.0 1.0]
	// [6.0 5.0 4.0]
	// [9.0 8.0 7.0]
}

// A turn and a shift with one interpolation for both.
func ExamplePose() {
	p := transform.Pose{Degrees: transform.Fixed(180), Down: transform.Fixed(1)}
	show(p.Apply(nil, picture()))
	// Output:
	// [0.0 0.0 0.0]
	// [9.0 8.0 7.0]
	// [6.0 5.0 4.0]
}

// The middle half of an image, stretched to full size.
func ExampleCrop() {
	show(transform.Crop{Side: transform.Fixed(0.5)}.Apply(nil, picture()))
	// Output:
	// [3.0 3.5 4.0]
	// [4.5 5.0 5.5]
	// [6.0 6.5 7.0]
}

// Each image draws a value of its own, the same one whatever batch it is in.
func ExampleBrightness() {
	t := transform.Brightness{Add: transform.Range{Lo: -0.1, Hi: 0.1}}
	x := tensor.Full(tensor.Float64, 0.5, 2, 1, 1, 1)
	both := t.Apply(transform.Seeded(7), x)
	alone := t.Apply(transform.Seeded(7), tensor.Slice(x, 0, 0, 1))
	fmt.Println(t, both.At(0, 0, 0, 0) != both.At(1, 0, 0, 0), both.At(0, 0, 0, 0) == alone.At(0, 0, 0, 0))
	// Output: brightness -0.1 to 0.1 true true
}

func ExampleGamma() {
	x := tensor.Full(tensor.Float64, 0.5, 1, 1, 1, 1)
	fmt.Printf("%.2f\n", transform.Gamma{Exponent: transform.Fixed(2)}.Apply(nil, x).At(0, 0, 0, 0))
	// Output: 0.25
}

// Transforms follow one another, some of them now and then.
func ExampleChain() {
	c := transform.Chain{
		transform.Sometimes{Transform: transform.FlipLR{}, P: 0.5},
		transform.Rotation{Degrees: transform.Range{Lo: -10, Hi: 10}, Interpolation: transform.Bilinear},
	}
	x := tensor.Full(tensor.Float64, 0.5, 4, 5, 5, 1)
	fmt.Println(c.Random(), c.Check(), c.Apply(transform.Seeded(1), x).Shape())
	// Output: true <nil> [4 5 5 1]
}

// The gradient of a view flows back to the image.
func ExampleWarp() {
	x := tensor.NewTape().Watch(picture())
	y := transform.Warp(x, []transform.Affine{transform.Posed(3, 3, 0, 0, 1)}, transform.Nearest)
	show(y)
	show(tensor.Grad(tensor.MulScalar(tensor.Sum(y), 1./9), x)[0])
	// Output:
	// [0.0 1.0 2.0]
	// [0.0 4.0 5.0]
	// [0.0 7.0 8.0]
	// [1.0 1.0 0.0]
	// [1.0 1.0 0.0]
	// [1.0 1.0 0.0]
}

// The set that an image's adversary is to survive in the paper on min-max attacks.
func ExamplePhotometric() {
	for _, t := range transform.Photometric() {
		fmt.Println(t)
	}
	// Output:
	// identity
	// flip left-right
	// flip up-down
	// brightness +0.1
	// gamma 1.3
	// crop 0.8
}

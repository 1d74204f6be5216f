package transform_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

func ExampleFlipUD() {
	show(transform.FlipUD{}.Apply(nil, picture()))
	// Output:
	// [7.0 8.0 9.0]
	// [4.0 5.0 6.0]
	// [1.0 2.0 3.0]
}

// The image itself belongs into a set of views.
func ExampleIdentity() {
	x := picture()
	fmt.Println(transform.Identity{}.Apply(nil, x) == x)
	// Output: true
}

// A map of the image plane that no transform makes: half as wide, at the left.
func ExampleAffine() {
	half := transform.Affine{Y: [3]float64{0, 1, 0}, X: [3]float64{0, 0, 2}}
	show(transform.Warp(picture(), []transform.Affine{half}, transform.Nearest))
	// Output:
	// [1.0 3.0 0.0]
	// [4.0 6.0 0.0]
	// [7.0 9.0 0.0]
}

// Half a pixel down: between two pixels there is the nearest one, or their mean.
func ExampleInterpolation() {
	for _, in := range []transform.Interpolation{transform.Nearest, transform.Bilinear} {
		fmt.Println(in)
		show(transform.Translation{Down: transform.Fixed(0.5), Interpolation: in}.Apply(nil, picture()))
	}
	// Output:
	// nearest
	// [0.0 0.0 0.0]
	// [4.0 5.0 6.0]
	// [7.0 8.0 9.0]
	// bilinear
	// [0.5 1.0 1.5]
	// [2.5 3.5 4.5]
	// [5.5 6.5 7.5]
}

// Each image is mirrored with probability 1/2, whatever the batch that it is in.
func ExampleSometimes() {
	t := transform.Sometimes{Transform: transform.FlipLR{}, P: 0.5}
	x := tensor.Concat(0, picture(), picture(), picture(), picture())
	y := t.Apply(transform.Seeded(1), x)
	first := t.Apply(transform.Seeded(1), picture())
	fmt.Println(t, t.Random(), y.At(0, 0, 0, 0) == first.At(0, 0, 0, 0))
	// Output: flip left-right with probability 0.5 true true
}

// A range of one value draws nothing.
func ExampleRange() {
	fmt.Println(transform.Fixed(30), "and", transform.Range{Lo: -10, Hi: 10})
	fmt.Println(transform.Rotation{Degrees: transform.Fixed(30)}.Random(), transform.Rotation{Degrees: transform.Range{Lo: -10, Hi: 10}}.Random())
	// Output:
	// 30 and -10 to 10
	// false true
}

// The same seed and position give the same numbers.
func ExampleSeeded() {
	fmt.Println(transform.Seeded(7)(3).Uint64() == transform.Seeded(7)(3).Uint64(), transform.Seeded(7)(3).Uint64() == transform.Seeded(7)(4).Uint64())
	// Output: true false
}

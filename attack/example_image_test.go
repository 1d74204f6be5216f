package attack_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

// glow is a model of images with two classes, dark (0) and bright (1).
type glow struct{}

func (glow) Logits(x *tensor.Tensor) *tensor.Tensor {
	bright := tensor.AddScalar(tensor.Mean(tensor.Flatten(x), 1), -0.5)
	return tensor.MulScalar(tensor.Transpose(tensor.Reshape(tensor.Concat(0, tensor.Neg(bright), bright), 2, x.Dim(0))), 40)
}

// A shift by a pixel each way moves what is bright out of its quarter.
func ExampleSpatial() {
	x, y := pictures()
	a := &attack.Spatial{MaxDegrees: -1, MaxShift: 3, Shifts: 7}
	res, poses, err := a.Search(context.Background(), quarters{}, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, p := range poses {
		fmt.Println(res.Success[i], "down", p.Down, "right", p.Right)
	}
	// Output:
	// true down -1 right 1
	// true down -1 right -1
}

// One small picture, put anywhere on an image, makes it look dark.
func ExamplePatch() {
	ctx := context.Background()
	x := tensor.Full(tensor.Float32, 0.55, 8, 8, 8, 1) // eight bright images
	y := []int{1, 1, 1, 1, 1, 1, 1, 1}
	a := &attack.Patch{Side: 4, Seed: 1}
	patch, err := a.Fit(ctx, glow{}, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	fresh := tensor.Full(tensor.Float32, 0.6, 2, 8, 8, 1)
	answers, err := attack.Predict(ctx, glow{}, a.Apply(fresh, patch))
	fmt.Println(patch.Shape(), answers, err)
	// Output: [4 4 1] [0 0] <nil>
}

// One perturbation fools the model on most images, those it was not fitted to
// included.
func ExampleUniversal() {
	ctx := context.Background()
	x, y := pictures()
	u := &attack.Universal{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}}
	perturbation, err := u.Fit(ctx, quarters{}, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	answers, err := attack.Predict(ctx, quarters{}, u.Apply(x, perturbation))
	fmt.Println(answers[0] == y[0], answers[1] == y[1], err)
	// Output: false true <nil>
}

// An adversary made for a world in which every screen has a gamma of its own still
// works there.
func ExampleEOT() {
	ctx := context.Background()
	x, y := pictures()
	a := &attack.EOT{
		Threat:    attack.Threat{Norm: attack.Linf, Eps: 0.1},
		Transform: transform.Gamma{Exponent: transform.Range{Lo: 0.8, Hi: 1.25}},
		Steps:     20,
	}
	res, err := a.Run(ctx, quarters{}, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	survival, err := a.Survival(ctx, quarters{}, res.X, y, 50)
	fmt.Println(res.Success, survival[0] > 0.9, survival[1] < 0.1, err)
	// Output: [true false] true true <nil>
}

// Blurring alone does not move the brightest quarter.
func ExampleBlur() {
	x, y := pictures()
	a := &attack.Blur{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}}
	res, err := a.Run(context.Background(), answers{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [false false] <nil>
}

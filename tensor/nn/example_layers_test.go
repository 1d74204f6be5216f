package nn_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// A filter of nine ones with stride 2 and padding sums the neighbourhoods of four pixels.
func ExampleConv2D() {
	l := nn.NewConv2D(rand.New(rand.NewPCG(1, 0)), 1, 1, 3, tensor.Same(2, 1))
	l.Filter.Fill(1)
	l.Bias.Fill(0.5)
	y := l.Forward(&nn.Pass{}, tensor.Full(tensor.Float32, 1, 1, 4, 4, 1))
	fmt.Println(y.Shape(), y.Values())
	// Output: [1 2 2 1] [4.5 6.5 6.5 9.5]
}

func ExampleLinear() {
	l := nn.NewLinear(rand.New(rand.NewPCG(1, 0)), 2, 1)
	l.Weight.CopyFrom(tensor.FromFloat32([]float32{2, -1}, 2, 1))
	l.Bias.Fill(0.5)
	fmt.Println(l.Forward(&nn.Pass{}, tensor.FromFloat32([]float32{3, 4}, 1, 2)).Values())
	// Output: [2.5]
}

// A block that halves the image and widens it needs a projection in its shortcut.
func ExampleBasicBlock() {
	rng := rand.New(rand.NewPCG(1, 0))
	same, wider := nn.NewBasicBlock(rng, 4, 4, 1), nn.NewBasicBlock(rng, 4, 8, 2)
	x := tensor.Normal(rng, tensor.Float32, 0, 1, 2, 8, 8, 4)
	fmt.Println(same.Forward(&nn.Pass{}, x).Shape(), same.Shortcut == nil)
	fmt.Println(wider.Forward(&nn.Pass{}, x).Shape(), wider.Shortcut == nil)
	// Output:
	// [2 8 8 4] true
	// [2 4 4 8] false
}

// Any function of tensors is a layer: here one that looks at brightness only.
func ExampleFunction() {
	grey := nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return tensor.Mean(x, 3) })
	net := nn.NewSequential(grey, nn.Flatten)
	fmt.Println(net.Forward(&nn.Pass{}, tensor.Full(tensor.Float32, 0.25, 1, 2, 2, 3)).Values())
	// Output: [0.25 0.25 0.25 0.25]
}

// Normalisation inside the network keeps an attack's Eps in pixels.
func ExampleNormalize() {
	l := nn.NewNormalize([]float64{0.5}, []float64{0.25})
	fmt.Println(l.Forward(&nn.Pass{}, tensor.FromFloat32([]float32{0, 0.5, 1}, 1, 1, 3, 1)).Values())
	// Output: [-2 0 2]
}

func ExamplePool2D() {
	x := tensor.FromFloat32([]float32{1, 2, 3, 4}, 1, 2, 2, 1)
	for _, l := range []nn.Layer{nn.MaxPool2D(2, tensor.Same(2, 0)), nn.AvgPool2D(2, tensor.Same(2, 0)), nn.GlobalAvgPool} {
		fmt.Println(l, l.Forward(&nn.Pass{}, x).Values())
	}
	// Output:
	// MaxPool2D [4]
	// AvgPool2D [2.5]
	// GlobalAvgPool [2.5]
}

// A network as the target of an attack: evaluation mode, no randomness.
func ExampleClassifier() {
	rng := rand.New(rand.NewPCG(1, 0))
	c := nn.Classifier{Net: nn.NewSequential(nn.Flatten, nn.Dropout(0.5), nn.NewLinear(rng, 4, 3))}
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 2, 2, 2, 1)
	fmt.Println(c.Logits(x).Shape(), c.Logits(x).At(0, 0) == c.Logits(x).At(0, 0))
	// Output: [2 3] true
}

// A second network takes over the values of the first.
func ExampleCopy() {
	student, teacher := nn.NewLinear(rand.New(rand.NewPCG(1, 0)), 2, 2), nn.NewLinear(rand.New(rand.NewPCG(2, 0)), 2, 2)
	nn.Copy(student, teacher)
	fmt.Println(student.Weight.At(0, 0) == teacher.Weight.At(0, 0), len(nn.Params(student)), "tensors of", nn.CountParams(student), "values")
	// Output: true 2 tensors of 6 values
}

package tensor_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Padding and stride of a convolution or pooling.
func ExampleWindow() {
	x := tensor.Full(tensor.Float32, 1, 1, 5, 5, 1)
	filter := tensor.Full(tensor.Float32, 1, 3, 3, 1, 1)
	for _, w := range []tensor.Window{{}, tensor.Same(1, 1), tensor.Same(2, 1), {StrideW: 2, Bottom: 1}} {
		fmt.Println(tensor.Conv2D(x, filter, nil, w, tensor.Identity).Shape())
	}
	// Output:
	// [1 3 3 1]
	// [1 5 5 1]
	// [1 3 3 1]
	// [1 4 2 1]
}

// The answers of a classifier to two images.
func ExampleArgMax() {
	logits := tensor.FromFloat32([]float32{0.1, 2, -1, 3, 0, 3}, 2, 3)
	fmt.Println(tensor.ArgMax(logits), tensor.MaxAbs(logits), tensor.AllFinite(logits))
	// Output: [1 0] 3 true
}

// Results do not depend on the number of threads, to the last bit.
func ExampleSetThreads() {
	before := tensor.Threads()
	defer tensor.SetThreads(before)
	a := tensor.Full(tensor.Float32, 0.1, 200, 300)
	tensor.SetThreads(1)
	one := tensor.MatMulT(a, a, false, true)
	tensor.SetThreads(2)
	two := tensor.MatMulT(a, a, false, true)
	fmt.Println(tensor.MaxAbs(tensor.Sub(one, two)))
	// Output: 0
}

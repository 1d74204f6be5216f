package tensor_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

func ExampleGrad() {
	tape := tensor.NewTape()
	w := tape.Watch(tensor.FromFloat32([]float32{1, 2, 3}))
	loss := tensor.Sum(tensor.Square(w))
	fmt.Println(loss.Item(), tensor.Grad(loss, w)[0].Values())
	// Output: 14 [2 4 6]
}

// The third derivative of x⁴ is 24 x.
func ExampleGradients() {
	x := tensor.NewTape().Watch(tensor.Scalar(tensor.Float64, 2))
	y := tensor.PowScalar(x, 4)
	for range 3 {
		y = tensor.Gradients(y, tensor.GradOptions{CreateGraph: true}, x)[0]
	}
	fmt.Println(y.Item())
	// Output: 48
}

func ExampleHVP() {
	// The Hessian of x₀² x₁ at (1, 2) is [[4, 2], [2, 0]].
	x := tensor.NewTape().Watch(tensor.FromFloat64([]float64{1, 2}))
	y := tensor.Mul(tensor.Square(tensor.Slice(x, 0, 0, 1)), tensor.Slice(x, 0, 1, 2))
	h := tensor.HVP(y, []*tensor.Tensor{x}, []*tensor.Tensor{tensor.FromFloat64([]float64{1, 0})})
	fmt.Println(h[0].Values())
	// Output: [4 2]
}

package tensor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

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

// A tape's memory is used again after Reset; Clone takes a value out.
func ExampleTape() {
	var tape tensor.Tape
	x := tensor.FromFloat32([]float32{3, -4})
	for range 20 {
		w := tape.Watch(x)
		g := tensor.Grad(tensor.Sum(tensor.Square(w)), w)[0]
		next := tensor.Sub(x, tensor.MulScalar(g, 0.25)).Clone()
		tape.Reset()
		x = next
	}
	fmt.Printf("%.3f\n", tensor.MaxAbs(x))
	// Output: 0.000
}

func ExampleTensor() {
	x := tensor.FromFloat32([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	x.Set(60, 1, 2)
	fmt.Println(x.Shape(), x.Dim(-1), x.Len(), x.DType(), x.At(1, 2))
	fmt.Println(tensor.Sum(x, 0).Values(), tensor.Mean(x).Item())
	// Output:
	// [2 3] 3 6 float32 60
	// [5 7 63] 12.5
}

// Shapes are aligned at the last axis and extents of 1 repeat; the gradient of what
// was stretched is a sum.
func ExampleAdd() {
	row := tensor.NewTape().Watch(tensor.FromFloat64([]float64{10, 20}, 1, 2))
	y := tensor.Add(tensor.FromFloat64([]float64{1, 2, 3}, 3, 1), row)
	fmt.Println(y.Shape(), y.Values())
	fmt.Println(tensor.Grad(tensor.Sum(y), row)[0].Values())
	// Output:
	// [3 2] [11 21 12 22 13 23]
	// [3 3]
}

func ExampleMatMul() {
	a := tensor.FromFloat64([]float64{1, 2, 3, 4}, 2, 2)
	fmt.Println(tensor.MatMul(a, a).Values(), tensor.MatMulT(a, a, false, true).Values())
	// Output: [7 10 15 22] [5 11 11 25]
}

// An edge in a picture, found by a filter of one row.
func ExampleConv2D() {
	x := tensor.FromFloat32([]float32{0, 0, 1, 1, 0, 0, 1, 1}, 1, 2, 4, 1) // [N, H, W, C]
	filter := tensor.FromFloat32([]float32{-1, 1}, 1, 2, 1, 1)             // [R, S, C, K]
	y := tensor.Conv2D(x, filter, nil, tensor.Window{}, tensor.Rectify)
	fmt.Println(y.Shape(), y.Values())
	// Output: [1 2 3 1] [0 1 0 0 1 0]
}

func ExampleMaxPool() {
	x := tensor.FromFloat32([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 4, 1)
	fmt.Println(tensor.MaxPool(x, 2, 2, tensor.Same(2, 0)).Values())
	fmt.Println(tensor.AvgPool(x, 2, 2, tensor.Same(2, 0), false).Values())
	// Output:
	// [6 8]
	// [3.5 5.5]
}

func ExampleCrossEntropy() {
	logits := tensor.FromFloat64([]float64{0, 0, 3, 0}, 2, 2)
	fmt.Printf("%.3f\n", tensor.CrossEntropy(logits, []int{0, 0}).Values())
	fmt.Printf("%.3f\n", tensor.Softmax(logits).Values())
	// Output:
	// [0.693 0.049]
	// [0.500 0.500 0.953 0.047]
}

func ExampleBatchNorm() {
	x := tensor.FromFloat64([]float64{1, 3}, 2, 1)
	one, zero := tensor.Full(tensor.Float64, 1, 1), tensor.Zeros(tensor.Float64, 1)
	y, mean, variance := tensor.BatchNorm(x, one, zero, 0, tensor.Identity)
	fmt.Println(y.Values(), mean.Values(), variance.Values())
	// Output: [-1 1] [2] [1]
}

// Rows are picked by number; what comes back is added up where a row was picked twice.
func ExampleGather() {
	x := tensor.NewTape().Watch(tensor.FromFloat64([]float64{1, 2, 3}, 3, 1))
	y := tensor.Gather(x, []int{2, 0, 2})
	fmt.Println(y.Values(), tensor.Grad(tensor.Sum(y), x)[0].Values())
	// Output: [3 1 3] [1 0 2]
}

// An operation that is computed elsewhere, here the gradient reversal of domain
// adaptation: the identity, with a gradient of the opposite sign.
func ExampleCustom() {
	x := tensor.NewTape().Watch(tensor.FromFloat64([]float64{1, 2}))
	reversal := tensor.Rule{
		Name:     "reversal",
		Backward: func(g *tensor.Tensor, need []bool) []*tensor.Tensor { return []*tensor.Tensor{tensor.Neg(g)} },
	}
	y := tensor.Custom(reversal, x.Clone(), x)
	fmt.Println(y.Values(), tensor.Grad(tensor.Sum(y), x)[0].Values())
	// Output: [1 2] [-1 -1]
}

// The same seed gives the same numbers.
func ExampleUniform() {
	draw := func(seed uint64) []float64 {
		return tensor.Uniform(rand.New(rand.NewPCG(seed, 0)), tensor.Float32, -1, 1, 4).Values()
	}
	fmt.Println(slices.Equal(draw(1), draw(1)), slices.Equal(draw(1), draw(2)))
	// Output: true false
}

// A vector-Jacobian product: Seed stands for the gradient of what follows y.
func ExampleGradOptions() {
	x := tensor.NewTape().Watch(tensor.FromFloat64([]float64{1, 2, 3}))
	y := tensor.Square(x)
	g := tensor.Gradients(y, tensor.GradOptions{Seed: tensor.FromFloat64([]float64{1, 0, 10})}, x)
	fmt.Println(g[0].Values())
	// Output: [2 0 60]
}

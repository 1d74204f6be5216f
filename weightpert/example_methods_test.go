package weightpert_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// margin bounds the margin of the small network's label at changes of eps by a method.
func margin(m weightpert.Method, budget weightpert.Budget, eps float64) float64 {
	net := small()
	box, err := budget(net, eps)
	if err != nil {
		panic(err)
	}
	margins, err := weightpert.Margins(m, net, box, input, 0)
	if err != nil {
		panic(err)
	}
	return margins[1]
}

// deep is a network of five layers with random weights, and the label that it gives to
// an input.
func deep() (net *weightpert.Network, x []float64, y int) {
	mlp := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 1, 1, 6, 8, 8, 8, 8, 3)
	net, err := weightpert.FromNN(mlp, 1, 1, 6)
	if err != nil {
		panic(err)
	}
	x = []float64{.9, .1, .8, .2, .7, .3}
	for j, z := range net.Logits(x) {
		if z > net.Logits(x)[y] {
			y = j
		}
	}
	return net, x, y
}

// deepMargin bounds the smallest margin of the deep network at changes of eps.
func deepMargin(m weightpert.Method, eps float64) float64 {
	net, x, y := deep()
	box, err := weightpert.Absolute()(net, eps)
	if err != nil {
		panic(err)
	}
	c, err := weightpert.Certify(context.Background(), m, net, box, [][]float64{x}, []int{y})
	if err != nil {
		panic(err)
	}
	return c.Margin[0]
}

// Linear bounds backwards are tighter than intervals forwards, most where many layers
// move.
func ExampleCROWN() {
	for _, m := range []weightpert.Method{weightpert.CROWN{}, weightpert.CROWN{Intervals: true}, weightpert.IBP{}} {
		fmt.Printf("%s %.3f\n", m.Name(), deepMargin(m, 0.02))
	}
	// Output:
	// CROWN 0.278
	// CROWN-IBP 0.278
	// IBP 0.275
}

// Intervals are exact when only the last two layers move.
func ExampleIBP() {
	net := small()
	box, err := weightpert.Absolute()(net, 0.1)
	if err != nil {
		fmt.Println(err)
		return
	}
	worst, err := weightpert.LastTwo(net, box, input, 0, 1)
	fmt.Printf("%.3f, attained %.3f %v\n", margin(weightpert.IBP{}, weightpert.Absolute(), 0.1), worst.Margin, err)
	// Output: 0.750, attained 0.750 <nil>
}

// The two forms of the bound by norms; the zero Product takes the better one.
func ExampleProduct() {
	for _, f := range []weightpert.Form{weightpert.T1, weightpert.T2, weightpert.Smaller} {
		m := weightpert.Product{Form: f}
		fmt.Printf("%s %.3f\n", m.Name(), deepMargin(m, 0.02))
	}
	// Output:
	// T1 -0.246
	// T2 -0.567
	// product -0.246
}

// Path by path is tighter than layer by layer.
func ExamplePath() {
	fmt.Println(deepMargin(weightpert.Path{}, 0.02) > deepMargin(weightpert.Product{}, 0.02))
	// Output: true
}

// The same size in different units: of the weights, of each weight, of a layer's range.
func ExampleBudget() {
	for _, b := range []weightpert.Budget{weightpert.Absolute(), weightpert.AbsoluteWithBias(), weightpert.Relative(), weightpert.PerRange()} {
		fmt.Printf("%.3f ", margin(weightpert.CROWN{}, b, 0.1))
	}
	// Output: 0.750 0.750 0.725 -0.300
}

// A network by its matrices, and what can be asked of it.
func ExampleNetwork() {
	net, err := weightpert.NewNetwork(
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{1, -1}, []float64{.5, 1}), Act: weightpert.ReLU},
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{2, 1}, []float64{-1, 1}), Bias: []float64{0, .5}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(net.Depth(), "layers,", net.Inputs(), "inputs,", net.Classes(), "classes,", net.Weights(), "weights")
	fmt.Println(net.Logits([]float64{1, .5}), net.Layer(0).Act)
	// Output:
	// 2 layers, 2 inputs, 2 classes, 8 weights
	// [2 1] ReLU
}

// Four bits for each weight: how far rounding can move them, and whether the label stays.
func ExampleQuantizer() {
	q := weightpert.Quantizer{Bits: 4}
	net, x, y := classifier()
	rounded, err := q.Quantize(net)
	if err != nil {
		fmt.Println(err)
		return
	}
	certified, err := weightpert.FromNN(net, 1, 1, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	box, err := q.Rounding(certified)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rounded.Bits(), "bits in layers", box.Moving())
	m, err := weightpert.Margins(weightpert.CROWN{}, certified, box, weightpert.Examples(x)[0], y[0])
	fmt.Println("the label stays:", m[1] > 0, err)
	// Output:
	// 32 bits in layers [0 1]
	// the label stays: true <nil>
}

// The gradient (3, 4) is shortened to the length 1 before the step.
func ExampleClipGradient() {
	w := []*tensor.Tensor{tensor.Zeros(tensor.Float64, 2)}
	g := []*tensor.Tensor{tensor.FromFloat64([]float64{3, 4})}
	weightpert.ClipGradient{Optimizer: &optim.SGD{}, Max: 1}.Step(1, w, g)
	fmt.Printf("%.2f\n", w[0].Values())
	// Output: [-0.60 -0.80]
}

// The share of fresh examples that would be certified, at least, when 95 of 100 are.
func ExampleCertifiedShare() {
	share, err := weightpert.CertifiedShare(95, 100, 0.05)
	fmt.Printf("%.3f %v\n", share, err)
	// Output: 0.898 <nil>
}

// The loss that a margin costs.
func ExampleRamp() {
	for _, m := range []float64{-1, 0.25, 2} {
		fmt.Print(weightpert.Ramp(m, 1), " ")
	}
	// Output: 1 0.75 0
}

package weightpert_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/weightpert"
)

// A sparse matrix of two rows: 3 in the first column, 5 in the third.
func ExampleMatrix() {
	sparse := weightpert.Matrix{Rows: 2, Cols: 3, Val: []float64{3, 5}, Start: []int{0, 1, 2}, Col: []int32{0, 2}}
	net, err := weightpert.NewNetwork(weightpert.Layer{Weight: sparse})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(net.Logits([]float64{1, 10, 100}), net.Weights())
	// Output: [3 500] 2
}

// Outputs of activations below and above 0.
func ExampleActivation() {
	for _, a := range []weightpert.Activation{weightpert.ReLU, weightpert.Sigmoid, weightpert.LeakyReLU} {
		fmt.Printf("%v %.2f %.2f\n", a, a.Value(-1), a.Value(1))
	}
	// Output:
	// ReLU 0.00 1.00
	// Sigmoid 0.27 0.73
	// LeakyReLU -0.01 1.00
}

// A margin that no input of size |x| can lose more than.
func ExampleLinearDrop() {
	q, err := weightpert.LinearDrop(small(), 0.01)
	if err != nil {
		fmt.Println(err)
		return
	}
	drop := q[0]*input[0] + q[1]*input[1]
	fmt.Println(drop > 0, margin(weightpert.CROWN{}, weightpert.Absolute(), 0.01) > margin(weightpert.CROWN{}, weightpert.Absolute(), 0)-drop)
	// Output: true true
}

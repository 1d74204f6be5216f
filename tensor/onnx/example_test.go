package onnx_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/onnx"
)

// A file's model is attacked like one of redoubt's own.
func Example() {
	m, err := onnx.Open("testdata/tiny.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("images", m.InputShape(), "classes", m.OutputShape(), "parameters", nn.CountParams(m))

	model := nn.Classifier{Net: m}
	x := tensor.Full(tensor.Float32, 0.5, 1, 6, 6, 2)
	y := tensor.ArgMax(model.Logits(x))
	pgd := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.2}, Steps: 20}
	res, err := pgd.Run(context.Background(), model, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("broken", res.Success)
	// Output:
	// images [6 6 2] classes [5] parameters 605
	// broken [true]
}

// What a file leaves open is given with Options; what contradicts it is an error.
func ExampleOptions() {
	_, err := onnx.Options{Shape: []int{5, 5, 2}}.Open("testdata/tiny.onnx")
	fmt.Println(err != nil)
	m, err := onnx.Options{Shape: []int{6, 6, 2}}.Open("testdata/tiny.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.InputShape(), m.DType())
	// Output:
	// true
	// [6 6 2] float32
}

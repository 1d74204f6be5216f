package gorgonia_test

import (
	"fmt"
	"math/rand/v2"

	graph "gorgonia.org/gorgonia"
	dense "gorgonia.org/tensor"

	"github.com/redoubt-ml/redoubt/attack/adapter/gorgonia"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Both libraries look at the same memory.
func ExampleToDense() {
	x := tensor.FromFloat32([]float32{1, 2, 3, 4}, 2, 2)
	d := gorgonia.ToDense(x)
	if err := d.SetAt(float32(9), 1, 1); err != nil {
		fmt.Println(err)
		return
	}
	x.Touch()
	back, err := gorgonia.FromDense(d)
	fmt.Println(x.Values(), back.Values(), err)
	// Output: [1 2 3 9] [1 2 3 9] <nil>
}

// A derivative that is wrong would make a model look robust.
func ExampleModel_CheckGradient() {
	g := graph.NewGraph()
	x := graph.NewMatrix(g, graph.Float64, graph.WithShape(4, 3), graph.WithName("x"))
	w := dense.New(dense.WithShape(3, 2), dense.WithBacking([]float64{1, -1, 2, 0, 0, 1}))
	logits := graph.Must(graph.Tanh(graph.Must(graph.Mul(x, graph.NodeFromAny(g, w, graph.WithName("w"))))))
	m, err := gorgonia.New(gorgonia.Net{Input: x, Logits: logits})
	if err != nil {
		fmt.Println(err)
		return
	}
	rng := rand.New(rand.NewPCG(1, 0))
	fmt.Println(m.CheckGradient(rng, tensor.Uniform(rng, tensor.Float64, 0, 1, 4, 3), 1e-5))
	// Output: <nil>
}

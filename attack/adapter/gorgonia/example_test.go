package gorgonia_test

import (
	"context"
	"fmt"

	graph "gorgonia.org/gorgonia"
	dense "gorgonia.org/tensor"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/adapter/gorgonia"
	"github.com/redoubt-ml/redoubt/tensor"
)

// A linear classifier of four pixels, written in Gorgonia, is attacked by PGD.
func Example() {
	g := graph.NewGraph()
	x := graph.NewMatrix(g, graph.Float32, graph.WithShape(8, 4), graph.WithName("x"))
	w := dense.New(dense.WithShape(4, 2), dense.WithBacking([]float32{1, -1, 1, -1, -1, 1, -1, 1}))
	logits := graph.Must(graph.Mul(x, graph.NodeFromAny(g, w, graph.WithName("w"))))

	m, err := gorgonia.New(gorgonia.Net{Input: x, Logits: logits})
	if err != nil {
		fmt.Println(err)
		return
	}
	image := tensor.FromFloat32([]float32{0.6, 0.6, 0.5, 0.5}, 1, 2, 2, 1)
	pgd := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 10}
	res, err := pgd.Run(context.Background(), m, image, []int{0})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Success)
	// Output: [true]
}

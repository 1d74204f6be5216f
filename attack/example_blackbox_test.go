package attack_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// answers is quarters behind a door that shows the answer alone: a score of 1 for it
// and 0 for the others.
type answers struct{}

func (answers) Logits(x *tensor.Tensor) *tensor.Tensor {
	return tensor.OneHot(x.DType(), tensor.ArgMax(quarters{}.Logits(x.Detach())), 4)
}

// Square needs scores only, and counts its questions.
func ExampleSquare() {
	x, y := pictures()
	a := &attack.Square{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Queries: 500, Seed: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, res.Queries[0] < 500, err)
	// Output: [true false] true <nil>
}

func ExampleNES() {
	x, y := pictures()
	a := &attack.NES{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Queries: 1000, Seed: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

func ExampleSPSA() {
	x, y := pictures()
	a := &attack.SPSA{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Queries: 1000, Seed: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

func ExampleSimBA() {
	x, y := pictures()
	a := &attack.SimBA{Threat: attack.Threat{Norm: attack.L2, Eps: 0.8}, StepSize: 0.1, Queries: 1000, Seed: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

// Boundary walks on answers alone, from far away towards the picture.
func ExampleBoundary() {
	x, y := pictures()
	a := &attack.Boundary{Threat: attack.Threat{Norm: attack.L2, Eps: 2}, Queries: 3000, Seed: 1}
	res, err := a.Run(context.Background(), answers{}, x, y)
	fmt.Println(res.Success, res.Distance[0] < res.Distance[1], err)
	// Output: [true true] true <nil>
}

func ExampleHopSkipJump() {
	x, y := pictures()
	a := &attack.HopSkipJump{Threat: attack.Threat{Norm: attack.L2, Eps: 2}, Queries: 3000, Seed: 1}
	res, err := a.Run(context.Background(), answers{}, x, y)
	fmt.Println(res.Success, res.Distance[0] < res.Distance[1], err)
	// Output: [true true] true <nil>
}

// Random noise is what every attack must beat.
func ExampleNoise() {
	x, y := pictures()
	a := &attack.Noise{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Seed: 1}
	res, err := a.Run(context.Background(), answers{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [false false] <nil>
}

package uda_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// points draws points around (x, 1), class 1, and (x, -1), class 0.
func points(rng *rand.Rand, x float64, n int) *dataset.Set {
	s := &dataset.Set{H: 1, W: 1, C: 2, Classes: 2}
	for i := range n {
		y := 2*float64(i%2) - 1
		s.Floats = append(s.Floats, float32(x+0.3*rng.NormFloat64()), float32(y+0.3*rng.NormFloat64()))
		s.Labels = append(s.Labels, i%2)
	}
	return s
}

func ExampleTraining() {
	rng := rand.New(rand.NewPCG(1, 0))
	source, target := points(rng, -1, 100), points(rng, 1, 100)
	t := uda.Training{
		Method: uda.DANN{}, Arch: uda.Plane(), Source: source, Target: target,
		Epochs: 800, BatchSize: 100, LR: 5e-3, Seed: 3,
	}
	model, err := t.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := uda.Evaluate(context.Background(), model, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("more than nine of ten target points are right:", e.Accuracy > 0.9)
	// Output: more than nine of ten target points are right: true
}

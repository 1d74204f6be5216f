package uda_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Training that leaves the finite numbers ends, and says where.
func ExampleDivergedError() {
	t := uda.Training{
		Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: points(rand.New(rand.NewPCG(1, 0)), 0, 100),
		Epochs: 3, BatchSize: 50, LR: 1e30, Optimizer: func() optim.Optimizer { return &optim.SGD{} }, Seed: 1,
	}
	_, err := t.Run(context.Background())
	var diverged *uda.DivergedError
	if errors.As(err, &diverged) {
		fmt.Println(diverged.Method, "in epoch", diverged.Epoch)
	}
	// Output: source only in epoch 0
}

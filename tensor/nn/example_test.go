package nn_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// A dense network learns the embedded digits.
func ExampleTrainer() {
	train, test, err := dataset.MNISTMini()
	if err != nil {
		fmt.Println(err)
		return
	}
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 28, 28, 1, 64, 10)
	t := nn.Trainer{Net: net, Data: train, Epochs: 5, BatchSize: 50, Schedule: optim.Constant(3e-3)}
	if err := t.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("more than 85 % of unseen digits right:", accuracy(net, test) > 0.85)
	// Output: more than 85 % of unseen digits right: true
}

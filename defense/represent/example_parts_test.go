package represent_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense/represent"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// A network in evaluation mode, or any function of inputs.
func ExampleEncoder() {
	rng := rand.New(rand.NewPCG(1, 0))
	net := represent.Network(nn.NewSequential(nn.Flatten, nn.NewLinear(rng, 4, 3), nn.Dropout(0.5)), "")
	var mean represent.Encoder = func(x *tensor.Tensor) *tensor.Tensor { return tensor.Mean(x, 1, 2) }
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 5, 2, 2, 1)
	for _, e := range []represent.Encoder{net, mean} {
		f, err := represent.Features(context.Background(), e, x, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f.Shape())
	}
	// Output:
	// [5 3]
	// [5 1]
}

// The weights of each output have the same length in the direction as in the network, and
// biases do not move.
func ExampleDirection() {
	net := nn.NewLinear(rand.New(rand.NewPCG(1, 0)), 50, 2)
	d := represent.Direction(rand.New(rand.NewPCG(2, 0)), net)
	length := func(w *tensor.Tensor) *tensor.Tensor { return tensor.Sqrt(tensor.Sum(tensor.Square(w), 0)) }
	fmt.Println(tensor.MaxAbs(tensor.Sub(length(net.Weight), length(d[0]))) < 1e-5, tensor.MaxAbs(d[1]))
	// Output: true 0
}

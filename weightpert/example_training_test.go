package weightpert_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// lossOf evaluates a training loss for the classifier and its inputs.
func lossOf(loss nn.Loss) float64 {
	net, x, y := classifier()
	tape, pass := tensor.NewTape(), &nn.Pass{Train: true}
	pass.Watch(tape, nn.Params(net))
	l, err := loss(context.Background(), pass, net, nn.Batch{X: tape.Const(x), Y: y})
	if err != nil {
		panic(err)
	}
	return l.Item()
}

// At weights that have moved up the gradient the loss is higher than at the weights.
func ExampleAWP() {
	fmt.Println(lossOf((&weightpert.AWP{Gamma: 0.01}).Loss) > lossOf(nn.CrossEntropy))
	fmt.Println(lossOf((&weightpert.AWP{}).Loss) == lossOf(nn.CrossEntropy))
	// Output:
	// true
	// true
}

// A larger neighbourhood holds a larger loss.
func ExampleSAM() {
	clean, near, far := lossOf(nn.CrossEntropy), lossOf((&weightpert.SAM{Rho: 0.01}).Loss), lossOf((&weightpert.SAM{Rho: 0.05}).Loss)
	fmt.Println(clean < near, near < far)
	// Output: true true
}

// Every weight moves by Eps, so one step is the universal attack's.
func ExampleSignStep() {
	fmt.Println(lossOf((&weightpert.SignStep{Eps: 0.01}).Loss) > lossOf(nn.CrossEntropy))
	// Output: true
}

// Noise raises the loss or lowers it, and the same seed does the same again.
func ExampleWeightNoise() {
	first := lossOf((&weightpert.WeightNoise{Eps: 0.1, Seed: 1}).Loss)
	again := lossOf((&weightpert.WeightNoise{Eps: 0.1, Seed: 1}).Loss)
	fmt.Println(first == again, first != lossOf(nn.CrossEntropy))
	// Output: true true
}

// The certified loss is an upper bound of the loss under every change of at most Eps.
func ExampleIBPTraining() {
	ibp := lossOf((&weightpert.IBPTraining{Eps: 0.1, Kappa: -1}).Loss)
	linear := lossOf((&weightpert.IBPTraining{Eps: 0.1, Kappa: -1, Linear: true}).Loss)
	fmt.Println(ibp > lossOf((&weightpert.SignStep{Eps: 0.1}).Loss), linear <= ibp+1e-6)
	// Output: true true
}

// Two bits leave little of the weights, eight nearly all.
func ExampleQuantAware() {
	clean := lossOf(nn.CrossEntropy)
	for _, bits := range []int{2, 8} {
		l := lossOf((&weightpert.QuantAware{Quantizer: weightpert.Quantizer{Bits: bits}}).Loss)
		fmt.Printf("%d bits: within 0.01: %v\n", bits, l > clean-0.01 && l < clean+0.01)
	}
	// Output:
	// 2 bits: within 0.01: false
	// 8 bits: within 0.01: true
}

// Weights that lie apart cost something.
func ExampleClustering() {
	fmt.Printf("%.3f\n", lossOf((&weightpert.Clustering{Coefficient: 0.1}).Loss)-lossOf(nn.CrossEntropy))
	// Output: 0.083
}

// Bit errors come in once the loss of a batch is below Threshold.
func ExampleRandBET() {
	clean := lossOf(nn.CrossEntropy)
	late := lossOf((&weightpert.RandBET{P: 0.2, Threshold: 1e-6, Seed: 1}).Loss)
	now := lossOf((&weightpert.RandBET{P: 0.2, Seed: 1}).Loss)
	fmt.Println(late == clean, now > clean)
	// Output: true true
}

package optim_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// descend makes steps on (w-3)² from 0 and returns where they end.
func descend(o optim.Optimizer, s optim.Schedule, steps int) float64 {
	w := tensor.Zeros(tensor.Float64, 1)
	params := []*tensor.Tensor{w}
	for step := range steps {
		g := tensor.MulScalar(tensor.AddScalar(w, -3), 2)
		o.Step(s(step), params, []*tensor.Tensor{g})
	}
	return w.Item()
}

func ExampleSGD() {
	fmt.Printf("%.2f\n", descend(&optim.SGD{Momentum: 0.9}, optim.Cosine(0.05, 200), 200))
	// Output: 3.00
}

func ExampleAdam() {
	fmt.Printf("%.2f\n", descend(&optim.Adam{}, optim.Cosine(0.2, 200), 200))
	// Output: 3.00
}

// The step on a matrix is scaled by its norm over that of its gradient.
func ExampleLARS() {
	w := tensor.Full(tensor.Float64, 1, 2, 2)
	g := tensor.Full(tensor.Float64, 100, 2, 2)
	(&optim.LARS{Trust: 0.1}).Step(1, []*tensor.Tensor{w}, []*tensor.Tensor{g})
	fmt.Printf("%.2f\n", w.Values())
	// Output: [0.90 0.90 0.90 0.90]
}

// An optimiser's memory is carried over to another one, as a checkpoint does.
func ExampleOptimizer() {
	w := []*tensor.Tensor{tensor.Full(tensor.Float64, 1, 1)}
	g := []*tensor.Tensor{tensor.Full(tensor.Float64, 1, 1)}
	first, second := &optim.SGD{Momentum: 0.5}, &optim.SGD{Momentum: 0.5}
	first.Step(0.1, w, g) // the velocity is 1
	if err := second.SetState(w, first.State()); err != nil {
		fmt.Println(err)
		return
	}
	second.Step(0.1, w, g) // the velocity is 1.5
	fmt.Printf("%.2f\n", w[0].Item())
	// Output: 0.75
}

func ExampleSchedule() {
	s := optim.WarmUp(2, optim.StepDecay(0.1, 0.1, 4))
	for step := range 6 {
		fmt.Printf("%.3f ", s(step))
	}
	// Output: 0.050 0.100 0.100 0.100 0.010 0.010
}

func ExampleTriangle() {
	s := optim.Triangle(1, 2, 6)
	for step := range 6 {
		fmt.Printf("%.2f ", s(step))
	}
	// Output: 0.50 1.00 1.00 0.75 0.50 0.25
}

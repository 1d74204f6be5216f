package minmax_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/tensor"
)

// The average of (v-1)²/2 and (v+1)² is least at -1/3, where the first is 0.89; the
// worst of the two is least where both are 0.69.
func Example() {
	parabola := func(at, weight float64) func(*tensor.Tensor, minmax.Rows) *tensor.Tensor {
		return func(v *tensor.Tensor, _ minmax.Rows) *tensor.Tensor {
			return tensor.MulScalar(tensor.Sum(tensor.Square(tensor.AddScalar(v, -at)), 1), weight)
		}
	}
	domains := &minmax.Functions{
		At:     tensor.Zeros(tensor.Float64, 1, 1),
		Losses: []func(*tensor.Tensor, minmax.Rows) *tensor.Tensor{parabola(1, 0.5), parabola(-1, 1)},
	}
	for _, rule := range []minmax.Rule{minmax.Average{}, minmax.MinMax{Beta: 0.05}} {
		a := minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 2}, Rule: rule, Steps: 1000, StepSize: 0.2}
		res, err := a.Run(context.Background(), domains)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v: v %.3f, losses %.3f, weights %.3f\n", rule, res.Point.At(0, 0), res.Losses[0], res.Weights[0])
	}
	// Output:
	// average: v -0.333, losses [0.889 0.444], weights [0.500 0.500]
	// min-max: v -0.172, losses [0.686 0.686], weights [0.586 0.414]
}

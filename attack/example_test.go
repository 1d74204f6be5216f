package attack_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// line is a model of two classes and two pixels: it answers 1 if the second pixel
// is the brighter one.
type line struct{}

func (line) Logits(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(x, 5) }

// Two of three inputs are closer to the decision boundary than the radius.
func ExampleEvaluate() {
	x := tensor.FromFloat32([]float32{0.9, 0.1, 0.5, 0.4, 0.3, 0.45}, 3, 2)
	y := []int{0, 0, 1}
	pgd := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 10}
	report, err := attack.Evaluate(context.Background(), line{}, x, y, pgd)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("clean: ", report.Clean)
	fmt.Println("PGD-10:", report.Worst, report.Right)
	// Output:
	// clean:  100.0 % [29.2, 100.0]
	// PGD-10: 33.3 % [0.8, 90.6] [true false false]
}

// A projection goes to the nearest point of ball and box together.
func ExampleThreat_Project() {
	x := tensor.FromFloat32([]float32{0.9, 0.5}, 1, 2)
	far := tensor.FromFloat32([]float32{1.9, 1.5}, 1, 2)
	th := attack.Threat{Norm: attack.L1, Eps: 0.5}
	th.Project(far, x)
	fmt.Printf("%.2f\n", far.Values())
	// Output: [1.00 0.90]
}

package smoothing_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/defense/smoothing"
	"github.com/redoubt-ml/redoubt/tensor"
)

// line is a model of two classes on two values: it answers 0 if the first is larger,
// so that the boundary is |x₁ - x₂|/√2 away.
type line struct{}

func (line) Logits(x *tensor.Tensor) *tensor.Tensor { return x }

// The first input is 0.57 from the boundary, the second 0.02, too near for a hundred
// draws to say.
func ExampleClassifier_Certify() {
	x := tensor.FromFloat64([]float64{0.9, 0.1, 0.5, 0.47}, 2, 2)
	c := &smoothing.Classifier{Model: line{}, Sigma: 0.25, N: 100, Alpha: 0.01}
	certs, err := c.Certify(context.Background(), x)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, q := range certs {
		fmt.Printf("class %d within %.2f\n", q.Class, q.Radius)
	}
	// Output:
	// class 0 within 0.42
	// class -1 within 0.00
}

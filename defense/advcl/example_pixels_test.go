package advcl_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// An encoder that normalises pixels itself, so that attacks stay in pixel units.
func ExampleEncoder_NormalizePixels() {
	e := advcl.NewEncoder(rand.New(rand.NewPCG(1, 1)), tiny)
	x := tensor.Uniform(rand.New(rand.NewPCG(2, 1)), tensor.Float32, 0, 1, 4, 16, 16, 3)
	pass := &nn.Pass{Train: true}
	byHand := e.Forward(pass, tensor.Affine(x, 4, -2)) // (x - 0.5)/0.25
	e.NormalizePixels([3]float64{.5, .5, .5}, [3]float64{.25, .25, .25})
	fmt.Println("the same:", tensor.MaxAbs(tensor.Sub(e.Forward(pass, x), byHand)) < 1e-4)
	// Output: the same: true
}

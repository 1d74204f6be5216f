package represent_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/defense/represent"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Inputs are told apart by their direction, which an encoder that sorts its values
// throws away.
func ExampleKNN_LeaveOneOut() {
	ctx := context.Background()
	x := tensor.FromFloat64([]float64{1, 0, 0, 1, 0.8, 0.2, 0.2, 0.8}, 4, 2)
	y := []int{0, 1, 0, 1}
	keep := func(x *tensor.Tensor) *tensor.Tensor { return x }
	sort := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Concat(1, tensor.Reshape(tensor.Max(x, 1), x.Dim(0), 1), tensor.Reshape(tensor.Min(x, 1), x.Dim(0), 1))
	}
	for _, enc := range []represent.Encoder{keep, sort} {
		f, err := represent.Features(ctx, enc, x, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		accuracy, err := represent.KNN{K: 1}.LeaveOneOut(ctx, f, y)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(accuracy.Right, "of", accuracy.Total)
	}
	// Output:
	// 4 of 4
	// 0 of 4
}

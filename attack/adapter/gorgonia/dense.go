package gorgonia

import (
	"fmt"

	dense "gorgonia.org/tensor"

	"github.com/redoubt-ml/redoubt/tensor"
)

// ToDense returns a Gorgonia tensor over t's memory. A change to one is seen in
// the other; call t.Touch after changing it through Gorgonia. It must not outlive
// t's tape's next Reset.
func ToDense(t *tensor.Tensor) *dense.Dense {
	shape := dense.WithShape(t.Shape()...)
	if t.DType() == tensor.Float32 {
		return dense.New(shape, dense.WithBacking(t.Float32s()))
	}
	return dense.New(shape, dense.WithBacking(t.Float64s()))
}

// FromDense returns a tensor over the memory of a Gorgonia one. It is an error if
// d is not float32 or float64, not laid out row by row without gaps, as after a
// transposition or a cut, masked, or of more axes than tensor.MaxRank.
func FromDense(d *dense.Dense) (*tensor.Tensor, error) {
	if d == nil {
		return nil, fmt.Errorf("gorgonia: FromDense: no tensor")
	}
	shape := []int(d.Shape().Clone())
	fail := func(found, want string) (*tensor.Tensor, error) {
		return nil, fmt.Errorf("gorgonia: FromDense: tensor of shape %v %s, want %s", shape, found, want)
	}
	size := 1
	for _, n := range shape {
		size *= n
	}
	order := d.DataOrder()
	switch {
	case len(shape) > tensor.MaxRank:
		return fail(fmt.Sprintf("has %d axes", len(shape)), fmt.Sprintf("at most %d", tensor.MaxRank))
	case !d.IsNativelyAccessible():
		return fail("is in memory that is not the program's", "it in the program's memory")
	case d.IsMasked():
		return fail("is masked", "all elements")
	case order.IsColMajor() || order.IsNotContiguous() || order.IsTransposed() || d.RequiresIterator() || d.DataSize() != size:
		return fail("is not laid out row by row without gaps", "it materialised")
	}
	switch d.Dtype() {
	case dense.Float32:
		return tensor.FromFloat32(d.Float32s(), shape...), nil
	case dense.Float64:
		return tensor.FromFloat64(d.Float64s(), shape...), nil
	}
	return fail(fmt.Sprintf("has elements of type %v", d.Dtype()), "float32 or float64")
}

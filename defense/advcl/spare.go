package advcl

import (
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// spare is memory that is kept by name from step to step.
type spare map[string]*tensor.Tensor

// like returns memory of x's form with the contents that it was left with.
func (s spare) like(name string, x *tensor.Tensor) *tensor.Tensor {
	out := s[name]
	if out == nil || out.DType() != x.DType() || !slices.Equal(out.Shape(), x.Shape()) {
		out = tensor.Zeros(x.DType(), x.Shape()...)
		s[name] = out
	}
	return out
}

// copyOf returns a copy of x.
func (s spare) copyOf(name string, x *tensor.Tensor) *tensor.Tensor {
	out := s.like(name, x)
	out.CopyFrom(x)
	return out
}

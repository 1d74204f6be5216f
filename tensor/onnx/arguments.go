package onnx

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// data is an input that is computed with.
func (k *call) data(i int) (*value, error) {
	v, err := k.lift(k.in[i])
	if err != nil {
		return nil, fmt.Errorf("input %d: %w", i, err)
	}
	return v, nil
}

// constantAt is an input that must hold numbers of the file with the given
// number of axes; nil if it is left out.
func (k *call) constantAt(i, rank int) (*constant, error) {
	if i >= len(k.in) || k.in[i] == nil {
		return nil, nil
	}
	v := k.in[i]
	if v.kind != numbers {
		return nil, fmt.Errorf("input %d (%q) is not a constant of floating-point numbers", i, v.name)
	}
	if len(v.dims) != rank {
		return nil, fmt.Errorf("input %d (%q) has shape %s, want %d axes", i, v.name, show(v.dims), rank)
	}
	if v.constant.values.Len() == 0 {
		return nil, fmt.Errorf("input %d (%q) has shape %s, want no empty axis", i, v.name, show(v.dims))
	}
	return v.constant, nil
}

// vectorAt is constantAt for a list of n numbers.
func (k *call) vectorAt(i, n int) (*constant, error) {
	v, err := k.constantAt(i, 1)
	if err == nil && v != nil && v.values.Len() != n {
		err = fmt.Errorf("input %d (%q) has shape [%d], want [%d]", i, k.in[i].name, v.values.Len(), n)
	}
	return v, err
}

// scalarAt is an input that must be one number of the file, if it is there.
func (k *call) scalarAt(i int, otherwise float64) (float64, error) {
	if i >= len(k.in) || k.in[i] == nil {
		return otherwise, nil
	}
	v := k.in[i]
	if v.kind != numbers || v.constant.values.Len() != 1 {
		return 0, fmt.Errorf("input %d (%q) is not one constant number", i, v.name)
	}
	return v.constant.values.Values()[0], nil
}

// listAt is an input that must hold whole numbers; nil if it is left out.
func (k *call) listAt(i int) ([]dim, error) {
	if i >= len(k.in) || k.in[i] == nil {
		return nil, nil
	}
	v := k.in[i]
	if v.kind != wholes || len(v.dims) > 1 {
		return nil, fmt.Errorf("input %d (%q) is not a list of whole numbers that are known beforehand", i, v.name)
	}
	return append([]dim{}, v.whole...), nil
}

// fixedAt is listAt for numbers that do not depend on the batch size.
func (k *call) fixedAt(i int) ([]int, error) {
	list, err := k.listAt(i)
	if list == nil || err != nil {
		return nil, err
	}
	out := make([]int, len(list))
	for j, d := range list {
		if !d.isFixed() {
			return nil, fmt.Errorf("input %d (%q) holds %s, want numbers that do not depend on the batch size", i, k.in[i].name, show(list))
		}
		out[j] = d.fixed
	}
	return out, nil
}

// axes reads a list of axes from an attribute or, from operator set version
// since on, from input i; nil if there is none.
func (k *call) axes(i, since int) ([]int, error) {
	if k.opset < since {
		if len(k.in) > i {
			return nil, fmt.Errorf("has %d inputs, want %d in operator set %d", len(k.in), i, k.opset)
		}
		return k.ints("axes"), nil
	}
	return k.fixedAt(i)
}

// resolve turns axes of a tensor with rank axes into marks.
func resolve(axes []int, rank int, dims []dim) ([]bool, error) {
	marks := make([]bool, rank)
	for _, a := range axes {
		a, err := axisOf(a, rank, dims)
		if err != nil {
			return nil, err
		}
		if marks[a] {
			return nil, fmt.Errorf("axes %v name axis %d twice", axes, a)
		}
		marks[a] = true
	}
	return marks, nil
}

// one is a tensor of one element.
func (c *compiler) one(v float64) *tensor.Tensor { return tensor.Scalar(c.dtype, v) }

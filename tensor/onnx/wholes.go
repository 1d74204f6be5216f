package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Shape computations are done while the graph is compiled, on lists of whole
// numbers that may depend on the batch size. These are the operators of layout
// on such lists, which have one axis, or none for a single number.

// list is the first input as a list.
func (k *call) list() (*value, error) {
	v := k.in[0]
	if len(v.dims) > 1 {
		return nil, fmt.Errorf("input 0 (%q) has shape %s, want a list of whole numbers", v.name, show(v.dims))
	}
	return v, nil
}

// listOf is a list as a value.
func listOf(list []dim) *value {
	return &value{kind: wholes, dims: []dim{{fixed: len(list)}}, whole: list}
}

func castWholes(k *call) (*value, error) {
	to := elemType(k.number("to", 0))
	k.number("saturate", 0)
	v := k.in[0]
	if to.isWhole() {
		return v, nil
	}
	if !to.isFloat() {
		return nil, fmt.Errorf("to is %v, want a number's type", to)
	}
	if err := k.spend(v.name, len(v.whole)); err != nil {
		return nil, err
	}
	t := tensor.Zeros(k.dtype, extents(v.dims, 0)...)
	flat := tensor.Reshape(t, len(v.whole))
	for i, d := range v.whole {
		if !d.isFixed() {
			return nil, fmt.Errorf("computes in floating point with %v, which depends on the batch size", d)
		}
		flat.Set(float64(d.fixed), i)
	}
	return &value{kind: numbers, dims: v.dims, constant: &constant{values: t}}, nil
}

func reshapeWholes(k *call) (*value, error) {
	k.flag("allowzero", false)
	v := k.in[0]
	target, err := k.fixedAt(1)
	if err != nil {
		return nil, err
	}
	n := len(v.whole)
	switch {
	case len(target) == 0 && n == 1:
		return &value{kind: wholes, whole: v.whole}, nil
	case len(target) == 1 && (target[0] == -1 || target[0] == n):
		return listOf(v.whole), nil
	}
	return nil, fmt.Errorf("shape %s of whole numbers cannot become %v, want a list", show(v.dims), target)
}

func squeezeWholes(k *call) (*value, error) {
	axes, err := k.axes(1, 13)
	if err != nil {
		return nil, err
	}
	gone, err := squeezed(k.in[0].dims, axes)
	if err != nil {
		return nil, err
	}
	dims, _ := dropAxes(k.in[0].dims, nil, gone)
	return &value{kind: wholes, dims: dims, whole: k.in[0].whole}, nil
}

func unsqueezeWholes(k *call) (*value, error) {
	axes, err := k.axes(1, 13)
	if err != nil {
		return nil, err
	}
	fresh, err := unsqueezed(k.in[0].dims, axes)
	if err != nil {
		return nil, err
	}
	old := k.in[0].dims
	var dims []dim
	for _, isNew := range fresh {
		if isNew {
			dims = append(dims, dim{fixed: 1})
		} else {
			dims, old = append(dims, old[0]), old[1:]
		}
	}
	return &value{kind: wholes, dims: dims, whole: k.in[0].whole}, nil
}

func concatWholes(k *call) (*value, error) {
	k.number("axis", 0)
	var all []dim
	for i, v := range k.in {
		if v == nil || v.kind != wholes || len(v.dims) != 1 {
			return nil, fmt.Errorf("input %d is not a list of whole numbers", i)
		}
		if err := k.spend(v.name, len(v.whole)); err != nil {
			return nil, err
		}
		all = append(all, v.whole...)
	}
	return listOf(all), nil
}

func sliceWholes(k *call) (*value, error) {
	v, err := k.list()
	if err != nil {
		return nil, err
	}
	cuts, err := k.cuts(v.dims)
	if err != nil {
		return nil, err
	}
	for _, c := range cuts {
		out := make([]dim, 0, c.n)
		for i := range c.n {
			out = append(out, v.whole[c.start+i*c.step])
		}
		v = listOf(out)
	}
	return v, nil
}

func gatherWholes(k *call) (*value, error) {
	v, err := k.list()
	if err != nil {
		return nil, err
	}
	if k.number("axis", 0) != 0 || len(v.dims) == 0 {
		return nil, errors.New("takes from another axis than the first of a list")
	}
	idx, err := k.indices(len(v.whole))
	if err != nil {
		return nil, err
	}
	out := &value{kind: wholes, dims: slices.Clone(k.in[1].dims)}
	for _, i := range idx {
		out.whole = append(out.whole, v.whole[i])
	}
	return out, nil
}

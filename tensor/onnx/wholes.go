package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Shape computations are done while the graph is compiled, on whole numbers that
// may depend on the batch size.

// moving makes an operator that only moves elements one on whole numbers: it runs
// on their positions, which say where each number goes.
func moving(fold folding, build func(k *call) (*value, error)) func(k *call) (*value, error) {
	return func(k *call) (*value, error) {
		var all []dim
		inner := *k
		inner.in = nil
		for i, v := range k.in {
			if i > 0 && fold == foldFirst {
				inner.in = append(inner.in, v)
				continue
			}
			if v == nil || v.kind != wholes {
				return nil, fmt.Errorf("input %d does not hold whole numbers, as the first one does", i)
			}
			if err := k.spend(v.name, len(v.whole), wholeSize+positionSize); err != nil {
				return nil, err
			}
			if len(v.whole) > 0 {
				inner.in = append(inner.in, positions(v, len(all)))
				all = append(all, v.whole...)
			}
		}
		if len(all) == 0 {
			if fold == foldAll {
				return k.in[0], nil
			}
			return nil, fmt.Errorf("input 0 (%q) is empty", k.in[0].name)
		}
		moved, err := inner.folded(operator{fold: fold, build: build}, positionSize)
		if err != nil {
			return nil, err
		}
		at := moved.constant.values.Float64s()
		if err := k.spend(k.node.outputs[0], len(at), wholeSize); err != nil {
			return nil, err
		}
		out := &value{kind: wholes, dims: moved.dims, whole: make([]dim, len(at))}
		for i, p := range at {
			out.whole[i] = all[int(p)]
		}
		return out, nil
	}
}

// positionSize is the size in bytes of a position.
const positionSize = 8

// positions numbers the elements of a value from first on.
func positions(v *value, first int) *value {
	t := tensor.Zeros(tensor.Float64, extents(v.dims, 0)...)
	for i := range t.Float64s() {
		t.Float64s()[i] = float64(first + i)
	}
	return &value{name: v.name, kind: numbers, dims: v.dims, constant: &constant{name: v.name, values: t}}
}

// buildConstantOfShape fills a shape with one number.
func buildConstantOfShape(k *call) (*value, error) {
	list, err := k.fixedAt(0)
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []int{}
	}
	fill := &value{kind: numbers, constant: &constant{values: k.one(0)}}
	if p := k.find("value", attrTensor); p != nil {
		if p.tensor == nil {
			return nil, errors.New("attribute \"value\" holds no tensor")
		}
		if fill, err = k.literal(p.tensor); err != nil {
			return nil, fmt.Errorf("attribute \"value\": %w", err)
		}
	}
	if len(list) > tensor.MaxRank {
		return nil, fmt.Errorf("fills shape of %d axes, want at most %d", len(list), tensor.MaxRank)
	}
	size := k.numberSize()
	if fill.kind == wholes {
		size = wholeSize
	}
	n, most := 1, k.budget/size
	for i, d := range list {
		if d < 0 || d > math.MaxInt32 {
			return nil, fmt.Errorf("fills shape %v with extent %d on axis %d, want 0 to %d", list, d, i, math.MaxInt32)
		}
		if d > 0 && n > most/d {
			return nil, fmt.Errorf("fills shape %v, want at most %d elements", list, most)
		}
		n *= d
	}
	if err := k.spend(k.node.outputs[0], n, size); err != nil {
		return nil, err
	}
	out := &value{kind: fill.kind, dims: fixedDims(list)}
	switch {
	case fill.kind == wholes && len(fill.whole) == 1:
		out.whole = slices.Repeat(fill.whole, n)
	case fill.kind == numbers && fill.constant.values.Len() == 1:
		out.constant = &constant{values: tensor.Full(k.dtype, fill.constant.values.Values()[0], list...)}
	default:
		return nil, fmt.Errorf("attribute \"value\" has shape %s, want one number", show(fill.dims))
	}
	return out, nil
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
	return k.asNumbers(v)
}

// asNumbers returns whole numbers as floating-point ones.
func (k *call) asNumbers(v *value) (*value, error) {
	if err := k.spend(v.name, len(v.whole), k.numberSize()); err != nil {
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
	return &value{name: v.name, kind: numbers, dims: v.dims, constant: &constant{name: v.name, values: t}}, nil
}

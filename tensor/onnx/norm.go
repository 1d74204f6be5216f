package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func buildBatchNorm(k *call) (*value, error) {
	eps, momentum := k.float("epsilon", 1e-5), k.float("momentum", 0.9)
	if k.opset < 9 && !k.flag("spatial", true) {
		return nil, fmt.Errorf("spatial is 0, want 1: statistics of channels")
	}
	if k.opset >= 14 {
		// Whether to train is the pass's choice, not the file's.
		k.flag("training_mode", false)
	}
	if !(eps >= 0) || !(momentum >= 0 && momentum <= 1) {
		return nil, fmt.Errorf("epsilon %v and momentum %v, want 0 or more and 0 to 1", eps, momentum)
	}
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if len(x.dims) < 2 || !x.dims[1].isFixed() {
		return nil, fmt.Errorf("input has shape %s, want [N C ...]", show(x.dims))
	}
	order := []int{0}
	for a := 2; a < len(x.dims); a++ {
		order = append(order, a)
	}
	if x, err = k.as(x, append(order, 1)); err != nil {
		return nil, err
	}
	var tensors [4]*tensor.Tensor
	for i, what := range []string{"scale", "bias", "mean", "variance"} {
		v, err := k.vectorAt(1+i, x.dims[1].fixed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		p, err := k.parameter(v, form{}, i < 2)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if i == 3 {
			p.Range = nn.NotNegative
		}
		tensors[i] = p.Tensor
	}
	for i := range tensors[3].Len() {
		if v := tensors[3].At(i); !(v+eps > 0) {
			return nil, fmt.Errorf("variance %d is %v with epsilon %v, want a sum above 0", i, v, eps)
		}
	}
	layer := &batchNorm{norm: &nn.BatchNorm{
		Sets: []*nn.NormSet{{Gamma: tensors[0], Beta: tensors[1], Mean: tensors[2], Var: tensors[3]}},
		Eps:  nonzero(eps), Momentum: nonzero(1 - momentum),
	}}
	k.learns = true
	in := k.get(x)
	y, err := k.emit(x.dims, x.order, func(r *run) *tensor.Tensor { return layer.forward(r.Pass, in(r)) })
	if err == nil {
		k.steps[len(k.steps)-1].rectify = &layer.rectify
	}
	return y, err
}

// buildLayerNorm normalises the axes of each image from one on by their mean and
// deviation.
//
// Ba, Kiros and Hinton, arXiv 1607.06450.
func buildLayerNorm(k *call) (*value, error) {
	if k.opset < 17 {
		return nil, fmt.Errorf("is in operator sets from 17 on, and the file uses %d", k.opset)
	}
	eps := k.float("epsilon", 1e-5)
	k.number("stash_type", 1) // the precision of the statistics, which is the model's
	if !(eps >= 0) {
		return nil, fmt.Errorf("epsilon is %v, want 0 or more", eps)
	}
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	first, err := x.ownAxis(k.number("axis", -1))
	if err != nil {
		return nil, err
	}
	for a := first; a < len(x.dims); a++ {
		if _, err := x.ownAxis(a); err != nil {
			return nil, err
		}
	}
	if x, err = k.plain(x); err != nil {
		return nil, err
	}
	weights := make([]operand, 2)
	for i, what := range []string{"scale", "bias"} {
		weights[i] = func(*run) *tensor.Tensor { return nil }
		w, err := k.constantAt(1+i, len(x.dims)-first)
		if err == nil && w != nil {
			if own := k.in[1+i].dims; !slices.Equal(own, x.dims[first:]) {
				err = fmt.Errorf("input %d (%q) has shape %s, want %s", 1+i, k.in[1+i].name, show(own), show(x.dims[first:]))
			} else {
				weights[i], err = k.weight(w, form{})
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	axes, kept := inOrder(len(x.dims))[first:], slices.Clone(x.dims)
	for a := first; a < len(kept); a++ {
		kept[a] = dim{fixed: 1}
	}
	in := k.get(x)
	return k.emit(x.dims, x.order, func(r *run) *tensor.Tensor {
		mean := func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.Reshape(tensor.Mean(x, axes...), extents(kept, r.n)...)
		}
		y := in(r)
		y = tensor.Sub(y, mean(y))
		y = tensor.Div(y, tensor.Sqrt(tensor.AddScalar(mean(tensor.Square(y)), eps)))
		y = tensor.Mul(y, weights[0](r))
		if b := weights[1](r); b != nil {
			y = tensor.Add(y, b)
		}
		return y
	})
}

// nonzero replaces 0, which asks nn.BatchNorm for a default, by what rounds to it.
func nonzero(v float64) float64 { return max(v, math.SmallestNonzeroFloat64) }

// batchNorm is a normalisation that may rectify its result.
type batchNorm struct {
	norm    *nn.BatchNorm
	rectify bool
}

func (l *batchNorm) forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	if l.rectify {
		return nn.NewSequential(l.norm, nn.ReLU).Forward(p, x)
	}
	return l.norm.Forward(p, x)
}

func buildDropout(k *call) (*value, error) {
	rate := 0.5
	if k.opset < 12 {
		rate = k.float("ratio", rate)
	} else {
		k.number("seed", 0) // the pass's Rand makes the choices
		var err error
		if rate, err = k.scalarAt(1, rate); err != nil {
			return nil, err
		}
	}
	if !(rate >= 0 && rate < 1) {
		return nil, fmt.Errorf("ratio is %v, want in [0, 1)", rate)
	}
	x, err := k.data(0)
	if err != nil || rate == 0 {
		return x, err
	}
	layer := nn.Dropout(rate)
	in := k.get(x)
	y, err := k.emit(x.dims, x.order, func(r *run) *tensor.Tensor { return layer.Forward(r.Pass, in(r)) })
	if err == nil {
		y.image = x.image
	}
	return y, err
}

func buildSoftmax(k *call) (*value, error) {
	f := tensor.Softmax
	if k.node.op == "LogSoftmax" {
		f = tensor.LogSoftmax
	}
	axis := k.number("axis", -1)
	if k.opset < 13 {
		axis = k.number("axis", 1)
	}
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if axis, err = x.axis(axis); err != nil {
		return nil, err
	}
	for a := axis; a < len(x.dims); a++ {
		if a > axis && k.opset >= 13 {
			break
		}
		if _, err := x.ownAxis(a); err != nil {
			return nil, err
		}
	}
	if k.opset < 13 && axis < len(x.dims)-1 {
		// All axes from this one on are normalised together.
		dims := x.dims
		rows, cols := product(dims[:axis]), product(dims[axis:])
		if x, err = k.plain(x); err != nil {
			return nil, err
		}
		if x, err = k.reshape(x, []dim{rows, cols}); err != nil {
			return nil, err
		}
		if x, err = k.like(x, f); err != nil {
			return nil, err
		}
		return k.reshape(x, dims)
	}
	order := make([]int, 0, len(x.order))
	for _, a := range x.order {
		if a != axis {
			order = append(order, a)
		}
	}
	if x, err = k.as(x, append(order, axis)); err != nil {
		return nil, err
	}
	return k.like(x, f)
}

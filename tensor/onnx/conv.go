package onnx

import (
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// convolution is a Conv node.
type convolution struct {
	window
	groups  int
	rectify bool
}

func buildConv(k *call) (*value, error) {
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	w, err := k.constantAt(1, 4)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	s := w.values.Shape()
	if size := k.ints("kernel_shape"); size != nil && !slices.Equal(size, s[2:]) {
		return nil, fmt.Errorf("kernel_shape is %v, want the weights' %v", size, s[2:])
	}
	c := &convolution{groups: k.number("group", 1)}
	if c.window, err = k.windowOf(x, s[2:], false); err != nil {
		return nil, err
	}
	channels := x.dims[1].fixed
	if c.groups < 1 || channels%c.groups != 0 || s[0]%c.groups != 0 || s[1] != channels/c.groups {
		return nil, fmt.Errorf("%d groups of %d channels with weights %v, want [K C/groups R S] with K a multiple of the groups", c.groups, channels, s)
	}
	if err := k.dilatable(s, c.window); err != nil {
		return nil, err
	}
	b, err := k.vectorAt(2, s[0])
	if err != nil {
		return nil, fmt.Errorf("bias: %w", err)
	}
	if x, err = k.as(x, channelsLast()); err != nil {
		return nil, err
	}
	filter, err := k.weight(w, form{layout: nn.Filter})
	if err != nil {
		return nil, err
	}
	bias := func(*run) *tensor.Tensor { return nil }
	if b != nil {
		if bias, err = k.weight(b, form{}); err != nil {
			return nil, err
		}
	}
	in := k.get(x)
	out, err := k.emit(c.shape(x, s[0]), channelsLast(), func(r *run) *tensor.Tensor {
		return c.forward(in(r), filter(r), bias(r))
	})
	if err == nil {
		k.steps[len(k.steps)-1].rectify = &c.rectify
	}
	return out, err
}

// dilatable returns an error if weights [K, C/groups, R, S] become too many once they
// are dilated.
func (k *call) dilatable(s []int, w window) error {
	if w.dilation == [2]int{1, 1} {
		return nil
	}
	dims := fixedDims(s)
	for i := range 2 {
		dims[2+i].fixed = w.reach(i)
	}
	if err := checkShape(dims, len(dims)); err != nil {
		return fmt.Errorf("weights dilated by %v: %w", w.dilation, err)
	}
	k.largest = max(k.largest, product(dims).fixed)
	return nil
}

// forward convolves images [N, H, W, C] with filters [R, S, C/groups, K].
func (c *convolution) forward(x, filter, bias *tensor.Tensor) *tensor.Tensor {
	filter = dilate(dilate(filter, 0, c.dilation[0]), 1, c.dilation[1])
	act := tensor.Identity
	if c.rectify {
		act = tensor.Rectify
	}
	if c.groups == 1 {
		return tensor.Conv2D(x, filter, bias, c.tensor(), act)
	}
	var y *tensor.Tensor
	if in, out := x.Dim(3), filter.Dim(3); c.groups == in && in == out {
		y = c.depthwise(x, filter)
	} else {
		parts := make([]*tensor.Tensor, c.groups)
		for i := range parts {
			part := tensor.Slice(x, 3, i*in/c.groups, (i+1)*in/c.groups)
			own := tensor.Slice(filter, 3, i*out/c.groups, (i+1)*out/c.groups)
			parts[i] = tensor.Conv2D(part, own, nil, c.tensor(), tensor.Identity)
		}
		y = tensor.Concat(3, parts...)
	}
	if bias != nil {
		y = tensor.Add(y, bias)
	}
	if c.rectify {
		return tensor.ReLU(y)
	}
	return y
}

// depthwise convolves each channel with a filter of its own: it adds up, for
// each place of the filters [R, S, 1, C], the shifted images times its weights.
func (c *convolution) depthwise(x, filter *tensor.Tensor) *tensor.Tensor {
	x = tensor.Pad(tensor.Pad(x, 1, c.before[0], c.after[0]), 2, c.before[1], c.after[1])
	step := tensor.Window{StrideH: c.stride[0], StrideW: c.stride[1]}
	rows := tensor.Reshape(filter, -1, filter.Dim(3))
	var y *tensor.Tensor
	for i := 0; i < filter.Dim(0); i += c.dilation[0] {
		down := tensor.Slice(x, 1, i, i+(c.out[0]-1)*c.stride[0]+1)
		for j := 0; j < filter.Dim(1); j += c.dilation[1] {
			part := tensor.Slice(down, 2, j, j+(c.out[1]-1)*c.stride[1]+1)
			if c.stride != [2]int{1, 1} {
				part = tensor.MaxPool(part, 1, 1, step)
			}
			at := i*filter.Dim(1) + j
			term := tensor.Mul(part, tensor.Slice(rows, 0, at, at+1))
			if y == nil {
				y = term
			} else {
				y = tensor.Add(y, term)
			}
		}
	}
	return y
}

// dilate puts rate - 1 zeros between neighbours along an axis of a filter.
func dilate(filter *tensor.Tensor, axis, rate int) *tensor.Tensor {
	n := filter.Dim(axis)
	if rate == 1 || n == 1 {
		return filter
	}
	s := filter.Shape()
	wide := slices.Insert(slices.Clone(s), axis+1, 1)
	s[axis] = n * rate
	y := tensor.Reshape(tensor.Pad(tensor.Reshape(filter, wide...), axis+1, 0, rate-1), s...)
	return tensor.Slice(y, axis, 0, (n-1)*rate+1)
}

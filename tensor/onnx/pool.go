package onnx

import (
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// pooling reads what both kinds of pooling have.
func (k *call) pooling() (*value, window, error) {
	x, err := k.data(0)
	if err != nil {
		return nil, window{}, err
	}
	size, err := k.positive("kernel_shape", 2, 0)
	if err != nil {
		return nil, window{}, err
	}
	if size[0] == 0 {
		return nil, window{}, fmt.Errorf("has no kernel_shape")
	}
	w, err := k.windowOf(x, size, true)
	if err != nil {
		return nil, window{}, err
	}
	for i := range 2 {
		if w.dilation[i] != 1 {
			return nil, window{}, fmt.Errorf("dilations are %v, want 1", w.dilation)
		}
		if max(w.before[i], w.after[i]+w.extra[i]) >= size[i] {
			return nil, window{}, fmt.Errorf("padding of %d and %d, want less than the window's %d", w.before[i], w.after[i], size[i])
		}
	}
	x, err = k.as(x, channelsLast())
	return x, w, err
}

func buildMaxPool(k *call) (*value, error) {
	k.flag("storage_order", false) // of the second output
	x, w, err := k.pooling()
	if err != nil {
		return nil, err
	}
	in := k.get(x)
	return k.emit(w.shape(x, x.dims[1].fixed), channelsLast(), func(r *run) *tensor.Tensor {
		return tensor.MaxPool(in(r), w.size[0], w.size[1], w.tensor())
	})
}

func buildAveragePool(k *call) (*value, error) {
	countPad := k.flag("count_include_pad", false)
	x, w, err := k.pooling()
	if err != nil {
		return nil, err
	}
	in := k.get(x)
	return k.emit(w.shape(x, x.dims[1].fixed), channelsLast(), func(r *run) *tensor.Tensor {
		x, win := in(r), w.tensor()
		if countPad && w.extra != [2]int{} {
			// The padding counts, but not what lies beyond it.
			x = tensor.Pad(tensor.Pad(x, 1, w.before[0], w.after[0]), 2, w.before[1], w.after[1])
			win.Top, win.Left, win.Bottom, win.Right = 0, 0, w.extra[0], w.extra[1]
			return tensor.AvgPool(x, w.size[0], w.size[1], win, false)
		}
		return tensor.AvgPool(x, w.size[0], w.size[1], win, countPad)
	})
}

// reductions hold what reduces axes of a tensor.
var reductions = map[string]func(x *tensor.Tensor, axes ...int) *tensor.Tensor{
	"GlobalAveragePool": tensor.Mean, "ReduceMean": tensor.Mean, "ReduceSum": tensor.Sum, "GlobalMaxPool": maxOver,
}

// maxOver returns the maximum over axes, which disappear.
func maxOver(x *tensor.Tensor, axes ...int) *tensor.Tensor {
	for _, a := range slices.Backward(slices.Sorted(slices.Values(axes))) {
		x = tensor.Max(x, a)
	}
	return x
}

func buildGlobalPool(k *call) (*value, error) {
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if len(x.dims) < 3 {
		return nil, fmt.Errorf("input has shape %s, want [N C ...]", show(x.dims))
	}
	return k.reduce(x, inOrder(len(x.dims))[2:], true)
}

func buildReduce(k *call) (*value, error) {
	// Axes are an input since these versions.
	since := 18
	if k.node.op == "ReduceSum" {
		since = 13
	}
	axes, err := k.axes(1, since)
	if err != nil {
		return nil, err
	}
	keep := k.flag("keepdims", true)
	nothing := k.opset >= since && k.flag("noop_with_empty_axes", false)
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if len(axes) == 0 {
		if nothing {
			return x, nil
		}
		axes = inOrder(len(x.dims))
	}
	return k.reduce(x, axes, keep)
}

// reduce reduces axes of a value, which are kept with extent 1 or disappear.
func (k *call) reduce(v *value, axes []int, keep bool) (*value, error) {
	marks, err := resolve(axes, len(v.dims), v.dims)
	if err != nil {
		return nil, err
	}
	for a, gone := range marks {
		if gone {
			if _, err := v.ownAxis(a); err != nil {
				return nil, err
			}
		}
	}
	if v, err = k.as(v, v.order); err != nil {
		return nil, err
	}
	dims := append([]dim{}, v.dims...)
	var places []int
	for a, gone := range marks {
		if gone {
			places = append(places, v.place(a))
			dims[a] = dim{fixed: 1}
		}
	}
	order := v.order
	if !keep {
		dims, order = dropAxes(dims, order, marks)
	}
	if len(places) == 0 {
		return v, nil
	}
	x, target, f := k.get(v), arrange(dims, order), reductions[k.node.op]
	return k.emit(dims, order, func(r *run) *tensor.Tensor {
		return tensor.Reshape(f(x(r), places...), extents(target, r.n)...)
	})
}

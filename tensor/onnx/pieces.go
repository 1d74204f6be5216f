package onnx

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

func buildConcat(k *call) (*value, error) {
	if k.find("axis", attrInt) == nil {
		return nil, errors.New("has no axis")
	}
	var parts []*value
	var order []int
	for i := range k.in {
		if k.in[i] == nil {
			return nil, fmt.Errorf("input %d is left out", i)
		}
		v, err := k.data(i)
		if err != nil {
			return nil, err
		}
		if order == nil && k.in[i].kind == computed {
			order = v.order
		}
		parts = append(parts, v)
	}
	axis, err := parts[0].ownAxis(k.number("axis", 0))
	if err != nil {
		return nil, err
	}
	if order == nil {
		order = parts[0].order
	}
	dims := slices.Clone(parts[0].dims)
	total := 0
	for i, v := range parts {
		if len(v.dims) != len(dims) {
			return nil, fmt.Errorf("inputs have shapes %s and %s, want as many axes", show(dims), show(v.dims))
		}
		dims[axis] = v.dims[axis]
		if !slices.Equal(v.dims, dims) || !v.dims[axis].isFixed() {
			return nil, fmt.Errorf("inputs have shapes %s and %s, want shapes that differ on axis %d alone", show(parts[0].dims), show(v.dims), axis)
		}
		total += v.dims[axis].fixed
		if parts[i], err = k.as(v, order); err != nil {
			return nil, err
		}
	}
	dims[axis] = dim{fixed: total}
	xs := make([]operand, len(parts))
	for i, v := range parts {
		xs[i] = k.get(v)
	}
	place := slices.Index(order, axis)
	return k.emit(dims, order, func(r *run) *tensor.Tensor {
		ts := make([]*tensor.Tensor, len(xs))
		for i, x := range xs {
			ts[i] = x(r)
		}
		return tensor.Concat(place, ts...)
	})
}

// along emits a step that changes one axis of a value to a new extent.
func (c *compiler) along(v *value, axis, extent int, f func(x *tensor.Tensor, place int) *tensor.Tensor) (*value, error) {
	v, err := c.as(v, v.order)
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(v.dims)
	dims[axis] = dim{fixed: extent}
	x, place := c.get(v), v.place(axis)
	return c.emit(dims, v.order, func(r *run) *tensor.Tensor { return f(x(r), place) })
}

// pick returns the n positions from(0), from(1), ... of an axis.
func pick(x *tensor.Tensor, axis, n int, from func(i int) int) *tensor.Tensor {
	idx := make([]int, n)
	for i := range idx {
		idx[i] = from(i)
	}
	if axis == 0 {
		return tensor.Gather(x, idx)
	}
	to := inOrder(x.Rank())
	copy(to[1:axis+1], to[:axis])
	to[0] = axis
	back := make([]int, len(to))
	for i, a := range to {
		back[a] = i
	}
	return tensor.Transpose(tensor.Gather(tensor.Transpose(x, to...), idx), back...)
}

// cut is what Slice takes of one axis.
type cut struct{ axis, start, step, n int }

// cuts reads the limits of a Slice node.
func (k *call) cuts(dims []dim) ([]cut, error) {
	var starts, ends, axes, steps []int
	if k.opset < 10 {
		if len(k.in) > 1 {
			return nil, fmt.Errorf("has %d inputs, want 1 in operator set %d", len(k.in), k.opset)
		}
		starts, ends, axes = k.ints("starts"), k.ints("ends"), k.ints("axes")
	} else {
		for i, list := range []*[]int{&starts, &ends, &axes, &steps} {
			v, err := k.limits(1+i, dims)
			if err != nil {
				return nil, err
			}
			*list = v
		}
	}
	if axes == nil {
		axes = inOrder(len(starts))
	}
	if steps == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if starts == nil || len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		return nil, fmt.Errorf("has %d starts, %d ends, %d axes and %d steps, want as many", len(starts), len(ends), len(axes), len(steps))
	}
	if _, err := resolve(axes, len(dims), dims); err != nil {
		return nil, err
	}
	var out []cut
	for i, a := range axes {
		a, _ := axisOf(a, len(dims), dims)
		if !dims[a].isFixed() {
			if starts[i] == 0 && steps[i] == 1 && ends[i] >= maxElements {
				continue
			}
			return nil, fmt.Errorf("cuts axis %d of shape %s, which is that of the images of a batch", a, show(dims))
		}
		c, err := cutOf(dims[a].fixed, starts[i], ends[i], steps[i])
		if err != nil {
			return nil, err
		}
		c.axis = a
		if c.start != 0 || c.step != 1 || c.n != dims[a].fixed {
			out = append(out, c)
		}
	}
	return out, nil
}

// limits reads an input of Slice. The batch size as an end means the end.
func (k *call) limits(i int, dims []dim) ([]int, error) {
	list, err := k.listAt(i)
	if list == nil || err != nil {
		return nil, err
	}
	out := make([]int, len(list))
	for j, d := range list {
		switch {
		case d.isFixed():
			out[j] = d.fixed
		case i == 2 && slices.Contains(dims, d):
			out[j] = maxElements
		default:
			return nil, fmt.Errorf("input %d (%q) holds %s, want numbers that do not depend on the batch size", i, k.in[i].name, show(list))
		}
	}
	return out, nil
}

// cutOf resolves limits, which may count from the end or lie outside.
func cutOf(extent, start, end, step int) (cut, error) {
	if step == 0 || step < -maxElements {
		return cut{}, fmt.Errorf("step is %d, want another", step)
	}
	lo, hi := 0, extent
	if step < 0 {
		lo, hi = -1, extent-1
	}
	limit := func(at int) int {
		if at < 0 {
			at += extent
		}
		return min(max(at, lo), hi)
	}
	start, end = limit(start), limit(end)
	n := 0
	switch {
	case step > 0 && end > start:
		n = (end-start-1)/step + 1
	case step < 0 && start > end:
		n = (start-end-1)/-step + 1
	}
	return cut{start: start, step: step, n: n}, nil
}

func buildSlice(k *call) (*value, error) {
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	cuts, err := k.cuts(x.dims)
	if err != nil {
		return nil, err
	}
	for _, c := range cuts {
		x, err = k.along(x, c.axis, c.n, func(x *tensor.Tensor, place int) *tensor.Tensor {
			if c.step == 1 {
				return tensor.Slice(x, place, c.start, c.start+c.n)
			}
			return pick(x, place, c.n, func(i int) int { return c.start + i*c.step })
		})
		if err != nil {
			return nil, err
		}
	}
	return x, nil
}

// parts reads the extents of Split's outputs along an axis.
func (k *call) parts(extent int) ([]int, error) {
	n := len(k.node.outputs)
	var sizes []int
	var err error
	if k.opset < 13 {
		sizes = k.ints("split")
	} else if sizes, err = k.fixedAt(1); err != nil {
		return nil, err
	}
	if k.opset >= 18 {
		if want := k.number("num_outputs", n); want != n {
			return nil, fmt.Errorf("num_outputs is %d, and the node has %d", want, n)
		}
	}
	if sizes == nil {
		// Parts of one size, but for the last one.
		each := (extent + n - 1) / n
		sizes = slices.Repeat([]int{each}, n)
		sizes[n-1] = extent - each*(n-1)
		if k.opset < 18 && sizes[n-1] != each {
			return nil, fmt.Errorf("splits an extent of %d into %d parts, want parts of one size", extent, n)
		}
	}
	total := 0
	for _, s := range sizes {
		if s < 1 || s > extent {
			return nil, fmt.Errorf("splits an extent of %d into parts of %v, want parts of 1 or more", extent, sizes)
		}
		total += s
	}
	if len(sizes) != n || total != extent {
		return nil, fmt.Errorf("splits an extent of %d into parts of %v, want %d parts that add up to it", extent, sizes, n)
	}
	return sizes, nil
}

func buildSplit(k *call) (*value, error) {
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	axis, err := x.ownAxis(k.number("axis", 0))
	if err != nil {
		return nil, err
	}
	sizes, err := k.parts(x.dims[axis].fixed)
	if err != nil {
		return nil, err
	}
	if x, err = k.as(x, x.order); err != nil {
		return nil, err
	}
	var out []*value
	from := 0
	for _, n := range sizes {
		lo := from
		v, err := k.along(x, axis, n, func(x *tensor.Tensor, place int) *tensor.Tensor { return tensor.Slice(x, place, lo, lo+n) })
		if err != nil {
			return nil, err
		}
		out, from = append(out, v), lo+n
	}
	k.more = out[1:]
	return out[0], nil
}

func buildPad(k *call) (*value, error) {
	mode := k.text("mode", "constant")
	fill := 0.0
	var pads, axes []int
	var err error
	if k.opset < 11 {
		pads, fill = k.ints("pads"), k.float("value", 0)
	} else {
		if pads, err = k.fixedAt(1); err != nil {
			return nil, err
		}
		if fill, err = k.scalarAt(2, 0); err != nil {
			return nil, err
		}
		if k.opset >= 18 {
			if axes, err = k.fixedAt(3); err != nil {
				return nil, err
			}
		}
	}
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if axes == nil {
		axes = inOrder(len(x.dims))
	}
	if _, err := resolve(axes, len(x.dims), x.dims); err != nil {
		return nil, err
	}
	if len(pads) != 2*len(axes) {
		return nil, fmt.Errorf("has %d pads, want %d", len(pads), 2*len(axes))
	}
	for i, a := range axes {
		before, after := pads[i], pads[len(axes)+i]
		if before == 0 && after == 0 {
			continue
		}
		a, err := x.ownAxis(a)
		if err != nil {
			return nil, err
		}
		if x, err = k.padAxis(x, a, before, after, mode, fill); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// padAxis adds positions at both ends of an axis; negative numbers take away.
func (k *call) padAxis(x *value, axis, before, after int, mode string, fill float64) (*value, error) {
	extent := x.dims[axis].fixed
	if max(before, after) > maxPad || min(before, after) <= -extent {
		return nil, fmt.Errorf("pads %d and %d of an extent of %d, want above %d and at most %d", before, after, extent, -extent, maxPad)
	}
	total := extent + before + after
	switch mode {
	case "constant":
		return k.along(x, axis, total, func(x *tensor.Tensor, place int) *tensor.Tensor {
			x = tensor.Slice(x, place, max(0, -before), extent-max(0, -after))
			return padWith(x, place, max(0, before), max(0, after), fill)
		})
	case "edge":
		return k.along(x, axis, total, func(x *tensor.Tensor, place int) *tensor.Tensor {
			return pick(x, place, total, func(i int) int { return min(max(i-before, 0), extent-1) })
		})
	case "reflect":
		if max(before, after) >= extent {
			return nil, fmt.Errorf("pads %d and %d by reflection of an extent of %d, want less than that", before, after, extent)
		}
		return k.along(x, axis, total, func(x *tensor.Tensor, place int) *tensor.Tensor {
			return pick(x, place, total, func(i int) int {
				at := max(i-before, before-i)
				return min(at, 2*(extent-1)-at)
			})
		})
	}
	return nil, fmt.Errorf("mode is %q, want constant, edge or reflect", mode)
}

func padWith(x *tensor.Tensor, axis, before, after int, fill float64) *tensor.Tensor {
	if fill == 0 {
		return tensor.Pad(x, axis, before, after)
	}
	s := x.Shape()
	block := func(n int) *tensor.Tensor {
		s[axis] = n
		return tensor.Full(x.DType(), fill, s...)
	}
	return tensor.Concat(axis, block(before), x, block(after))
}

func buildGather(k *call) (*value, error) {
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	axis, err := x.ownAxis(k.number("axis", 0))
	if err != nil {
		return nil, err
	}
	extent := x.dims[axis].fixed
	idx, err := k.indices(extent)
	if err != nil {
		return nil, err
	}
	x, err = k.along(x, axis, len(idx), func(x *tensor.Tensor, place int) *tensor.Tensor {
		if len(idx) == 1 {
			return tensor.Slice(x, place, idx[0], idx[0]+1)
		}
		return pick(x, place, len(idx), func(i int) int { return idx[i] })
	})
	if err != nil {
		return nil, err
	}
	// The axis gives way to those of the indices.
	with := k.in[1].dims
	dims := slices.Concat(x.dims[:axis], with, x.dims[axis+1:])
	if err := checkShape(dims, tensor.MaxRank); err != nil {
		return nil, err
	}
	var order []int
	for _, a := range x.order {
		switch {
		case a == axis:
			for j := range with {
				order = append(order, axis+j)
			}
		case a > axis:
			order = append(order, a+len(with)-1)
		default:
			order = append(order, a)
		}
	}
	return k.restore(x, dims, order)
}

// indexSize is the size in bytes of an index.
const indexSize = bits.UintSize / 8

// indices reads the second input of Gather for an axis of the given extent.
func (k *call) indices(extent int) ([]int, error) {
	v := k.in[1]
	if v.kind != wholes || len(v.whole) == 0 {
		return nil, fmt.Errorf("input 1 (%q) is not a constant of whole numbers", v.name)
	}
	if err := k.spend(v.name, len(v.whole), indexSize); err != nil {
		return nil, err
	}
	out := make([]int, len(v.whole))
	for i, d := range v.whole {
		if !d.isFixed() || d.fixed < -extent || d.fixed >= extent {
			return nil, fmt.Errorf("index %v, want %d to %d", d, -extent, extent-1)
		}
		out[i] = d.fixed
		if d.fixed < 0 {
			out[i] += extent
		}
	}
	return out, nil
}

package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

func buildIdentity(k *call) (*value, error) { return k.in[0], nil }

func buildFlatten(k *call) (*value, error) {
	axis := k.number("axis", 1)
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if axis != len(x.dims) {
		if axis, err = x.axis(axis); err != nil {
			return nil, err
		}
	}
	return k.reshape(x, []dim{product(x.dims[:axis]), product(x.dims[axis:])})
}

func buildReshape(k *call) (*value, error) {
	zero := k.opset >= 14 && k.flag("allowzero", false)
	target, err := k.listAt(1)
	if err != nil {
		return nil, err
	}
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	dims, err := k.reshaped(x.dims, target, zero)
	if err != nil {
		return nil, err
	}
	return k.reshape(x, dims)
}

// reshaped works out the shape that Reshape asks for.
func (c *compiler) reshaped(from, target []dim, zero bool) ([]dim, error) {
	fail := func() ([]dim, error) {
		return nil, fmt.Errorf("shape %s cannot become %s", show(from), show(target))
	}
	dims := slices.Clone(target)
	free := -1
	for i, d := range dims {
		switch {
		case d == dim{} && !zero:
			if i >= len(from) {
				return fail()
			}
			dims[i] = from[i]
		case d == dim{fixed: -1}:
			if free >= 0 {
				return fail()
			}
			free = i
			dims[i] = dim{fixed: 1}
		}
	}
	if len(from) > 0 && len(dims) > 0 && free != 0 && c.fixedBatch > 0 && !from[0].isFixed() &&
		dims[0] == (dim{fixed: from[0].batch * c.fixedBatch}) && product(dims).isFixed() {
		// A file with a fixed batch size has it in its shapes.
		dims[0] = from[0]
	}
	if err := checkShape(dims, tensor.MaxRank); err != nil {
		return nil, err
	}
	have, known := product(from), product(dims)
	if free >= 0 {
		d, err := quotient(have, known)
		if err != nil {
			return fail()
		}
		if d.fixed*known.fixed+d.batch*known.fixed+d.fixed*known.batch != have.fixed+have.batch {
			return fail()
		}
		dims[free] = d
		known = product(dims)
	}
	if have != known {
		return fail()
	}
	return dims, checkShape(dims, tensor.MaxRank)
}

func buildTranspose(k *call) (*value, error) {
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	perm := k.ints("perm")
	if perm == nil {
		perm = inOrder(len(x.dims))
		slices.Reverse(perm)
	}
	if sorted := slices.Sorted(slices.Values(perm)); !slices.Equal(sorted, inOrder(len(x.dims))) {
		return nil, fmt.Errorf("perm is %v, want an order of the axes of shape %s", perm, show(x.dims))
	}
	return k.turn(x, perm)
}

// turn permutes the axes of a value as the file counts them; its register stays
// as it is.
func (c *compiler) turn(v *value, perm []int) (*value, error) {
	v, err := c.as(v, v.order)
	if err != nil {
		return nil, err
	}
	out := *v
	out.dims = arrange(v.dims, perm)
	out.order = make([]int, len(perm))
	for i, a := range v.order {
		out.order[i] = slices.Index(perm, a)
	}
	return &out, nil
}

func buildSqueeze(k *call) (*value, error) {
	x, gone, err := k.marked(squeezed)
	if err != nil {
		return nil, err
	}
	dims, order := dropAxes(x.dims, x.order, gone)
	return k.restore(x, dims, order)
}

// marked returns the input of Squeeze or Unsqueeze and the axes that mark finds by
// those that the call names.
func (k *call) marked(mark func(dims []dim, axes []int) ([]bool, error)) (x *value, marks []bool, err error) {
	axes, err := k.axes(1, 13)
	if err != nil {
		return nil, nil, err
	}
	if x, err = k.data(0); err != nil {
		return nil, nil, err
	}
	if marks, err = mark(x.dims, axes); err != nil {
		return nil, nil, err
	}
	x, err = k.as(x, x.order)
	return x, marks, err
}

// squeezed marks the axes that Squeeze drops: those given, which have extent 1,
// or all such axes.
func squeezed(dims []dim, axes []int) ([]bool, error) {
	if len(axes) == 0 {
		gone := make([]bool, len(dims))
		for i, d := range dims {
			gone[i] = d.isOne()
		}
		return gone, nil
	}
	gone, err := resolve(axes, len(dims), dims)
	if err != nil {
		return nil, err
	}
	for i, d := range dims {
		if gone[i] && !d.isOne() {
			return nil, fmt.Errorf("axis %d of shape %s has extent %v, want 1", i, show(dims), d)
		}
	}
	return gone, nil
}

// dropAxes leaves axes out of a shape and its order.
func dropAxes(dims []dim, order []int, gone []bool) ([]dim, []int) {
	var kept []dim
	rank := make([]int, len(dims))
	for i, d := range dims {
		rank[i] = len(kept)
		if !gone[i] {
			kept = append(kept, d)
		}
	}
	var places []int
	for _, a := range order {
		if !gone[a] {
			places = append(places, rank[a])
		}
	}
	return kept, places
}

func buildUnsqueeze(k *call) (*value, error) {
	x, fresh, err := k.marked(unsqueezed)
	if err != nil {
		return nil, err
	}
	// A new axis stands, in memory, behind the one that it follows.
	var dims []dim
	order := slices.Clone(x.order)
	for i, isNew := range fresh {
		if !isNew {
			dims = append(dims, x.dims[len(dims)-count(fresh[:i])])
			continue
		}
		dims = append(dims, dim{fixed: 1})
		at := 0
		for p, a := range order {
			if a >= i {
				order[p]++
			} else if a == i-1 {
				at = p + 1
			}
		}
		order = slices.Insert(order, at, i)
	}
	return k.restore(x, dims, order)
}

func count(marks []bool) int {
	n := 0
	for _, m := range marks {
		if m {
			n++
		}
	}
	return n
}

// unsqueezed marks the axes of Unsqueeze's result that are new.
func unsqueezed(dims []dim, axes []int) ([]bool, error) {
	if len(axes) == 0 {
		return nil, errors.New("has no axes")
	}
	if len(dims)+len(axes) > tensor.MaxRank {
		return nil, fmt.Errorf("has %d new axes for shape %s, want at most %d in all", len(axes), show(dims), tensor.MaxRank)
	}
	return resolve(axes, len(dims)+len(axes), dims)
}

func buildShape(k *call) (*value, error) {
	v := k.in[0]
	lo, hi := 0, len(v.dims)
	if k.opset >= 15 {
		lo, hi = clamped(k.number("start", 0), hi), clamped(k.number("end", hi), hi)
	}
	list := slices.Clone(v.dims[lo:max(lo, hi)])
	return &value{kind: wholes, dims: []dim{{fixed: len(list)}}, whole: list}, nil
}

// clamped resolves a position that may count from the end of n things.
func clamped(at, n int) int {
	if at < 0 {
		at += n
	}
	return min(max(at, 0), n)
}

func buildConstant(k *call) (*value, error) {
	if p := k.find("value", attrTensor); p != nil {
		if p.tensor == nil {
			return nil, errors.New("attribute \"value\" holds no tensor")
		}
		v, err := k.literal(p.tensor)
		if err != nil {
			return nil, fmt.Errorf("attribute \"value\": %w", err)
		}
		return v, nil
	}
	v := &value{}
	switch {
	case k.find("value_float", attrFloat) != nil:
		v.constant = &constant{values: k.one(k.float("value_float", 0))}
	case k.find("value_floats", attrFloats) != nil:
		f := k.find("value_floats", attrFloats).floats
		t := tensor.Zeros(k.dtype, len(f))
		for i, x := range f {
			t.Set(float64(x), i)
		}
		v.constant, v.dims = &constant{values: t}, []dim{{fixed: len(f)}}
	case k.find("value_int", attrInt) != nil:
		v.kind, v.whole = wholes, []dim{{fixed: k.number("value_int", 0)}}
		return v, nil
	case k.find("value_ints", attrInts) != nil:
		list := k.ints("value_ints")
		v.kind, v.whole, v.dims = wholes, fixedDims(list), []dim{{fixed: len(list)}}
		return v, nil
	default:
		return nil, errors.New("has no value of numbers")
	}
	v.kind = numbers
	return v, nil
}

func buildCast(k *call) (*value, error) {
	to := elemType(k.number("to", 0))
	k.number("saturate", 0) // of 8-bit types
	if !to.isFloat() {
		return nil, fmt.Errorf("turns floating-point numbers into %v, through which no gradient passes", to)
	}
	return buildIdentity(k)
}

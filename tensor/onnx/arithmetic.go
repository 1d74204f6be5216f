package onnx

import (
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// arithmetic holds the elementwise functions of two inputs.
var arithmetic = map[string]func(a, b *tensor.Tensor) *tensor.Tensor{
	"Add": tensor.Add, "Sub": tensor.Sub, "Mul": tensor.Mul, "Div": tensor.Div, "Pow": tensor.Pow,
	"PRelu": func(x, slope *tensor.Tensor) *tensor.Tensor {
		return tensor.Sub(tensor.ReLU(x), tensor.Mul(slope, tensor.ReLU(tensor.Neg(x))))
	},
}

func buildArithmetic(k *call) (*value, error) {
	a, b := k.in[0], k.in[1]
	if k.node.op == "Pow" && a.kind != wholes {
		if b.kind == wholes {
			var err error
			if b, err = k.asNumbers(b); err != nil {
				return nil, err
			}
		}
		if b.kind == numbers && b.constant.values.Len() == 1 {
			return k.power(a, b)
		}
	}
	y, err := k.pointwise(a, b, arithmetic[k.node.op])
	if err == nil && k.node.op == "PRelu" && !slices.Equal(y.dims, a.dims) {
		err = fmt.Errorf("slope has shape %s, want one that stretches to %s", show(b.dims), show(a.dims))
	}
	return y, err
}

// variadic holds the elementwise functions of any number of inputs.
var variadic = map[string]func(a, b *tensor.Tensor) *tensor.Tensor{
	"Sum": tensor.Add, "Max": tensor.Maximum, "Min": tensor.Minimum,
}

func buildVariadic(k *call) (*value, error) {
	y, err := k.data(0)
	if err != nil {
		return nil, err
	}
	for i, v := range k.in[1:] {
		if v == nil {
			return nil, fmt.Errorf("input %d is left out", 1+i)
		}
		if y, err = k.pointwise(y, v, variadic[k.node.op]); err != nil {
			return nil, err
		}
	}
	return y, nil
}

// power raises to a constant power, whose derivative needs no logarithm.
func (k *call) power(a, b *value) (*value, error) {
	p := b.constant.values.Values()[0]
	a, err := k.lift(a)
	if err != nil {
		return nil, err
	}
	if len(b.dims) > len(a.dims) {
		return nil, fmt.Errorf("exponent has shape %s, want no more axes than %s", show(b.dims), show(a.dims))
	}
	return k.like(a, func(x *tensor.Tensor) *tensor.Tensor { return tensor.PowScalar(x, p) })
}

// stretch is the common shape of two values under NumPy's rule.
func stretch(a, b []dim) ([]dim, error) {
	n := max(len(a), len(b))
	out := make([]dim, n)
	for i := 1; i <= n; i++ {
		da, db := dim{fixed: 1}, dim{fixed: 1}
		if i <= len(a) {
			da = a[len(a)-i]
		}
		if i <= len(b) {
			db = b[len(b)-i]
		}
		switch {
		case da == db || db.isOne():
			out[n-i] = da
		case da.isOne():
			out[n-i] = db
		default:
			return nil, fmt.Errorf("shapes %s and %s do not stretch to each other", show(a), show(b))
		}
	}
	return out, nil
}

// pointwise applies a function of two values to each pair of elements. The
// result is laid out as the larger computed one is.
func (k *call) pointwise(a, b *value, f func(a, b *tensor.Tensor) *tensor.Tensor) (*value, error) {
	for _, v := range []*value{a, b} {
		if v.kind == wholes {
			return nil, fmt.Errorf("input %q holds whole numbers, and another one floating-point ones", v.name)
		}
	}
	dims, err := stretch(a.dims, b.dims)
	if err != nil {
		return nil, err
	}
	if err := checkShape(dims, tensor.MaxRank); err != nil {
		return nil, err
	}
	// A single number meets images in any order.
	for i, v := range []*value{a, b} {
		other := []*value{b, a}[i]
		if v.kind != computed || other.kind != numbers || other.constant.values.Len() != 1 || len(other.dims) > len(v.dims) || k.learnable(other, v) {
			continue
		}
		s := tensor.Reshape(other.constant.values, []int{}...)
		x := k.get(v)
		y, err := k.emit(v.dims, v.order, func(r *run) *tensor.Tensor {
			if i == 0 {
				return f(x(r), r.constant(s))
			}
			return f(r.constant(s), x(r))
		})
		if err == nil {
			y.image = v.image
		}
		return y, err
	}
	order := inOrder(len(dims))
	for _, v := range []*value{b, a} {
		if v.kind == computed && v.image == [3]int{} && len(v.dims) == len(dims) {
			order = v.order
		}
	}
	before := k.learns
	x, err := k.aligned(a, b, order)
	if err != nil {
		return nil, err
	}
	y, err := k.aligned(b, a, order)
	if err != nil {
		return nil, err
	}
	k.learns = k.learns || before
	p, q := x(), y()
	return k.emit(dims, order, func(r *run) *tensor.Tensor { return f(p(r), q(r)) })
}

// learnable says whether a constant in an Add, Mul or PRelu with another value is
// a parameter: an initializer that is no single number, after weights. What
// comes before all weights is the normalisation of pixels.
func (k *call) learnable(v, with *value) bool {
	op := k.node.op
	return v.kind == numbers && v.constant.initial && len(v.dims) > 0 && with.kind == computed && with.learned &&
		(op == "Add" || op == "Mul" || op == "PRelu" || op == "Gemm")
}

// aligned returns what gives access to v with as many axes as order, laid out so.
func (k *call) aligned(v, with *value, order []int) (func() operand, error) {
	lead := len(order) - len(v.dims)
	dims := append(slices.Repeat([]dim{{fixed: 1}}, lead), v.dims...)
	if err := checkShape(dims, tensor.MaxRank); err != nil {
		return nil, err
	}
	own := inOrder(len(order))
	if v.kind == computed {
		if v.image != [3]int{} {
			var err error
			if v, err = k.unflatten(v); err != nil {
				return nil, err
			}
		}
		for i, a := range v.order {
			own[lead+i] = lead + a
		}
	}
	if v.kind == computed && lead == 0 && slices.Equal(own, order) {
		return func() operand { return k.get(v) }, nil
	}
	widened, move := arrange(dims, own), rearrange(dims, own, order)
	widen := func(x *tensor.Tensor, n int) *tensor.Tensor {
		return move(tensor.Reshape(x, extents(widened, n)...), n)
	}
	switch {
	case v.kind == computed:
		return func() operand {
			x := k.get(v)
			return func(r *run) *tensor.Tensor { return widen(x(r), r.n) }
		}, nil
	case k.learnable(v, with):
		w, err := k.weight(v.constant, form{})
		if err != nil {
			return nil, err
		}
		return func() operand { return func(r *run) *tensor.Tensor { return widen(w(r), r.n) } }, nil
	}
	if err := k.spend(v.name, v.constant.values.Len(), k.numberSize()); err != nil {
		return nil, err
	}
	t := widen(v.constant.values, 1)
	return func() operand { return func(r *run) *tensor.Tensor { return r.constant(t) } }, nil
}

// arithmeticOnWholes computes with numbers of shape computations.
func arithmeticOnWholes(k *call) (*value, error) {
	a, b := k.in[0], k.in[1]
	if b.kind != wholes || len(a.dims) > 1 || len(b.dims) > 1 {
		return nil, fmt.Errorf("inputs have shapes %s and %s, want two numbers or lists of whole numbers", show(a.dims), show(b.dims))
	}
	dims, err := stretch(a.dims, b.dims)
	if err != nil {
		return nil, err
	}
	n := product(dims).fixed
	if err := k.spend(k.node.outputs[0], n, wholeSize); err != nil {
		return nil, err
	}
	out := &value{kind: wholes, dims: dims, whole: make([]dim, n)}
	f := map[string]func(a, b dim) (dim, error){
		"Add": sum, "Mul": times, "Div": quotient,
		"Sub": func(a, b dim) (dim, error) { return sum(a, dim{-b.fixed, -b.batch}) },
	}[k.node.op]
	for i := range out.whole {
		p, err := a.whole[i%len(a.whole)].bounded()
		if err != nil {
			return nil, err
		}
		q, err := b.whole[i%len(b.whole)].bounded()
		if err != nil {
			return nil, err
		}
		if out.whole[i], err = f(p, q); err != nil {
			return nil, err
		}
	}
	return out, nil
}

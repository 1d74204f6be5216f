package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func buildGemm(k *call) (*value, error) {
	alpha, beta := k.float("alpha", 1), k.float("beta", 1)
	turnA, turnB := k.flag("transA", false), k.flag("transB", false)
	a, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if len(a.dims) != 2 || len(k.in[1].dims) != 2 {
		return nil, fmt.Errorf("inputs have shapes %s and %s, want two matrices", show(a.dims), show(k.in[1].dims))
	}
	if turnA {
		if a, err = k.turn(a, []int{1, 0}); err != nil {
			return nil, err
		}
	}
	bd := slices.Clone(k.in[1].dims)
	if turnB {
		slices.Reverse(bd)
	}
	if a.dims[1] != bd[0] || !bd[0].isFixed() {
		return nil, fmt.Errorf("inputs have shapes %s and %s, want inner extents that agree", show(a.dims), show(bd))
	}
	dims := []dim{a.dims[0], bd[1]}
	bias, rest, err := k.gemmBias(dims, alpha, beta)
	if err != nil {
		return nil, err
	}
	y, err := k.product(a, k.in[1], turnB, bias)
	if err != nil {
		return nil, err
	}
	if alpha != 1 {
		if y, err = k.like(y, func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(x, alpha) }); err != nil {
			return nil, err
		}
	}
	if rest == nil {
		return y, nil
	}
	if beta != 1 {
		scaled := k.one(beta)
		if rest, err = k.pointwise(rest, &value{kind: numbers, constant: &constant{values: scaled}}, tensor.Mul); err != nil {
			return nil, err
		}
	}
	sum, err := k.pointwise(y, rest, tensor.Add)
	if err == nil && !slices.Equal(sum.dims, dims) {
		err = fmt.Errorf("third input has shape %s, want one that stretches to %s", show(k.in[2].dims), show(dims))
	}
	return sum, err
}

// gemmBias returns the third input as a bias for the product or, when it is
// none, as a value to be added.
func (k *call) gemmBias(dims []dim, alpha, beta float64) (bias operand, rest *value, err error) {
	if len(k.in) < 3 || k.in[2] == nil {
		return nil, nil, nil
	}
	v := k.in[2]
	if v.kind == numbers && alpha == 1 && beta == 1 && len(v.dims) == 1 && v.dims[0] == dims[1] {
		bias, err = k.weight(v.constant, form{})
		return bias, nil, err
	}
	return nil, v, nil
}

// product is the product of a matrix with n columns, and a second matrix or its
// transpose, with a bias if that is not nil.
func (k *call) product(a, b *value, turned bool, bias operand) (*value, error) {
	if bias == nil {
		bias = func(*run) *tensor.Tensor { return nil }
	}
	if b.kind == numbers {
		if b.constant.values.Len() == 0 {
			return nil, fmt.Errorf("weights have shape %s, want no empty axis", show(b.dims))
		}
		return k.dense(a, b, turned, bias)
	}
	var err error
	if a, err = k.plain(a); err != nil {
		return nil, err
	}
	if b, err = k.plain(b); err != nil {
		return nil, err
	}
	out := b.dims[1]
	if turned {
		out = b.dims[0]
	}
	x, y := k.get(a), k.get(b)
	return k.emit([]dim{a.dims[0], out}, inOrder(2), func(r *run) *tensor.Tensor {
		p := tensor.MatMulT(x(r), y(r), false, turned)
		if c := bias(r); c != nil {
			p = tensor.Add(p, c)
		}
		return p
	})
}

// dense is the product of a matrix and weights of the file. Features of images
// that were flattened stay as they are; the weights' rows move instead.
func (k *call) dense(a, b *value, turned bool, bias operand) (*value, error) {
	if a.image == [3]int{} {
		var err error
		if a, err = k.plain(a); err != nil {
			return nil, err
		}
	}
	w, err := k.weight(b.constant, form{layout: nn.Matrix, turned: turned, image: a.image})
	if err != nil {
		return nil, err
	}
	out := b.dims[1]
	if turned {
		out = b.dims[0]
	}
	x, act := k.get(a), false
	v, err := k.emit([]dim{a.dims[0], out}, inOrder(2), func(r *run) *tensor.Tensor {
		fused := tensor.Identity
		if act {
			fused = tensor.Rectify
		}
		return tensor.Linear(x(r), w(r), bias(r), fused)
	})
	if err == nil {
		k.steps[len(k.steps)-1].rectify = &act
	}
	return v, err
}

func buildMatMul(k *call) (*value, error) {
	a, err := k.data(0)
	if err != nil {
		return nil, err
	}
	b := k.in[1]
	if b.kind == wholes || len(a.dims) == 0 || len(b.dims) == 0 {
		return nil, fmt.Errorf("inputs have shapes %s and %s, want two matrices of floating-point numbers", show(a.dims), show(b.dims))
	}
	if len(b.dims) == 2 && len(a.dims) >= 2 {
		return k.matMulFlat(a, b)
	}
	if b, err = k.data(1); err != nil {
		return nil, err
	}
	// A vector is a matrix of one row or column, which disappears again.
	vectorA, vectorB := len(a.dims) == 1, len(b.dims) == 1
	if vectorA {
		if a, err = k.reshape(a, []dim{{fixed: 1}, a.dims[0]}); err != nil {
			return nil, err
		}
	}
	if vectorB {
		if b, err = k.reshape(b, []dim{b.dims[0], {fixed: 1}}); err != nil {
			return nil, err
		}
	}
	y, err := k.matMulBatched(a, b)
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(y.dims)
	if vectorB {
		dims = dims[:len(dims)-1]
	}
	if vectorA {
		at := len(y.dims) - 2
		dims = slices.Delete(dims, at, at+1)
	}
	return k.reshape(y, dims)
}

// matMulFlat multiplies the last axis of a with one matrix.
func (k *call) matMulFlat(a, b *value) (*value, error) {
	last := len(a.dims) - 1
	if a.dims[last] != b.dims[0] || !b.dims[0].isFixed() {
		return nil, fmt.Errorf("inputs have shapes %s and %s, want inner extents that agree", show(a.dims), show(b.dims))
	}
	lead := a.dims[:last]
	var err error
	if last > 1 {
		if a, err = k.reshape(a, []dim{product(lead), a.dims[last]}); err != nil {
			return nil, err
		}
	}
	y, err := k.product(a, b, false, nil)
	if err != nil {
		return nil, err
	}
	return k.reshape(y, append(slices.Clone(lead), b.dims[1]))
}

// matMulBatched multiplies stacks of matrices, stretched to each other.
func (k *call) matMulBatched(a, b *value) (*value, error) {
	ra, rb := len(a.dims), len(b.dims)
	inner := a.dims[ra-1]
	if inner != b.dims[rb-2] || !inner.isFixed() {
		return nil, fmt.Errorf("inputs have shapes %s and %s, want inner extents that agree", show(a.dims), show(b.dims))
	}
	lead, err := stretch(a.dims[:ra-2], b.dims[:rb-2])
	if err != nil {
		return nil, err
	}
	if a, err = k.plain(a); err != nil {
		return nil, err
	}
	if b, err = k.plain(b); err != nil {
		return nil, err
	}
	if product(lead).isFixed() && product(lead).fixed > 1<<16 {
		return nil, errors.New("has more than 65536 matrices for an image")
	}
	dims := append(slices.Clone(lead), a.dims[ra-2], b.dims[rb-1])
	x, y := k.get(a), k.get(b)
	return k.emit(dims, inOrder(len(dims)), func(r *run) *tensor.Tensor {
		n := extents(lead, r.n)
		return tensor.Reshape(stackedProduct(x(r), y(r), n), extents(dims, r.n)...)
	})
}

// stackedProduct multiplies matrices of a and b, whose leading axes stretch to
// lead, one after the other.
func stackedProduct(a, b *tensor.Tensor, lead []int) *tensor.Tensor {
	count := 1
	for _, d := range lead {
		count *= d
	}
	parts := make([]*tensor.Tensor, count)
	for i := range parts {
		parts[i] = tensor.MatMul(matrixAt(a, lead, i), matrixAt(b, lead, i))
	}
	return tensor.Concat(0, parts...)
}

// matrixAt returns the i-th matrix of a stack that is stretched to lead.
func matrixAt(x *tensor.Tensor, lead []int, i int) *tensor.Tensor {
	s := x.Shape()
	own := s[:len(s)-2]
	at, stride := 0, 1
	for k := 1; k <= len(lead); k++ {
		c := i % lead[len(lead)-k]
		i /= lead[len(lead)-k]
		if k > len(own) {
			continue
		}
		d := own[len(own)-k]
		at += c % d * stride
		stride *= d
	}
	m := s[len(s)-2:]
	rows := tensor.Reshape(x, stride*m[0], m[1])
	return tensor.Slice(rows, 0, at*m[0], (at+1)*m[0])
}

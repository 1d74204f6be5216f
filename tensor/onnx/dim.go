package onnx

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// dim is a whole number that may depend on the batch size N: fixed + batch N.
// Extents of axes are such numbers, and so are the values that shape
// computations pass around.
type dim struct{ fixed, batch int }

// wholeSize is the size in bytes of a dim.
const wholeSize = 2 * bits.UintSize / 8

func fixedDims(dims []int) []dim {
	out := make([]dim, len(dims))
	for i, d := range dims {
		out[i] = dim{fixed: d}
	}
	return out
}

// at is the number's value for a batch of n.
func (d dim) at(n int) int { return d.fixed + d.batch*n }

// isFixed says whether the number does not depend on the batch size.
func (d dim) isFixed() bool { return d.batch == 0 }

func (d dim) isOne() bool { return d == dim{fixed: 1} }

// String shows the number, with N for the batch size.
func (d dim) String() string {
	n := "N"
	if d.batch != 1 {
		n = fmt.Sprintf("%dN", d.batch)
	}
	switch {
	case d.batch == 0:
		return fmt.Sprint(d.fixed)
	case d.fixed == 0:
		return n
	}
	return fmt.Sprintf("%s%+d", n, d.fixed)
}

// show writes a shape as an error message gives it.
func show(dims []dim) string {
	parts := make([]string, len(dims))
	for i, d := range dims {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// maxElements bounds the elements that one image may have anywhere in a model,
// so that sizes can be multiplied without a thought for overflow.
const maxElements = 1<<31 - 1

// product is the number of elements of a shape, which is valid.
func product(dims []dim) dim {
	k, batch := 1, false
	for _, d := range dims {
		if d.isFixed() {
			k *= d.fixed
		} else {
			k *= d.batch
			batch = true
		}
	}
	if batch {
		return dim{batch: k}
	}
	return dim{fixed: k}
}

// checkShape returns an error unless dims can be the shape of a value: each
// extent is a number or a multiple of the batch size, which occurs at most once.
func checkShape(dims []dim, maxRank int) error {
	if len(dims) > maxRank {
		return fmt.Errorf("result has shape %s with %d axes, want at most %d", show(dims), len(dims), maxRank)
	}
	k, batches := 1, 0
	for _, d := range dims {
		v := d.fixed
		if !d.isFixed() {
			if batches++; batches > 1 || d.fixed != 0 {
				return fmt.Errorf("result has shape %s, want one axis for the N images of a batch", show(dims))
			}
			v = d.batch
		}
		if v < 1 || v > math.MaxInt32 {
			return fmt.Errorf("result has shape %s with extent %v, want 1 to %d", show(dims), d, math.MaxInt32)
		}
		if k > maxElements/v {
			return fmt.Errorf("result has shape %s, want at most %d elements for an image", show(dims), maxElements)
		}
		k *= v
	}
	return nil
}

// sum is a + b.
func sum(a, b dim) (dim, error) { return dim{a.fixed + b.fixed, a.batch + b.batch}.bounded() }

// times is a b, unless that has a square of the batch size.
func times(a, b dim) (dim, error) {
	if a.batch != 0 && b.batch != 0 {
		return dim{}, fmt.Errorf("product of %v and %v is not linear in the batch size", a, b)
	}
	return dim{a.fixed * b.fixed, a.fixed*b.batch + a.batch*b.fixed}.bounded()
}

// quotient is a/b rounded towards zero, unless that depends on the batch size in
// another way than by a factor.
func quotient(a, b dim) (dim, error) {
	switch {
	case b == dim{}:
		return dim{}, fmt.Errorf("division of %v by 0", a)
	case b.isFixed() && a.isFixed():
		return dim{fixed: a.fixed / b.fixed}, nil
	case b.isFixed() && a.fixed%b.fixed == 0 && a.batch%b.fixed == 0:
		return dim{a.fixed / b.fixed, a.batch / b.fixed}, nil
	case a.fixed == 0 && b.fixed == 0 && a.batch%b.batch == 0:
		return dim{fixed: a.batch / b.batch}, nil
	}
	return dim{}, fmt.Errorf("quotient of %v and %v is not linear in the batch size", a, b)
}

// bounded returns an error if arithmetic on the number could overflow.
func (d dim) bounded() (dim, error) {
	if max(d.fixed, d.batch) > maxElements || min(d.fixed, d.batch) < -maxElements {
		return dim{}, fmt.Errorf("number %v is out of range, want at most %d", d, maxElements)
	}
	return d, nil
}

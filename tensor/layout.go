package tensor

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// Reshape returns x with another shape of the same number of elements, sharing
// x's memory. One extent may be -1: it is worked out from the others.
func Reshape(x *Tensor, dims ...int) *Tensor {
	known, free := 1, -1
	for i, d := range dims {
		if d == -1 {
			if free >= 0 {
				panic(fmt.Sprintf("tensor: Reshape: %v has two extents of -1", dims))
			}
			free = i
		} else {
			known *= d
		}
	}
	if free >= 0 {
		if known == 0 || x.Len()%known != 0 {
			panic(fmt.Sprintf("tensor: Reshape: shape %v to %v", x.shape, dims))
		}
		dims = append([]int(nil), dims...)
		dims[free] = x.Len() / known
	}
	return reshape(x, makeShape("Reshape", dims))
}

func reshape(x *Tensor, to shape) *Tensor {
	if x.shape == to {
		return x
	}
	x.check("Reshape")
	x.checkRecord("Reshape")
	if x.shape.size() != to.size() {
		panic(fmt.Sprintf("tensor: Reshape: shape %v to %v", x.shape, to))
	}
	y := *x
	y.shape = to
	y.node = -1
	return x.tape.record(node{op: opReshape}, &y, x)
}

func backReshape(b *back) { b.grads[0] = reshape(b.g, b.in[0].shape) }

// Flatten returns x [n, ...] as a matrix of n rows, sharing x's memory.
func Flatten(x *Tensor) *Tensor {
	if x.shape.rank() == 0 {
		panic("tensor: Flatten: scalar, want at least one axis")
	}
	return reshape(x, shapeOf(x.shape.dim(0), x.shape.sizeFrom(1)))
}

// permutation is an order of axes.
type permutation [MaxRank]int8

// Transpose returns x with its axes in the order perm; with no perm, in reverse.
func Transpose(x *Tensor, perm ...int) *Tensor {
	n := x.shape.rank()
	var p permutation
	switch {
	case len(perm) == 0:
		for i := range n {
			p[i] = int8(n - 1 - i)
		}
	case len(perm) != n:
		panic(fmt.Sprintf("tensor: Transpose: order %v for shape %v", perm, x.shape))
	default:
		var seen [MaxRank]bool
		for i, a := range perm {
			a = x.shape.axis("Transpose", a)
			if seen[a] {
				panic(fmt.Sprintf("tensor: Transpose: order %v names axis %d twice", perm, a))
			}
			seen[a] = true
			p[i] = int8(a)
		}
	}
	return transpose(x, p)
}

func transpose(x *Tensor, p permutation) *Tensor {
	t := operandsOf("Transpose", x)
	to := shape{n: x.shape.n}
	for i := range to.rank() {
		to.d[i] = x.shape.d[p[i]]
	}
	y := newOn(t, x.dtype, to)
	if x.dtype == Float32 {
		transposeOn(y.f32, x.f32, to, x.shape, p)
	} else {
		transposeOn(y.f64, x.f64, to, x.shape, p)
	}
	return t.record(node{op: opTranspose, aux: p}, y, x)
}

func transposeOn[T kernel.Float](y, x []T, to, from shape, p permutation) {
	if len(y) == 0 {
		return
	}
	n := to.rank()
	xs := from.strides()
	var stride [MaxRank]int
	for i := range n {
		stride[i] = xs[p[i]]
	}
	// A swap of two last axes, within blocks that stay in order, is a plain
	// matrix transposition; other orders move the last run of axes that stays
	// together as one piece.
	if n >= 2 && swapsTail(p, n) {
		r, c := from.dim(n-2), from.dim(n-1)
		eachImage(len(x)/(r*c), r*c, func(i int) {
			kernel.Transpose2D(y[i*r*c:(i+1)*r*c], x[i*r*c:(i+1)*r*c], r, c)
		})
		return
	}
	run, last := 1, n
	for last > 0 && int(p[last-1]) == last-1 {
		last--
		run *= to.dim(last)
	}
	rows := len(y) / run
	par.For(rows, max(1, grain/run), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			off, q := 0, r
			for i := last - 1; i >= 0; i-- {
				off += q % to.dim(i) * stride[i]
				q /= to.dim(i)
			}
			if run == 1 {
				y[r] = x[off]
			} else {
				copy(y[r*run:(r+1)*run], x[off:off+run])
			}
		}
	})
}

func swapsTail(p permutation, n int) bool {
	for i := range n - 2 {
		if int(p[i]) != i {
			return false
		}
	}
	return int(p[n-1]) == n-2
}

func backTranspose(b *back) {
	var inv permutation
	for i, a := range b.aux.(permutation) {
		if i < b.in[0].shape.rank() {
			inv[a] = int8(i)
		}
	}
	b.grads[0] = transpose(b.g, inv)
}

// span is a part [lo, hi) of an axis.
type span struct{ axis, lo, hi int }

// Slice returns the part [lo, hi) of x along an axis. It is the adjoint of Pad.
func Slice(x *Tensor, axis, lo, hi int) *Tensor {
	a := x.shape.axis("Slice", axis)
	if lo < 0 || hi < lo || hi > x.shape.dim(a) {
		panic(fmt.Sprintf("tensor: Slice: [%d, %d) of axis %d of shape %v", lo, hi, a, x.shape))
	}
	return slice(x, span{a, lo, hi})
}

func slice(x *Tensor, s span) *Tensor {
	t := operandsOf("Slice", x)
	y := newOn(t, x.dtype, x.shape.with(s.axis, s.hi-s.lo))
	copyBlocks(y, 0, x, s.lo, s.hi-s.lo, s.axis)
	return t.record(node{op: opSlice, aux: s}, y, x)
}

func backSlice(b *back) {
	s := b.aux.(span)
	b.grads[0] = pad(b.g, s, b.in[0].shape.dim(s.axis))
}

// Pad returns x with before and after zeros added along an axis. It is the
// adjoint of Slice.
func Pad(x *Tensor, axis, before, after int) *Tensor {
	a := x.shape.axis("Pad", axis)
	if before < 0 || after < 0 {
		panic(fmt.Sprintf("tensor: Pad: %d before and %d after, want no negative number", before, after))
	}
	n := x.shape.dim(a)
	return pad(x, span{a, before, before + n}, before+n+after)
}

func pad(x *Tensor, s span, extent int) *Tensor {
	t := operandsOf("Pad", x)
	y := zerosOn(t, x.dtype, x.shape.with(s.axis, extent))
	copyBlocks(y, s.lo, x, 0, s.hi-s.lo, s.axis)
	return t.record(node{op: opPad, aux: s}, y, x)
}

func backPad(b *back) { b.grads[0] = slice(b.g, b.aux.(span)) }

// copyBlocks copies n positions along axis from position from of src to
// position to of dst; all other axes have equal extents.
func copyBlocks(dst *Tensor, to int, src *Tensor, from, n, axis int) {
	inner := src.shape.sizeFrom(axis + 1)
	dn, sn := dst.shape.dim(axis)*inner, src.shape.dim(axis)*inner
	to, from, n = to*inner, from*inner, n*inner
	for o := range src.shape.sizeTo(axis) {
		if dst.dtype == Float32 {
			copy(dst.f32[o*dn+to:o*dn+to+n], src.f32[o*sn+from:])
		} else {
			copy(dst.f64[o*dn+to:o*dn+to+n], src.f64[o*sn+from:])
		}
	}
}

// Concat joins tensors along an axis; all other extents agree.
func Concat(axis int, xs ...*Tensor) *Tensor {
	if len(xs) == 0 {
		panic("tensor: Concat: no tensors")
	}
	t := operandsOf("Concat", xs...)
	a := xs[0].shape.axis("Concat", axis)
	total := 0
	for _, x := range xs {
		if x.shape.n != xs[0].shape.n || x.shape.with(a, 0) != xs[0].shape.with(a, 0) {
			panic(fmt.Sprintf("tensor: Concat: shapes %v and %v along axis %d", xs[0].shape, x.shape, a))
		}
		total += x.shape.dim(a)
	}
	y := newOn(t, xs[0].dtype, xs[0].shape.with(a, total))
	at := 0
	for _, x := range xs {
		copyBlocks(y, at, x, 0, x.shape.dim(a), a)
		at += x.shape.dim(a)
	}
	return t.record(node{op: opConcat, aux: a}, y, xs...)
}

func backConcat(b *back) {
	axis, at := b.aux.(int), 0
	for i, x := range b.in {
		next := at + x.shape.dim(axis)
		if b.need[i] {
			b.grads[i] = slice(b.g, span{axis, at, next})
		}
		at = next
	}
}

// Flip returns x with the order along an axis reversed.
func Flip(x *Tensor, axis int) *Tensor { return flip(x, x.shape.axis("Flip", axis)) }

func flip(x *Tensor, axis int) *Tensor {
	t := operandsOf("Flip", x)
	y := newOn(t, x.dtype, x.shape)
	n := x.shape.dim(axis)
	for i := range n {
		copyBlocks(y, n-1-i, x, i, 1, axis)
	}
	return t.record(node{op: opFlip, aux: axis}, y, x)
}

func backFlip(b *back) { b.grads[0] = flip(b.g, b.aux.(int)) }

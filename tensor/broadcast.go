package tensor

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// BroadcastTo stretches x to the given shape under NumPy's rule: axes are
// aligned at the last one and extents of 1 repeat. It is the adjoint of SumTo.
func BroadcastTo(x *Tensor, dims ...int) *Tensor {
	return broadcastTo(x, makeShape("BroadcastTo", dims))
}

func broadcastTo(x *Tensor, to shape) *Tensor {
	if x.shape == to {
		return x
	}
	t := operandsOf("BroadcastTo", x)
	if broadcastShape("BroadcastTo", x.shape, to) != to {
		panic(fmt.Sprintf("tensor: BroadcastTo: shape %v does not stretch to %v", x.shape, to))
	}
	return t.record(node{op: opBroadcastTo}, stretch(t, x, to), x)
}

func backBroadcastTo(b *back) { b.grads[0] = sumTo(b.g, b.in[0].shape) }

// stretch copies x to the larger shape.
func stretch(t *Tape, x *Tensor, to shape) *Tensor {
	y := newOn(t, x.dtype, to)
	if x.dtype == Float32 {
		stretchOn(y.f32, x.f32, x.shape, to)
	} else {
		stretchOn(y.f64, x.f64, x.shape, to)
	}
	return y
}

func stretchOn[T kernel.Float](y, x []T, from, to shape) {
	if len(y) == 0 {
		return
	}
	if len(x) == 1 {
		kernel.Fill(y, x[0])
		return
	}
	// Strides of x over the axes of the result, 0 along repeated axes.
	var stride [MaxRank]int
	xs := from.strides()
	lead := to.rank() - from.rank()
	for i := range from.rank() {
		if from.d[i] != 1 {
			stride[lead+i] = xs[i]
		}
	}
	last := to.rank() - 1
	c := to.dim(last)
	rows := len(y) / c
	par.For(rows, max(1, grain/c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			off, q := 0, r
			for i := last - 1; i >= 0; i-- {
				off += q % to.dim(i) * stride[i]
				q /= to.dim(i)
			}
			if stride[last] == 0 {
				kernel.Fill(y[r*c:(r+1)*c], x[off])
			} else {
				copy(y[r*c:(r+1)*c], x[off:off+c])
			}
		}
	})
}

// SumTo sums x over the axes along which the given shape is stretched to x's,
// so that the result has that shape. It is the adjoint of BroadcastTo.
func SumTo(x *Tensor, dims ...int) *Tensor { return sumTo(x, makeShape("SumTo", dims)) }

func sumTo(x *Tensor, to shape) *Tensor {
	if x.shape == to {
		return x
	}
	t := operandsOf("SumTo", x)
	if broadcastShape("SumTo", x.shape, to) != x.shape {
		panic(fmt.Sprintf("tensor: SumTo: shape %v is not a stretched %v", x.shape, to))
	}
	y := newOn(t, x.dtype, to)
	if x.dtype == Float32 {
		sumToOn[float32](t, y, x)
	} else {
		sumToOn[float64](t, y, x)
	}
	return t.record(node{op: opSumTo}, y, x)
}

func backSumTo(b *back) { b.grads[0] = broadcastTo(b.g, b.in[0].shape) }

// sumToOn sums one run of neighbouring axes after the other, last axes first.
func sumToOn[T kernel.Float](t *Tape, y, x *Tensor) {
	s := x.shape
	lead := s.rank() - y.shape.rank()
	summed := func(i int) bool {
		return s.d[i] != 1 && (i < lead || y.shape.d[i-lead] == 1)
	}
	// Extents of what remains to be summed, as [outer, mid, inner].
	v := data[T](x)
	inner := 1
	hi := s.rank()
	for hi > 0 {
		if !summed(hi - 1) {
			inner *= s.dim(hi - 1)
			hi--
			continue
		}
		lo := hi
		mid := 1
		for lo > 0 && (summed(lo-1) || s.d[lo-1] == 1) {
			lo--
			mid *= s.dim(lo)
		}
		outer := s.sizeTo(lo)
		out := data[T](y)
		if len(out) != outer*inner {
			out = data[T](newOn(t, x.dtype, shapeOf(outer, inner)))
		}
		sumMiddle(out, v, outer, mid, inner)
		v = out
		hi = lo
	}
	if out := data[T](y); len(out) > 0 && &v[0] != &out[0] {
		copy(out, v)
	}
}

// sumBlock is the number of rows that are summed into one partial sum. It is
// fixed so that the result does not depend on the number of threads.
const sumBlock = 1 << 15

// sumMiddle sums v, of shape [outer, mid, inner], over mid.
func sumMiddle[T kernel.Float](out, v []T, outer, mid, inner int) {
	switch {
	case len(v) == 0:
		clear(out)
	case inner == 1 && outer == 1:
		out[0] = parallelSum(len(v), func(lo, hi int) T { return kernel.Sum(v[lo:hi]) })
	case inner == 1:
		par.For(outer, max(1, grain/mid), func(lo, hi int) {
			kernel.SumCols(out[lo:hi], v[lo*mid:hi*mid])
		})
	case outer == 1:
		sumRows(out, v)
	default:
		par.For(outer, max(1, grain/(mid*inner)), func(lo, hi int) {
			for o := lo; o < hi; o++ {
				dst := out[o*inner : (o+1)*inner]
				clear(dst)
				kernel.SumRows(dst, v[o*mid*inner:(o+1)*mid*inner])
			}
		})
	}
}

// sumRows sums the rows of v, as long as out, in fixed blocks.
func sumRows[T kernel.Float](out, v []T) {
	c := len(out)
	rows := len(v) / c
	block := max(1, sumBlock/c)
	blocks := (rows + block - 1) / block
	if blocks <= 1 {
		clear(out)
		kernel.SumRows(out, v)
		return
	}
	work := scratch[T]().Borrow(blocks * c)
	defer scratch[T]().Return(work)
	partial := work.Data
	clear(partial)
	par.For(blocks, 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			end := min(rows, (b+1)*block)
			kernel.SumRows(partial[b*c:(b+1)*c], v[b*block*c:end*c])
		}
	})
	clear(out)
	kernel.SumRows(out, partial)
}

// parallelSum adds up part over fixed blocks of [0, n).
func parallelSum[T kernel.Float](n int, part func(lo, hi int) T) T {
	blocks := (n + sumBlock - 1) / sumBlock
	if blocks <= 1 {
		return part(0, n)
	}
	work := scratch[T]().Borrow(blocks)
	defer scratch[T]().Return(work)
	sums := work.Data
	par.For(blocks, 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			sums[b] = part(b*sumBlock, min(n, (b+1)*sumBlock))
		}
	})
	return kernel.Sum(sums)
}

// kept is x's shape with extent 1 along the given axes, and dropped is that
// without them. No axes means all.
func reducedShapes(op string, x *Tensor, axes []int) (kept, dropped shape) {
	kept, dropped = x.shape, shape{}
	if len(axes) == 0 {
		for i := range kept.rank() {
			kept.d[i] = 1
		}
		return kept, dropped
	}
	var gone [MaxRank]bool
	for _, a := range axes {
		gone[x.shape.axis(op, a)] = true
	}
	for i := range kept.rank() {
		if gone[i] {
			kept.d[i] = 1
		} else {
			dropped.d[dropped.n] = x.shape.d[i]
			dropped.n++
		}
	}
	return kept, dropped
}

// Sum returns the sum of x over the given axes, which disappear; with no axes,
// over all of them. Use SumTo to keep axes.
func Sum(x *Tensor, axes ...int) *Tensor {
	kept, dropped := reducedShapes("Sum", x, axes)
	return reshape(sumTo(x, kept), dropped)
}

// Mean returns the mean of x over the given axes, which disappear; with no
// axes, over all of them. The mean of nothing is NaN.
func Mean(x *Tensor, axes ...int) *Tensor {
	s := Sum(x, axes...)
	return over(s, float64(x.Len())/float64(s.Len()))
}

// over returns x/n: that of a sum of n equal numbers is that number, which the product
// with the rounded 1/n need not be. The derivative is that of the product.
func over(x *Tensor, n float64) *Tensor {
	t := operandsOf("Mean", x)
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		binaryScalarOn(kernel.Div, y.f32, x.f32, float32(n))
	} else {
		binaryScalarOn(kernel.Div, y.f64, x.f64, n)
	}
	return t.record(node{op: opAffine, alpha: 1 / n}, y, x)
}

// Var returns the biased variance of x over the given axes, which disappear;
// with no axes, over all of them.
func Var(x *Tensor, axes ...int) *Tensor {
	kept, dropped := reducedShapes("Var", x, axes)
	n := float64(x.Len()) / float64(kept.size())
	mean := over(sumTo(x, kept), n)
	return reshape(over(sumTo(Square(Sub(x, mean)), kept), n), dropped)
}

// Dot returns the sum of the elementwise products of a and b, which have the
// same shape.
func Dot(a, b *Tensor) *Tensor {
	t := operandsOf("Dot", a, b)
	if a.shape != b.shape {
		panic(fmt.Sprintf("tensor: Dot: shapes %v and %v, want equal", a.shape, b.shape))
	}
	y := newOn(t, a.dtype, shape{})
	if a.dtype == Float32 {
		dotOn(y.f32, a.f32, b.f32)
	} else {
		dotOn(y.f64, a.f64, b.f64)
	}
	return t.record(node{op: opDot}, y, a, b)
}

func dotOn[T kernel.Float](y, a, b []T) {
	y[0] = parallelSum(len(a), func(lo, hi int) T { return kernel.Dot(a[lo:hi], b[lo:hi]) })
}

func backDot(b *back) {
	for i := range b.in {
		if b.need[i] {
			b.grads[i] = Mul(b.g, b.in[1-i])
		}
	}
}

package tensor

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// Everything that picks elements by index (max-pooling, maxima along an axis,
// picking the logit of a label) is one linear map with frozen indices, take, and
// its adjoint, put. Both see their tensors as a number of rows, each with its
// own indices, so that rows can be worked on in parallel.

// take returns y with y[r, j] = x[r, idx[r, j]], shaped as out.
func take(x *Tensor, idx []int32, rows int, out shape) *Tensor {
	t := operandsOf("Take", x)
	y := newOn(t, x.dtype, out)
	if x.dtype == Float32 {
		takeOn(y.f32, x.f32, idx, rows)
	} else {
		takeOn(y.f64, x.f64, idx, rows)
	}
	return t.record(node{op: opTake, aux: idx, alpha: float64(rows)}, y, x)
}

func takeOn[T kernel.Float](y, x []T, idx []int32, rows int) {
	in, out := len(x)/max(1, rows), len(y)/max(1, rows)
	eachImage(rows, out, func(r int) {
		kernel.GatherIdx(y[r*out:(r+1)*out], x[r*in:(r+1)*in], idx[r*out:(r+1)*out])
	})
}

func backTake(b *back) {
	b.grads[0] = put(b.g, b.aux.([]int32), int(b.alpha), b.in[0].shape)
}

// put returns x with x[r, idx[r, j]] = the sum of y[r, j], shaped as out.
func put(y *Tensor, idx []int32, rows int, out shape) *Tensor {
	t := operandsOf("Put", y)
	x := zerosOn(t, y.dtype, out)
	if y.dtype == Float32 {
		putOn(x.f32, y.f32, idx, rows)
	} else {
		putOn(x.f64, y.f64, idx, rows)
	}
	return t.record(node{op: opPut, aux: idx, alpha: float64(rows)}, x, y)
}

func putOn[T kernel.Float](x, y []T, idx []int32, rows int) {
	out, in := len(x)/max(1, rows), len(y)/max(1, rows)
	eachImage(rows, in, func(r int) {
		kernel.ScatterAddIdx(x[r*out:(r+1)*out], y[r*in:(r+1)*in], idx[r*in:(r+1)*in])
	})
}

func backPut(b *back) {
	b.grads[0] = take(b.g, b.aux.([]int32), int(b.alpha), b.in[0].shape)
}

// Pick returns y [n] with y[i] = x[i, cols[i]] for x [n, c].
func Pick(x *Tensor, cols []int) *Tensor {
	if x.shape.rank() != 2 || x.shape.dim(0) != len(cols) {
		panic(fmt.Sprintf("tensor: Pick: %d columns of shape %v, want one for each row", len(cols), x.shape))
	}
	return take(x, smallIndices("Pick", x.tape, cols, x.shape.dim(1)), len(cols), shapeOf(len(cols)))
}

// smallIndices checks that indices lie in [0, n).
func smallIndices(op string, t *Tape, idx []int, n int) []int32 {
	out := indicesOn(t, len(idx))
	for i, v := range idx {
		if v < 0 || v >= n {
			panic(fmt.Sprintf("tensor: %s: index %d is %d, want 0 to %d", op, i, v, n-1))
		}
		out[i] = int32(v)
	}
	return out
}

// Gather returns the rows idx of x [n, ...], in that order: the result is
// [len(idx), ...]. It is the adjoint of ScatterAdd.
func Gather(x *Tensor, idx []int) *Tensor {
	t := operandsOf("Gather", x)
	if x.shape.rank() == 0 {
		panic("tensor: Gather: scalar, want at least one axis")
	}
	return gatherRows(t, x, smallIndices("Gather", t, idx, x.shape.dim(0)))
}

func gatherRows(t *Tape, x *Tensor, idx []int32) *Tensor {
	y := newOn(t, x.dtype, x.shape.with(0, len(idx)))
	c := x.shape.sizeFrom(1)
	for i, r := range idx {
		if x.dtype == Float32 {
			copy(y.f32[i*c:(i+1)*c], x.f32[int(r)*c:])
		} else {
			copy(y.f64[i*c:(i+1)*c], x.f64[int(r)*c:])
		}
	}
	return t.record(node{op: opGather, aux: idx}, y, x)
}

func backGather(b *back) {
	b.grads[0] = scatterRows(operandsOf("ScatterAdd", b.g), b.g, b.aux.([]int32), b.in[0].shape.dim(0))
}

// ScatterAdd returns a tensor of n rows where row r is the sum of the rows i of
// x [len(idx), ...] with idx[i] = r. It is the adjoint of Gather.
func ScatterAdd(x *Tensor, idx []int, n int) *Tensor {
	t := operandsOf("ScatterAdd", x)
	if x.shape.rank() == 0 || x.shape.dim(0) != len(idx) {
		panic(fmt.Sprintf("tensor: ScatterAdd: %d indices for shape %v, want one for each row", len(idx), x.shape))
	}
	if n < 0 {
		panic(fmt.Sprintf("tensor: ScatterAdd: %d rows, want 0 or more", n))
	}
	return scatterRows(t, x, smallIndices("ScatterAdd", t, idx, n), n)
}

func scatterRows(t *Tape, x *Tensor, idx []int32, n int) *Tensor {
	y := zerosOn(t, x.dtype, x.shape.with(0, n))
	c := x.shape.sizeFrom(1)
	for i, r := range idx {
		if x.dtype == Float32 {
			kernel.Axpy(y.f32[int(r)*c:(int(r)+1)*c], 1, x.f32[i*c:(i+1)*c])
		} else {
			kernel.Axpy(y.f64[int(r)*c:(int(r)+1)*c], 1, x.f64[i*c:(i+1)*c])
		}
	}
	return t.record(node{op: opScatterAdd, aux: idx}, y, x)
}

func backScatterAdd(b *back) {
	b.grads[0] = gatherRows(operandsOf("Gather", b.g), b.g, b.aux.([]int32))
}

// ArgMax returns the position of the largest value along the last axis, the
// first one if several are equal, for each of the rows before it. A NaN counts
// as the largest.
func ArgMax(x *Tensor) []int {
	x.check("ArgMax")
	c := lastAxis("ArgMax", x)
	idx := make([]int32, x.Len()/c)
	argMaxInto(idx, x, c)
	out := make([]int, len(idx))
	for i, v := range idx {
		out[i] = int(v)
	}
	return out
}

func lastAxis(op string, x *Tensor) int {
	if x.shape.rank() == 0 || x.shape.last() == 0 {
		panic(fmt.Sprintf("tensor: %s: shape %v, want a last axis that is not empty", op, x.shape))
	}
	return x.shape.last()
}

func argMaxInto(idx []int32, x *Tensor, c int) {
	if x.dtype == Float32 {
		kernel.ArgMaxCols(idx, x.f32, c)
	} else {
		kernel.ArgMaxCols(idx, x.f64, c)
	}
}

// Max returns the largest value of x along an axis, which disappears. The
// gradient goes to the first of several equal ones.
func Max(x *Tensor, axis int) *Tensor {
	a := x.shape.axis("Max", axis)
	if last := x.shape.rank() - 1; a != last {
		x = Transpose(x, moved(x.shape.rank(), a, last)...)
	}
	t := operandsOf("Max", x)
	c := lastAxis("Max", x)
	rows := x.Len() / c
	idx := indicesOn(t, rows)
	argMaxInto(idx, x, c)
	return take(x, idx, rows, x.shape.without(x.shape.rank()-1))
}

// Min returns the smallest value of x along an axis, which disappears. The
// gradient goes to the first of several equal ones.
func Min(x *Tensor, axis int) *Tensor { return Neg(Max(Neg(x), axis)) }

// moved is the order of n axes after axis from has been moved to position to.
func moved(n, from, to int) []int {
	perm := make([]int, 0, MaxRank)
	for i := range n {
		if i != from {
			perm = append(perm, i)
		}
	}
	perm = append(perm, 0)
	copy(perm[to+1:], perm[to:])
	perm[to] = from
	return perm
}

// MaxAbs returns the largest absolute value in x, 0 if x is empty and NaN if x
// holds a NaN. It is not differentiable.
func MaxAbs(x *Tensor) float64 {
	x.check("MaxAbs")
	switch {
	case x.Len() == 0:
		return 0
	case !AllFinite(x):
		for _, v := range x.Values() {
			if math.IsNaN(v) {
				return math.NaN()
			}
		}
		return math.Inf(1)
	case x.dtype == Float32:
		return parallelMaxAbs(x.f32)
	}
	return parallelMaxAbs(x.f64)
}

// AllFinite says whether no element of x is NaN or infinite.
func AllFinite(x *Tensor) bool {
	x.check("AllFinite")
	// The largest magnitude is NaN if any element is.
	if x.dtype == Float32 {
		return parallelMaxAbs(x.f32) <= math.MaxFloat32
	}
	return parallelMaxAbs(x.f64) <= math.MaxFloat64
}

// parallelMaxAbs is kernel.MaxAbs on all threads.
func parallelMaxAbs[T kernel.Float](x []T) float64 {
	blocks := (len(x) + sumBlock - 1) / sumBlock
	if blocks <= 1 {
		return float64(kernel.MaxAbs(x))
	}
	work := scratch[T]().Borrow(blocks)
	defer scratch[T]().Return(work)
	largest := work.Data
	par.For(blocks, 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			largest[b] = kernel.MaxAbs(x[b*sumBlock : min(len(x), (b+1)*sumBlock)])
		}
	})
	return float64(kernel.MaxAbs(largest))
}

package tensor

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// MaxRank is the largest number of axes a Tensor can have.
const MaxRank = 6

// shape is the extent of a tensor along each of its n axes. It is a value so
// that an operation needs no allocation to describe its result.
type shape struct {
	d [MaxRank]int32
	n int8
}

// The messages print copies, so that callers can build dims on the stack.
func makeShape(op string, dims []int) shape {
	if len(dims) > MaxRank {
		panic(fmt.Sprintf("tensor: %s: shape %v has %d axes, want at most %d", op, slices.Clone(dims), len(dims), MaxRank))
	}
	s := shape{n: int8(len(dims))}
	size := 1
	for i, v := range dims {
		if v < 0 || v > math.MaxInt32 {
			panic(fmt.Sprintf("tensor: %s: shape %v has extent %d on axis %d, want 0 to %d", op, slices.Clone(dims), v, i, math.MaxInt32))
		}
		if v > 0 && size > math.MaxInt/v {
			panic(fmt.Sprintf("tensor: %s: shape %v has too many elements", op, slices.Clone(dims)))
		}
		s.d[i] = int32(v)
		size *= v
	}
	return s
}

func shapeOf(dims ...int) shape { return makeShape("shape", dims) }

func (s shape) rank() int { return int(s.n) }

func (s shape) dim(i int) int { return int(s.d[i]) }

func (s shape) last() int { return int(s.d[s.n-1]) }

func (s shape) size() int {
	n := 1
	for i := range int(s.n) {
		n *= int(s.d[i])
	}
	return n
}

// sizeFrom is the product of the extents of axes [i, rank).
func (s shape) sizeFrom(i int) int {
	n := 1
	for ; i < int(s.n); i++ {
		n *= int(s.d[i])
	}
	return n
}

// sizeTo is the product of the extents of axes [0, i).
func (s shape) sizeTo(i int) int {
	n := 1
	for k := range i {
		n *= int(s.d[k])
	}
	return n
}

func (s shape) dims() []int {
	out := make([]int, s.n)
	for i := range out {
		out[i] = int(s.d[i])
	}
	return out
}

func (s shape) with(axis, extent int) shape {
	if extent < 0 || extent > math.MaxInt32 {
		panic(fmt.Sprintf("tensor: extent %d on axis %d of shape %v, want 0 to %d", extent, axis, s, math.MaxInt32))
	}
	s.d[axis] = int32(extent)
	return s
}

// without drops an axis.
func (s shape) without(axis int) shape {
	copy(s.d[axis:], s.d[axis+1:])
	s.n--
	s.d[s.n] = 0
	return s
}

// strides are the row-major strides in elements.
func (s shape) strides() [MaxRank]int {
	var st [MaxRank]int
	n := 1
	for i := int(s.n) - 1; i >= 0; i-- {
		st[i] = n
		n *= int(s.d[i])
	}
	return st
}

func (s shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range int(s.n) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d", s.d[i])
	}
	b.WriteByte(']')
	return b.String()
}

// broadcastShape is the common shape of a and b under NumPy's rule: axes are
// aligned at the last one, and an extent of 1 stretches.
func broadcastShape(op string, a, b shape) shape {
	if a == b {
		return a
	}
	n := max(a.n, b.n)
	out := shape{n: n}
	for i := 1; i <= int(n); i++ {
		da, db := int32(1), int32(1)
		if i <= int(a.n) {
			da = a.d[int(a.n)-i]
		}
		if i <= int(b.n) {
			db = b.d[int(b.n)-i]
		}
		d := da
		if da == 1 {
			d = db
		} else if db != 1 && db != da {
			panic(fmt.Sprintf("tensor: %s: shapes %v and %v do not broadcast", op, a, b))
		}
		out.d[int(n)-i] = d
	}
	return out
}

// axis resolves a possibly negative axis number.
func (s shape) axis(op string, axis int) int {
	a := axis
	if a < 0 {
		a += int(s.n)
	}
	if a < 0 || a >= int(s.n) {
		panic(fmt.Sprintf("tensor: %s: axis %d of shape %v, want %d to %d", op, axis, s, -int(s.n), int(s.n)-1))
	}
	return a
}

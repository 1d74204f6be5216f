package tensor

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// DType is the type of a tensor's elements.
type DType uint8

// Element types. Float32 is for work; Float64 for gradient checks and
// certificates.
const (
	Float32 DType = iota
	Float64
)

// String returns "float32" or "float64".
func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Float64:
		return "float64"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// storage is the identity of a tensor's memory: views made by Reshape share it.
type storage struct {
	// version counts in-place changes, so that a backward pass can tell that
	// a value it needs has been overwritten and caches can tell that a
	// parameter has moved.
	version atomic.Uint64
	// refs counts the gradient slots that hold the memory during a backward
	// pass, and fresh says that the pass itself made it, so that it can be
	// reused as soon as no slot does.
	refs  int32
	fresh bool
	// life counts how often a tape has taken the memory back. A tensor whose
	// own count differs belongs to the past.
	life  uint16
	spare bool // waits on the tape to be handed out again
	// owner is the tape whose pool the memory goes back to, nil for memory
	// that the garbage collector owns.
	owner *Tape
	f32   []float32
	f64   []float64
}

// Tensor is a dense row-major array of float32 or float64 with up to MaxRank
// axes. The zero Tensor is not usable; make one with Zeros, FromFloat32 and
// their relatives, or by an operation.
//
// A tensor on no tape is an ordinary garbage-collected value. A tensor that a
// Tape watches, and every result computed from one, belongs to that tape: its
// memory is taken back by Tape.Reset, after which any use of it panics. Clone
// takes a value out.
type Tensor struct {
	shape shape
	dtype DType
	life  uint16 // of the storage when the tensor was made
	node  int32  // index of the tape's record of this tensor, -1 for none
	reset uint32 // of the tape when the record was made
	tape  *Tape
	st    *storage
	f32   []float32
	f64   []float64
}

func newHeap(dtype DType, s shape) *Tensor {
	if dtype != Float32 && dtype != Float64 {
		panic(fmt.Sprintf("tensor: %v for a tensor of shape %v, want float32 or float64", dtype, s))
	}
	t := &Tensor{shape: s, dtype: dtype, node: -1}
	n := s.size()
	if dtype == Float32 {
		t.f32 = make([]float32, n)
	} else {
		t.f64 = make([]float64, n)
	}
	t.st = &storage{f32: t.f32, f64: t.f64}
	return t
}

// Zeros returns a tensor of zeros.
func Zeros(dtype DType, dims ...int) *Tensor {
	return newHeap(dtype, makeShape("Zeros", dims))
}

// Full returns a tensor whose elements all equal v.
func Full(dtype DType, v float64, dims ...int) *Tensor {
	t := newHeap(dtype, makeShape("Full", dims))
	t.Fill(v)
	return t
}

// Scalar returns a tensor of rank 0.
func Scalar(dtype DType, v float64) *Tensor { return Full(dtype, v) }

// FromFloat32 returns a tensor over data, which is not copied. With no shape
// the tensor is a vector. It panics if the shape does not hold len(data)
// elements.
func FromFloat32(data []float32, dims ...int) *Tensor {
	s := fromShape("FromFloat32", len(data), dims)
	return &Tensor{shape: s, dtype: Float32, node: -1, f32: data, st: &storage{f32: data}}
}

// FromFloat64 returns a tensor over data, which is not copied. With no shape
// the tensor is a vector. It panics if the shape does not hold len(data)
// elements.
func FromFloat64(data []float64, dims ...int) *Tensor {
	s := fromShape("FromFloat64", len(data), dims)
	return &Tensor{shape: s, dtype: Float64, node: -1, f64: data, st: &storage{f64: data}}
}

func fromShape(op string, n int, dims []int) shape {
	if dims == nil {
		dims = []int{n}
	}
	s := makeShape(op, dims)
	if s.size() != n {
		panic(fmt.Sprintf("tensor: %s: %d values for shape %v, want %d", op, n, s, s.size()))
	}
	return s
}

// Shape returns the extents of t's axes.
func (t *Tensor) Shape() []int { return t.shape.dims() }

// Rank returns the number of axes.
func (t *Tensor) Rank() int { return t.shape.rank() }

// Dim returns the extent of an axis; a negative axis counts from the last.
func (t *Tensor) Dim(axis int) int { return t.shape.dim(t.shape.axis("Dim", axis)) }

// Len returns the number of elements.
func (t *Tensor) Len() int { return t.shape.size() }

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Tape returns the tape that t is on, nil for none.
func (t *Tensor) Tape() *Tape { return t.tape }

// Float32s returns t's memory in row-major order. It panics if t is not
// float32. A caller that writes to it must not do so between an operation and
// the Grad that needs its operands; call Touch afterwards if t is a parameter.
func (t *Tensor) Float32s() []float32 {
	t.check("Float32s")
	if t.dtype != Float32 {
		panic("tensor: Float32s: tensor is " + t.dtype.String())
	}
	return t.f32
}

// Float64s returns t's memory in row-major order. It panics if t is not
// float64. See Float32s for writing to it.
func (t *Tensor) Float64s() []float64 {
	t.check("Float64s")
	if t.dtype != Float64 {
		panic("tensor: Float64s: tensor is " + t.dtype.String())
	}
	return t.f64
}

// Touch says that t's memory has been changed in place.
func (t *Tensor) Touch() { t.st.version.Add(1) }

// check panics when t's tape has taken its memory back.
func (t *Tensor) check(op string) {
	if t.stale() {
		panic("tensor: " + op + ": tensor of shape " + t.shape.String() + " used after Tape.Reset")
	}
}

// stale says whether t's tape has taken its memory back.
func (t *Tensor) stale() bool { return t.life != t.st.life }

// At returns the element at the given index, one number for each axis.
func (t *Tensor) At(index ...int) float64 {
	t.check("At")
	i := t.offset("At", index)
	if t.dtype == Float32 {
		return float64(t.f32[i])
	}
	return t.f64[i]
}

// Set stores v at the given index, one number for each axis.
func (t *Tensor) Set(v float64, index ...int) {
	t.check("Set")
	i := t.offset("Set", index)
	if t.dtype == Float32 {
		t.f32[i] = float32(v)
	} else {
		t.f64[i] = v
	}
	t.Touch()
}

func (t *Tensor) offset(op string, index []int) int {
	// The messages print copies, so that the callers' arguments stay on the
	// stack.
	if len(index) != t.shape.rank() {
		panic(fmt.Sprintf("tensor: %s: index %v for shape %v", op, slices.Clone(index), t.shape))
	}
	off := 0
	for i, v := range index {
		if v < 0 || v >= t.shape.dim(i) {
			panic(fmt.Sprintf("tensor: %s: index %v out of shape %v", op, slices.Clone(index), t.shape))
		}
		off = off*t.shape.dim(i) + v
	}
	return off
}

// Item returns the only element of a one-element tensor.
func (t *Tensor) Item() float64 {
	t.check("Item")
	if t.Len() != 1 {
		panic(fmt.Sprintf("tensor: Item: shape %v has %d elements, want 1", t.shape, t.Len()))
	}
	if t.dtype == Float32 {
		return float64(t.f32[0])
	}
	return t.f64[0]
}

// Values returns a copy of the elements as float64, in row-major order.
func (t *Tensor) Values() []float64 {
	t.check("Values")
	out := make([]float64, t.Len())
	if t.dtype == Float64 {
		copy(out, t.f64)
		return out
	}
	for i, v := range t.f32 {
		out[i] = float64(v)
	}
	return out
}

// Fill sets every element to v.
func (t *Tensor) Fill(v float64) {
	t.check("Fill")
	for i := range t.f32 {
		t.f32[i] = float32(v)
	}
	for i := range t.f64 {
		t.f64[i] = v
	}
	t.Touch()
}

// CopyFrom overwrites t's elements with those of src, which must have the same
// number of elements; the element type is converted.
func (t *Tensor) CopyFrom(src *Tensor) {
	t.check("CopyFrom")
	src.check("CopyFrom")
	if t.Len() != src.Len() {
		panic(fmt.Sprintf("tensor: CopyFrom: shape %v from shape %v", t.shape, src.shape))
	}
	switch {
	case t.dtype == Float32 && src.dtype == Float32:
		copy(t.f32, src.f32)
	case t.dtype == Float64 && src.dtype == Float64:
		copy(t.f64, src.f64)
	case t.dtype == Float32:
		for i, v := range src.f64 {
			t.f32[i] = float32(v)
		}
	default:
		for i, v := range src.f32 {
			t.f64[i] = float64(v)
		}
	}
	t.Touch()
}

// Clone returns a copy of t's value that is on no tape.
func (t *Tensor) Clone() *Tensor {
	c := newHeap(t.dtype, t.shape)
	c.CopyFrom(t)
	return c
}

// To returns a copy of t's value in the given element type, on no tape. It is
// not differentiable.
func (t *Tensor) To(dtype DType) *Tensor {
	c := newHeap(dtype, t.shape)
	c.CopyFrom(t)
	return c
}

// Detach returns t's value as a constant: it shares t's memory (and so its
// tape's lifetime) but no gradient flows through it.
func (t *Tensor) Detach() *Tensor {
	t.check("Detach")
	d := *t
	d.node = -1
	return &d
}

// String describes t and shows its first elements.
func (t *Tensor) String() string {
	const most = 8
	if t.stale() {
		return fmt.Sprintf("%v%v (reset)", t.dtype, t.shape)
	}
	n := min(t.Len(), most)
	var vals any = t.f32[:min(n, len(t.f32))]
	if t.dtype == Float64 {
		vals = t.f64[:min(n, len(t.f64))]
	}
	tail := ""
	if t.Len() > most {
		tail = " ..."
	}
	return fmt.Sprintf("%v%v %v%s", t.dtype, t.shape, vals, tail)
}

package mem

import (
	"math/bits"
	"unsafe"
)

// alignment of every slice that this package hands out, in bytes: one cache
// line, and one AVX-512 vector.
const alignment = 64

// minClass is the smallest capacity, in elements, that is worth keeping.
const minClass = 64

// octave is the number of size classes from one size to its double.
const octave = 8

// class is the index of the smallest size class that holds n elements, and
// that class's capacity. Classes lie an eighth of an octave apart, so at most
// one part in eight of a buffer is unused.
func class(n int) (index, size int) {
	if n <= minClass {
		return 0, minClass
	}
	shift := bits.Len(uint(n-1)) - 4
	step := (n - 1) >> shift
	return octave*(shift-3) + step - 7, (step + 1) << shift
}

// aligned is a slice of n elements whose first lies on an alignment boundary.
func aligned[T any](n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if size == 0 || alignment%size != 0 {
		return make([]T, n)
	}
	pad := alignment / size
	s := make([]T, n+pad)
	off := 0
	if r := int(uintptr(unsafe.Pointer(unsafe.SliceData(s))) % alignment); r%size == 0 && r != 0 {
		off = (alignment - r) / size
	}
	return s[off : off+n : off+n]
}

// Pool is a free list of slices in size classes. The zero value is ready. It
// belongs to one goroutine; nothing in it is safe for concurrent use.
type Pool[T any] struct {
	free [][][]T
}

// Get is a slice of n elements with undefined contents, 64-byte aligned. Its
// capacity is that of its size class, or of one up to an octave above if only
// that has a free slice: batches that shrink find room in what larger ones left.
// n = 0 gives an empty slice.
func (p *Pool[T]) Get(n int) []T {
	if n == 0 {
		return nil
	}
	i, size := class(n)
	for j := i; j < min(i+octave+1, len(p.free)); j++ {
		if l := p.free[j]; len(l) > 0 {
			s := l[len(l)-1]
			l[len(l)-1] = nil
			p.free[j] = l[:len(l)-1]
			return s[:n]
		}
	}
	return aligned[T](size)[:n]
}

// Put gives s back, a slice from Get that has not been cut at its start. The
// caller must not use s afterwards. Slices that can be none of Get's, for their
// capacity or alignment, are left to the garbage collector.
func (p *Pool[T]) Put(s []T) {
	n := cap(s)
	if n == 0 {
		return
	}
	i, size := class(n)
	if size != n || uintptr(unsafe.Pointer(unsafe.SliceData(s)))%alignment != 0 {
		return
	}
	for len(p.free) <= i {
		p.free = append(p.free, nil)
	}
	p.free[i] = append(p.free[i], s[:n])
}

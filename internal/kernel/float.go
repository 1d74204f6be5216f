package kernel

import "unsafe"

// Float is the element type of every kernel.
type Float interface{ float32 | float64 }

// single says whether T is float32, and thus may have vector kernels.
func single[T Float]() bool {
	var zero T
	return unsafe.Sizeof(zero) == 4
}

// ptr is the first element of s, to be used as a float32 when single[T]()
// holds.
func ptr[T Float](s []T) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(s))) }

package kernel

import "unsafe"

// Float is the element type of every kernel.
type Float interface{ float32 | float64 }

// single says whether T is float32, and thus may have vector kernels.
func single[T Float]() bool {
	var zero T
	return unsafe.Sizeof(zero) == 4
}

// f32 is s as what it is when single[T]() holds.
func f32[T Float](s []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

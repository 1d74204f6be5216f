package kernel

// Affine sets dst = alpha*x + beta. dst may be x.
func Affine[T Float](dst, x []T, alpha, beta T) {
	dst = dst[:len(x)]
	if single[T]() && affineVector(ptr(dst), ptr(x), float32(alpha), float32(beta), len(x)) {
		return
	}
	for i, v := range x {
		dst[i] = alpha*v + beta
	}
}

// Axpy adds alpha*x to dst.
func Axpy[T Float](dst []T, alpha T, x []T) {
	dst = dst[:len(x)]
	if single[T]() && axpyVector(ptr(dst), ptr(x), float32(alpha), len(x)) {
		return
	}
	for i, v := range x {
		dst[i] += alpha * v
	}
}

// clamp bounds v below by lo and then above by hi. NaN stays NaN.
func clamp[T Float](v, lo, hi T) T {
	if v < lo {
		v = lo
	}
	if v > hi {
		v = hi
	}
	return v
}

// Clamp sets dst to x bounded below by lo and then above by hi. NaN stays NaN.
// dst may be x.
func Clamp[T Float](dst, x []T, lo, hi T) {
	dst = dst[:len(x)]
	if single[T]() && clampVector(ptr(dst), ptr(x), float32(lo), float32(hi), len(x)) {
		return
	}
	for i, v := range x {
		dst[i] = clamp(v, lo, hi)
	}
}

// Select sets dst[i] to a[i] where mask[i] is not zero (NaN counts as not
// zero) and to b[i] elsewhere. dst may be any of the others.
func Select[T Float](dst, mask, a, b []T) {
	dst, a, b = dst[:len(mask)], a[:len(mask)], b[:len(mask)]
	if single[T]() && selectWhereVector(ptr(dst), ptr(mask), ptr(a), ptr(b), len(mask)) {
		return
	}
	for i, m := range mask {
		if m != 0 {
			dst[i] = a[i]
		} else {
			dst[i] = b[i]
		}
	}
}

// Fill sets every element of dst to v.
func Fill[T Float](dst []T, v T) {
	if single[T]() && fillVector(ptr(dst), float32(v), len(dst)) {
		return
	}
	for i := range dst {
		dst[i] = v
	}
}

package kernel

import "math"

// leaf is the length up to which a sum uses running accumulators; longer
// inputs are halved, so that rounding errors grow with the logarithm of the
// length. It is a multiple of every vector block.
const leaf = 1024

// split is where a sum over n > leaf elements is halved.
func split(n int) int { return (n/2 + leaf - 1) / leaf * leaf }

// Sum is the sum of x, zero for an empty x. The order of additions depends on
// the length alone.
func Sum[T Float](x []T) T {
	if len(x) > leaf {
		h := split(len(x))
		return Sum(x[:h]) + Sum(x[h:])
	}
	if single[T]() {
		if v, ok := sumOfVector(ptr(x), len(x)); ok {
			return T(v)
		}
	}
	var s [8]T
	for len(x) >= 8 {
		for j, v := range x[:8] {
			s[j] += v
		}
		x = x[8:]
	}
	for j, v := range x {
		s[j] += v
	}
	return fold(&s)
}

func fold[T Float](s *[8]T) T {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// Dot is the sum of a[i]*b[i].
func Dot[T Float](a, b []T) T {
	b = b[:len(a)]
	if len(a) > leaf {
		h := split(len(a))
		return Dot(a[:h], b[:h]) + Dot(a[h:], b[h:])
	}
	if single[T]() {
		if v, ok := dotOfVector(ptr(a), ptr(b), len(a)); ok {
			return T(v)
		}
	}
	var s [8]T
	for len(a) >= 8 {
		u, v := a[:8], b[:8]
		for j := range u {
			s[j] += u[j] * v[j]
		}
		a, b = a[8:], b[8:]
	}
	for j, v := range a {
		s[j] += v * b[j]
	}
	return fold(&s)
}

// MaxAbs is the largest |x[i]|: zero for an empty x, NaN if any element is.
func MaxAbs[T Float](x []T) T {
	if single[T]() {
		if v, ok := maxAbsOfVector(ptr(x), len(x)); ok {
			return T(v)
		}
	}
	var m T
	for _, v := range x {
		m = max(m, abs(v))
	}
	return m
}

// Max is the largest element (of an empty x -Inf), NaN if any element is.
func Max[T Float](x []T) T {
	if single[T]() {
		if v, ok := maxOfVector(ptr(x), len(x)); ok {
			return T(v)
		}
	}
	m := T(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

// Min is the smallest element (of an empty x +Inf), NaN if any element is.
func Min[T Float](x []T) T {
	if single[T]() {
		if v, ok := minOfVector(ptr(x), len(x)); ok {
			return T(v)
		}
	}
	m := T(math.Inf(1))
	for _, v := range x {
		m = min(m, v)
	}
	return m
}

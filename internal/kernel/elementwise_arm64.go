//go:build !purego

package kernel

import (
	"unsafe"

	"github.com/redoubt-ml/redoubt/internal/cpu"
)

// whole is how many of n elements vectors of four can take: none without NEON. What
// remains, three at most, is for the loops in Go.
func whole(n int) int {
	if cpu.Active() != cpu.NEON {
		return 0
	}
	return n &^ 3
}

// rest is the elements of p from m to n.
func rest(p *float32, m, n int) []float32 { return unsafe.Slice(p, n)[m:] }

func unaryVector(op UnaryOp, dst, x *float32, n int) bool {
	m := whole(n)
	if m == 0 || !unaryNEON(op, dst, x, m) {
		return false
	}
	Unary(op, rest(dst, m, n), rest(x, m, n))
	return true
}

func binaryVector(op BinaryOp, dst, a, b *float32, n int) bool {
	m := whole(n)
	if m == 0 || !binaryNEON(op, dst, a, b, m) {
		return false
	}
	Binary(op, rest(dst, m, n), rest(a, m, n), rest(b, m, n))
	return true
}

func scalarSecondVector(op BinaryOp, dst, a *float32, s float32, n int) bool {
	m := whole(n)
	if m == 0 || !scalarSecondNEON(op, dst, a, s, m) {
		return false
	}
	BinaryScalar(op, rest(dst, m, n), rest(a, m, n), s)
	return true
}

func scalarFirstVector(op BinaryOp, dst, b *float32, s float32, n int) bool {
	m := whole(n)
	if m == 0 || !scalarFirstNEON(op, dst, b, s, m) {
		return false
	}
	ScalarBinary(op, rest(dst, m, n), s, rest(b, m, n))
	return true
}

func affineVector(dst, x *float32, alpha, beta float32, n int) bool {
	m := whole(n)
	if m == 0 {
		return false
	}
	affineNEON(dst, x, alpha, beta, m)
	Affine(rest(dst, m, n), rest(x, m, n), alpha, beta)
	return true
}

func axpyVector(dst, x *float32, alpha float32, n int) bool {
	m := whole(n)
	if m == 0 {
		return false
	}
	axpyNEON(dst, x, alpha, m)
	Axpy(rest(dst, m, n), alpha, rest(x, m, n))
	return true
}

package gemm

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/kernel"
)

// Epilogue says what happens to a product on its way into C.
type Epilogue[T kernel.Float] struct {
	Accumulate bool // add the product to C instead of overwriting it
	Bias       []T  // added to every row; length n, or nil for none
	ReLU       bool // max(., 0) after everything else
}

// Gemm sets C = op(A) op(B), with C of [m, n], op(A) of [m, k] and op(B) of
// [k, n], all row-major with row strides ldc, lda and ldb. op transposes where
// transA or transB is set: A is then stored as [k, m], B as [n, k]. The product
// with k = 0 is zero. Sums run in an order that depends on the sizes alone.
// C must not overlap A or B.
func Gemm[T kernel.Float](transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, ep Epilogue[T]) {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("gemm: Gemm: sizes m=%d n=%d k=%d, want none negative", m, n, k))
	}
	if m == 0 || n == 0 {
		return
	}
	check("A", a, lda, m, k, transA)
	check("B", b, ldb, k, n, transB)
	check("C", c, ldc, m, n, false)
	if ep.Bias != nil && len(ep.Bias) != n {
		panic(fmt.Sprintf("gemm: Gemm: bias of length %d, want %d", len(ep.Bias), n))
	}
	p := newProduct[T]()
	p.transA, p.transB = transA, transB
	p.m, p.n, p.k = m, n, k
	p.a, p.b, p.c = a, b, c
	p.lda, p.ldb, p.ldc = lda, ldb, ldc
	p.ep = ep
	p.run()
	p.free()
}

// check panics unless s holds a matrix of [rows, cols] (stored transposed if
// trans is set) with row stride ld.
func check[T kernel.Float](name string, s []T, ld, rows, cols int, trans bool) {
	if trans {
		rows, cols = cols, rows
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols {
		panic(fmt.Sprintf("gemm: Gemm: row stride of %s is %d, want at least %d", name, ld, cols))
	}
	if need := (rows-1)*ld + cols; len(s) < need {
		panic(fmt.Sprintf("gemm: Gemm: %s has %d elements, want at least %d for [%d, %d] with row stride %d",
			name, len(s), need, rows, cols, ld))
	}
}

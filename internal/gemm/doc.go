// Package gemm multiplies row-major matrices, plain or transposed, of float32
// or float64.
//
// The work is cut into tiles of package kernel whose sums stay in registers.
// Operands are read in place where that is fast and packed where it is not, and
// threads share tiles, never a sum: results have the same bits for any number
// of threads.
package gemm

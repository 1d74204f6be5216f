// Package gemm multiplies row-major matrices.
package gemm

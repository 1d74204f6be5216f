// Package cpu says which family of vector kernels the running processor can
// execute. Detection happens once, when the program starts; the environment
// variable REDOUBT_CPU (generic, neon, avx2 or avx512) lowers the answer and
// never raises it.
package cpu

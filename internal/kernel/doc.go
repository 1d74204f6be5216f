// Package kernel holds the leaf loops of the numeric core: elementwise maths,
// reductions, softmax, normalisation, pooling, optimiser and attack steps, and
// the register tile that matrix products and convolutions are made of.
//
// A kernel works on slices, starts no goroutine, allocates nothing and knows
// nothing of tensors. Every kernel exists in plain Go for float32 and float64;
// float32 also has vector versions for the levels of package cpu, chosen at
// each call. A kernel takes the length of its loop from one of its arguments
// and panics, through slice bounds, when another is shorter. Tile is the exception:
// its callers see to its bounds.
//
// Rows are contiguous: an argument described as [r, c] holds r rows of c
// elements, and r or c follows from the lengths of the arguments.
package kernel

// Package tensor is the numeric core of redoubt: dense arrays, a tape that
// records what is computed from them, and gradients of any order.
//
// Operations are functions that run at once. An ordinary tensor costs nothing to
// differentiate; one that a Tape watches carries the tape along, and every
// result computed from it is recorded there:
//
//	tape := tensor.NewTape()
//	x := tape.Watch(image)
//	loss := tensor.Mean(tensor.CrossEntropy(model.Logits(x), labels))
//	dx := tensor.Grad(loss, x)[0]
//	...
//	tape.Reset() // takes back the memory of loss, dx and all between
//
// # Gradients
//
// With y = f(x) and a final scalar L, reverse differentiation carries
// dL/dy back to dL/dx = (dy/dx)ᵀ dL/dy, one rule for each primitive operation.
// Grad computes the gradients of exactly the tensors that it is asked for. Every
// rule is written in the same primitives, in families that are closed: the
// derivatives of a matrix product are matrix products, those of a convolution
// are its two adjoints, sums and broadcasts are each other's. So with
// GradOptions.CreateGraph a gradient is recorded like any other computation and
// can be differentiated again; HVP is that in one call.
//
// ReLU, Abs, Clamp, Max, MaxPool and their like are piecewise linear: which piece
// holds is a constant for their derivatives. The derivative of ReLU at 0 is 0; a
// maximum sends its gradient to the first of equal values.
//
// # Memory and goroutines
//
// Results on a tape live until Tape.Reset and their memory is reused after it;
// Clone takes a value out. A tape belongs to one goroutine. Tensors on no tape
// may be read by many. SetThreads sets the number of processor threads that one
// operation uses; results do not depend on it, to the last bit.
//
// # Layout
//
// All tensors are row-major. Images are [N, H, W, C], convolution filters
// [R, S, C, K], weights of dense layers [in, out]. Binary operations broadcast by
// NumPy's rule.
//
// # Mistakes
//
// A wrong shape, index or type in a call is a mistake of the program and panics,
// with the operation and the shapes.
package tensor

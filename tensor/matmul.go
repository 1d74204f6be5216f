package tensor

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/gemm"
	"github.com/redoubt-ml/redoubt/internal/kernel"
)

// Activation is a nonlinearity that an operation applies to its result before
// writing it to memory.
type Activation uint8

// Activations that operations fuse.
const (
	Identity Activation = iota
	Rectify             // max(x, 0), as ReLU
)

func (a Activation) check(op string) {
	if a > Rectify {
		panic(fmt.Sprintf("tensor: %s: activation %d, want Identity or Rectify", op, a))
	}
}

// MatMul returns the matrix product of a [m, k] and b [k, n].
func MatMul(a, b *Tensor) *Tensor { return MatMulT(a, b, false, false) }

// MatMulT returns the matrix product op(a) op(b), where op transposes its matrix
// if the flag of that matrix is set: op(a) is [m, k] and op(b) is [k, n].
func MatMulT(a, b *Tensor, transA, transB bool) *Tensor {
	return matMul("MatMul", a, b, nil, transA, transB, Identity)
}

// Linear returns act(x w + bias) for x [m, k], w [k, n] and bias [n] (nil for
// none) in one pass.
func Linear(x, w, bias *Tensor, act Activation) *Tensor {
	return matMul("Linear", x, w, bias, false, false, act)
}

// product describes a recorded matrix product.
type product struct {
	transA, transB bool
	act            Activation
}

func matMul(name string, a, b, bias *Tensor, transA, transB bool, act Activation) *Tensor {
	t := operandsOf(name, a, b, bias)
	if a.shape.rank() != 2 || b.shape.rank() != 2 {
		panic(fmt.Sprintf("tensor: %s: shapes %v and %v, want two matrices", name, a.shape, b.shape))
	}
	m, k := a.shape.dim(0), a.shape.dim(1)
	if transA {
		m, k = k, m
	}
	k2, n := b.shape.dim(0), b.shape.dim(1)
	if transB {
		k2, n = n, k2
	}
	if k != k2 {
		panic(fmt.Sprintf("tensor: %s: inner extents differ: %v%s times %v%s", name, a.shape, transposed(transA), b.shape, transposed(transB)))
	}
	checkBias(name, bias, n)
	act.check(name)
	y := newOn(t, a.dtype, shapeOf(m, n))
	if a.dtype == Float32 {
		gemmOn[float32](y, a, b, bias, transA, transB, m, n, k, act)
	} else {
		gemmOn[float64](y, a, b, bias, transA, transB, m, n, k, act)
	}
	return t.record(node{op: opMatMul, aux: product{transA, transB, act}}, y, a, b, bias)
}

func transposed(t bool) string {
	if t {
		return "ᵀ"
	}
	return ""
}

func checkBias(name string, bias *Tensor, n int) {
	if bias != nil && (bias.shape.rank() != 1 || bias.shape.dim(0) != n) {
		panic(fmt.Sprintf("tensor: %s: bias has shape %v, want [%d]", name, bias.shape, n))
	}
}

func gemmOn[T kernel.Float](y, a, b, bias *Tensor, transA, transB bool, m, n, k int, act Activation) {
	ep := gemm.Epilogue[T]{ReLU: act == Rectify}
	if bias != nil {
		ep.Bias = data[T](bias)
	}
	gemm.Gemm(transA, transB, m, n, k, data[T](a), a.shape.dim(1), data[T](b), b.shape.dim(1), data[T](y), n, ep)
}

func backMatMul(b *back) {
	p := b.aux.(product)
	x, w := b.in[0], b.in[1]
	g := backActivation(b, p.act)
	// With Y = A B: dA = G Bᵀ and dB = Aᵀ G; transposed operands swap sides.
	if b.need[0] {
		if p.transA {
			b.grads[0] = MatMulT(w, g, p.transB, true)
		} else {
			b.grads[0] = MatMulT(g, w, false, !p.transB)
		}
	}
	if b.need[1] {
		if p.transB {
			b.grads[1] = MatMulT(g, x, true, p.transA)
		} else {
			b.grads[1] = MatMulT(x, g, !p.transA, false)
		}
	}
	if b.need[2] {
		b.grads[2] = sumTo(g, b.in[2].shape)
	}
}

// backActivation takes b's gradient back through a fused activation.
func backActivation(b *back, act Activation) *Tensor {
	if act == Rectify {
		return maskPositive(b.g, b.out)
	}
	return b.g
}

package tensor

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// grain is the number of elements that one worker takes at a time in an
// elementwise loop: about ten microseconds of work.
const grain = 1 << 15

// data returns x's memory as a slice of T, which must be its element type.
func data[T kernel.Float](x *Tensor) []T {
	if p, ok := any(&x.f32).(*[]T); ok {
		return *p
	}
	return *any(&x.f64).(*[]T)
}

// unaryOp applies op to every element and records it as code.
func unaryOp(code op, k kernel.UnaryOp, x *Tensor) *Tensor {
	t := operandsOf(names[code], x)
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		unaryOn(k, y.f32, x.f32)
	} else {
		unaryOn(k, y.f64, x.f64)
	}
	return t.record(node{op: code}, y, x)
}

func unaryOn[T kernel.Float](op kernel.UnaryOp, y, x []T) {
	if len(y) <= grain {
		kernel.Unary(op, y, x)
		return
	}
	par.For(len(y), grain, func(lo, hi int) { kernel.Unary(op, y[lo:hi], x[lo:hi]) })
}

// Neg returns -x.
func Neg(x *Tensor) *Tensor { return unaryOp(opNeg, kernel.Neg, x) }

func backNeg(b *back) { b.grads[0] = Neg(b.g) }

// Abs returns |x|. Its derivative at 0 is taken as 0.
func Abs(x *Tensor) *Tensor { return unaryOp(opAbs, kernel.Abs, x) }

func backAbs(b *back) { b.grads[0] = Mul(b.g, Sign(b.in[0])) }

// Sign returns -1, 0 or 1. Its derivative is 0 everywhere.
func Sign(x *Tensor) *Tensor { return constant(kernel.Sign, "Sign", x) }

// Step returns 1 where x > 0 and 0 elsewhere. Its derivative is 0 everywhere.
func Step(x *Tensor) *Tensor { return constant(kernel.Step, "Step", x) }

// constant applies a piecewise constant function, through which no gradient
// flows.
func constant(k kernel.UnaryOp, name string, x *Tensor) *Tensor {
	t := operandsOf(name, x)
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		unaryOn(k, y.f32, x.f32)
	} else {
		unaryOn(k, y.f64, x.f64)
	}
	return y
}

// Square returns x².
func Square(x *Tensor) *Tensor { return unaryOp(opSquare, kernel.Square, x) }

func backSquare(b *back) { b.grads[0] = MulScalar(Mul(b.g, b.in[0]), 2) }

// Sqrt returns the square root of x.
func Sqrt(x *Tensor) *Tensor { return unaryOp(opSqrt, kernel.Sqrt, x) }

func backSqrt(b *back) { b.grads[0] = MulScalar(Div(b.g, b.out), 0.5) }

// Recip returns 1/x.
func Recip(x *Tensor) *Tensor { return unaryOp(opRecip, kernel.Recip, x) }

func backRecip(b *back) { b.grads[0] = Neg(Mul(b.g, Square(b.out))) }

// Exp returns e to the power of x.
func Exp(x *Tensor) *Tensor { return unaryOp(opExp, kernel.Exp, x) }

func backExp(b *back) { b.grads[0] = Mul(b.g, b.out) }

// Expm1 returns exp(x) - 1, accurate near 0.
func Expm1(x *Tensor) *Tensor { return unaryOp(opExpm1, kernel.Expm1, x) }

func backExpm1(b *back) { b.grads[0] = Mul(b.g, AddScalar(b.out, 1)) }

// Log returns the natural logarithm of x.
func Log(x *Tensor) *Tensor { return unaryOp(opLog, kernel.Log, x) }

func backLog(b *back) { b.grads[0] = Div(b.g, b.in[0]) }

// Log1p returns log(1 + x), accurate near 0.
func Log1p(x *Tensor) *Tensor { return unaryOp(opLog1p, kernel.Log1p, x) }

func backLog1p(b *back) { b.grads[0] = Div(b.g, AddScalar(b.in[0], 1)) }

// Tanh returns the hyperbolic tangent of x.
func Tanh(x *Tensor) *Tensor { return unaryOp(opTanh, kernel.Tanh, x) }

func backTanh(b *back) { b.grads[0] = Mul(b.g, Affine(Square(b.out), -1, 1)) }

// Sigmoid returns 1/(1+exp(-x)).
func Sigmoid(x *Tensor) *Tensor { return unaryOp(opSigmoid, kernel.Sigmoid, x) }

func backSigmoid(b *back) {
	b.grads[0] = Mul(b.g, Mul(b.out, Affine(b.out, -1, 1)))
}

// Softplus returns log(1 + exp(x)).
func Softplus(x *Tensor) *Tensor { return unaryOp(opSoftplus, kernel.Softplus, x) }

func backSoftplus(b *back) { b.grads[0] = Mul(b.g, Sigmoid(b.in[0])) }

// Sin returns the sine of x in radians.
func Sin(x *Tensor) *Tensor { return unaryOp(opSin, kernel.Sin, x) }

func backSin(b *back) { b.grads[0] = Mul(b.g, Cos(b.in[0])) }

// Cos returns the cosine of x in radians.
func Cos(x *Tensor) *Tensor { return unaryOp(opCos, kernel.Cos, x) }

func backCos(b *back) { b.grads[0] = Neg(Mul(b.g, Sin(b.in[0]))) }

// ReLU returns max(x, 0). Its derivative at 0 is taken as 0, and its second
// derivative is 0 everywhere.
func ReLU(x *Tensor) *Tensor { return unaryOp(opReLU, kernel.ReLU, x) }

func backReLU(b *back) { b.grads[0] = maskPositive(b.g, b.out) }

// maskPositive returns g where ref > 0 and 0 elsewhere; ref is a constant.
func maskPositive(g, ref *Tensor) *Tensor {
	t := operandsOf("ReLU", g, ref)
	y := newOn(t, g.dtype, g.shape)
	binaryInto(kernel.ReLUGrad, y, g, ref)
	return t.record(node{op: opMaskPositive, aux: ref}, y, g)
}

func backMaskPositive(b *back) { b.grads[0] = maskPositive(b.g, b.aux.(*Tensor)) }

// LeakyReLU returns x where x > 0 and slope*x elsewhere.
func LeakyReLU(x *Tensor, slope float64) *Tensor {
	return Where(Step(x), x, MulScalar(x, slope))
}

// Affine returns alpha*x + beta.
func Affine(x *Tensor, alpha, beta float64) *Tensor {
	t := operandsOf("Affine", x)
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		affineOn(y.f32, x.f32, float32(alpha), float32(beta))
	} else {
		affineOn(y.f64, x.f64, alpha, beta)
	}
	return t.record(node{op: opAffine, alpha: alpha}, y, x)
}

func affineOn[T kernel.Float](y, x []T, alpha, beta T) {
	par.For(len(y), grain, func(lo, hi int) { kernel.Affine(y[lo:hi], x[lo:hi], alpha, beta) })
}

func backAffine(b *back) { b.grads[0] = MulScalar(b.g, b.alpha) }

// AddScalar returns x + v.
func AddScalar(x *Tensor, v float64) *Tensor { return Affine(x, 1, v) }

// MulScalar returns v*x.
func MulScalar(x *Tensor, v float64) *Tensor { return Affine(x, v, 0) }

// PowScalar returns x to the power of p. For a p that is no integer, x must not
// be negative (the result is NaN).
func PowScalar(x *Tensor, p float64) *Tensor {
	t := operandsOf("PowScalar", x)
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		binaryScalarOn(kernel.Pow, y.f32, x.f32, float32(p))
	} else {
		binaryScalarOn(kernel.Pow, y.f64, x.f64, p)
	}
	return t.record(node{op: opPowScalar, alpha: p}, y, x)
}

func backPowScalar(b *back) {
	if b.alpha == 0 {
		b.grads[0] = MulScalar(b.g, 0)
		return
	}
	b.grads[0] = MulScalar(Mul(b.g, PowScalar(b.in[0], b.alpha-1)), b.alpha)
}

// Clamp returns x limited to [lo, hi]. Its derivative is 1 inside and at the
// ends of the interval and 0 outside.
func Clamp(x *Tensor, lo, hi float64) *Tensor {
	t := operandsOf("Clamp", x)
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		clampOn(y.f32, x.f32, float32(lo), float32(hi))
	} else {
		clampOn(y.f64, x.f64, lo, hi)
	}
	return t.record(node{op: opClamp}, y, x)
}

func clampOn[T kernel.Float](y, x []T, lo, hi T) {
	par.For(len(y), grain, func(lo0, hi0 int) { kernel.Clamp(y[lo0:hi0], x[lo0:hi0], lo, hi) })
}

func backClamp(b *back) {
	// Where clamping left x as it is, the derivative is 1.
	b.grads[0] = Mul(b.g, Equal(b.in[0], b.out))
}

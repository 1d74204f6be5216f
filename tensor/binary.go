package tensor

import (
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// binary computes k(a, b) with broadcasting.
func binary(name string, k kernel.BinaryOp, a, b *Tensor) (*Tape, *Tensor) {
	t := operandsOf(name, a, b)
	y := newOn(t, a.dtype, broadcastShape(name, a.shape, b.shape))
	binaryInto(k, y, a, b)
	return t, y
}

// binaryInto computes y = k(a, b), where y has the broadcast shape of a and b.
func binaryInto(k kernel.BinaryOp, y, a, b *Tensor) {
	if y.dtype == Float32 {
		binaryOn[float32](k, y, a, b)
	} else {
		binaryOn[float64](k, y, a, b)
	}
}

func binaryOn[T kernel.Float](k kernel.BinaryOp, y, a, b *Tensor) {
	yv, av, bv := data[T](y), data[T](a), data[T](b)
	n := len(yv)
	switch {
	case n == 0:
	case len(av) == n && len(bv) == n:
		if n <= grain {
			kernel.Binary(k, yv, av, bv)
			return
		}
		par.For(n, grain, func(lo, hi int) { kernel.Binary(k, yv[lo:hi], av[lo:hi], bv[lo:hi]) })
	case len(av) == n && len(bv) == 1:
		binaryScalarOn(k, yv, av, bv[0])
	case len(bv) == n && len(av) == 1:
		s := av[0]
		par.For(n, grain, func(lo, hi int) { kernel.ScalarBinary(k, yv[lo:hi], s, bv[lo:hi]) })
	case len(av) == n && isRow(b.shape, y.shape):
		c := len(bv)
		par.For(n/c, max(1, grain/c), func(lo, hi int) {
			kernel.BinaryRow(k, yv[lo*c:hi*c], av[lo*c:hi*c], bv)
		})
	case len(av) == n && isColumn(b.shape, y.shape):
		c := n / len(bv)
		par.For(len(bv), max(1, grain/c), func(lo, hi int) {
			kernel.BinaryCol(k, yv[lo*c:hi*c], av[lo*c:hi*c], bv[lo:hi])
		})
	case len(bv) == n && commutes(k) && (isRow(a.shape, y.shape) || isColumn(a.shape, y.shape)):
		binaryOn[T](k, y, b, a)
	default:
		// At least one operand must be stretched along inner axes.
		if len(av) != n {
			a = stretch(y.tape, a, y.shape)
		}
		if len(bv) != n {
			b = stretch(y.tape, b, y.shape)
		}
		binaryOn[T](k, y, a, b)
	}
}

func binaryScalarOn[T kernel.Float](k kernel.BinaryOp, y, a []T, s T) {
	par.For(len(y), grain, func(lo, hi int) { kernel.BinaryScalar(k, y[lo:hi], a[lo:hi], s) })
}

// isRow says whether small, stretched to big, repeats as a whole: its axes are
// big's last ones, after axes of extent 1.
func isRow(small, big shape) bool {
	i := 0
	for i < small.rank() && small.d[i] == 1 {
		i++
	}
	for k := i; k < small.rank(); k++ {
		if small.d[k] != big.d[big.rank()-small.rank()+k] {
			return false
		}
	}
	return true
}

// isColumn says whether small, stretched to big, repeats each element in
// place: its axes are big's first ones, followed by axes of extent 1.
func isColumn(small, big shape) bool {
	if small.rank() != big.rank() {
		return false
	}
	n := small.rank()
	for n > 0 && small.d[n-1] == 1 {
		n--
	}
	for k := range n {
		if small.d[k] != big.d[k] {
			return false
		}
	}
	return true
}

// Add returns a + b, with broadcasting.
func Add(a, b *Tensor) *Tensor {
	t, y := binary("Add", kernel.Add, a, b)
	return t.record(node{op: opAdd}, y, a, b)
}

func backAdd(b *back) {
	for i, in := range b.in {
		if b.need[i] {
			b.grads[i] = sumTo(b.g, in.shape)
		}
	}
}

// Sub returns a - b, with broadcasting.
func Sub(a, b *Tensor) *Tensor {
	t, y := binary("Sub", kernel.Sub, a, b)
	return t.record(node{op: opSub}, y, a, b)
}

func backSub(b *back) {
	if b.need[0] {
		b.grads[0] = sumTo(b.g, b.in[0].shape)
	}
	if b.need[1] {
		b.grads[1] = Neg(sumTo(b.g, b.in[1].shape))
	}
}

// Mul returns the elementwise product of a and b, with broadcasting.
func Mul(a, b *Tensor) *Tensor {
	t, y := binary("Mul", kernel.Mul, a, b)
	return t.record(node{op: opMul}, y, a, b)
}

func backMul(b *back) {
	for i, in := range b.in {
		if b.need[i] {
			b.grads[i] = sumTo(Mul(b.g, b.in[1-i]), in.shape)
		}
	}
}

// Div returns the elementwise quotient a/b, with broadcasting.
func Div(a, b *Tensor) *Tensor {
	t, y := binary("Div", kernel.Div, a, b)
	return t.record(node{op: opDiv}, y, a, b)
}

func backDiv(b *back) {
	q := Div(b.g, b.in[1])
	if b.need[0] {
		b.grads[0] = sumTo(q, b.in[0].shape)
	}
	if b.need[1] {
		b.grads[1] = Neg(sumTo(Mul(q, b.out), b.in[1].shape))
	}
}

// Pow returns a to the power of b, elementwise with broadcasting. The gradient
// with respect to a is 0 where both are 0; that with respect to b needs a > 0.
func Pow(a, b *Tensor) *Tensor {
	t, y := binary("Pow", kernel.Pow, a, b)
	return t.record(node{op: opPow}, y, a, b)
}

func backPow(b *back) {
	x, p := b.in[0], b.in[1]
	if b.need[0] {
		b.grads[0] = sumTo(Mul(b.g, Mul(p, Pow(x, lessOne(x, p)))), x.shape)
	}
	if b.need[1] {
		b.grads[1] = sumTo(Mul(b.g, Mul(b.out, Log(x))), p.shape)
	}
}

// lessOne is the exponent p - 1 of the derivative p x^(p-1), but 0 where x and p are
// both 0: there the power does not depend on x, and 0 to the power of -1 is infinite.
func lessOne(x, p *Tensor) *Tensor {
	less := AddScalar(p, -1)
	if !hasZero(p) {
		return less
	}
	return Add(less, Mul(isZero(x), isZero(p)))
}

// isZero is 1 where x is 0 and 0 elsewhere, a constant.
func isZero(x *Tensor) *Tensor { return Equal(x, Scalar(x.dtype, 0)) }

func hasZero(x *Tensor) bool {
	if x.dtype == Float32 {
		return slices.Contains(x.f32, 0)
	}
	return slices.Contains(x.f64, 0)
}

// Maximum returns the larger of a and b, elementwise with broadcasting. Where
// they are equal the gradient goes to a.
func Maximum(a, b *Tensor) *Tensor {
	t, y := binary("Maximum", kernel.Maximum, a, b)
	return t.record(node{op: opMaximum}, y, a, b)
}

func backMaximum(b *back) { backChoice(b, GreaterEqual(b.in[0], b.in[1])) }

// Minimum returns the smaller of a and b, elementwise with broadcasting. Where
// they are equal the gradient goes to a.
func Minimum(a, b *Tensor) *Tensor {
	t, y := binary("Minimum", kernel.Minimum, a, b)
	return t.record(node{op: opMinimum}, y, a, b)
}

func backMinimum(b *back) { backChoice(b, LessEqual(b.in[0], b.in[1])) }

// backChoice sends the gradient to the first operand where first is 1 and to
// the second where it is 0.
func backChoice(b *back, first *Tensor) {
	if b.need[0] {
		b.grads[0] = sumTo(Mul(b.g, first), b.in[0].shape)
	}
	if b.need[1] {
		b.grads[1] = sumTo(Mul(b.g, Affine(first, -1, 1)), b.in[1].shape)
	}
}

// Where returns a where mask is not 0 and b elsewhere. All three have the same
// shape; mask is a constant.
func Where(mask, a, b *Tensor) *Tensor {
	t := operandsOf("Where", a, b, mask)
	if a.shape != b.shape || a.shape != mask.shape {
		panic(fmt.Sprintf("tensor: Where: mask %v, a %v, b %v, want equal shapes", mask.shape, a.shape, b.shape))
	}
	y := newOn(t, a.dtype, a.shape)
	if a.dtype == Float32 {
		kernel.Select(y.f32, mask.f32, a.f32, b.f32)
	} else {
		kernel.Select(y.f64, mask.f64, a.f64, b.f64)
	}
	return t.record(node{op: opWhere, aux: mask.Detach()}, y, a, b)
}

func backWhere(b *back) {
	mask := b.aux.(*Tensor)
	zero := zerosOn(b.g.tape, b.g.dtype, b.g.shape)
	if b.need[0] {
		b.grads[0] = Where(mask, b.g, zero)
	}
	if b.need[1] {
		b.grads[1] = Where(mask, zero, b.g)
	}
}

// compare computes a comparison, through which no gradient flows.
func compare(name string, k kernel.BinaryOp, a, b *Tensor) *Tensor {
	_, y := binary(name, k, a, b)
	return y
}

// Greater returns 1 where a > b and 0 elsewhere, with broadcasting. Like every
// comparison it has no gradient.
func Greater(a, b *Tensor) *Tensor { return compare("Greater", kernel.Greater, a, b) }

// GreaterEqual returns 1 where a >= b and 0 elsewhere, with broadcasting.
func GreaterEqual(a, b *Tensor) *Tensor { return compare("GreaterEqual", kernel.GreaterEqual, a, b) }

// Less returns 1 where a < b and 0 elsewhere, with broadcasting.
func Less(a, b *Tensor) *Tensor { return compare("Less", kernel.Less, a, b) }

// LessEqual returns 1 where a <= b and 0 elsewhere, with broadcasting.
func LessEqual(a, b *Tensor) *Tensor { return compare("LessEqual", kernel.LessEqual, a, b) }

// Equal returns 1 where a == b and 0 elsewhere, with broadcasting.
func Equal(a, b *Tensor) *Tensor { return compare("Equal", kernel.Equal, a, b) }

// addInPlace computes a += b for tensors of the same shape.
func addInPlace(a, b *Tensor) {
	if a.dtype == Float32 {
		axpyOn(a.f32, 1, b.f32)
	} else {
		axpyOn(a.f64, 1, b.f64)
	}
}

func axpyOn[T kernel.Float](y []T, alpha T, x []T) {
	par.For(len(y), grain, func(lo, hi int) { kernel.Axpy(y[lo:hi], alpha, x[lo:hi]) })
}

func commutes(k kernel.BinaryOp) bool {
	switch k {
	case kernel.Add, kernel.Mul, kernel.Maximum, kernel.Minimum, kernel.Equal:
		return true
	}
	return false
}

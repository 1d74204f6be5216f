package main

import "math"

// nearest sets n to the integer nearest to x/ln 2 and r (which may be x) to
// the rest, so that e**x = 2**n * e**r with |r| <= ln(2)/2.
func (k *kern) nearest(x, n, r string) {
	k.in("VMULPS", k.number(math.Log2E), x, n)
	if k.wide() {
		k.in("VRNDSCALEPS", "$8", n, n)
	} else {
		k.in("VROUNDPS", "$8", n, n)
	}
	if r != x {
		k.in("VMOVAPS", x, r)
	}
	k.in("VFNMADD231PS", k.number(ln2High), n, r)
	k.in("VFNMADD231PS", k.number(ln2Low), n, r)
}

// ln 2 in two parts: the first has few enough bits for its product with an
// exponent to be exact.
const (
	ln2High = 0.693359375
	ln2Low  = math.Ln2 - ln2High
)

// expTail sets p to (e**r - 1 - r) / r**2: the Taylor series, whose first
// omitted term is below a quarter of an ulp for |r| <= ln(2)/2.
func (k *kern) expTail(r, p string) {
	k.in("VMOVUPS", k.number(1.0/5040), p)
	for _, c := range []float32{1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2} {
		k.in("VFMADD213PS", k.number(c), r, p)
	}
}

// power turns the integers in n into 2**n.
func (k *kern) power(n string) {
	k.in("VPADDD", k.bits(127), n, n)
	k.in("VPSLLD", "$23", n, n)
}

// exp sets x to e**x, using three temporaries.
func (k *kern) exp(x string, t []string) {
	n, p, sq := t[0], t[1], t[2]
	// Beyond these bounds the result is infinite or zero. The order of the
	// operands keeps a NaN.
	k.in("VMOVUPS", k.number(89), n)
	k.in("VMINPS", x, n, x)
	k.in("VMOVUPS", k.number(-104), n)
	k.in("VMAXPS", x, n, x)
	k.nearest(x, n, x)
	k.expTail(x, p)
	k.in("VMULPS", x, x, sq)
	k.in("VFMADD213PS", x, sq, p)
	k.in("VADDPS", k.number(1), p, p)
	if k.wide() {
		k.in("VSCALEFPS", n, p, x)
		return
	}
	// Two factors, because 2**n itself need not be a number.
	k.in("VCVTPS2DQ", n, n)
	k.in("VPSRAD", "$1", n, sq)
	k.in("VPSUBD", sq, n, n)
	k.power(sq)
	k.in("VMULPS", sq, p, p)
	k.power(n)
	k.in("VMULPS", n, p, x)
}

// expm1 sets x to e**x - 1, for x of at most 20, using three temporaries.
func (k *kern) expm1(x string, t []string) {
	n, p, sq := t[0], t[1], t[2]
	k.in("VMOVUPS", k.number(-20), n)
	k.in("VMAXPS", x, n, x)
	k.nearest(x, n, x)
	k.expTail(x, p)
	k.in("VMULPS", x, x, sq)
	k.in("VFMADD213PS", x, sq, p)
	k.in("VCVTPS2DQ", n, n)
	k.power(n)
	// 2**n * (e**r - 1) + (2**n - 1), each part without cancellation.
	k.in("VSUBPS", k.number(1), n, x)
	k.in("VFMADD231PS", p, n, x)
}

// log sets dst to the logarithm of x, overwriting x and using four
// temporaries. Only with all set are arguments right that are not normal and
// positive.
func (k *kern) log(x, dst string, t []string, all bool) {
	orig, e, s, z := t[0], t[1], t[2], t[3]
	if all {
		k.in("VMOVAPS", x, orig)
		k.in("VMULPS", k.number(1<<23), x, s)
		k.choose(less, x, k.number(0x1p-126), s, x, x)
		k.keep(less, orig, k.number(0x1p-126), k.number(-23), dst)
	}
	// x = m * 2**e with m in [sqrt(1/2), sqrt(2)): an integer subtraction
	// moves the boundary between binades.
	root := math.Float32bits(math.Sqrt2 / 2)
	and := "VPAND"
	if k.wide() {
		and = "VPANDD"
	}
	k.in("VPSUBD", k.bits(root), x, x)
	k.in("VPSRAD", "$23", x, e)
	k.in("VCVTDQ2PS", e, e)
	if all {
		k.in("VADDPS", dst, e, e)
	}
	k.in(and, k.bits(1<<23-1), x, x)
	k.in("VPADDD", k.bits(root), x, x)
	k.in("VSUBPS", k.number(1), x, x)
	// log(1+f) = f - s*(f - r) with s = f/(2+f) and r the series of twice the
	// inverse hyperbolic tangent of s, less its first term and over s: the
	// large part, f, is exact.
	k.in("VADDPS", k.number(2), x, s)
	k.in("VDIVPS", s, x, s)
	k.in("VMULPS", s, s, z)
	k.in("VMOVUPS", k.number(2.0/9), dst)
	for _, c := range []float32{2.0 / 7, 2.0 / 5, 2.0 / 3} {
		k.in("VFMADD213PS", k.number(c), z, dst)
	}
	k.in("VMULPS", z, dst, dst)
	k.in("VSUBPS", dst, x, dst)
	k.in("VFNMADD213PS", x, s, dst)
	k.in("VFMADD231PS", k.number(ln2Low), e, dst)
	k.in("VFMADD231PS", k.number(ln2High), e, dst)
	if all {
		inf := float32(math.Inf(1))
		k.choose(less, orig, k.number(inf), dst, orig, dst)
		k.choose(equal, orig, k.number(0), k.number(-inf), dst, dst)
		k.choose(less, orig, k.number(0), k.bits(quietNaN), dst, dst)
	}
}

const quietNaN = 0x7fc00000

const (
	signBit   = 0x80000000
	magnitude = 0x7fffffff
)

// one is a unary function: reg in, result's register out.
type one struct {
	op    string // the UnaryOp
	temps int
	body  func(k *kern, x string, t []string) string
}

// log1p sets dst to log(1+x), using five temporaries. With all unset, x must
// lie in [0, 1].
func (k *kern) log1p(x, dst string, t []string, all bool) {
	u, orig := t[0], t[4]
	k.in("VMOVAPS", x, orig)
	k.in("VADDPS", k.number(1), x, u)
	// What 1+x has lost, relative to it, makes up for the rounding.
	k.in("VSUBPS", k.number(1), u, dst)
	k.in("VSUBPS", dst, x, x)
	k.in("VDIVPS", u, x, x)
	if all {
		// Beyond 2**24 nothing is lost that matters, and at -1 the quotient
		// is no number.
		k.keep(less, orig, k.number(1<<24), x, x)
		k.keep(greater, orig, k.number(-1), x, x)
	}
	k.in("VMOVAPS", x, orig)
	k.log(u, dst, []string{x, t[1], t[2], t[3]}, all)
	k.in("VADDPS", orig, dst, dst)
}

var unaryOps = []one{
	{"Neg", 0, func(k *kern, x string, t []string) string {
		k.in("VXORPS", k.bits(signBit), x, x)
		return x
	}},
	{"Abs", 0, func(k *kern, x string, t []string) string {
		k.in("VANDPS", k.bits(magnitude), x, x)
		return x
	}},
	{"Sign", 1, func(k *kern, x string, t []string) string {
		// Zeros and NaN pass through.
		k.choose(greater, x, k.number(0), k.number(1), x, t[0])
		k.choose(less, x, k.number(0), k.number(-1), t[0], t[0])
		return t[0]
	}},
	{"Square", 0, func(k *kern, x string, t []string) string {
		k.in("VMULPS", x, x, x)
		return x
	}},
	{"Sqrt", 0, func(k *kern, x string, t []string) string {
		k.in("VSQRTPS", x, x)
		return x
	}},
	{"Recip", 1, func(k *kern, x string, t []string) string {
		k.in("VMOVUPS", k.number(1), t[0])
		k.in("VDIVPS", x, t[0], x)
		return x
	}},
	{"Exp", 3, func(k *kern, x string, t []string) string {
		k.exp(x, t)
		return x
	}},
	{"Log", 5, func(k *kern, x string, t []string) string {
		k.log(x, t[4], t, true)
		return t[4]
	}},
	{"Log1p", 6, func(k *kern, x string, t []string) string {
		k.log1p(x, t[5], t, true)
		return t[5]
	}},
	{"Expm1", 5, func(k *kern, x string, t []string) string {
		k.in("VMOVAPS", x, t[3])
		k.in("VMOVAPS", x, t[4])
		k.in("VMOVUPS", k.number(20), t[0])
		k.in("VMINPS", x, t[0], x)
		k.expm1(x, t)
		k.exp(t[3], t)
		k.choose(greater, t[4], k.number(20), t[3], x, x)
		// A tiny x, zeros with their signs included, is its own result: what is
		// left out, half its square, is below its last digit.
		k.in("VANDPS", k.bits(magnitude), t[4], t[0])
		k.choose(less, t[0], k.number(0x1p-24), t[4], x, x)
		return x
	}},
	{"Tanh", 5, func(k *kern, x string, t []string) string {
		k.in("VANDPS", k.bits(signBit), x, t[3])
		k.in("VMOVAPS", x, t[4])
		k.in("VANDPS", k.bits(magnitude), x, x)
		k.in("VADDPS", x, x, x)
		k.in("VMOVUPS", k.number(20), t[0])
		k.in("VMINPS", x, t[0], x)
		k.expm1(x, t)
		k.in("VADDPS", k.number(2), x, t[0])
		k.in("VDIVPS", t[0], x, x)
		k.in("VORPS", t[3], x, x)
		k.in("VANDPS", k.bits(magnitude), t[4], t[0])
		k.choose(less, t[0], k.number(1e-4), t[4], x, x)
		return x
	}},
	{"Sigmoid", 4, func(k *kern, x string, t []string) string {
		// e**-|x| cannot overflow.
		k.in("VMOVAPS", x, t[3])
		k.in("VORPS", k.bits(signBit), x, x)
		k.exp(x, t)
		k.in("VADDPS", k.number(1), x, t[0])
		k.choose(less, t[3], k.number(0), x, k.load(1, t[1]), x)
		k.in("VDIVPS", t[0], x, x)
		return x
	}},
	{"Softplus", 7, func(k *kern, x string, t []string) string {
		k.in("VMOVAPS", x, t[6])
		k.in("VORPS", k.bits(signBit), x, x)
		k.exp(x, t)
		k.log1p(x, t[5], t, false)
		zero(k.file, k.isa, t[0])
		k.in("VMAXPS", t[6], t[0], t[6])
		k.in("VADDPS", t[6], t[5], t[5])
		return t[5]
	}},
	{"ReLU", 1, func(k *kern, x string, t []string) string {
		zero(k.file, k.isa, t[0])
		k.in("VMAXPS", x, t[0], x)
		return x
	}},
	{"Step", 0, func(k *kern, x string, t []string) string {
		k.keep(greater, x, k.number(0), k.number(1), x)
		return x
	}},
}

// load puts a constant into a register.
func (k *kern) load(v float32, reg string) string {
	k.in("VMOVUPS", k.number(v), reg)
	return reg
}

// two is a binary function of registers a and b.
type two struct {
	op    string // the BinaryOp
	temps int
	body  func(k *kern, a, b string, t []string, dst string)
}

func comparison(op string, pred int) two {
	return two{op, 0, func(k *kern, a, b string, t []string, dst string) {
		k.keep(pred, a, b, k.number(1), dst)
	}}
}

func arithmetic(op, instruction string) two {
	return two{op, 0, func(k *kern, a, b string, t []string, dst string) {
		k.in(instruction, b, a, dst)
	}}
}

// extreme is a maximum or minimum that a NaN in either operand wins: the
// instruction returns b if one is NaN, so a NaN in a is put back.
func extreme(op, instruction string) two {
	return two{op, 1, func(k *kern, a, b string, t []string, dst string) {
		k.in(instruction, b, a, t[0])
		k.choose(unordered, a, a, a, t[0], dst)
	}}
}

var binaryOps = []two{
	arithmetic("Add", "VADDPS"),
	arithmetic("Sub", "VSUBPS"),
	arithmetic("Mul", "VMULPS"),
	arithmetic("Div", "VDIVPS"),
	extreme("Maximum", "VMAXPS"),
	extreme("Minimum", "VMINPS"),
	comparison("Greater", greater),
	comparison("GreaterEqual", greaterEqual),
	comparison("Less", less),
	comparison("LessEqual", lessEqual),
	comparison("Equal", equal),
	{"ReLUGrad", 0, func(k *kern, a, b string, t []string, dst string) {
		k.keep(greater, b, k.number(0), a, dst)
	}},
}

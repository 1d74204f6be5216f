package kernel

import "math"

// UnaryOp names a function of one element.
type UnaryOp uint8

// The functions that Unary computes. NaN gives NaN, except for Step.
const (
	Neg      UnaryOp = iota // -x
	Abs                     // |x|
	Sign                    // -1, 0 or 1; a zero keeps its sign bit
	Square                  // x*x
	Sqrt                    // square root; NaN below zero
	Recip                   // 1/x
	Exp                     // e**x
	Log                     // natural logarithm; -Inf at zero, NaN below
	Log1p                   // log(1+x), accurate near zero
	Expm1                   // e**x - 1, accurate near zero
	Tanh                    // hyperbolic tangent
	Sigmoid                 // 1/(1+e**-x)
	Softplus                // log(1+e**x)
	ReLU                    // max(x, 0)
	Sin                     // sine, x in radians
	Cos                     // cosine, x in radians
	Step                    // 1 where x > 0, else 0, NaN included
)

// Unary sets dst[i] = op(x[i]) for every element of x. dst may be x.
func Unary[T Float](op UnaryOp, dst, x []T) {
	dst = dst[:len(x)]
	if single[T]() && unaryVector(op, ptr(dst), ptr(x), len(x)) {
		return
	}
	switch op {
	case Neg:
		for i, v := range x {
			dst[i] = -v
		}
	case Abs:
		for i, v := range x {
			dst[i] = abs(v)
		}
	case Sign:
		for i, v := range x {
			dst[i] = sign(v)
		}
	case Square:
		for i, v := range x {
			dst[i] = v * v
		}
	case Sqrt:
		for i, v := range x {
			dst[i] = T(math.Sqrt(float64(v)))
		}
	case Recip:
		for i, v := range x {
			dst[i] = 1 / v
		}
	case Exp:
		for i, v := range x {
			dst[i] = T(math.Exp(float64(v)))
		}
	case Log:
		for i, v := range x {
			dst[i] = T(math.Log(float64(v)))
		}
	case Log1p:
		for i, v := range x {
			dst[i] = T(math.Log1p(float64(v)))
		}
	case Expm1:
		for i, v := range x {
			dst[i] = T(math.Expm1(float64(v)))
		}
	case Tanh:
		for i, v := range x {
			dst[i] = T(math.Tanh(float64(v)))
		}
	case Sigmoid:
		for i, v := range x {
			dst[i] = T(sigmoid(float64(v)))
		}
	case Softplus:
		for i, v := range x {
			dst[i] = T(softplus(float64(v)))
		}
	case ReLU:
		for i, v := range x {
			dst[i] = max(v, 0)
		}
	case Sin:
		for i, v := range x {
			dst[i] = T(math.Sin(float64(v)))
		}
	case Cos:
		for i, v := range x {
			dst[i] = T(math.Cos(float64(v)))
		}
	case Step:
		for i, v := range x {
			dst[i] = truth[T](v > 0)
		}
	default:
		panic("kernel: Unary: unknown operation")
	}
}

func abs[T Float](v T) T { return T(math.Abs(float64(v))) }

func sign[T Float](v T) T {
	if v > 0 {
		return 1
	}
	if v < 0 {
		return -1
	}
	return v
}

func truth[T Float](b bool) T {
	if b {
		return 1
	}
	return 0
}

// sigmoid works from e**-|x|, which cannot overflow.
func sigmoid(x float64) float64 {
	e := math.Exp(-math.Abs(x))
	if x < 0 {
		return e / (1 + e)
	}
	return 1 / (1 + e)
}

func softplus(x float64) float64 {
	return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
}

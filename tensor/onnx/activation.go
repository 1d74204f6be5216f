package onnx

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// function is an elementwise function.
type function func(x *tensor.Tensor) *tensor.Tensor

// activations holds, for each operator of one input that is a function of each
// element, what makes the function from a node's attributes.
var activations = map[string]func(k *call) (function, error){
	"Relu":        just(tensor.ReLU),
	"Sigmoid":     just(tensor.Sigmoid),
	"Tanh":        just(tensor.Tanh),
	"Softplus":    just(tensor.Softplus),
	"Exp":         just(tensor.Exp),
	"Log":         just(tensor.Log),
	"Sqrt":        just(tensor.Sqrt),
	"Neg":         just(tensor.Neg),
	"Abs":         just(tensor.Abs),
	"Reciprocal":  just(tensor.Recip),
	"Erf":         just(erf),
	"HardSwish":   since(14, just(hardSwish)),
	"Gelu":        since(20, gelu),
	"LeakyRelu":   leakyRelu,
	"Elu":         elu,
	"HardSigmoid": hardSigmoid,
}

func just(f function) func(*call) (function, error) {
	return func(*call) (function, error) { return f, nil }
}

// since refuses an operator in operator sets that do not have it yet.
func since(version int, make func(*call) (function, error)) func(*call) (function, error) {
	return func(k *call) (function, error) {
		if k.opset < version {
			return nil, fmt.Errorf("is in operator sets from %d on, and the file uses %d", version, k.opset)
		}
		return make(k)
	}
}

func buildActivation(k *call) (*value, error) {
	f, err := activations[k.node.op](k)
	if err != nil {
		return nil, err
	}
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	if k.node.op == "Relu" {
		if rectify := k.fusable(x); rectify != nil {
			*rectify = true
			return x, nil
		}
	}
	return k.like(x, f)
}

// fusable returns the switch that makes the step that computes the first input
// rectify it, nil if it has none or if anyone else reads the value.
func (k *call) fusable(x *value) *bool {
	if k.readers[x.name] != 1 || x.name != k.node.inputs[0] || len(k.steps) == 0 {
		return nil
	}
	if last := &k.steps[len(k.steps)-1]; last.out == x.reg && !k.shared[x.reg] {
		return last.rectify
	}
	return nil
}

// leakyRelu is x where x > 0 and alpha x elsewhere.
func leakyRelu(k *call) (function, error) {
	alpha := k.float("alpha", 0.01)
	return func(x *tensor.Tensor) *tensor.Tensor { return tensor.LeakyReLU(x, alpha) }, nil
}

// elu is x where x > 0 and alpha (exp(x) - 1) elsewhere.
func elu(k *call) (function, error) {
	alpha := k.float("alpha", 1)
	return func(x *tensor.Tensor) *tensor.Tensor {
		below := tensor.Expm1(tensor.Minimum(x, tensor.Scalar(x.DType(), 0)))
		return tensor.Add(tensor.ReLU(x), tensor.MulScalar(below, alpha))
	}, nil
}

// hardSigmoid is alpha x + beta limited to [0, 1].
func hardSigmoid(k *call) (function, error) {
	alpha, beta := k.float("alpha", 0.2), k.float("beta", 0.5)
	return func(x *tensor.Tensor) *tensor.Tensor { return tensor.Clamp(tensor.Affine(x, alpha, beta), 0, 1) }, nil
}

// hardSwish is x (x/6 + 1/2 limited to [0, 1]).
func hardSwish(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Mul(x, tensor.Clamp(tensor.Affine(x, 1./6, 0.5), 0, 1))
}

// gelu is x times the normal distribution function at x, or an approximation of
// it by the hyperbolic tangent.
//
// Hendrycks and Gimpel, 2016.
func gelu(k *call) (function, error) {
	switch how := k.text("approximate", "none"); how {
	case "none":
		return func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.Mul(x, tensor.Affine(erf(tensor.MulScalar(x, math.Sqrt2/2)), 0.5, 0.5))
		}, nil
	case "tanh":
		return func(x *tensor.Tensor) *tensor.Tensor {
			inner := tensor.Mul(x, tensor.Affine(tensor.Square(x), 0.044715, 1))
			return tensor.Mul(x, tensor.Affine(tensor.Tanh(tensor.MulScalar(inner, math.Sqrt(2/math.Pi))), 0.5, 0.5))
		}, nil
	default:
		return nil, fmt.Errorf("approximate is %q, want none or tanh", how)
	}
}

// erf is the error function, whose derivative is 2/√π exp(-x²).
func erf(x *tensor.Tensor) *tensor.Tensor {
	y := tensor.Zeros(x.DType(), x.Shape()...)
	if x.DType() == tensor.Float32 {
		erfInto(y.Float32s(), x.Float32s())
	} else {
		erfInto(y.Float64s(), x.Float64s())
	}
	return tensor.Custom(tensor.Rule{
		Name: "Erf",
		Backward: func(g *tensor.Tensor, _ []bool) []*tensor.Tensor {
			slope := tensor.MulScalar(tensor.Exp(tensor.Neg(tensor.Square(x))), 2/math.Sqrt(math.Pi))
			return []*tensor.Tensor{tensor.Mul(g, slope)}
		},
	}, y, x)
}

func erfInto[T float32 | float64](y, x []T) {
	par.For(len(y), 1<<11, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = T(math.Erf(float64(x[i])))
		}
	})
}

func buildClip(k *call) (*value, error) {
	lo, hi := math.Inf(-1), math.Inf(1)
	var err error
	if k.opset < 11 {
		lo, hi = k.float("min", lo), k.float("max", hi)
	} else {
		if lo, err = k.scalarAt(1, lo); err != nil {
			return nil, err
		}
		if hi, err = k.scalarAt(2, hi); err != nil {
			return nil, err
		}
	}
	if !(lo <= hi) {
		return nil, fmt.Errorf("limits are %v and %v, want the lower one first", lo, hi)
	}
	x, err := k.data(0)
	if err != nil {
		return nil, err
	}
	return k.like(x, func(x *tensor.Tensor) *tensor.Tensor { return tensor.Clamp(x, lo, hi) })
}

package weightpert

import (
	"fmt"
	"math"
)

// Activation is the element-wise function behind a layer.
type Activation uint8

// Activations. Bounds differ in what they need of one: monotone, 1-Lipschitz, not
// negative.
const (
	Identity  Activation = iota // none; as the last layer has it
	ReLU                        // max(a, 0)
	Softplus                    // log(1+exp(a))
	Sigmoid                     // 1/(1+exp(-a))
	Tanh                        // hyperbolic tangent; takes negative values
	LeakyReLU                   // a, or a/100 below 0; takes negative values
	GELU                        // a Φ(a); neither monotone nor 1-Lipschitz, refused by every bound
)

const numActivations = GELU + 1

var activations = [numActivations]struct {
	name                              string
	f                                 func(float64) float64
	monotone, lipschitz1, notNegative bool
}{
	Identity:  {"Identity", func(a float64) float64 { return a }, true, true, false},
	ReLU:      {"ReLU", func(a float64) float64 { return max(a, 0) }, true, true, true},
	Softplus:  {"Softplus", func(a float64) float64 { return max(a, 0) + math.Log1p(math.Exp(-math.Abs(a))) }, true, true, true},
	Sigmoid:   {"Sigmoid", sigmoid, true, true, true},
	Tanh:      {"Tanh", math.Tanh, true, true, false},
	LeakyReLU: {"LeakyReLU", func(a float64) float64 { return max(a, leak*a) }, true, true, false},
	GELU:      {"GELU", func(a float64) float64 { return a / 2 * math.Erfc(-a/math.Sqrt2) }, false, false, false},
}

// leak is the slope of LeakyReLU below 0.
const leak = 0.01

func sigmoid(a float64) float64 {
	if a < 0 {
		e := math.Exp(a)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-a))
}

// String returns the activation's name.
func (a Activation) String() string {
	if a >= numActivations {
		return fmt.Sprintf("Activation(%d)", uint8(a))
	}
	return activations[a].name
}

// Value returns the activation's output for the pre-activation v.
func (a Activation) Value(v float64) float64 { return activations[a].f(v) }

// slope returns the derivative at pre-activation v.
func (a Activation) slope(v float64) float64 {
	switch a {
	case ReLU:
		if v > 0 {
			return 1
		}
		return 0
	case LeakyReLU:
		if v > 0 {
			return 1
		}
		return leak
	case Softplus:
		return sigmoid(v)
	case Sigmoid:
		s := sigmoid(v)
		return s * (1 - s)
	case Tanh:
		t := math.Tanh(v)
		return 1 - t*t
	case GELU:
		return math.Erfc(-v/math.Sqrt2)/2 + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi)
	}
	return 1
}

// exact says whether Value rounds at most once, which the interval of a product
// has room for.
func (a Activation) exact() bool { return a == Identity || a == ReLU }

// enclose turns bounds of the pre-activation into bounds of the activation.
func (a Activation) enclose(lo, hi float64) (float64, float64) {
	lo, hi = a.Value(lo), a.Value(hi)
	if a.exact() {
		return lo, hi
	}
	// The functions of package math err by an ulp or two; composed, by a few.
	lo -= 16*unit*math.Abs(lo) + tiny
	hi += 16*unit*math.Abs(hi) + tiny
	if activations[a].notNegative {
		lo = max(lo, 0)
	}
	return lo, hi
}

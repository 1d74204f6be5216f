package transform

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

var (
	_ Transform = Identity{}
	_ Transform = FlipLR{}
	_ Transform = FlipUD{}
	_ Transform = Brightness{}
	_ Transform = Gamma{}
)

// Identity leaves images as they are.
type Identity struct{}

// String returns "identity".
func (Identity) String() string { return "identity" }

// Check implements Transform.
func (Identity) Check() error { return nil }

// Random implements Transform.
func (Identity) Random() bool { return false }

// Apply implements Transform; the result is x itself.
func (t Identity) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(t, rng, x)
	return x
}

// FlipLR mirrors images left to right.
type FlipLR struct{}

// String returns "flip left-right".
func (FlipLR) String() string { return "flip left-right" }

// Check implements Transform.
func (FlipLR) Check() error { return nil }

// Random implements Transform.
func (FlipLR) Random() bool { return false }

// Apply implements Transform.
func (t FlipLR) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(t, rng, x)
	return tensor.Flip(x, 2)
}

// FlipUD turns images upside down by mirroring.
type FlipUD struct{}

// String returns "flip up-down".
func (FlipUD) String() string { return "flip up-down" }

// Check implements Transform.
func (FlipUD) Check() error { return nil }

// Random implements Transform.
func (FlipUD) Random() bool { return false }

// Apply implements Transform.
func (t FlipUD) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(t, rng, x)
	return tensor.Flip(x, 1)
}

// Brightness adds an amount to all values of an image, without clipping.
type Brightness struct{ Add Range }

// String returns "brightness +0.1".
func (t Brightness) String() string {
	if t.Add.fixed() {
		return fmt.Sprintf("brightness %+.4g", t.Add.Lo)
	}
	return fmt.Sprintf("brightness %v", t.Add)
}

// Check implements Transform.
func (t Brightness) Check() error {
	return t.Add.check("brightness", "finite numbers in order", anyValue)
}

// Random implements Transform.
func (t Brightness) Random() bool { return !t.Add.fixed() }

// Apply implements Transform.
func (t Brightness) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(t, rng, x)
	return tensor.Add(x, perImage(x.DType(), draw(rng, x.Dim(0), t.Add.fixed(), t.Add.from)))
}

// perImage returns one value, or one for each image, as a tensor [n, 1, 1, 1].
func perImage(dtype tensor.DType, v []float64) *tensor.Tensor {
	t := tensor.Zeros(dtype, len(v), 1, 1, 1)
	t.CopyFrom(tensor.FromFloat64(v))
	return t
}

// Gamma raises all values of an image to a power: 1 changes nothing, more darkens.
// Its derivative at a value of 0 is 0. Apply panics on a negative value, of which
// there is no power.
type Gamma struct{ Exponent Range } // above 0

// String returns "gamma 1.3".
func (t Gamma) String() string { return fmt.Sprintf("gamma %v", t.Exponent) }

// Check implements Transform.
func (t Gamma) Check() error {
	return t.Exponent.check("gamma's exponent", "numbers above 0 in order", func(v float64) bool { return v > 0 })
}

// Random implements Transform.
func (t Gamma) Random() bool { return !t.Exponent.fixed() }

// Apply implements Transform.
func (t Gamma) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(t, rng, x)
	if k, v, found := negative(x); found {
		d := x.Len() / x.Dim(0)
		panic(fmt.Sprintf("transform: %v: value %d of image %d is %v, want 0 or more", t, k%d, k/d, v))
	}
	// x is kept away from 0, where a power below 1 has an infinite slope and the
	// chain of rules gives 0/0, and put back to 0 with slope 0 by a mask.
	mask := tensor.Step(x.Detach())
	safe := tensor.Add(x, tensor.Affine(mask, -1, 1))
	power := perImage(x.DType(), draw(rng, x.Dim(0), t.Exponent.fixed(), t.Exponent.from))
	return tensor.Mul(tensor.Pow(safe, tensor.BroadcastTo(power, x.Shape()...)), mask)
}

// negative finds the first value below 0, or NaN.
func negative(x *tensor.Tensor) (at int, v float64, found bool) {
	if x.DType() == tensor.Float32 {
		for i, v := range x.Float32s() {
			if !(v >= 0) {
				return i, float64(v), true
			}
		}
		return 0, 0, false
	}
	for i, v := range x.Float64s() {
		if !(v >= 0) {
			return i, v, true
		}
	}
	return 0, 0, false
}

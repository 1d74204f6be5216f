package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Func is a differentiable function of some float64 tensors.
type Func func(xs []*tensor.Tensor) *tensor.Tensor

// step of the central differences: with the five-point formula, truncation is of
// order step⁴ and rounding of order 1e-16/step.
const step = 1e-3

// floor times the largest value that is differenced is the least scale that a
// deviation is measured by: below it a difference over step is made of the
// rounding of those values. It lets pass a derivative that is 0 everywhere.
const floor = 1e-6

// rounding times the function's value plays the same part where two ways to the
// same gradient are compared, one of which may cancel to 0 and the other to some
// units in the last place.
const rounding = 1e-3

// Check compares the first and second derivatives of f at xs with central
// differences, the gradients with and without a recorded graph with each other,
// and the Hessian with its transpose. The result of f is weighed with random
// numbers into a scalar. The error says what differs by more than tol, relative
// to the largest derivative with respect to the same operand.
func Check(rng *rand.Rand, tol float64, f Func, xs ...*tensor.Tensor) error {
	tape := tensor.NewTape()
	weights := draw(rng, f(watch(tape, xs)))
	loss := func(w []*tensor.Tensor) *tensor.Tensor { return tensor.Dot(f(w), weights) }

	tape.Reset()
	w := watch(tape, xs)
	value := loss(w)
	fast := clones(tensor.Grad(value, w...))
	size := math.Abs(value.Item())
	least := floor * size
	tape.Reset()
	w = watch(tape, xs)
	recorded := clones(tensor.Gradients(loss(w), tensor.GradOptions{CreateGraph: true}, w...))
	if err := compare("gradient with and without a recorded graph", fast, recorded, 1e-11, rounding*size); err != nil {
		return err
	}
	numeric := make([]*tensor.Tensor, len(xs))
	for i, x := range xs {
		numeric[i] = tensor.Zeros(tensor.Float64, x.Shape()...)
		for k := range x.Float64s() {
			numeric[i].Float64s()[k] = slope(func(h float64) float64 {
				moved := clones(xs)
				moved[i].Float64s()[k] += h
				tape.Reset()
				return loss(watch(tape, moved)).Item()
			})
		}
	}
	if err := compare("gradient", fast, numeric, tol, least); err != nil {
		return err
	}

	u, v := make([]*tensor.Tensor, len(xs)), make([]*tensor.Tensor, len(xs))
	for i, x := range xs {
		u[i], v[i] = draw(rng, x), draw(rng, x)
	}
	hu, hv := product(tape, loss, xs, u), product(tape, loss, xs, v)
	least = 0
	for _, g := range fast {
		least = max(least, floor*tensor.MaxAbs(g))
	}
	along := make([]*tensor.Tensor, len(xs))
	for i, x := range xs {
		along[i] = tensor.Zeros(tensor.Float64, x.Shape()...)
	}
	for s, c := range stencil {
		moved := clones(xs)
		for i := range moved {
			for k, d := range v[i].Float64s() {
				moved[i].Float64s()[k] += float64(s-2) * step * d
			}
		}
		tape.Reset()
		w := watch(tape, moved)
		for i, g := range tensor.Grad(loss(w), w...) {
			for k, d := range g.Float64s() {
				along[i].Float64s()[k] += c * d / step
			}
		}
	}
	if err := compare("second derivative", hv, along, tol, least); err != nil {
		return err
	}
	a, b := inner(u, hv), inner(v, hu)
	if !(math.Abs(a-b) <= 1e-9*max(least, magnitude(u, hv))) {
		return fmt.Errorf("gradcheck: Hessian is not symmetric: uᵀHv = %g, vᵀHu = %g", a, b)
	}
	return nil
}

// stencil is the five-point first derivative at -2, -1, 0, 1, 2 steps.
var stencil = [5]float64{1. / 12, -8. / 12, 0, 8. / 12, -1. / 12}

func slope(f func(h float64) float64) float64 {
	var d float64
	for s, c := range stencil {
		if c != 0 {
			d += c * f(float64(s-2)*step)
		}
	}
	return d / step
}

func product(tape *tensor.Tape, loss Func, xs, v []*tensor.Tensor) []*tensor.Tensor {
	tape.Reset()
	w := watch(tape, xs)
	return clones(tensor.HVP(loss(w), w, v))
}

func watch(tape *tensor.Tape, xs []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(xs))
	for i, x := range xs {
		out[i] = tape.Watch(x)
	}
	return out
}

func clones(xs []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(xs))
	for i, x := range xs {
		out[i] = x.Clone()
	}
	return out
}

func draw(rng *rand.Rand, like *tensor.Tensor) *tensor.Tensor {
	return tensor.Normal(rng, tensor.Float64, 0, 1, like.Shape()...)
}

func inner(a, b []*tensor.Tensor) float64 {
	var s float64
	for i := range a {
		s += tensor.Dot(a[i], b[i]).Item()
	}
	return s
}

// magnitude is the inner product without the cancellation of its terms.
func magnitude(a, b []*tensor.Tensor) float64 {
	var s float64
	for i := range a {
		for k, v := range a[i].Float64s() {
			s += math.Abs(v * b[i].Float64s()[k])
		}
	}
	return s
}

func compare(what string, got, want []*tensor.Tensor, tol, least float64) error {
	for i := range got {
		scale := max(least, tensor.MaxAbs(want[i]))
		for k, v := range got[i].Float64s() {
			if d := math.Abs(v - want[i].Float64s()[k]); !(d <= tol*scale) {
				return fmt.Errorf("gradcheck: %s of operand %d, element %d: %g, want %g (difference %.2g, scale %.3g)",
					what, i, k, v, want[i].Float64s()[k], d, scale)
			}
		}
	}
	return nil
}

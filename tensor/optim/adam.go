package optim

import (
	"math"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Optimizer = (*Adam)(nil)

// Adam scales each step by running moments of the gradient.
//
// Kingma and Ba, ICLR 2015, Algorithm 1; decoupled weight decay: Loshchilov and
// Hutter, ICLR 2019, Algorithm 2.
type Adam struct {
	Beta1       float64 // decay of the first moment; 0 means 0.9
	Beta2       float64 // decay of the second moment; 0 means 0.999
	Eps         float64 // added to the root of the second moment; 0 means 1e-8
	WeightDecay float64
	// Decoupled subtracts lr WeightDecay w from w (AdamW) instead of adding
	// WeightDecay w to the gradient.
	Decoupled bool

	first, second []*tensor.Tensor
	steps         int
}

// Step moves the parameters.
func (o *Adam) Step(lr float64, params, grads []*tensor.Tensor) {
	check("Adam", params, grads)
	if o.first == nil {
		o.first, o.second = zerosLike(params), zerosLike(params)
	}
	o.steps++
	for i, w := range params {
		if w.DType() == tensor.Float32 {
			adamOn(w.Float32s(), o.first[i].Float32s(), o.second[i].Float32s(), grads[i].Float32s(), lr, o)
		} else {
			adamOn(w.Float64s(), o.first[i].Float64s(), o.second[i].Float64s(), grads[i].Float64s(), lr, o)
		}
		w.Touch()
	}
}

func adamOn[T kernel.Float](w, m, v, g []T, lr float64, o *Adam) {
	or := func(v, def float64) float64 {
		if v == 0 {
			return def
		}
		return v
	}
	b1, b2, eps := or(o.Beta1, 0.9), or(o.Beta2, 0.999), or(o.Eps, 1e-8)
	c1, c2 := 1-math.Pow(b1, float64(o.steps)), 1-math.Pow(b2, float64(o.steps))
	kernel.Adam(w, m, v, g, lr, b1, b2, eps, o.WeightDecay, c1, c2, o.Decoupled)
}

// State returns both moments and the number of steps.
func (o *Adam) State() map[string]*tensor.Tensor {
	s := make(map[string]*tensor.Tensor)
	if o.first != nil {
		store(s, "first", o.first)
		store(s, "second", o.second)
		s["steps"] = tensor.Scalar(tensor.Float64, float64(o.steps))
	}
	return s
}

// SetState takes over moments and the number of steps.
func (o *Adam) SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) error {
	if len(state) == 0 {
		o.first, o.second, o.steps = nil, nil, 0
		return nil
	}
	first, err := restore(state, "first", params)
	if err != nil {
		return err
	}
	second, err := restore(state, "second", params)
	if err != nil {
		return err
	}
	steps, err := restore(map[string]*tensor.Tensor{"steps.0": state["steps"]}, "steps", []*tensor.Tensor{tensor.Scalar(tensor.Float64, 0)})
	if err != nil {
		return err
	}
	o.first, o.second, o.steps = first, second, int(steps[0].Item())
	return nil
}

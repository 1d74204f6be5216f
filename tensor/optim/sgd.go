package optim

import (
	"math"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Optimizer = (*SGD)(nil)

// SGD is stochastic gradient descent with momentum, as in PyTorch:
// g += WeightDecay w; v = Momentum v + g; w -= lr v, or with Nesterov
// w -= lr (g + Momentum v). The zero SGD is plain gradient descent.
type SGD struct {
	Momentum    float64 // 0 keeps no memory
	WeightDecay float64 // factor of w added to its gradient
	Nesterov    bool

	velocity []*tensor.Tensor
}

// Step moves the parameters.
func (o *SGD) Step(lr float64, params, grads []*tensor.Tensor) {
	check("SGD", params, grads)
	if o.Momentum != 0 && o.velocity == nil {
		o.velocity = zerosLike(params)
	}
	for i, w := range params {
		if w.DType() == tensor.Float32 {
			var v []float32
			if o.Momentum != 0 {
				v = o.velocity[i].Float32s()
			}
			sgdOn(w.Float32s(), v, grads[i].Float32s(), lr, o)
		} else {
			var v []float64
			if o.Momentum != 0 {
				v = o.velocity[i].Float64s()
			}
			sgdOn(w.Float64s(), v, grads[i].Float64s(), lr, o)
		}
		w.Touch()
	}
}

func sgdOn[T kernel.Float](w, v, g []T, lr float64, o *SGD) {
	kernel.SGD(w, v, g, T(lr), T(o.Momentum), T(o.WeightDecay), o.Nesterov)
}

// State returns the velocities.
func (o *SGD) State() map[string]*tensor.Tensor {
	s := make(map[string]*tensor.Tensor)
	store(s, "velocity", o.velocity)
	return s
}

// SetState takes over velocities.
func (o *SGD) SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) (err error) {
	if len(state) == 0 {
		o.velocity = nil
		return nil
	}
	o.velocity, err = restore(state, "velocity", params)
	return err
}

var _ Optimizer = (*LARS)(nil)

// LARS scales the step of each parameter tensor by the ratio of its norm to that
// of its gradient, so that large batches train with one learning rate. Vectors
// (biases, normalisation) are neither scaled nor decayed.
//
// You, Gitman and Ginsburg, arXiv 1708.03888, Algorithm 1.
type LARS struct {
	Momentum    float64 // 0 means 0.9
	WeightDecay float64 // factor of w added to its gradient
	Trust       float64 // trust coefficient; 0 means 0.001

	velocity []*tensor.Tensor
}

// Step moves the parameters.
func (o *LARS) Step(lr float64, params, grads []*tensor.Tensor) {
	check("LARS", params, grads)
	if o.velocity == nil {
		o.velocity = zerosLike(params)
	}
	momentum, trust := o.Momentum, o.Trust
	if momentum == 0 {
		momentum = 0.9
	}
	if trust == 0 {
		trust = 0.001
	}
	for i, w := range params {
		g, v := grads[i], o.velocity[i]
		local, decay := 1.0, 0.0
		if w.Rank() > 1 {
			decay = o.WeightDecay
			nw, ng := norm(w), norm(g)
			if nw > 0 && ng > 0 {
				local = trust * nw / (ng + decay*nw)
			}
		}
		if w.DType() == tensor.Float32 {
			larsOn(w.Float32s(), v.Float32s(), g.Float32s(), momentum, lr*local, decay)
		} else {
			larsOn(w.Float64s(), v.Float64s(), g.Float64s(), momentum, lr*local, decay)
		}
		w.Touch()
	}
}

// larsOn computes v = momentum v + rate (g + decay w) and w -= v.
func larsOn[T kernel.Float](w, v, g []T, momentum, rate, decay float64) {
	kernel.Affine(v, v, T(momentum), 0)
	kernel.Axpy(v, T(rate), g)
	kernel.Axpy(v, T(rate*decay), w)
	kernel.Axpy(w, -1, v)
}

func norm(t *tensor.Tensor) float64 { return math.Sqrt(tensor.Dot(t, t).Item()) }

// State returns the velocities.
func (o *LARS) State() map[string]*tensor.Tensor {
	s := make(map[string]*tensor.Tensor)
	store(s, "velocity", o.velocity)
	return s
}

// SetState takes over velocities.
func (o *LARS) SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) (err error) {
	if len(state) == 0 {
		o.velocity = nil
		return nil
	}
	o.velocity, err = restore(state, "velocity", params)
	return err
}

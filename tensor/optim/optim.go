package optim

import (
	"fmt"
	"strconv"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Optimizer moves parameters along gradients. It keeps its memory of past
// gradients by position: every Step of one Optimizer must get the same
// parameters in the same order.
type Optimizer interface {
	// Step changes params in place. lr is the learning rate.
	Step(lr float64, params, grads []*tensor.Tensor)
	// State returns the optimiser's memory by name; nothing before the first
	// Step. The tensors are the optimiser's own.
	State() map[string]*tensor.Tensor
	// SetState takes over a copy of a memory returned by State.
	SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) error
}

// check panics unless every parameter has a gradient of its shape and type.
func check(op string, params, grads []*tensor.Tensor) {
	if len(params) != len(grads) {
		panic(fmt.Sprintf("optim: %s: %d parameters and %d gradients", op, len(params), len(grads)))
	}
	for i, w := range params {
		if !sameShape(w, grads[i]) || w.DType() != grads[i].DType() {
			panic(fmt.Sprintf("optim: %s: parameter %d is %v%v, its gradient %v%v", op, i, w.DType(), w.Shape(), grads[i].DType(), grads[i].Shape()))
		}
	}
}

func sameShape(a, b *tensor.Tensor) bool {
	if a.Rank() != b.Rank() {
		return false
	}
	for i := range a.Rank() {
		if a.Dim(i) != b.Dim(i) {
			return false
		}
	}
	return true
}

// zerosLike returns zero tensors of the parameters' shapes.
func zerosLike(params []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(params))
	for i, w := range params {
		out[i] = tensor.Zeros(w.DType(), w.Shape()...)
	}
	return out
}

// store adds a slot of memory to a state under a name.
func store(state map[string]*tensor.Tensor, name string, slot []*tensor.Tensor) {
	for i, t := range slot {
		state[name+"."+strconv.Itoa(i)] = t
	}
}

// restore reads back what store added.
func restore(state map[string]*tensor.Tensor, name string, params []*tensor.Tensor) ([]*tensor.Tensor, error) {
	slot := zerosLike(params)
	for i, w := range slot {
		key := name + "." + strconv.Itoa(i)
		t := state[key]
		if t == nil {
			return nil, fmt.Errorf("optim: state has no tensor %q", key)
		}
		if t.Len() != w.Len() || t.DType() != w.DType() {
			return nil, fmt.Errorf("optim: state tensor %q is %v%v, want %v%v", key, t.DType(), t.Shape(), w.DType(), w.Shape())
		}
		w.CopyFrom(t)
	}
	return slot, nil
}

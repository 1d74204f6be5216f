package optim

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// grain is how many elements of a parameter are worth a thread of their own.
const grain = 1 << 15

// Optimizer moves parameters along gradients. It keeps its memory of past
// gradients by position: every Step of one Optimizer must get the same
// parameters in the same order. One with a memory panics if it gets others.
type Optimizer interface {
	// Step changes params in place. lr is the learning rate. Where a gradient is
	// nil, the loss does not depend on the parameter: it stays as it is, without
	// decay, and so does what the optimiser remembers of it.
	Step(lr float64, params, grads []*tensor.Tensor)
	// State returns the optimiser's memory by name; nothing before the first
	// Step. The tensors are the optimiser's own.
	State() map[string]*tensor.Tensor
	// SetState takes over a copy of a memory returned by State, for these
	// parameters; an empty one forgets what the optimiser knows. A memory of
	// another rule or of other parameters, or one that no steps can have led
	// to, is an error and changes nothing.
	SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) error
	// String returns the rule's name and all that it does with a memory
	// depends on: two optimisers with the same text make the same steps.
	String() string
}

// check panics unless every parameter has a gradient of its shape and type, or nil.
func check(op string, params, grads []*tensor.Tensor) {
	if len(params) != len(grads) {
		panic(fmt.Sprintf("optim: %s: %d parameters and %d gradients", op, len(params), len(grads)))
	}
	for i, w := range params {
		if grads[i] != nil && !alike(w, grads[i]) {
			panic(fmt.Sprintf("optim: %s: parameter %d is %v%v, its gradient %v%v", op, i, w.DType(), w.Shape(), grads[i].DType(), grads[i].Shape()))
		}
	}
}

// alike says whether two tensors have the same shape and element type.
func alike(a, b *tensor.Tensor) bool {
	if a.DType() != b.DType() || a.Rank() != b.Rank() {
		return false
	}
	for i := range a.Rank() {
		if a.Dim(i) != b.Dim(i) {
			return false
		}
	}
	return true
}

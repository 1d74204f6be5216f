package attack

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Model is a classifier: everything that an attack may know of it. Logits
// returns the scores [N, classes] of inputs x [N, ...] with pixels in the
// threat's box. It is differentiable in x when a tape watches x, handles any N
// and changes nothing, so that several goroutines may call it, each with its own
// tape. nn.Classifier is one.
type Model interface {
	Logits(x *tensor.Tensor) *tensor.Tensor
}

// Attack changes inputs so that a model gets them wrong.
type Attack interface {
	// Name says what the attack is, for tables.
	Name() string
	// Run attacks inputs x [N, ...] with labels y. It does not change x. An
	// error names what is wrong with the arguments or what the model did;
	// when ctx is cancelled it is ctx's error, and the result holds what was
	// found until then.
	Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error)
}

// Result is the outcome of an attack on each of N inputs.
type Result struct {
	// X holds the inputs that were found, of the shape of the original ones.
	// An input that the model gets wrong by itself is returned as it is.
	X *tensor.Tensor `json:"-"`
	// Success says whether the model was seen to get X[i] wrong, or with
	// targets, to answer the target.
	Success []bool `json:"success"`
	// Label is the model's answer to X[i].
	Label []int `json:"label"`
	// Distance is how far X[i] is from the original, in the threat's norm.
	Distance []float64 `json:"distance"`
	// Queries counts forward passes and Gradients backward passes, for each
	// input.
	Queries   []int `json:"queries"`
	Gradients []int `json:"gradients"`
	// Loss holds, for attacks that make steps, the mean objective before each
	// step and after the last one, over the inputs and restarts that got there.
	Loss []float64 `json:"loss,omitempty"`
}

// Rows says what the rows of a batch of logits belong to.
type Rows struct {
	Y      []int // true labels
	Target []int // classes to reach, nil for an attack without targets
	Index  []int // positions of the rows among the inputs of Run
}

// checkInputs returns an error unless x and y can be attacked under a threat.
func checkInputs(m Model, x *tensor.Tensor, y, target []int, th Threat) error {
	switch {
	case m == nil:
		return errors.New("attack: no model")
	case x == nil || x.Rank() < 2:
		return errors.New("attack: inputs must be a batch [N, ...]")
	case x.Dim(0) == 0:
		return fmt.Errorf("attack: empty batch: inputs have shape %v", x.Shape())
	case len(y) != x.Dim(0):
		return fmt.Errorf("attack: %d labels for %d inputs", len(y), x.Dim(0))
	case target != nil && len(target) != len(y):
		return fmt.Errorf("attack: %d targets for %d inputs", len(target), len(y))
	}
	for i, l := range y {
		if l < 0 {
			return fmt.Errorf("attack: label of input %d is %d, want 0 or more", i, l)
		}
	}
	if err := th.Validate(); err != nil {
		return err
	}
	lo, hi := th.box()
	if x.DType() == tensor.Float32 {
		return checkPixels(x.Float32s(), len(y), lo, hi)
	}
	return checkPixels(x.Float64s(), len(y), lo, hi)
}

func checkPixels[T float](x []T, n int, lo, hi float64) error {
	d := len(x) / n
	for i, v := range x {
		if !(float64(v) >= lo && float64(v) <= hi) {
			return fmt.Errorf("attack: pixel %d of input %d is %v, want %v to %v", i%d, i/d, v, lo, hi)
		}
	}
	return nil
}

// offTape returns x's value on no tape, so that several goroutines can read it.
func offTape(x *tensor.Tensor) *tensor.Tensor {
	if x.Tape() == nil {
		return x
	}
	return x.Clone()
}

// query runs the model on x and checks its answer. A panic of the model becomes
// an error.
func query(m Model, x *tensor.Tensor, rows Rows) (logits *tensor.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("attack: model panicked on %d inputs from %d on: %v", len(rows.Y), rows.Index[0], p)
		}
	}()
	logits = m.Logits(x)
	if logits == nil || logits.Rank() != 2 || logits.Dim(0) != len(rows.Y) || logits.DType() != x.DType() {
		got := "nothing"
		if logits != nil {
			got = fmt.Sprintf("%v%v", logits.DType(), logits.Shape())
		}
		return nil, fmt.Errorf("attack: model returned %s for %d inputs, want logits %v[%d classes]", got, len(rows.Y), x.DType(), len(rows.Y))
	}
	classes := logits.Dim(1)
	if classes < 2 {
		return nil, fmt.Errorf("attack: model has %d classes, want at least 2", classes)
	}
	for i, l := range rows.Y {
		if l >= classes {
			return nil, fmt.Errorf("attack: label of input %d is %d, want 0 to %d", rows.Index[i], l, classes-1)
		}
	}
	for i, l := range rows.Target {
		if l < 0 || l >= classes {
			return nil, fmt.Errorf("attack: target of input %d is %d, want 0 to %d", rows.Index[i], l, classes-1)
		}
	}
	if !tensor.AllFinite(logits) {
		for i := range rows.Y {
			if !tensor.AllFinite(tensor.Slice(logits.Detach(), 0, i, i+1)) {
				return nil, fmt.Errorf("attack: model returned logits that are not finite for input %d", rows.Index[i])
			}
		}
	}
	return logits, nil
}

// won says whether an answer is what the attacker wants.
func (r Rows) won(i, answer int) bool {
	if r.Target != nil {
		return answer == r.Target[i]
	}
	return answer != r.Y[i]
}

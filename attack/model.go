package attack

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/ask"
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

// ContextModel is a Model that gives up its answer when a context is done, with a
// panic whose value is an error: one that asks a service, for instance. Attacks call
// LogitsContext in place of Logits. A model that is none and does not answer is left
// behind when the attack's context is done.
type ContextModel interface {
	Model
	LogitsContext(ctx context.Context, x *tensor.Tensor) *tensor.Tensor
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
	// An input that the model gets wrong by itself is returned as it is, but
	// for attacks with targets that it does not answer, and models that answer at
	// random.
	X *tensor.Tensor `json:"-"`
	// Success says whether the model was seen to get X[i] wrong, or with
	// targets, to answer the target.
	Success []bool `json:"success"`
	// Label is the model's answer to X[i], -1 for an input that an interrupted
	// attack has not reached.
	Label []int `json:"label"`
	// Distance is how far X[i] is from the original, in the threat's norm.
	Distance []float64 `json:"distance"`
	// Queries counts forward passes and Gradients backward passes, for each
	// input, but for the first few that find out whether the model answers at random.
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

// inBatches calls work for the batches [lo, hi) that cut n inputs; see ask.Batches.
func inBatches(ctx context.Context, n, size int, progress func(done, total int), work func(ctx context.Context, tape *tensor.Tape, lo, hi int) error) error {
	return ask.Batches(ctx, "attack", n, size, 1, progress, func(ctx context.Context, tape *tensor.Tape, lo, hi, _ int) error {
		return work(ctx, tape, lo, hi)
	})
}

// asError turns a panic of the objective or a transformation into an error.
func asError(who string, rows Rows, err *error) {
	if p := recover(); p != nil {
		*err = ask.Raised(p, "attack: %s panicked %s", who, rows.where())
	}
}

// where says which inputs the rows are, for errors.
func (r Rows) where() string {
	return fmt.Sprintf("on %d inputs from %d on", len(r.Index), r.Index[0])
}

// query runs the model on x and checks its answer.
func query(ctx context.Context, m Model, x *tensor.Tensor, rows Rows) (*tensor.Tensor, error) {
	logits, err := ask.Logits(ctx, m, x, "attack: model", rows.where())
	if err != nil {
		return nil, err
	}
	classes := logits.Dim(1)
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
		for i := range rows.Index {
			if !tensor.AllFinite(tensor.Slice(logits.Detach(), 0, i, i+1)) {
				return nil, fmt.Errorf("attack: model returned logits that are not finite for input %d", rows.Index[i])
			}
		}
	}
	return logits, nil
}

// evaluate asks the model about x and the objective about the answer.
func evaluate(ctx context.Context, m Model, o Objective, x *tensor.Tensor, rows Rows) (logits, values *tensor.Tensor, err error) {
	if logits, err = query(ctx, m, x, rows); err != nil {
		return nil, nil, err
	}
	values, err = rate(o, logits, rows)
	return logits, values, err
}

// rate asks the objective about logits.
func rate(o Objective, logits *tensor.Tensor, rows Rows) (values *tensor.Tensor, err error) {
	defer asError("objective", rows, &err)
	values = o.Values(logits, rows)
	if values == nil || values.Rank() != 1 || values.Dim(0) != len(rows.Index) {
		return nil, fmt.Errorf("attack: objective returned no value for each of %d inputs", len(rows.Index))
	}
	return values, nil
}

// inputGradient returns the gradient of the sum of values, and so of each row's
// value, with respect to x; 0 if they do not depend on it.
func inputGradient(values, x *tensor.Tensor, rows Rows) (g *tensor.Tensor, err error) {
	if values.Tape() == nil {
		return tensor.Zeros(x.DType(), x.Shape()...), nil
	}
	defer asError("gradient", rows, &err)
	g = tensor.Grad(tensor.Sum(values), x)[0]
	if !tensor.AllFinite(g) {
		return nil, fmt.Errorf("attack: gradient of the objective is not finite in a batch with input %d", rows.Index[0])
	}
	return g, nil
}

// won says whether an answer is what the attacker wants.
func (r Rows) won(i, answer int) bool {
	if r.Target != nil {
		return answer == r.Target[i]
	}
	return answer != r.Y[i]
}

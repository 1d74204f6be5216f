package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// sharedClimb is the climb of attacks that look for one thing to do to many inputs:
// steps along the gradient of the sum of their objectives.
type sharedClimb struct {
	objective Objective
	targets   []int
	clip      float64 // objective from which an input counts no more
	batch     int     // inputs of a step
	steps     int
	rng       *rand.Rand // for the order of the inputs
	progress  func(done, total int)
}

// climb makes the steps: apply changes inputs by what they share, and step moves
// that along its gradient. It returns how often each input was asked about.
func (c *sharedClimb) climb(ctx context.Context, m Model, x *tensor.Tensor, y []int, shared *tensor.Tensor, apply func(inputs, shared *tensor.Tensor) *tensor.Tensor, step func(g *tensor.Tensor)) (asked []int, err error) {
	asked = make([]int, len(y))
	size := min(c.batch, len(y))
	order := c.rng.Perm(len(y))
	tape := tensor.NewTape()
	for s := range c.steps {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("attack: stopped: %w", err)
		}
		if len(order) < size {
			order = c.rng.Perm(len(y))
		}
		rows := rowsOf(order[:size], y, c.targets)
		order = order[size:]
		tape.Reset()
		w := tape.Watch(shared)
		_, values, err := evaluate(ctx, m, c.objective, apply(tensor.Gather(x, rows.Index), w), rows)
		if err != nil {
			return nil, err
		}
		for _, k := range rows.Index {
			asked[k]++
		}
		limit := tensor.Full(values.DType(), c.clip, values.Shape()...)
		g, err := inputGradient(tensor.Minimum(values, limit), w, rows)
		if err != nil {
			return nil, err
		}
		step(g.Clone())
		if c.progress != nil {
			c.progress(s+1, c.steps)
		}
	}
	return asked, nil
}

// show asks the model about inputs and changed ones, and takes over those that are a
// success where the inputs themselves are none. distance is how far the changed ones
// are, and asked how often each input has been asked about, with a gradient, before.
func show(ctx context.Context, m Model, x *tensor.Tensor, y, targets []int, changed *tensor.Tensor, distance []float64, asked []int) (Result, error) {
	res := newResult(x)
	res.Distance = make([]float64, len(y))
	clean, err := Predict(ctx, m, x)
	if err != nil {
		return res, err
	}
	answers, err := Predict(ctx, m, changed)
	if err != nil {
		return res, err
	}
	rows := rowsOf(ask.Range(0, len(y)), y, targets)
	for i := range y {
		res.Queries[i], res.Gradients[i] = asked[i]+2, asked[i]
		res.Label[i], res.Success[i] = clean[i], rows.won(i, clean[i])
		if !res.Success[i] && rows.won(i, answers[i]) {
			res.Label[i], res.Success[i], res.Distance[i] = answers[i], true, distance[i]
			copyRow(res.X, i, changed, i)
		}
	}
	return res, nil
}

// untouched is what an attack has found that a context ended before it tried any
// input; the zero Result after any other error.
func untouched(ctx context.Context, x *tensor.Tensor) Result {
	if ctx.Err() == nil || x == nil || x.Rank() < 2 || x.Dim(0) == 0 {
		return Result{}
	}
	res := newResult(ask.OffTape(x))
	res.Distance = make([]float64, x.Dim(0))
	return res
}

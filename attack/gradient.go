package attack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// ascent is projected steepest ascent on an objective, the loop of all gradient
// attacks.
type ascent struct {
	threat    Threat
	objective Objective
	steps     int
	stepSize  float64
	restarts  int  // runs from a start; at least 1
	random    bool // start at a random point of the set
	targets   []int
	seed      uint64
	batch     int
	progress  func(done, total int)
}

// defaultBatch is the number of inputs in a forward pass: small enough that the
// values of a small network stay in a core's cache.
const defaultBatch = 64

// run attacks all inputs, batch by batch on several threads.
func (a *ascent) run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := a.check(m, x, y); err != nil {
		return Result{}, err
	}
	x = offTape(x)
	n := len(y)
	res := Result{
		X: x.Clone(), Success: make([]bool, n), Label: make([]int, n),
		Queries: make([]int, n), Gradients: make([]int, n),
	}
	size := a.batch
	if size == 0 {
		size = defaultBatch
	}
	batches := (n + size - 1) / size
	curves := make([]curve, batches)
	errs := make([]error, batches)
	var mu sync.Mutex
	done := 0
	par.For(batches, 1, func(lo, hi int) {
		tape := tensor.NewTape()
		for b := lo; b < hi; b++ {
			w := &climb{ascent: a, model: m, tape: tape, res: &res, x: x, y: y, curve: curve{
				sum: make([]float64, a.steps+1), count: make([]int, a.steps+1),
			}}
			errs[b] = w.attack(ctx, b*size, min(n, (b+1)*size))
			curves[b] = w.curve
			mu.Lock()
			done += min(n, (b+1)*size) - b*size
			if a.progress != nil {
				a.progress(done, n)
			}
			mu.Unlock()
		}
	})
	res.Distance = a.threat.Distance(res.X, x)
	res.Loss = mean(curves)
	if err := ctx.Err(); err != nil {
		return res, fmt.Errorf("attack: stopped: %w", err)
	}
	for _, err := range errs {
		if err != nil {
			return res, err
		}
	}
	return res, nil
}

func (a *ascent) check(m Model, x *tensor.Tensor, y []int) error {
	if err := checkInputs(m, x, y, a.targets, a.threat); err != nil {
		return err
	}
	switch {
	case a.steps < 1:
		return fmt.Errorf("attack: %d steps, want at least 1", a.steps)
	case !(a.stepSize >= 0):
		return fmt.Errorf("attack: step size %v, want 0 or more", a.stepSize)
	case a.restarts < 1:
		return fmt.Errorf("attack: %d restarts, want at least 1", a.restarts)
	case a.batch < 0:
		return fmt.Errorf("attack: batch size %d, want 0 or more", a.batch)
	}
	return nil
}

// curve sums the objective before each step and after the last one.
type curve struct {
	sum   []float64
	count []int
}

// mean is the mean objective of all batches by step, up to the first step that
// no input reached.
func mean(curves []curve) []float64 {
	var out []float64
	for s := range curves[0].sum {
		sum, count := 0.0, 0
		for _, c := range curves {
			sum += c.sum[s]
			count += c.count[s]
		}
		if count == 0 {
			break
		}
		out = append(out, sum/float64(count))
	}
	return out
}

// climb attacks one batch of inputs. Only those that the model still gets right
// stay in the batch.
type climb struct {
	*ascent
	model Model
	tape  *tensor.Tape
	res   *Result
	x     *tensor.Tensor
	y     []int
	curve curve

	rows   Rows
	x0, xa *tensor.Tensor // originals and iterates of the rows
	best   []float64      // largest objective seen of each input, by row
}

// attack runs all restarts on the inputs [lo, hi).
func (c *climb) attack(ctx context.Context, lo, hi int) error {
	index := make([]int, hi-lo)
	for i := range index {
		index[i] = lo + i
	}
	c.gather(index)
	c.xa = c.x0.Clone()
	c.best = make([]float64, len(index))
	for i := range c.best {
		c.best[i] = negInf
	}
	if err := c.score(-1); err != nil {
		return err
	}
	for r := 0; r < c.restarts && len(c.rows.Y) > 0; r++ {
		c.start(r)
		for s := range c.steps {
			if err := ctx.Err(); err != nil {
				return err
			}
			g, err := c.gradient(s)
			if err != nil {
				return err
			}
			if len(c.rows.Y) == 0 {
				break
			}
			c.threat.Step(c.xa, g, c.x0, c.stepSize)
		}
		if len(c.rows.Y) > 0 {
			if err := c.score(c.steps); err != nil {
				return err
			}
		}
	}
	return nil
}

// gather makes the rows those of the given inputs.
func (c *climb) gather(index []int) {
	c.rows = Rows{Index: index, Y: make([]int, len(index))}
	for i, k := range index {
		c.rows.Y[i] = c.y[k]
	}
	if c.targets != nil {
		c.rows.Target = make([]int, len(index))
		for i, k := range index {
			c.rows.Target[i] = c.targets[k]
		}
	}
	c.x0 = tensor.Gather(c.x, index)
}

// start puts the iterates at the start of a restart. Every input has a random
// source of its own.
func (c *climb) start(restart int) {
	c.xa = c.x0.Clone()
	if !c.random {
		return
	}
	c.threat.Sample(func(i int) *rand.Rand {
		return rand.New(rand.NewPCG(c.seed, uint64(restart)<<32|uint64(c.rows.Index[i])))
	}, c.xa, c.x0)
}

// score asks the model about the iterates without a gradient. step says where on
// the curve they are, -1 for nowhere.
func (c *climb) score(step int) error {
	c.tape.Reset()
	logits, err := query(c.model, c.tape.Const(c.xa), c.rows)
	if err != nil {
		return err
	}
	c.keep(c.judge(logits, c.objective.Values(logits, c.rows), step), nil)
	return nil
}

// gradient returns that of the objective at the iterates of the rows that the
// model still gets right; the others leave the batch.
func (c *climb) gradient(step int) (*tensor.Tensor, error) {
	c.tape.Reset()
	x := c.tape.Watch(c.xa)
	logits, err := query(c.model, x, c.rows)
	if err != nil {
		return nil, err
	}
	values := c.objective.Values(logits, c.rows)
	stay := c.judge(logits, values, step)
	if len(stay) == 0 {
		c.keep(stay, nil)
		return nil, nil
	}
	for _, k := range c.rows.Index {
		c.res.Gradients[k]++
	}
	g := inputGradient(values, x)
	if !tensor.AllFinite(g) {
		return nil, fmt.Errorf("attack: gradient of the objective is not finite in a batch with input %d", c.rows.Index[0])
	}
	return c.keep(stay, g), nil
}

// inputGradient returns the gradient of the sum of values, and so of each
// row's value, with respect to x; 0 if they do not depend on it.
func inputGradient(values, x *tensor.Tensor) *tensor.Tensor {
	if values.Tape() == nil {
		return tensor.Zeros(x.DType(), x.Shape()...)
	}
	return tensor.Grad(tensor.Sum(values), x)[0]
}

// judge records what the model answered to the iterates and returns the rows
// that go on.
func (c *climb) judge(logits, values *tensor.Tensor, step int) (stay []int) {
	answers := tensor.ArgMax(logits)
	for i, k := range c.rows.Index {
		c.res.Queries[k]++
		v := values.At(i)
		if step >= 0 {
			c.curve.sum[step] += v
			c.curve.count[step]++
		}
		won := c.rows.won(i, answers[i])
		if won || v > c.best[i] {
			c.best[i] = v
			c.res.Label[k] = answers[i]
			copyRow(c.res.X, k, c.xa, i)
		}
		if won {
			c.res.Success[k] = true
		} else {
			stay = append(stay, i)
		}
	}
	return stay
}

// keep drops all rows but the given ones from the batch, and from g.
func (c *climb) keep(stay []int, g *tensor.Tensor) *tensor.Tensor {
	if len(stay) == len(c.rows.Y) {
		return g
	}
	index := make([]int, len(stay))
	best := make([]float64, len(stay))
	for i, r := range stay {
		index[i], best[i] = c.rows.Index[r], c.best[r]
	}
	c.best = best
	c.xa = tensor.Gather(c.xa, stay)
	c.gather(index)
	if g != nil {
		g = tensor.Gather(g, stay)
	}
	return g
}

// copyRow copies example i of src to example k of dst.
func copyRow(dst *tensor.Tensor, k int, src *tensor.Tensor, i int) {
	d := dst.Len() / dst.Dim(0)
	if dst.DType() == tensor.Float32 {
		copy(dst.Float32s()[k*d:(k+1)*d], src.Float32s()[i*d:])
	} else {
		copy(dst.Float64s()[k*d:(k+1)*d], src.Float64s()[i*d:])
	}
}

package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// ascent is projected steepest ascent on an objective, the loop of PGD and its
// relatives.
type ascent struct {
	threat    Threat
	objective Objective
	steps     int
	stepSize  float64
	restarts  int     // runs from a start; at least 1
	random    bool    // start at a random point of the set
	noise     float64 // standard deviation of Gaussian starts; 0 for uniform ones
	targets   []int
	seed      uint64
	ids       []int // names of the inputs for random numbers; nil for 0, 1, ...
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
	x = ask.OffTape(x)
	res := newResult(x)
	total := newCurve(a.steps)
	var mu sync.Mutex
	chance, err := atRandom(ctx, m, x, y)
	if err != nil {
		res.Distance = make([]float64, len(y))
		return res, err
	}
	err = inBatches(ctx, len(y), or(a.batch, defaultBatch), a.progress, func(ctx context.Context, tape *tensor.Tape, lo, hi int) error {
		w := &climb{ascent: a, model: m, tape: tape, res: &res, x: x, y: y, chance: chance, curve: newCurve(a.steps)}
		err := w.attack(ctx, lo, hi)
		mu.Lock()
		defer mu.Unlock()
		total.add(w.curve)
		return err
	})
	res.Distance = a.threat.Distance(res.X, x)
	res.Loss = total.mean()
	return res, err
}

// newResult is the outcome of an attack that has not begun.
func newResult(x *tensor.Tensor) Result {
	n := x.Dim(0)
	res := Result{
		X: x.Clone(), Success: make([]bool, n), Label: make([]int, n),
		Queries: make([]int, n), Gradients: make([]int, n),
	}
	for i := range res.Label {
		res.Label[i] = -1
	}
	return res
}

func (a *ascent) check(m Model, x *tensor.Tensor, y []int) error {
	if err := CheckInputs(m, x, y, a.threat); err != nil {
		return err
	}
	if err := checkTargets(y, a.targets); err != nil {
		return err
	}
	switch {
	case a.steps < 1:
		return fmt.Errorf("attack: %d steps, want at least 1", a.steps)
	case !(a.stepSize >= 0) || math.IsInf(a.stepSize, 0):
		return fmt.Errorf("attack: step size %v, want a finite number from 0 on", a.stepSize)
	case a.restarts < 0:
		return fmt.Errorf("attack: %d restarts, want 0 or more", a.restarts)
	case !(a.noise >= 0) || math.IsInf(a.noise, 0):
		return fmt.Errorf("attack: noise of %v at the start, want a finite number from 0 on", a.noise)
	case a.noise > 0 && !a.random:
		return fmt.Errorf("attack: noise of %v at the start, but no random start", a.noise)
	case a.batch < 0:
		return fmt.Errorf("attack: batch size %d, want 0 or more", a.batch)
	}
	return nil
}

// start moves xa from x0 to the random starts of a restart.
func (a *ascent) start(restart int, rows Rows, xa, x0 *tensor.Tensor) {
	rng := func(i int) *rand.Rand { return a.source(rows.Index[i], restart) }
	if a.noise == 0 {
		a.threat.Sample(rng, xa, x0)
		return
	}
	for i := range rows.Index {
		addNoise(rng(i), a.noise, xa, i)
	}
	xa.Touch()
	a.threat.Project(xa, x0)
}

// addNoise adds Gaussian noise of standard deviation sigma to row i.
func addNoise(r *rand.Rand, sigma float64, x *tensor.Tensor, i int) {
	d := x.Len() / x.Dim(0)
	if x.DType() == tensor.Float32 {
		for j := i * d; j < (i+1)*d; j++ {
			x.Float32s()[j] += float32(sigma * r.NormFloat64())
		}
		return
	}
	for j := i * d; j < (i+1)*d; j++ {
		x.Float64s()[j] += sigma * r.NormFloat64()
	}
}

// source is the random source of an input in a restart.
func (a *ascent) source(input, restart int) *rand.Rand {
	if a.ids != nil {
		input = a.ids[input]
	}
	return rand.New(rand.NewPCG(a.seed, uint64(restart)<<32|uint64(input)))
}

// curve sums the objective before each step and after the last one.
type curve struct {
	sum   []float64
	count []int
}

func newCurve(steps int) curve { return curve{make([]float64, steps+1), make([]int, steps+1)} }

func (c curve) add(o curve) {
	for s := range c.sum {
		c.sum[s] += o.sum[s]
		c.count[s] += o.count[s]
	}
}

// mean is the mean objective by step, up to the first step that no input reached.
func (c curve) mean() []float64 {
	var out []float64
	for s, n := range c.count {
		if n == 0 {
			break
		}
		out = append(out, c.sum[s]/float64(n))
	}
	return out
}

// climb attacks one batch of inputs. Only those that have something to gain stay
// in the batch.
type climb struct {
	*ascent
	model  Model
	tape   *tensor.Tape
	res    *Result
	x      *tensor.Tensor
	y      []int
	chance bool // answers are random: a success may be a lucky draw, and all inputs stay
	curve  curve

	rows   Rows
	x0, xa *tensor.Tensor // originals and iterates of the rows
	best   []float64      // objective of the point kept for each row
	begun  bool           // the inputs themselves have been judged
}

// attack runs all restarts on the inputs [lo, hi).
func (c *climb) attack(ctx context.Context, lo, hi int) error {
	c.gather(ask.Range(lo, hi))
	c.xa = c.x0.Clone()
	c.best = make([]float64, hi-lo)
	for i := range c.best {
		c.best[i] = math.Inf(-1)
	}
	// A start at the inputs themselves finds out which are wrong already.
	if c.random {
		if err := c.score(ctx, -1); err != nil {
			return err
		}
	}
	for r := 0; r < max(1, c.restarts) && len(c.rows.Y) > 0; r++ {
		c.xa = c.x0.Clone()
		if c.random {
			c.start(r, c.rows, c.xa, c.x0)
		}
		for s := range c.steps {
			if err := ctx.Err(); err != nil {
				return err
			}
			g, err := c.gradient(ctx, s)
			if err != nil {
				return err
			}
			if len(c.rows.Y) == 0 {
				break
			}
			c.threat.Step(c.xa, g, c.x0, c.stepSize)
		}
		if len(c.rows.Y) > 0 {
			if err := c.score(ctx, c.steps); err != nil {
				return err
			}
		}
	}
	return nil
}

// gather makes the rows those of the given inputs.
func (c *climb) gather(index []int) {
	c.rows = rowsOf(index, c.y, c.targets)
	c.x0 = tensor.Gather(c.x, index)
}

// rowsOf describes the given inputs.
func rowsOf(index, y, targets []int) Rows {
	rows := Rows{Index: index, Y: make([]int, len(index))}
	for i, k := range index {
		rows.Y[i] = y[k]
	}
	if targets != nil {
		rows.Target = make([]int, len(index))
		for i, k := range index {
			rows.Target[i] = targets[k]
		}
	}
	return rows
}

// score asks the model about the iterates without a gradient. step is their
// place in the loss curve, or -1 to leave them out of it.
func (c *climb) score(ctx context.Context, step int) error {
	c.tape.Reset()
	logits, values, err := evaluate(ctx, c.model, c.objective, c.tape.Const(c.xa), c.rows)
	if err != nil {
		return err
	}
	c.keep(c.judge(logits, values, step), nil)
	return nil
}

// gradient returns that of the objective at the iterates of the rows that go on;
// the others leave the batch.
func (c *climb) gradient(ctx context.Context, step int) (*tensor.Tensor, error) {
	c.tape.Reset()
	x := c.tape.Watch(c.xa)
	logits, values, err := evaluate(ctx, c.model, c.objective, x, c.rows)
	if err != nil {
		return nil, err
	}
	stay := c.judge(logits, values, step)
	if len(stay) == 0 {
		c.keep(stay, nil)
		return nil, nil
	}
	for _, r := range stay {
		c.res.Gradients[c.rows.Index[r]]++
	}
	g, err := inputGradient(values, x, c.rows)
	if err != nil {
		return nil, err
	}
	return c.keep(stay, g), nil
}

// judge records what the model answered to the iterates and returns the rows
// that go on: those that are not won, or, when the objective asks for more than a
// win, not won by enough. Inputs that are wrong by themselves do not go on. Where
// answers are random all do, and of the successes that of the largest objective is kept.
func (c *climb) judge(logits, values *tensor.Tensor, step int) (stay []int) {
	answers := tensor.ArgMax(logits)
	margin, limited := c.objective.(Margin)
	for i, k := range c.rows.Index {
		c.res.Queries[k]++
		v := values.At(i)
		if step >= 0 {
			c.curve.sum[step] += v
			c.curve.count[step]++
		}
		won := c.rows.won(i, answers[i])
		if won && !c.res.Success[k] || won == c.res.Success[k] && v > c.best[i] {
			c.best[i] = v
			c.res.Label[k] = answers[i]
			c.res.Success[k] = won
			copyRow(c.res.X, k, c.xa, i)
		}
		if c.chance || !c.res.Success[k] || limited && c.begun && !margin.enough(c.best[i]) {
			stay = append(stay, i)
		}
	}
	c.begun = true
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

// or returns v, or what its zero means.
func or[T comparable](v, zero T) T {
	var none T
	if v == none {
		return zero
	}
	return v
}

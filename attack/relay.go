package attack

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// trial is an attack on one input as a dialogue: it asks the model about a point,
// hears the answer, and asks again. Trials of many inputs share the model's
// batches; each has its own step count and its own random numbers, so what it
// finds does not depend on the company it is in.
type trial[T float] interface {
	// ask writes the next point to x and returns the class that the objective
	// is about, for objectives with targets.
	ask(x []T) (target int)
	// answer hears the logits z at that point, the objective's value and its
	// gradient g (nil in a relay without gradients) and says whether to go on.
	// The slices belong to the relay.
	answer(z []T, value float64, g []T) (more bool)
	// found returns the point to report and the model's answer to it; nil if
	// the model resisted.
	found() (x []T, label int)
}

// relay runs the trials of many inputs against a model.
type relay struct {
	model     Model
	objective Objective // nil for an attack that needs no gradients
	targeted  bool      // whether the objective is about the trials' targets
	goals     []int     // classes that inputs are to reach; nil for any wrong one
	eot       int       // gradients to average for each answer; 0 means 1
	batch     int       // points in a forward pass; 0 means defaultRelayBatch
	ids       []int     // names of the inputs for random numbers; nil for 0, 1, ...
	progress  func(done, total int)

	// chance says that answers are random, or taken for it as there are several to a
	// question: a success may be a lucky draw, so that the trials that climb go on to
	// the end and report their last one. It holds from the first trial on.
	chance bool

	mu          sync.Mutex
	done, total int
}

// defaultRelayBatch keeps a small network's values in a core's cache.
const defaultRelayBatch = 32

// Inputs are cut into lanes, which run on the threads one by one. A lane's batch
// takes in its next input as soon as one is done. The cut depends on the number
// of inputs alone, so results do not depend on the number of threads.
const (
	maxLanes = 16
	minLane  = 16
)

// id is the name of input i for random numbers.
func (r *relay) id(i int) uint64 {
	if r.ids != nil {
		return uint64(r.ids[i])
	}
	return uint64(i)
}

// runTrials attacks inputs x with labels y in their type and measures how far the
// results are from them.
func runTrials(ctx context.Context, r *relay, th Threat, x *tensor.Tensor, y []int, begin32 beginner[float32], begin64 beginner[float64]) (Result, error) {
	var res Result
	var err error
	if x.DType() == tensor.Float32 {
		res, err = run(ctx, r, x, y, begin32)
	} else {
		res, err = run(ctx, r, x, y, begin64)
	}
	res.Distance = th.Distance(res.X, x)
	return res, err
}

// beginner makes the trial for input i, given its pixels and its logits; nil gives
// it up.
type beginner[T float] func(i int, x0, z []T) trial[T]

// run attacks the inputs that are no success by themselves.
func run[T float](ctx context.Context, r *relay, x *tensor.Tensor, y []int, begin beginner[T]) (Result, error) {
	x = ask.OffTape(x)
	n := len(y)
	res := newResult(x)
	lanes := min(maxLanes, max(1, n/minLane))
	size := (n + lanes - 1) / lanes
	r.done, r.total = 0, n
	var err error
	if r.chance = r.eot > 1; !r.chance {
		if r.chance, err = atRandom(ctx, r.model, x, y); err != nil {
			return res, err
		}
	}
	err = inBatches(ctx, n, size, nil, func(ctx context.Context, tape *tensor.Tape, lo, hi int) error {
		w := lane[T]{relay: r, res: &res, x: x, y: y, begin: begin, next: lo, end: hi, d: x.Len() / n, tape: tape}
		return w.run(ctx)
	})
	return res, err
}

// values returns the elements of a tensor of type T.
func values[T float](x *tensor.Tensor) []T {
	var v any
	if x.DType() == tensor.Float32 {
		v = x.Float32s()
	} else {
		v = x.Float64s()
	}
	return v.([]T)
}

// fromValues returns a tensor over data.
func fromValues[T float](data []T, shape ...int) *tensor.Tensor {
	switch d := any(data).(type) {
	case []float32:
		return tensor.FromFloat32(d, shape...)
	case []float64:
		return tensor.FromFloat64(d, shape...)
	}
	panic("unreachable")
}

// lane runs the trials of the inputs [next, end), several at a time.
type lane[T float] struct {
	*relay
	res       *Result
	x         *tensor.Tensor
	y         []int
	begin     beginner[T]
	next, end int
	d         int // values of an input

	tape   *tensor.Tape
	active []entry[T]
	points []T
	mean   []T // of the gradients
	rows   Rows
}

type entry[T float] struct {
	index int
	trial trial[T]
}

func (l *lane[T]) run(ctx context.Context) error {
	size := l.batch
	if size == 0 {
		size = defaultRelayBatch
	}
	size = min(size, l.end-l.next)
	l.points = make([]T, size*l.d)
	for {
		if err := l.fill(ctx, size); err != nil {
			return err
		}
		if len(l.active) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.round(ctx); err != nil {
			return err
		}
	}
}

// keep puts what a trial has found so far into the result.
func (l *lane[T]) keep(e entry[T]) {
	if adv, label := e.trial.found(); adv != nil {
		copy(values[T](l.res.X)[e.index*l.d:(e.index+1)*l.d], adv)
		l.res.Success[e.index] = true
		l.res.Label[e.index] = label
	}
}

// fill takes in inputs until size trials are under way. Inputs that are a success
// by themselves, in all answers if there are several, are done at once.
func (l *lane[T]) fill(ctx context.Context, size int) error {
	answers := max(1, l.eot)
	if l.chance {
		answers = max(answers, unluckyAnswers)
	}
	for len(l.active) < size && l.next < l.end && ctx.Err() == nil {
		n := min(size-len(l.active), l.end-l.next)
		rows := rowsOf(ask.Range(l.next, l.next+n), l.y, l.goals)
		hits := make([]int, n) // answers that are a success
		var logits *tensor.Tensor
		for range answers {
			l.tape.Reset()
			var err error
			if logits, err = query(ctx, l.model, l.tape.Const(tensor.Slice(l.x, 0, l.next, l.next+n)), rows); err != nil {
				return err
			}
			for i, answer := range tensor.ArgMax(logits) {
				index := rows.Index[i]
				l.res.Queries[index]++
				hit := l.aim(index, l.y).hit(answer)
				if hit {
					hits[i]++
				}
				if !hit || hits[i] == answers {
					l.res.Label[index] = answer
				}
			}
		}
		k := logits.Dim(1)
		for i, index := range rows.Index {
			if hits[i] == answers {
				l.res.Success[index] = true
				l.report(1)
				continue
			}
			t := l.begin(index, values[T](l.x)[index*l.d:(index+1)*l.d], values[T](logits)[i*k:(i+1)*k])
			if t == nil {
				l.report(1)
				continue
			}
			l.active = append(l.active, entry[T]{index, t})
		}
		l.next += n
	}
	return nil
}

// round asks the model one question for each trial under way.
func (l *lane[T]) round(ctx context.Context) error {
	l.rows.Y, l.rows.Index, l.rows.Target = l.rows.Y[:0], l.rows.Index[:0], l.rows.Target[:0]
	for i, e := range l.active {
		l.rows.Target = append(l.rows.Target, e.trial.ask(l.points[i*l.d:(i+1)*l.d]))
		l.rows.Y = append(l.rows.Y, l.y[e.index])
		l.rows.Index = append(l.rows.Index, e.index)
	}
	rows := l.rows
	if !l.targeted {
		rows.Target = nil
	}
	logits, vals, g, err := l.question(ctx, rows)
	if err != nil {
		return err
	}
	k, z := logits.Dim(1), values[T](logits)
	left := l.active[:0]
	for i, e := range l.active {
		l.res.Queries[e.index] += max(1, l.eot)
		var v float64
		var gi []T
		if l.objective != nil {
			l.res.Gradients[e.index] += max(1, l.eot)
			v, gi = vals.At(i), g[i*l.d:(i+1)*l.d]
		}
		more := e.trial.answer(z[i*k:(i+1)*k], v, gi)
		// At once: the next question may be one that is not answered any more.
		l.keep(e)
		if more {
			left = append(left, e)
			continue
		}
		l.report(1)
	}
	clear(l.active[len(left):])
	l.active = left
	return nil
}

// question asks the model about the points of the rows. With eot above 1 it asks
// several times: logits and values are the last ones, the gradient is the mean.
func (l *lane[T]) question(ctx context.Context, rows Rows) (logits, vals *tensor.Tensor, g []T, err error) {
	n := len(rows.Y)
	shape := append([]int{n}, l.x.Shape()[1:]...)
	points := fromValues(l.points[:n*l.d], shape...)
	for e := range max(1, l.eot) {
		l.tape.Reset()
		if l.objective == nil {
			logits, err = query(ctx, l.model, l.tape.Const(points), rows)
			return logits, nil, nil, err
		}
		w := l.tape.Watch(points)
		// What a trial calls a target need not be a class.
		if logits, err = query(ctx, l.model, w, Rows{Y: rows.Y, Index: rows.Index}); err != nil {
			return nil, nil, nil, err
		}
		if vals, err = rate(l.objective, logits, rows); err != nil {
			return nil, nil, nil, err
		}
		gt, err := inputGradient(vals, w, rows)
		if err != nil {
			return nil, nil, nil, err
		}
		switch now := values[T](gt); {
		case l.eot <= 1:
			g = now
		case e == 0:
			g = append(l.mean[:0], now...)
			l.mean = g
		default:
			for i, v := range now {
				g[i] += (v - g[i]) / T(e+1)
			}
		}
	}
	return logits, vals, g, nil
}

func (r *relay) report(n int) {
	if r.progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += n
	r.progress(r.done, r.total)
}

// argMax returns the class of the largest logit, the lowest one among equals.
func argMax[T float](z []T) int {
	best := 0
	for c, v := range z {
		if v > z[best] {
			best = c
		}
	}
	return best
}

// runnersUp returns the n classes other than y with the largest logits, largest
// first; fewer if there are not as many.
func runnersUp[T float](z []T, y, n int) []int {
	order := make([]int, 0, len(z))
	for c := range z {
		if c != y {
			order = append(order, c)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(z[b], z[a]) })
	return order[:min(n, len(order))]
}

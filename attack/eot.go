package attack

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*EOT)(nil)

// EOT is PGD on the expectation of the objective over a transformation t of the
// images: it climbs
//
//	E_t [ L(z(t(x')), y) ],  estimated at each step by the mean over fresh draws,
//
// so that what it finds fools the model under most draws, as a photograph of it
// would. It makes all steps on every input and keeps the iterate of the largest mean,
// one that the model gets wrong as it is before all others. Success is about the
// image as it is; Survival says how it fares transformed.
//
// Athalye, Engstrom, Ilyas and Kwok, ICML 2018, section 2.1.
type EOT struct {
	Threat    Threat
	Transform transform.Transform
	// Samples is the number of draws for a step; 0 means 10, and 1 for a
	// transform that is not random.
	Samples int
	// Steps is the number of steps; 0 means 40.
	Steps int
	// StepSize is the size of a step in the threat's norm; 0 means
	// 2.5 Eps/Steps, and for L0 a quarter of the number of values.
	StepSize   float64
	Objective  Objective             // what to climb; nil means CrossEntropy
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // of the starts and of the draws
	BatchSize  int                   // inputs in a forward pass; 0 means 64
	OnProgress func(done, total int) // as in PGD
}

// Name returns "EOT-PGD-40".
func (a *EOT) Name() string { return fmt.Sprintf("EOT-PGD-%d", or(a.Steps, 40)) }

// String describes all that matters for the outcome.
func (a *EOT) String() string {
	s := summary(a.Name(), a.Threat, "objective", orCrossEntropy(a.Objective), "over", a.Transform, "draws", a.samples(), "seed", a.Seed)
	return s + sized(a.Threat, a.StepSize, 2.5*a.Threat.Eps/float64(or(a.Steps, 40))) + targeted(a.Targets)
}

func (a *EOT) samples() int {
	if a.Transform != nil && !a.Transform.Random() {
		return 1
	}
	return or(a.Samples, 10)
}

func (a *EOT) check(m Model, x *tensor.Tensor, y []int) error {
	switch {
	case a.Transform == nil:
		return errors.New("attack: EOT without a transform")
	case x != nil && x.Rank() != 4:
		return fmt.Errorf("attack: EOT: inputs of shape %v, want images [N, H, W, C]", x.Shape())
	}
	if err := a.Transform.Check(); err != nil {
		return fmt.Errorf("attack: EOT: %w", err)
	}
	return checkInBox(m, x, y, a.Threat, a.Targets, "EOT", setting{"samples", float64(a.Samples), 0}, setting{"steps", float64(a.Steps), 0},
		setting{"step size", a.StepSize, 0}, setting{"batch size", float64(a.BatchSize), 0})
}

// Run attacks images x [N, H, W, C] with labels y.
func (a *EOT) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := a.check(m, x, y); err != nil {
		return Result{}, err
	}
	if err := a.Threat.checkRoom(); err != nil {
		return Result{}, err
	}
	x = ask.OffTape(x)
	res := newResult(x)
	steps := or(a.Steps, 40)
	pgd := PGD{Threat: a.Threat, Steps: steps, StepSize: a.StepSize}
	alpha := or(a.StepSize, pgd.DefaultStepSize(x))
	res.Distance = make([]float64, len(y))
	chance, err := atRandom(ctx, m, x, y)
	if err != nil {
		return res, err
	}
	err = inBatches(ctx, len(y), or(a.BatchSize, defaultBatch), a.OnProgress, func(ctx context.Context, tape *tensor.Tape, lo, hi int) error {
		e := expectation{EOT: a, model: m, tape: tape, res: &res, chance: chance}
		return e.climb(ctx, x, y, lo, hi, steps, alpha)
	})
	res.Distance = a.Threat.Distance(res.X, x)
	return res, err
}

// expectation attacks one batch.
type expectation struct {
	*EOT
	model  Model
	tape   *tensor.Tape
	res    *Result
	chance bool // answers are random, so that one to an input itself says little

	rows Rows
	rngs []*rand.Rand // of the rows
}

func (e *expectation) climb(ctx context.Context, x *tensor.Tensor, y []int, lo, hi, steps int, alpha float64) error {
	if err := e.begin(ctx, x, y, lo, hi); err != nil || len(e.rows.Y) == 0 {
		return err
	}
	x0 := tensor.Gather(x, e.rows.Index)
	xa := x0.Clone()
	e.Threat.Sample(func(i int) *rand.Rand { return e.rngs[i] }, xa, x0)
	best := make([]float64, len(e.rows.Y))
	for i := range best {
		best[i] = math.Inf(-1)
	}
	for s := 0; ; s++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		means, g, err := e.mean(ctx, xa, s < steps)
		if err != nil {
			return err
		}
		if err := e.judge(ctx, xa, means, best); err != nil {
			return err
		}
		if s == steps {
			return nil
		}
		e.Threat.Step(xa, g, x0, alpha)
	}
}

// begin makes the rows those inputs of [lo, hi) that are no success by themselves, or
// all of them where answers are random.
func (e *expectation) begin(ctx context.Context, x *tensor.Tensor, y []int, lo, hi int) error {
	all := rowsOf(ask.Range(lo, hi), y, e.Targets)
	e.tape.Reset()
	logits, err := query(ctx, e.model, e.tape.Const(tensor.Slice(x, 0, lo, hi)), all)
	if err != nil {
		return err
	}
	var left []int
	for i, c := range tensor.ArgMax(logits) {
		e.res.Queries[lo+i]++
		e.res.Label[lo+i] = c
		if e.res.Success[lo+i] = all.won(i, c); e.chance || !e.res.Success[lo+i] {
			left = append(left, lo+i)
			e.rngs = append(e.rngs, rand.New(rand.NewPCG(e.Seed, uint64(lo+i))))
		}
	}
	e.rows = rowsOf(left, y, e.Targets)
	return nil
}

// mean returns the mean objective over the draws for each row and its gradient.
func (e *expectation) mean(ctx context.Context, xa *tensor.Tensor, gradient bool) (means []float64, g *tensor.Tensor, err error) {
	means = make([]float64, len(e.rows.Y))
	samples := e.samples()
	for range samples {
		e.tape.Reset()
		w := e.tape.Watch(xa)
		moved, err := applied(e.Transform, func(i int) *rand.Rand { return e.rngs[i] }, w, e.rows)
		if err != nil {
			return nil, nil, err
		}
		_, values, err := evaluate(ctx, e.model, orCrossEntropy(e.Objective), moved, e.rows)
		if err != nil {
			return nil, nil, err
		}
		for i, k := range e.rows.Index {
			means[i] += values.At(i) / float64(samples)
			e.res.Queries[k]++
		}
		if !gradient {
			continue
		}
		one, err := inputGradient(values, w, e.rows)
		if err != nil {
			return nil, nil, err
		}
		for _, k := range e.rows.Index {
			e.res.Gradients[k]++
		}
		if one = one.Clone(); g == nil {
			g = one
		} else {
			g = tensor.Add(g, one)
		}
	}
	return means, g, nil
}

// judge asks about the iterates as they are and keeps those that are better.
func (e *expectation) judge(ctx context.Context, xa *tensor.Tensor, means, best []float64) error {
	e.tape.Reset()
	logits, err := query(ctx, e.model, e.tape.Const(xa), e.rows)
	if err != nil {
		return err
	}
	for i, c := range tensor.ArgMax(logits) {
		k := e.rows.Index[i]
		e.res.Queries[k]++
		won := e.rows.won(i, c)
		if won && !e.res.Success[k] || won == e.res.Success[k] && means[i] > best[i] {
			best[i] = means[i]
			e.res.Success[k], e.res.Label[k] = won, c
			copyRow(e.res.X, k, xa, i)
		}
	}
	return nil
}

// applied transforms images and checks what comes out.
func applied(t transform.Transform, rng transform.Sources, x *tensor.Tensor, rows Rows) (out *tensor.Tensor, err error) {
	defer asError(fmt.Sprintf("transform %v", t), rows, &err)
	out = t.Apply(rng, x)
	if out == nil || fmt.Sprint(out.Shape()) != fmt.Sprint(x.Shape()) || out.DType() != x.DType() {
		got := "nothing"
		if out != nil {
			got = fmt.Sprintf("%v%v", out.DType(), out.Shape())
		}
		return nil, fmt.Errorf("attack: transform %v made %s of images %v%v, want the same", t, got, x.DType(), x.Shape())
	}
	return out, nil
}

// Survival returns for each of images x [N, H, W, C] the share of draws of the
// transform, fresh ones, after which the model gets it wrong or, with targets,
// answers the target: how an attack's result fares in a changing world.
func (a *EOT) Survival(ctx context.Context, m Model, x *tensor.Tensor, y []int, draws int) ([]float64, error) {
	if err := a.check(m, x, y); err != nil {
		return nil, err
	}
	if draws < 1 {
		return nil, fmt.Errorf("attack: EOT: %d draws, want at least 1", draws)
	}
	x = ask.OffTape(x)
	out := make([]float64, len(y))
	err := inBatches(ctx, len(y), predictBatch, nil, func(ctx context.Context, tape *tensor.Tape, lo, hi int) error {
		rows := rowsOf(ask.Range(lo, hi), y, a.Targets)
		rngs := make([]*rand.Rand, hi-lo)
		for i := range rngs {
			// Not the streams of the attack, which has fitted its own draws.
			rngs[i] = rand.New(rand.NewPCG(a.Seed, 1<<63|uint64(lo+i)))
		}
		for range draws {
			if err := ctx.Err(); err != nil {
				return err
			}
			tape.Reset()
			moved, err := applied(a.Transform, func(i int) *rand.Rand { return rngs[i] }, tape.Const(tensor.Slice(x, 0, lo, hi)), rows)
			if err != nil {
				return err
			}
			logits, err := query(ctx, m, moved, rows)
			if err != nil {
				return err
			}
			for i, c := range tensor.ArgMax(logits) {
				if rows.won(i, c) {
					out[lo+i] += 1 / float64(draws)
				}
			}
		}
		return nil
	})
	return out, err
}

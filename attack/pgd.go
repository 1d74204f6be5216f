package attack

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*PGD)(nil)

// PGD is projected gradient descent (on the negative objective) from random
// starts: the standard first-order attack. It keeps, for each input, the first
// iterate that the model gets wrong, or else the one of the largest objective;
// inputs that are won cost nothing more. On a model that answers at random, where the
// first one may be a lucky draw, every input makes all steps, and of the iterates that
// the model got wrong that of the largest objective is kept.
//
// Madry et al., ICLR 2018, Eq. (3).
type PGD struct {
	Threat Threat
	// Steps is the number of gradient steps of a restart, at least 1.
	Steps int
	// StepSize is the size of a step in the threat's norm; 0 means
	// 2.5 Eps/Steps, and for L0 a quarter of the number of values.
	StepSize float64
	// Restarts is the number of starts; 0 means 1. Perturb has one.
	Restarts int
	// NoRandomStart starts from the input itself; then more than one restart
	// is of no use.
	NoRandomStart bool
	// Noise is the standard deviation of Gaussian starts around the input, projected
	// onto the threat's set, in units of the input; 0 means starts that are uniform in
	// the set.
	Noise float64
	// Objective is what to climb; nil means CrossEntropy.
	Objective Objective
	// Targets holds a class to reach for each input; nil for any wrong class.
	Targets []int
	// Seed selects the random starts.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 64, and 32
	// for Perturb. Results depend on it only as far as the model's arithmetic
	// does.
	BatchSize int
	// OnProgress is called with the number of inputs done and the number in
	// all, nil for none. Calls do not overlap.
	OnProgress func(done, total int)

	ids []int // names of the inputs for random numbers
}

// Name returns "PGD-40", or "PGD-100x10" with restarts.
func (p *PGD) Name() string {
	if p.Restarts > 1 {
		return fmt.Sprintf("PGD-%dx%d", p.Steps, p.Restarts)
	}
	return fmt.Sprintf("PGD-%d", p.Steps)
}

// Run attacks inputs x [N, ...] with labels y.
func (p *PGD) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := p.Threat.checkRoom(); err != nil {
		return Result{}, err
	}
	return p.ascent(x).run(ctx, m, x, y)
}

// String describes all that matters for the outcome.
func (p *PGD) String() string {
	if p.NoRandomStart {
		return describe(p, p)
	}
	if p.Noise > 0 {
		return fmt.Sprintf("%s, starts with noise of %.4g of seed %d", describe(p, p), p.Noise, p.Seed)
	}
	return fmt.Sprintf("%s, random starts of seed %d", describe(p, p), p.Seed)
}

// describe says what an attack does that is a configuration of p.
func describe(a Attack, p *PGD) string {
	s := fmt.Sprintf("%s under %v, objective %v", a.Name(), p.Threat, p.ascent(nil).objective)
	s += sized(p.Threat, p.StepSize, 2.5*p.Threat.Eps/float64(max(1, p.Steps)))
	if p.Targets != nil {
		s += ", targeted"
	}
	return s
}

func (p *PGD) ascent(x *tensor.Tensor) *ascent {
	a := &ascent{
		threat: p.Threat, objective: p.Objective, steps: p.Steps, stepSize: p.StepSize,
		restarts: p.Restarts, random: !p.NoRandomStart, noise: p.Noise, targets: p.Targets,
		seed: p.Seed, ids: p.ids, batch: p.BatchSize, progress: p.OnProgress,
	}
	if a.objective == nil {
		a.objective = CrossEntropy{}
	}
	if a.stepSize == 0 && x != nil {
		a.stepSize = p.DefaultStepSize(x)
	}
	return a
}

// DefaultStepSize returns what a StepSize of 0 means for inputs x [N, ...].
func (p *PGD) DefaultStepSize(x *tensor.Tensor) float64 {
	if p.Threat.Norm == L0 && x.Rank() > 1 && x.Dim(0) > 0 {
		return p.Threat.stride(x.Len() / x.Dim(0))
	}
	return 2.5 * p.Threat.Eps / float64(max(1, p.Steps))
}

// Perturb makes Steps steps on all inputs, whether or not the model gets them
// wrong, and returns where they end: the inner loop of adversarial training. It
// makes exactly one forward and one backward pass for each step, and one start.
func (p *PGD) Perturb(ctx context.Context, m Model, x *tensor.Tensor, y []int) (*tensor.Tensor, error) {
	a := p.ascent(x)
	if err := a.check(m, x, y); err != nil {
		return nil, err
	}
	x = ask.OffTape(x)
	out := x.Clone()
	err := inBatches(ctx, len(y), or(a.batch, defaultBatch/2), a.progress, func(ctx context.Context, tape *tensor.Tape, lo, hi int) error {
		xa, err := a.follow(ctx, m, tape, x, rowsOf(ask.Range(lo, hi), y, a.targets), nil)
		if err != nil {
			return err
		}
		for i := range hi - lo {
			copyRow(out, lo+i, xa, i)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// follow makes all steps on the given inputs, whatever the model answers, and
// returns where they end. It calls seen, unless that is nil, with the objective's
// values before each step and after the last one.
func (a *ascent) follow(ctx context.Context, m Model, tape *tensor.Tape, x *tensor.Tensor, rows Rows, seen func(step int, values *tensor.Tensor)) (*tensor.Tensor, error) {
	x0 := tensor.Gather(x, rows.Index)
	xa := x0.Clone()
	if a.random {
		a.start(0, rows, xa, x0)
	}
	for s := 0; ; s++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s == a.steps && seen == nil {
			return xa, nil
		}
		tape.Reset()
		w := tape.Watch(xa)
		_, values, err := evaluate(ctx, m, a.objective, w, rows)
		if err != nil {
			return nil, err
		}
		if seen != nil {
			seen(s, values)
		}
		if s == a.steps {
			return xa, nil
		}
		g, err := inputGradient(values, w, rows)
		if err != nil {
			return nil, err
		}
		a.threat.Step(xa, g, x0, a.stepSize)
	}
}

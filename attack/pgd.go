package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*PGD)(nil)

var negInf = math.Inf(-1)

// PGD is projected gradient descent (on the negative objective) from random
// starts: the standard first-order attack. It keeps, for each input, the first
// iterate that the model gets wrong, or else the one of the largest objective;
// inputs that are won cost nothing more.
//
// Madry et al., ICLR 2018, Eq. (3).
type PGD struct {
	Threat Threat
	// Steps is the number of gradient steps of a restart, at least 1.
	Steps int
	// StepSize is the size of a step in the threat's norm; 0 means
	// 2.5 Eps/Steps, and for L0 a quarter of the number of values.
	StepSize float64
	// Restarts is the number of starts; 0 means 1.
	Restarts int
	// NoRandomStart starts from the input itself; then more than one restart
	// is of no use.
	NoRandomStart bool
	// Objective is what to climb; nil means CrossEntropy.
	Objective Objective
	// Targets holds a class to reach for each input; nil for any wrong class.
	Targets []int
	// Seed selects the random starts.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 64. Results
	// depend on it only as far as the model's arithmetic does.
	BatchSize int
	// OnProgress is called with the number of inputs done and the number in
	// all, nil for none. Calls do not overlap.
	OnProgress func(done, total int)
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
	return p.ascent(x).run(ctx, m, x, y)
}

func (p *PGD) ascent(x *tensor.Tensor) *ascent {
	a := &ascent{
		threat: p.Threat, objective: p.Objective, steps: p.Steps, stepSize: p.StepSize,
		restarts: max(1, p.Restarts), random: !p.NoRandomStart, targets: p.Targets,
		seed: p.Seed, batch: p.BatchSize, progress: p.OnProgress,
	}
	if a.objective == nil {
		a.objective = CrossEntropy{}
	}
	if a.stepSize == 0 {
		a.stepSize = 2.5 * a.threat.Eps / float64(max(1, a.steps))
		if a.threat.Norm == L0 && x != nil && x.Rank() > 1 {
			a.stepSize = float64(x.Len()) / float64(max(1, x.Dim(0))) / 4
		}
	}
	return a
}

// Perturb makes Steps steps on all inputs, whether or not the model gets them
// wrong, and returns where they end: the inner loop of adversarial training. It
// makes exactly one forward and one backward pass for each step, and one start.
func (p *PGD) Perturb(ctx context.Context, m Model, x *tensor.Tensor, y []int) (*tensor.Tensor, error) {
	a := p.ascent(x)
	if err := a.check(m, x, y); err != nil {
		return nil, err
	}
	x = offTape(x)
	n := len(y)
	out := x.Clone()
	size := a.batch
	if size == 0 {
		size = defaultBatch / 2
	}
	batches := (n + size - 1) / size
	errs := make([]error, batches)
	par.For(batches, 1, func(lo, hi int) {
		tape := tensor.NewTape()
		for b := lo; b < hi; b++ {
			errs[b] = a.perturb(ctx, m, tape, out, x, y, b*size, min(n, (b+1)*size))
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// perturb moves the inputs [lo, hi) of out.
func (a *ascent) perturb(ctx context.Context, m Model, tape *tensor.Tape, out, x *tensor.Tensor, y []int, lo, hi int) error {
	rows := Rows{Y: y[lo:hi], Index: make([]int, hi-lo)}
	for i := range rows.Index {
		rows.Index[i] = lo + i
	}
	if a.targets != nil {
		rows.Target = a.targets[lo:hi]
	}
	x0 := tensor.Slice(x, 0, lo, hi)
	xa := x0.Clone()
	if a.random {
		a.threat.Sample(func(i int) *rand.Rand {
			return rand.New(rand.NewPCG(a.seed, uint64(rows.Index[i])))
		}, xa, x0)
	}
	for range a.steps {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("attack: stopped: %w", err)
		}
		tape.Reset()
		w := tape.Watch(xa)
		logits, err := query(m, w, rows)
		if err != nil {
			return err
		}
		g := inputGradient(a.objective.Values(logits, rows), w)
		a.threat.Step(xa, g, x0, a.stepSize)
	}
	for i := range rows.Index {
		copyRow(out, lo+i, xa, i)
	}
	return nil
}

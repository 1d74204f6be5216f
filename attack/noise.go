package attack

import (
	"context"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Noise)(nil)

// Noise tries random points of the threat's set: what any attack must beat.
type Noise struct {
	Threat Threat
	// Repeats is the number of points for each input; 0 means 100.
	Repeats    int
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // of the points
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "noise".
func (a *Noise) Name() string { return "noise" }

// String describes all that matters for the outcome.
func (a *Noise) String() string {
	return summary(a.Name(), a.Threat, "repeats", or(a.Repeats, 100), "seed", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *Noise) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := checkAll(m, x, y, a.Threat, a.Targets, "noise", setting{"repeats", float64(a.Repeats), 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginNoise[float32](a, r, y), beginNoise[float64](a, r, y))
}

func beginNoise[T float](a *Noise, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		rng := rand.New(rand.NewPCG(a.Seed, r.id(i)))
		t := &walk[T]{aim: r.aim(i, y), x: make([]T, len(x0)), steps: or(a.Repeats, 100) - 1}
		t.move = func(x, _ []T) { sample(a.Threat, rng, x, x0) }
		t.move(t.x, nil)
		return t
	}
}

package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*FMN)(nil)

// FMN looks for the smallest perturbation in Linf, L2 or L1 by steps along the
// gradient of the margin, projected onto a ball whose radius jumps to the estimated
// boundary and then closes in on it. Where the run from an input meets no success at
// all, because the gradients lead to a dead end, a second one starts at the boundary
// on the way to a random success, if random points hold any.
//
// Pintor et al., NeurIPS 2021, Algorithm 1, with its start from the input and its
// start from a success.
type FMN struct {
	// Threat is under Linf, L2 or L1; points farther than Eps count as no
	// success.
	Threat Threat
	// Steps is the number of steps of a run; 0 means 100.
	Steps int
	// StepSize is the first length of a step, in L2; 0 means 1. It falls to a
	// hundredth along a cosine.
	StepSize float64
	// Gamma is the first relative change of the radius in a step, below 1; 0
	// means 0.05. It falls to 1e-3 along a cosine.
	Gamma      float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // selects the random points
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "FMN".
func (a *FMN) Name() string { return "FMN" }

// String describes all that matters for the outcome.
func (a *FMN) String() string {
	return summary(a.Name(), a.Threat, "steps", or(a.Steps, 100), "step size", or(a.StepSize, 1), "gamma", or(a.Gamma, 0.05), "seed", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *FMN) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm == L0 {
		return Result{}, fmt.Errorf("attack: FMN under l0, want linf, l2 or l1")
	}
	if a.Gamma >= 1 {
		return Result{}, fmt.Errorf("attack: FMN: gamma is %v, want below 1", a.Gamma)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "FMN", setting{"steps", float64(a.Steps), 0}, setting{"step size", a.StepSize, 0},
		setting{"gamma", a.Gamma, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: Margin{}, targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginFMN[float32](a, r, y), beginFMN[float64](a, r, y))
}

func beginFMN[T float](a *FMN, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		return &fmn[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, start: newStart(a.Threat, rand.New(rand.NewPCG(a.Seed, r.id(i))), x0, 0),
			aim: r.aim(i, y), steps: or(a.Steps, 100), alpha: or(a.StepSize, 1), gamma: or(a.Gamma, 0.05),
			radius: math.Inf(1), closest: math.Inf(1), x: append([]T(nil), x0...),
		}
	}
}

// fmn is the attack on one input.
type fmn[T float] struct {
	catch[T]
	start[T]
	aim          aim
	steps, i     int
	alpha, gamma float64
	radius       float64
	closest      float64 // smallest success, whatever Eps; infinite for none
	x            []T

	phase      fmnPhase
	near, far  []T // the ends of the bisection: no success and a success
	bisections int // to come
}

// fmnPhase is what x is asked about for.
type fmnPhase int

const (
	fmnClimbs   fmnPhase = iota
	fmnSearches          // for a random success
	fmnBisects           // between the input and that
)

// fmnBisections is the number of halvings of the way to a random success.
const fmnBisections = 10

func (t *fmn[T]) ask(x []T) int {
	copy(x, t.x)
	return t.aim.class()
}

func (t *fmn[T]) answer(z []T, _ float64, g []T) bool {
	c := argMax(z)
	won := t.aim.hit(c)
	if won {
		t.offer(t.x, c)
		t.closest = min(t.closest, distance(t.threat.Norm, t.x, t.x0))
	}
	switch t.phase {
	case fmnSearches:
		if !won {
			return t.search()
		}
		t.near, t.far = append([]T(nil), t.x0...), append([]T(nil), t.x...)
		t.phase, t.bisections = fmnBisects, fmnBisections
		t.halve()
		return true
	case fmnBisects:
		if won {
			copy(t.far, t.x)
		} else {
			copy(t.near, t.x)
		}
		if t.bisections--; t.bisections > 0 {
			t.halve()
			return true
		}
		copy(t.x, t.far)
		t.phase, t.i, t.radius = fmnClimbs, 0, t.closest
		return true
	}
	return t.climb(won, z, g)
}

// climb makes a step, and after the last one looks for another start if there has
// been no success.
func (t *fmn[T]) climb(won bool, z, g []T) bool {
	norm := t.threat.Norm
	gamma := anneal(t.gamma, 1e-3, t.i, t.steps)
	if won {
		t.radius = min(t.radius*(1-gamma), t.closest)
	} else if !math.IsInf(t.closest, 1) {
		t.radius *= 1 + gamma
	} else if n := size(dual(norm), g); n > 0 {
		// A little beyond the estimate, which is exact for linear models: the
		// boundary itself is no success.
		t.radius = (distance(norm, t.x, t.x0) + max(0, shortfall(t.aim, z))/n) * 1.001
	}
	if t.i == t.steps {
		return math.IsInf(t.closest, 1) && t.search()
	}
	add(t.x, g, anneal(t.alpha, t.alpha/100, t.i, t.steps), size(L2, g))
	ball := t.threat
	ball.Eps = min(t.radius, math.MaxFloat64)
	project(ball, t.x, t.x0)
	t.i++
	return true
}

// search asks about another random point, if there are any left to try.
func (t *fmn[T]) search() bool {
	if t.tries == 0 {
		return false
	}
	t.phase = fmnSearches
	t.draw(t.x)
	return true
}

// halve asks about the middle between near and far.
func (t *fmn[T]) halve() {
	for j, v := range t.near {
		t.x[j] = (v + t.far[j]) / 2
	}
}

package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Boundary)(nil)

// Boundary walks along the decision boundary from a random success towards the
// input, asking for answers only: a random step around the input, and a step towards
// it. The sizes of both adapt to how often they succeed; when the step towards the input
// has become smaller than 1e-7 of the distance the walk ends.
//
// Brendel, Rauber and Bethge, ICLR 2018, Algorithm 1.
type Boundary struct {
	// Threat is under L2; points farther than Eps count as no success.
	Threat Threat
	// Queries is the number of questions for each input; 0 means 5000. The first ones
	// look for a success to start from: an input for which none of 1,000 points of noise
	// of several kinds is one, or half of Queries if that is less, counts as resisting.
	Queries int
	// SphericalStep is the first size of the random step, and SourceStep of the
	// step towards the input, relative to the distance; 0 means 0.01.
	SphericalStep, SourceStep float64
	Targets                   []int                 // a class to reach for each input; nil for any wrong one
	Seed                      uint64                // of the random numbers
	BatchSize                 int                   // inputs in a forward pass; 0 means 32
	OnProgress                func(done, total int) // as in PGD
}

// Name returns "Boundary".
func (a *Boundary) Name() string { return "Boundary" }

// String describes all that matters for the outcome.
func (a *Boundary) String() string {
	return summary(a.Name(), a.Threat, "queries", or(a.Queries, 5000), "spherical step", or(a.SphericalStep, 0.01), "source step", or(a.SourceStep, 0.01), "seed", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *Boundary) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L2 {
		return Result{}, fmt.Errorf("attack: Boundary under %v, want l2", a.Threat.Norm)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "Boundary", setting{"queries", float64(a.Queries), 0}, setting{"spherical step", a.SphericalStep, 0},
		setting{"source step", a.SourceStep, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginBoundary[float32](a, r, y), beginBoundary[float64](a, r, y))
}

func beginBoundary[T float](a *Boundary, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		rng := rand.New(rand.NewPCG(a.Seed, r.id(i)))
		t := &boundary[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, start: newStart(a.Threat, rng, x0, or(a.Queries, 5000)), aim: r.aim(i, y), queries: or(a.Queries, 5000),
			spherical: or(a.SphericalStep, 0.01), source: or(a.SourceStep, 0.01),
			x: make([]T, len(x0)), asked: make([]T, len(x0)),
		}
		t.draw(t.asked)
		return t
	}
}

// boundary is the attack on one input.
type boundary[T float] struct {
	catch[T]
	start[T]
	aim               aim
	queries           int
	spherical, source float64

	x, asked []T
	begun    bool // x is a success
	sphere   bool // the question is whether the random step alone is one
	// Successes among the last questions of each kind.
	sphereTried, sphereWon, sourceTried, sourceWon int
}

func (t *boundary[T]) ask(x []T) int {
	copy(x, t.asked)
	return 0
}

// adaptEvery is the number of questions after which step sizes change, and
// adaptRate by how much.
const (
	adaptEvery = 30
	adaptRate  = 1.5
)

func (t *boundary[T]) answer(z []T, _ float64, _ []T) bool {
	c := argMax(z)
	won := t.aim.hit(c)
	if won {
		t.offer(t.asked, c)
	}
	t.queries--
	switch {
	case !t.begun:
		if !won {
			if t.tries <= 0 || t.queries <= 0 {
				return false
			}
			t.draw(t.asked)
			return true
		}
		t.begun = true
		copy(t.x, t.asked)
	case t.sphere:
		t.sphereTried++
		if won {
			t.sphereWon++
		}
	default:
		t.sourceTried++
		if won {
			t.sourceWon++
			copy(t.x, t.asked)
		}
	}
	t.adapt()
	if t.queries <= 0 || t.source < 1e-7 {
		return false
	}
	// Every fifth question tests whether the random step alone stays outside.
	t.sphere = t.queries%5 == 0
	t.propose()
	return true
}

// adapt keeps half of the random steps, and a quarter of the steps to the input,
// successful.
func (t *boundary[T]) adapt() {
	if t.sphereTried >= adaptEvery {
		switch p := float64(t.sphereWon) / float64(t.sphereTried); {
		case p > 0.5:
			t.spherical *= adaptRate
		case p < 0.2:
			t.spherical /= adaptRate
			t.source /= adaptRate
		}
		t.sphereTried, t.sphereWon = 0, 0
	}
	if t.sourceTried >= adaptEvery {
		switch p := float64(t.sourceWon) / float64(t.sourceTried); {
		case p > 0.25:
			t.source *= adaptRate
		case p < 0.1:
			t.source /= adaptRate
		}
		t.sourceTried, t.sourceWon = 0, 0
	}
}

// propose sets asked to a random step around the input at the distance of x and,
// unless the question is about that alone, a step towards the input.
func (t *boundary[T]) propose() {
	d := len(t.x)
	far := distance(L2, t.x, t.x0)
	step, along := make([]float64, d), 0.0
	for j := range step {
		step[j] = t.rng.NormFloat64()
		along += step[j] * (float64(t.x[j]) - float64(t.x0[j]))
	}
	// Orthogonal to the way to the input.
	for j := range step {
		if far > 0 {
			step[j] -= along / (far * far) * (float64(t.x[j]) - float64(t.x0[j]))
		}
	}
	scale := t.spherical * far / (size(L2, step) + tiny)
	moved := make([]float64, d)
	for j := range step {
		moved[j] = float64(t.x[j]) - float64(t.x0[j]) + scale*step[j]
	}
	length := far / (size(L2, moved) + tiny)
	if !t.sphere {
		length *= 1 - min(t.source, 1)
	}
	for j, o := range t.x0 {
		t.asked[j] = T(min(t.hi, max(t.lo, float64(o)+length*moved[j])))
	}
}

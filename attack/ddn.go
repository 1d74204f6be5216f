package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*DDN)(nil)

// DDN looks for the smallest perturbation in L2 by steps along the gradient whose
// result is scaled to a radius that shrinks after a success and grows after a
// failure.
//
// Rony et al., CVPR 2019, Algorithm 1.
type DDN struct {
	// Threat is under L2; points farther than Eps count as no success.
	Threat Threat
	// Steps is the number of steps; 0 means 100.
	Steps int
	// Radius is the first radius, in input units; 0 means 1.
	Radius float64
	// Gamma is the relative change of the radius in a step, below 1; 0 means
	// 0.05.
	Gamma      float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "DDN".
func (a *DDN) Name() string { return "DDN" }

// String describes all that matters for the outcome.
func (a *DDN) String() string {
	return summary(a.Name(), a.Threat, "steps", or(a.Steps, 100), "radius", or(a.Radius, 1), "gamma", or(a.Gamma, 0.05)) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *DDN) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L2 {
		return Result{}, fmt.Errorf("attack: DDN under %v, want l2", a.Threat.Norm)
	}
	if a.Gamma >= 1 {
		return Result{}, fmt.Errorf("attack: DDN: gamma is %v, want below 1", a.Gamma)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "DDN", setting{"steps", float64(a.Steps), 0}, setting{"radius", a.Radius, 0},
		setting{"gamma", a.Gamma, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: CrossEntropy{}, targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginDDN[float32](a, r, y), beginDDN[float64](a, r, y))
}

func beginDDN[T float](a *DDN, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		return &ddn[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, aim: r.aim(i, y), steps: or(a.Steps, 100),
			rng: rand.New(rand.NewPCG(0, r.id(i))), radius: or(a.Radius, 1), gamma: or(a.Gamma, 0.05), x: append([]T(nil), x0...), delta: make([]float64, len(x0)),
		}
	}
}

// ddn is the attack on one input.
type ddn[T float] struct {
	catch[T]
	aim           aim
	rng           *rand.Rand
	steps, i      int
	radius, gamma float64
	x             []T
	delta         []float64
}

func (t *ddn[T]) ask(x []T) int {
	copy(x, t.x)
	return t.aim.class()
}

// anneal falls from first to last along half a cosine as i goes from 0 to n.
func anneal(first, last float64, i, n int) float64 {
	return last + (first-last)*(1+math.Cos(math.Pi*float64(i)/float64(n)))/2
}

func (t *ddn[T]) answer(z []T, _ float64, g []T) bool {
	c := argMax(z)
	if t.aim.hit(c) {
		t.offer(t.x, c)
	}
	if t.i > 0 {
		if t.aim.hit(c) {
			t.radius *= 1 - t.gamma
		} else {
			t.radius *= 1 + t.gamma
		}
	}
	if t.i == t.steps {
		return false
	}
	way := make([]float64, len(g))
	for j, v := range g {
		way[j] = float64(v)
	}
	n := size(L2, way)
	if n == 0 { // there is no direction: any
		for j := range way {
			way[j] = t.rng.NormFloat64()
		}
		n = size(L2, way)
	}
	alpha := anneal(1, 0.01, t.i, t.steps)
	for j, v := range way {
		t.delta[j] += alpha * v / n
	}
	n = size(L2, t.delta)
	lo, hi := t.threat.box()
	for j, o := range t.x0 {
		d := t.delta[j]
		if n > 0 {
			d *= t.radius / n
		}
		t.x[j] = T(min(hi, max(lo, float64(o)+d)))
		t.delta[j] = float64(t.x[j]) - float64(o)
	}
	t.i++
	return true
}

package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*SimBA)(nil)

// SimBA goes through the values of an image in random order and changes one at a
// time, up or down, keeping what lowers the margin of the true class. The changes
// add up until the ball is reached.
//
// Guo et al., ICML 2019, Algorithm 1, in the basis of pixels.
type SimBA struct {
	Threat Threat // Linf, L2 or L1
	// Queries is the number of questions for each input; 0 means 5000.
	Queries int
	// StepSize is the change of a value; 0 means 0.2, and Eps under Linf.
	StepSize   float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // of the order of the values
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "SimBA".
func (a *SimBA) Name() string { return "SimBA" }

// String describes all that matters for the outcome.
func (a *SimBA) String() string {
	return summary(a.Name(), a.Threat, "queries", or(a.Queries, 5000), "step size", a.change(), "seed", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *SimBA) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm == L0 {
		return Result{}, fmt.Errorf("attack: SimBA under l0, want linf, l2 or l1")
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "SimBA", setting{"queries", float64(a.Queries), 0},
		setting{"step size", a.StepSize, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginSimBA[float32](a, r, y), beginSimBA[float64](a, r, y))
}

// change is the change of a value.
func (a *SimBA) change() float64 {
	if a.Threat.Norm == Linf {
		return or(a.StepSize, a.Threat.Eps)
	}
	return or(a.StepSize, 0.2)
}

func beginSimBA[T float](a *SimBA, r *relay, y []int) beginner[T] {
	change := a.change()
	return func(i int, x0, z []T) trial[T] {
		t := &simba[T]{threat: a.Threat, aim: r.aim(i, y), x0: x0, x: append([]T(nil), x0...), asked: make([]T, len(x0)),
			rng: rand.New(rand.NewPCG(a.Seed, r.id(i))), queries: or(a.Queries, 5000), change: change, persist: r.chance}
		t.short = shortfall(t.aim, z)
		if !t.next() {
			return nil
		}
		return t
	}
}

// simba is the attack on one input.
type simba[T float] struct {
	threat  Threat
	aim     aim
	rng     *rand.Rand
	queries int
	change  float64
	persist bool // a success does not end the attack

	x0, x, asked []T
	order        []int // values to come in this round
	down         bool  // whether the next question is about the lower value
	idle         bool  // no change of the round was kept
	short        float64

	point []T
	label int
}

// next sets asked to the next point that differs from x and says whether there is
// one.
func (t *simba[T]) next() bool {
	for {
		if len(t.order) == 0 {
			if t.idle {
				return false
			}
			t.order, t.idle = t.rng.Perm(len(t.x)), true
		}
		j, d := t.order[0], t.change
		if t.down {
			d = -d
		}
		copy(t.asked, t.x)
		t.asked[j] += T(d)
		project(t.threat, t.asked, t.x0)
		if t.down {
			t.order = t.order[1:]
		}
		t.down = !t.down
		if distance(Linf, t.asked, t.x) > 0 {
			return true
		}
	}
}

func (t *simba[T]) ask(x []T) int {
	copy(x, t.asked)
	return 0
}

func (t *simba[T]) found() ([]T, int) { return t.point, t.label }

func (t *simba[T]) answer(z []T, _ float64, _ []T) bool {
	if c := argMax(z); t.aim.hit(c) {
		t.point, t.label = append(t.point[:0], t.asked...), c
		if !t.persist {
			return false
		}
	}
	if s := shortfall(t.aim, z); s < t.short {
		t.short, t.idle = s, false
		copy(t.x, t.asked)
		if t.down { // the upper value was kept: no need to try the lower one
			t.order, t.down = t.order[1:], false
		}
	}
	t.queries--
	return t.queries > 0 && t.next()
}

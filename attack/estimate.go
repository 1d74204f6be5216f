package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var (
	_ Attack = (*NES)(nil)
	_ Attack = (*SPSA)(nil)
	_ Attack = (*SimBA)(nil)
)

// NES climbs the margin along gradients estimated from scores alone: the mean of
// differences along random Gaussian directions, taken in both senses.
//
// Ilyas et al., ICML 2018, section 2.2.
type NES struct {
	Threat Threat
	// Queries is the number of questions for each input; 0 means 5000.
	Queries int
	// Samples is the number of directions for an estimate, of two questions
	// each; 0 means 25.
	Samples int
	// Sigma is the size of the differences in each value; 0 means 0.01.
	Sigma float64
	// StepSize is the size of a step in the threat's norm; 0 means a tenth of
	// Eps.
	StepSize   float64
	Targets    []int // a class to reach for each input; nil for any wrong one
	Seed       uint64
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "NES".
func (a *NES) Name() string { return "NES" }

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *NES) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	s := slopes{threat: a.Threat, queries: a.Queries, samples: a.Samples, width: or(a.Sigma, 0.01), stepSize: a.StepSize,
		seed: a.Seed, draw: func(r *rand.Rand) float64 { return r.NormFloat64() }}
	return s.run(ctx, a.Name(), m, x, y, a.Targets, a.BatchSize, a.OnProgress)
}

// SPSA climbs the margin along gradients estimated from scores alone: differences
// along random directions of signs.
//
// Uesato et al., ICML 2018, section 3.2, with steps in the threat's norm for Adam.
type SPSA struct {
	Threat Threat
	// Queries is the number of questions for each input; 0 means 5000.
	Queries int
	// Samples is the number of directions for an estimate, of two questions
	// each; 0 means 25.
	Samples int
	// Delta is the size of the differences in each value; 0 means 0.01.
	Delta float64
	// StepSize is the size of a step in the threat's norm; 0 means a tenth of
	// Eps.
	StepSize   float64
	Targets    []int // a class to reach for each input; nil for any wrong one
	Seed       uint64
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "SPSA".
func (a *SPSA) Name() string { return "SPSA" }

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *SPSA) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	s := slopes{threat: a.Threat, queries: a.Queries, samples: a.Samples, width: or(a.Delta, 0.01), stepSize: a.StepSize,
		seed: a.Seed, draw: func(r *rand.Rand) float64 { return float64(2*r.IntN(2) - 1) }}
	return s.run(ctx, a.Name(), m, x, y, a.Targets, a.BatchSize, a.OnProgress)
}

// slopes is what NES and SPSA have in common.
type slopes struct {
	threat           Threat
	queries, samples int
	width, stepSize  float64
	seed             uint64
	draw             func(*rand.Rand) float64 // an entry of a direction
}

func (s slopes) run(ctx context.Context, name string, m Model, x *tensor.Tensor, y, targets []int, batch int, progress func(done, total int)) (Result, error) {
	if err := checkAll(m, x, y, s.threat, targets, name, setting{"queries", float64(s.queries), 0}, setting{"samples", float64(s.samples), 0},
		setting{"width of differences", s.width, 0}, setting{"step size", s.stepSize, 0}, setting{"batch size", float64(batch), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: targets, batch: batch, progress: progress}
	return runTrials(ctx, r, s.threat, x, y, beginSlopes[float32](s, r, y), beginSlopes[float64](s, r, y))
}

func beginSlopes[T float](s slopes, r *relay, y []int) beginner[T] {
	s.queries, s.samples = or(s.queries, 5000), or(s.samples, 25)
	s.stepSize = or(s.stepSize, s.threat.Eps/10)
	return func(i int, x0, _ []T) trial[T] {
		t := &slope[T]{slopes: s, aim: r.aim(i, y), x0: x0, x: append([]T(nil), x0...), rng: rand.New(rand.NewPCG(s.seed, r.id(i))),
			direction: make([]float64, len(x0)), sum: make([]float64, len(x0)), g: make([]T, len(x0)), asked: make([]T, len(x0))}
		t.next()
		return t
	}
}

// slope is the attack on one input. It asks about both ends of each direction, and
// then about the point where the step has led.
type slope[T float] struct {
	slopes
	aim aim
	rng *rand.Rand

	x0, x, asked   []T
	direction, sum []float64
	g              []T
	k              int // questions of the estimate, two for each direction
	heard          int // questions in all
	plus           float64

	point []T
	label int
}

// next sets asked to the point of the next question.
func (t *slope[T]) next() {
	copy(t.asked, t.x)
	if t.k == 2*t.samples {
		return
	}
	sign := -1.0
	if t.k%2 == 0 {
		sign = 1
		for j := range t.direction {
			t.direction[j] = t.draw(t.rng)
		}
	}
	lo, hi := t.threat.box()
	for j, d := range t.direction {
		t.asked[j] = T(min(hi, max(lo, float64(t.x[j])+sign*t.width*d)))
	}
}

func (t *slope[T]) ask(x []T) int {
	copy(x, t.asked)
	return 0
}

func (t *slope[T]) found() ([]T, int) { return t.point, t.label }

func (t *slope[T]) answer(z []T, _ float64, _ []T) bool {
	// A probe may be a success too, if it lies in the ball.
	if c := argMax(z); t.aim.hit(c) && distance(t.threat.Norm, t.asked, t.x0) <= t.threat.Eps {
		t.point, t.label = t.asked, c
		return false
	}
	t.heard++
	short := shortfall(t.aim, z)
	switch {
	case t.k == 2*t.samples:
		t.k = -1
	case t.k%2 == 0:
		t.plus = short
	default:
		for j, d := range t.direction {
			t.sum[j] += (short - t.plus) * d
		}
	}
	if t.k++; t.k == 2*t.samples {
		for j, v := range t.sum {
			t.g[j], t.sum[j] = T(v), 0
		}
		step(t.threat, t.x, t.g, t.x0, t.stepSize)
	}
	if t.heard >= t.queries {
		return false
	}
	t.next()
	return true
}

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
	Targets    []int // a class to reach for each input; nil for any wrong one
	Seed       uint64
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "SimBA".
func (a *SimBA) Name() string { return "SimBA" }

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

func beginSimBA[T float](a *SimBA, r *relay, y []int) beginner[T] {
	change := or(a.StepSize, 0.2)
	if a.Threat.Norm == Linf {
		change = or(a.StepSize, a.Threat.Eps)
	}
	return func(i int, x0, z []T) trial[T] {
		t := &simba[T]{threat: a.Threat, aim: r.aim(i, y), x0: x0, x: append([]T(nil), x0...), asked: make([]T, len(x0)),
			rng: rand.New(rand.NewPCG(a.Seed, r.id(i))), queries: or(a.Queries, 5000), change: change}
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
		t.point, t.label = t.asked, c
		return false
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

package attack

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*APGD)(nil)

// APGD is Auto-PGD: projected gradient ascent with momentum whose step size
// halves when progress stalls, restarting from the best point. It has no step
// size to choose. Under L1 it makes sparse steps in balls that shrink from
// 3 Eps to Eps.
//
// Croce and Hein, ICML 2020, Algorithm 1, and ICML 2021 ("Mind the box") for L1.
// Where paper and public implementation differ this follows the implementation,
// whose numbers are the ones compared in the literature, except that progress at
// the first checkpoint counts from the loss at the start.
type APGD struct {
	Threat Threat // Linf, L2 or L1
	// Steps is the number of gradient steps of a run; 0 means 100.
	Steps int
	// Restarts is the number of runs from random starts; 0 means 1. With
	// TargetClasses it is the number of runs for each target.
	Restarts int
	// Objective is what to climb; nil means CrossEntropy, or DLR with
	// TargetClasses.
	Objective Objective
	// TargetClasses is the number of target classes to try, one after the
	// other, from the one with the largest logit at the input on; 0 means no
	// targets. Any wrong answer is a success, not only the target. More than
	// there are wrong classes means all of them.
	TargetClasses int
	// Targets holds a class to reach for each input; only that is a success
	// then, and TargetClasses is 0. Nil means any wrong class.
	Targets []int
	// Rho is the share of steps that must raise the loss for the step size to
	// stay, 0 to 1; 0 means 0.75. Linf and L2 only.
	Rho float64
	// EOT is the number of gradients to average for each step, for models that
	// answer at random; 0 means 1.
	EOT int
	// PlainL1 leaves out the larger balls of the L1 version.
	PlainL1 bool
	// Seed selects the random starts.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 32.
	BatchSize int
	// OnProgress is called with the number of inputs done and the number in
	// all, nil for none. Calls do not overlap.
	OnProgress func(done, total int)

	ids []int // names of the inputs for random numbers
}

// Name returns "APGD-CE", "APGD-DLR" or, with targets, "APGD-T", when the
// objective is one of these.
func (a *APGD) Name() string {
	switch a.objective().(type) {
	case CrossEntropy:
		return "APGD-CE"
	case DLR:
		if a.TargetClasses > 0 {
			return "APGD-T"
		}
		return "APGD-DLR"
	}
	return "APGD"
}

// String describes all that matters for the outcome.
func (a *APGD) String() string {
	s := summary(a.Name(), a.Threat, "objective", a.objective(), "steps", or(a.Steps, 100), "restarts", max(1, a.Restarts))
	if a.TargetClasses > 0 {
		s += fmt.Sprintf(", target classes %d", a.TargetClasses)
	}
	if a.EOT > 1 {
		s += fmt.Sprintf(", mean of %d gradients", a.EOT)
	}
	if a.Threat.Norm == L1 && !a.PlainL1 {
		s += ", from larger balls"
	}
	return fmt.Sprintf("%s, rho %v, seed %d", s, or(a.Rho, 0.75), a.Seed) + targeted(a.Targets)
}

func (a *APGD) objective() Objective {
	switch {
	case a.Objective != nil:
		return a.Objective
	case a.TargetClasses > 0:
		return DLR{}
	}
	return CrossEntropy{}
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *APGD) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := a.check(m, x, y); err != nil {
		return Result{}, err
	}
	r := &relay{
		model: m, objective: a.objective(), targeted: a.TargetClasses > 0 || a.Targets != nil, goals: a.Targets, eot: a.EOT,
		batch: a.BatchSize, ids: a.ids, progress: a.OnProgress,
	}
	return runTrials(ctx, r, a.Threat, x, y, beginAPGD[float32](a, r, y), beginAPGD[float64](a, r, y))
}

func (a *APGD) check(m Model, x *tensor.Tensor, y []int) error {
	if err := checkInputs(m, x, y, a.Threat); err != nil {
		return err
	}
	if err := checkTargets(y, a.Targets); err != nil {
		return err
	}
	switch {
	case a.Targets != nil && a.TargetClasses > 0:
		return errors.New("attack: APGD: both Targets and TargetClasses, want one of them")
	case a.Threat.Norm == L0:
		return fmt.Errorf("attack: APGD under l0, want linf, l2 or l1")
	case a.Steps < 0:
		return fmt.Errorf("attack: APGD: %d steps, want 0 or more", a.Steps)
	case a.Restarts < 0:
		return fmt.Errorf("attack: APGD: %d restarts, want 0 or more", a.Restarts)
	case a.TargetClasses < 0:
		return fmt.Errorf("attack: APGD: %d target classes, want 0 or more", a.TargetClasses)
	case !(a.Rho >= 0 && a.Rho <= 1):
		return fmt.Errorf("attack: APGD: rho is %v, want 0 to 1", a.Rho)
	case a.EOT < 0:
		return fmt.Errorf("attack: APGD: %d gradients to average, want 0 or more", a.EOT)
	case a.BatchSize < 0:
		return fmt.Errorf("attack: APGD: batch size %d, want 0 or more", a.BatchSize)
	}
	return nil
}

// beginAPGD returns the maker of trials.
func beginAPGD[T float](a *APGD, r *relay, y []int) beginner[T] {
	return func(i int, x0, z []T) trial[T] {
		steps := a.Steps
		if steps == 0 {
			steps = 100
		}
		t := &apgd[T]{
			threat: a.Threat, aim: r.aim(i, y), x0: x0, rho: a.Rho,
			rng: rand.New(rand.NewPCG(a.Seed, r.id(i))),
		}
		if t.rho == 0 {
			t.rho = 0.75
		}
		targets := []int{t.aim.class()}
		if a.TargetClasses > 0 {
			targets = runnersUp(z, y[i], a.TargetClasses)
		}
		for _, c := range targets {
			for range max(1, a.Restarts) {
				t.plan = append(t.plan, c)
			}
		}
		t.stages = []stage{{a.Threat.Eps, steps}}
		if a.Threat.Norm == L1 && !a.PlainL1 {
			third := int(math.Ceil(0.3 * float64(steps)))
			t.stages = []stage{{3 * a.Threat.Eps, third}, {2 * a.Threat.Eps, third}, {a.Threat.Eps, steps - 2*third}}
		}
		t.startRun()
		return t
	}
}

// stage is a number of steps in a ball.
type stage struct {
	eps   float64
	steps int
}

// apgd is Auto-PGD on one input: runs, one for each entry of plan, of stages.
type apgd[T float] struct {
	threat Threat // with the stage's radius
	aim    aim
	x0     []T
	rho    float64
	rng    *rand.Rand
	plan   []int // target classes of the runs to come, the present one first
	stages []stage
	stage  int

	x, old, best []T // iterate, the one before, and the one of the largest loss
	g, bestG     []T
	momentum     []T // scratch of move
	step         float64
	i            int // steps made in the stage; -1 before the start's answer

	loss, bestLoss float64 // of the last answer and the largest
	sinceLoss      float64 // bestLoss at the last checkpoint
	ups            int     // answers since then that raised the loss
	counter, every int     // answers since the last checkpoint and until the next
	reduced        bool    // whether the step size fell at the last checkpoint

	sparsity float64 // L1: share of the coordinates that a step changes
	nonzero  float64 // L1: coordinates changed in best at the last checkpoint

	adversary []T
	label     int
}

func (t *apgd[T]) ask(x []T) int {
	copy(x, t.x)
	return t.plan[0]
}

func (t *apgd[T]) found() ([]T, int) { return t.adversary, t.label }

// startRun puts x at a random start: at distance Eps, by Croce and Hein's code.
func (t *apgd[T]) startRun() {
	d := len(t.x0)
	if t.x == nil {
		t.x, t.old, t.best, t.bestG = make([]T, d), make([]T, d), make([]T, d), make([]T, d)
	}
	t.stage = 0
	t.threat.Eps = t.stages[0].eps
	v := make([]float64, d)
	size := 0.0
	for i := range v {
		switch t.threat.Norm {
		case Linf:
			v[i] = 2*t.rng.Float64() - 1
			size = max(size, math.Abs(v[i]))
		case L2:
			v[i] = t.rng.NormFloat64()
			size += v[i] * v[i]
		case L1:
			v[i] = t.rng.NormFloat64()
		}
	}
	scale := 1.0
	switch t.threat.Norm {
	case Linf:
		scale = t.threat.Eps / (size + tiny)
	case L2:
		scale = t.threat.Eps / (math.Sqrt(size) + tiny)
	}
	for i, o := range t.x0 {
		t.x[i] = T(float64(o) + scale*v[i])
	}
	t.project(t.x)
	t.startStage()
}

// tiny keeps quotients finite where a length is 0.
const tiny = 1e-12

// startStage begins the steps of a stage at x.
func (t *apgd[T]) startStage() {
	n := t.stages[t.stage].steps
	t.i = -1
	t.counter, t.ups, t.reduced = 0, 0, true
	if t.threat.Norm == L1 {
		t.startSparse(n)
		return
	}
	t.step = 2 * t.threat.Eps
	t.every = max(1, int(0.22*float64(n)))
}

// answer hears the loss and gradient at x, and moves on.
func (t *apgd[T]) answer(z []T, loss float64, g []T) bool {
	if c := argMax(z); t.aim.hit(c) && t.stage == len(t.stages)-1 {
		t.adversary, t.label = t.x, c
		return false
	}
	if t.i < 0 {
		copy(t.old, t.x)
		t.bestLoss, t.sinceLoss = loss, loss
		t.keepBest(g)
	} else {
		t.counter++
		if loss > t.loss {
			t.ups++
		}
		if loss > t.bestLoss {
			t.bestLoss = loss
			t.keepBest(g)
		}
	}
	t.loss = loss
	t.i++
	t.g = g
	if t.counter == t.every {
		t.checkpoint()
	}
	if t.i == t.stages[t.stage].steps {
		return t.nextStage()
	}
	t.move()
	return true
}

func (t *apgd[T]) keepBest(g []T) {
	copy(t.best, t.x)
	copy(t.bestG, g)
}

// nextStage goes on to the next, smaller, ball from the best point, or to the
// next run.
func (t *apgd[T]) nextStage() bool {
	if t.stage++; t.stage < len(t.stages) {
		t.threat.Eps = t.stages[t.stage].eps
		copy(t.x, t.best)
		t.project(t.x)
		t.startStage()
		return true
	}
	if t.plan = t.plan[1:]; len(t.plan) == 0 {
		return false
	}
	t.startRun()
	return true
}

// checkpoint shortens the step when progress has stalled and goes back to the
// best point.
func (t *apgd[T]) checkpoint() {
	n := float64(t.stages[t.stage].steps)
	if t.threat.Norm == L1 {
		t.sparseCheckpoint()
	} else {
		// Conditions 1 and 2 of Croce and Hein, ICML 2020, section 3.2.
		oscillates := float64(t.ups) <= t.rho*float64(t.every)
		stuck := !t.reduced && t.sinceLoss >= t.bestLoss
		t.reduced = oscillates || stuck
		t.sinceLoss = t.bestLoss
		if t.reduced {
			t.step /= 2
			t.goToBest()
		}
		t.every = max(t.every-max(1, int(0.03*n)), max(1, int(0.06*n)))
	}
	t.counter, t.ups = 0, 0
}

func (t *apgd[T]) goToBest() {
	copy(t.x, t.best)
	t.g = t.bestG
}

// move makes one step along the gradient, with momentum but for L1.
func (t *apgd[T]) move() {
	if t.threat.Norm == L1 {
		t.sparseMove()
		return
	}
	keep := T(0.75)
	if t.i == 0 {
		keep = 1
	}
	if t.threat.Norm == Linf {
		t.signMove(keep)
		return
	}
	if t.momentum == nil {
		t.momentum = make([]T, len(t.x))
	}
	mom := t.momentum
	scale := T(t.step / (length(t.g) + tiny))
	for i, v := range t.x {
		mom[i] = v - t.old[i]
		t.old[i] = v
		t.x[i] = v + scale*t.g[i]
	}
	t.project(t.x)
	for i, u := range t.x {
		t.x[i] = t.old[i] + keep*(u-t.old[i]) + (1-keep)*mom[i]
	}
	t.project(t.x)
}

// signMove is move for Linf, in one pass.
func (t *apgd[T]) signMove(keep T) {
	a, b := t.threat.box()
	lo, hi, e, s := T(a), T(b), inner[T](t.threat), T(t.step)
	for i, v := range t.x {
		mom := v - t.old[i]
		t.old[i] = v
		from, to := max(lo, t.x0[i]-e), min(hi, t.x0[i]+e)
		u := v
		if g := t.g[i]; g > 0 {
			u += s
		} else if g < 0 {
			u -= s
		}
		u = min(to, max(from, u))
		t.x[i] = min(to, max(from, v+keep*(u-v)+(1-keep)*mom))
	}
}

// project puts x back into the ball and the box: for L2 first radially into the
// ball and then into the box, which is not the nearest point but what the public
// implementation does.
func (t *apgd[T]) project(x []T) {
	if t.threat.Norm != L2 {
		project(t.threat, x, t.x0)
		return
	}
	a, b := t.threat.box()
	lo, hi := T(a), T(b)
	n := distance(L2, x, t.x0)
	scale := T(1)
	if e := innerLength[T](t.threat, len(x)); n > e {
		scale = T(e / (n + tiny))
	}
	for i, o := range t.x0 {
		x[i] = min(hi, max(lo, o+scale*(x[i]-o)))
	}
}

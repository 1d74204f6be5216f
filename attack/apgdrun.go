package attack

import (
	"math"
	"math/rand/v2"
)

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
	paper  bool // checkpoints of the paper
	// compat counts the first step as a rise if the loss is above 0, and always
	// where the public implementation's form of the loss is positive.
	compat, positive bool
	persist          bool // a success does not end a run
	rng              *rand.Rand
	plan             []int // target classes of the runs to come, the present one first
	stages           []stage
	stage            int

	x, old, best []T // iterate, the one before, and the one of the largest loss
	g, bestG     []T
	momentum     []T // scratch of move
	step         float64
	i            int // steps made in the stage; -1 before the start's answer

	loss, bestLoss float64 // of the last answer and the largest
	sinceLoss      float64 // bestLoss at the last checkpoint
	ups            int     // answers since then that raised the loss
	counter, every int     // answers since the last checkpoint and until the next
	share, last    float64 // paper: shares of the steps at the next checkpoint and the one before
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
	if t.paper {
		t.share, t.last = 0.22, 0
		t.every = stepsTo(t.share, n)
	}
}

// stepsTo is ceil(share n), but for what rounding adds to a whole number.
func stepsTo(share float64, n int) int { return int(math.Ceil(share*float64(n) - 1e-9)) }

// untilNext is the number of steps from one checkpoint to the next in a stage of n.
func (t *apgd[T]) untilNext(n int) int {
	if !t.paper {
		return max(t.every-max(1, int(0.03*float64(n))), max(1, int(0.06*float64(n))))
	}
	now := stepsTo(t.share, n)
	for stepsTo(t.share, n) == now {
		t.share, t.last = t.share+max(t.share-t.last-0.03, 0.06), t.share
	}
	return stepsTo(t.share, n) - now
}

// answer hears the loss and gradient at x, and moves on.
func (t *apgd[T]) answer(z []T, loss float64, g []T) bool {
	if c := argMax(z); t.aim.hit(c) && t.stage == len(t.stages)-1 {
		t.adversary, t.label = append(t.adversary[:0], t.x...), c
		if !t.persist {
			return false
		}
	}
	if t.i < 0 {
		copy(t.old, t.x)
		t.bestLoss, t.sinceLoss = loss, loss
		t.keepBest(g)
	} else {
		t.counter++
		rise := loss > t.loss
		if t.compat && t.i == 0 {
			rise = t.positive || loss > 0
		}
		if rise {
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
	if t.plan = t.plan[1:]; len(t.plan) == 0 || t.adversary != nil {
		return false
	}
	t.startRun()
	return true
}

// checkpoint shortens the step when progress has stalled and goes back to the
// best point.
func (t *apgd[T]) checkpoint() {
	if t.threat.Norm == L1 {
		t.sparseCheckpoint()
	} else {
		// Conditions 1 and 2 of Croce and Hein, ICML 2020, section 3.2.
		limit := t.rho * float64(t.every)
		oscillates := float64(t.ups) < limit || !t.paper && float64(t.ups) == limit
		stuck := !t.reduced && t.sinceLoss >= t.bestLoss
		t.reduced = oscillates || stuck
		t.sinceLoss = t.bestLoss
		if t.reduced {
			t.step /= 2
			t.goToBest()
		}
		t.every = t.untilNext(t.stages[t.stage].steps)
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

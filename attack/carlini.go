package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var (
	_ Attack = (*CarliniWagner)(nil)
	_ Attack = (*EAD)(nil)
)

// search is the search for the weight c of the misclassification term that both
// attacks below make: after a success c falls, after a failure it rises.
//
// Carlini and Wagner, S&P 2017, section V.
type search struct {
	c, lo, hi float64
	left      int // searches to come, with the present one
}

func newSearch(first float64, n int) search { return search{c: first, hi: math.Inf(1), left: n} }

// next chooses c for the next search and says whether there is one.
func (s *search) next(success bool) bool {
	if success {
		s.hi = min(s.hi, s.c)
		s.c = (s.lo + s.hi) / 2
	} else {
		s.lo = max(s.lo, s.c)
		if math.IsInf(s.hi, 1) {
			s.c *= 10
		} else {
			s.c = (s.lo + s.hi) / 2
		}
	}
	s.left--
	return s.left > 0
}

// CarliniWagner looks for the smallest perturbation in L2 by minimising
//
//	‖x' - x‖² + c max(z_y - max_{j≠y} z_j + Confidence, 0)
//
// with Adam over u where x' = (tanh(u)+1)/2, scaled to the box, and a search for c.
//
// Carlini and Wagner, S&P 2017, section V.D.
type CarliniWagner struct {
	// Threat is under L2; points farther than Eps count as no success.
	Threat Threat
	// Confidence is the lead in logits that a success must have; 0 is allowed.
	Confidence float64
	// Steps is the number of steps of a search; 0 means 1000. A search ends
	// early when a tenth of them brings no progress.
	Steps int
	// Searches is the number of values of c; 0 means 9.
	Searches int
	// C is the first value of c; 0 means 1e-3.
	C float64
	// LearningRate is that of Adam; 0 means 0.01.
	LearningRate float64
	Targets      []int                 // a class to reach for each input; nil for any wrong one
	BatchSize    int                   // inputs in a forward pass; 0 means 32
	OnProgress   func(done, total int) // as in PGD
}

// Name returns "C&W".
func (a *CarliniWagner) Name() string { return "C&W" }

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *CarliniWagner) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L2 {
		return Result{}, fmt.Errorf("attack: C&W under %v, want l2", a.Threat.Norm)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "C&W", setting{"confidence", a.Confidence, 0}, setting{"steps", float64(a.Steps), 0},
		setting{"searches", float64(a.Searches), 0}, setting{"c", a.C, 0}, setting{"learning rate", a.LearningRate, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: Margin{}, targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginCW[float32](a, r, y), beginCW[float64](a, r, y))
}

func beginCW[T float](a *CarliniWagner, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		t := &carlini[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, aim: r.aim(i, y), search: newSearch(or(a.C, 1e-3), or(a.Searches, 9)),
			confidence: a.Confidence, steps: or(a.Steps, 1000), rate: or(a.LearningRate, 0.01),
			u0: make([]float64, len(x0)), u: make([]float64, len(x0)), m: make([]float64, len(x0)), v: make([]float64, len(x0)),
			x: make([]T, len(x0)),
		}
		t.lo, t.hi = a.Threat.box()
		for j, v := range x0 {
			t.u0[j] = math.Atanh((2*(float64(v)-t.lo)/(t.hi-t.lo) - 1) * 0.999999)
		}
		t.start()
		return t
	}
}

// carlini is the attack on one input.
type carlini[T float] struct {
	catch[T]
	search
	aim        aim
	confidence float64
	steps      int
	rate       float64
	lo, hi     float64

	u0, u, m, v []float64
	x           []T
	i           int     // steps made in the search
	succeeded   bool    // in the search
	last        float64 // loss at the last tenth
}

// start begins a search at the input.
func (t *carlini[T]) start() {
	copy(t.u, t.u0)
	clear(t.m)
	clear(t.v)
	t.i, t.succeeded, t.last = 0, false, math.Inf(1)
	t.place()
}

func (t *carlini[T]) place() {
	for j, u := range t.u {
		t.x[j] = T(min(t.hi, max(t.lo, t.lo+(math.Tanh(u)+1)/2*(t.hi-t.lo))))
	}
}

func (t *carlini[T]) ask(x []T) int {
	copy(x, t.x)
	return t.aim.class()
}

// Constants of Adam.
const beta1, beta2, adamEps = 0.9, 0.999, 1e-8

func (t *carlini[T]) answer(z []T, _ float64, g []T) bool {
	short := shortfall(t.aim, z)
	if c := argMax(z); t.aim.hit(c) && short <= -t.confidence {
		t.succeeded = true
		t.offer(t.x, c)
	}
	far := distance(L2, t.x, t.x0)
	loss := far*far + t.c*max(short+t.confidence, 0)
	if t.i%max(1, t.steps/10) == 0 {
		if loss > 0.9999*t.last {
			t.i = t.steps
		}
		t.last = loss
	}
	if t.i++; t.i > t.steps {
		more := t.next(t.succeeded)
		if more {
			t.start()
		}
		return more
	}
	// The objective is the margin, which falls by its gradient g where the
	// misclassification term rises.
	active := 0.0
	if short+t.confidence > 0 {
		active = t.c
	}
	c1, c2 := 1-math.Pow(beta1, float64(t.i)), 1-math.Pow(beta2, float64(t.i))
	for j, u := range t.u {
		th := math.Tanh(u)
		d := (2*(float64(t.x[j])-float64(t.x0[j])) - active*float64(g[j])) * (1 - th*th) / 2 * (t.hi - t.lo)
		t.m[j] = beta1*t.m[j] + (1-beta1)*d
		t.v[j] = beta2*t.v[j] + (1-beta2)*d*d
		t.u[j] -= t.rate * (t.m[j] / c1) / (math.Sqrt(t.v[j]/c2) + adamEps)
	}
	t.place()
	return true
}

// EAD looks for the smallest perturbation in L1, or in the elastic net of L1 and
// L2, by minimising
//
//	c max(z_y - max_{j≠y} z_j + Confidence, 0) + ‖x' - x‖² + Beta ‖x' - x‖₁
//
// with the fast iterative shrinkage-thresholding algorithm and the search for c of
// Carlini and Wagner.
//
// Chen et al., AAAI 2018, Algorithm 1.
type EAD struct {
	// Threat is under L1 or L2, the norm that successes are compared by; points
	// farther than Eps count as none.
	Threat     Threat
	Confidence float64 // lead in logits that a success must have; 0 is allowed
	// Beta is the weight of the L1 norm; 0 means 1e-3.
	Beta float64
	// Steps is the number of steps of a search; 0 means 1000.
	Steps int
	// Searches is the number of values of c; 0 means 9.
	Searches int
	// C is the first value of c; 0 means 1e-3.
	C float64
	// LearningRate is the first step size; 0 means 0.01. It falls with the
	// square root of the steps left.
	LearningRate float64
	Targets      []int                 // a class to reach for each input; nil for any wrong one
	BatchSize    int                   // inputs in a forward pass; 0 means 32
	OnProgress   func(done, total int) // as in PGD
}

// Name returns "EAD".
func (a *EAD) Name() string { return "EAD" }

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *EAD) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L1 && a.Threat.Norm != L2 {
		return Result{}, fmt.Errorf("attack: EAD under %v, want l1 or l2", a.Threat.Norm)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "EAD", setting{"confidence", a.Confidence, 0}, setting{"beta", a.Beta, 0}, setting{"steps", float64(a.Steps), 0},
		setting{"searches", float64(a.Searches), 0}, setting{"c", a.C, 0}, setting{"learning rate", a.LearningRate, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: Margin{}, targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginEAD[float32](a, r, y), beginEAD[float64](a, r, y))
}

func beginEAD[T float](a *EAD, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		t := &elastic[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, aim: r.aim(i, y), search: newSearch(or(a.C, 1e-3), or(a.Searches, 9)),
			confidence: a.Confidence, beta: or(a.Beta, 1e-3), steps: or(a.Steps, 1000), rate: or(a.LearningRate, 0.01),
			x: make([]T, len(x0)), y: make([]T, len(x0)),
		}
		t.start()
		return t
	}
}

// elastic is the attack on one input. It asks about y, where the gradient is taken,
// and so judges the points of the slack sequence.
type elastic[T float] struct {
	catch[T]
	search
	aim        aim
	confidence float64
	beta       float64
	steps      int
	rate       float64

	x, y      []T
	i         int
	succeeded bool
}

func (t *elastic[T]) start() {
	copy(t.x, t.x0)
	copy(t.y, t.x0)
	t.i, t.succeeded = 0, false
}

func (t *elastic[T]) ask(x []T) int {
	copy(x, t.y)
	return t.aim.class()
}

func (t *elastic[T]) answer(z []T, _ float64, g []T) bool {
	short := shortfall(t.aim, z)
	if c := argMax(z); t.aim.hit(c) && short <= -t.confidence {
		t.succeeded = true
		t.offer(t.y, c)
	}
	if t.i == t.steps {
		more := t.next(t.succeeded)
		if more {
			t.start()
		}
		return more
	}
	active := 0.0
	if short+t.confidence > 0 {
		active = t.c
	}
	lo, hi := t.threat.box()
	rate := t.rate * math.Sqrt(1-float64(t.i)/float64(t.steps))
	weight := float64(t.i) / float64(t.i+3)
	for j, y := range t.y {
		o := float64(t.x0[j])
		v := float64(y) - rate*(2*(float64(y)-o)-active*float64(g[j]))
		// Shrinkage: changes of at most beta are undone, others come nearer by
		// it.
		switch {
		case v-o > t.beta:
			v = min(v-t.beta, hi)
		case v-o < -t.beta:
			v = max(v+t.beta, lo)
		default:
			v = o
		}
		t.y[j] = T(min(hi, max(lo, v+weight*(v-float64(t.x[j])))))
		t.x[j] = T(v)
	}
	t.i++
	return true
}

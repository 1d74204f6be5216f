package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*CarliniWagner)(nil)

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
	// LR is that of Adam; 0 means 0.01.
	LR         float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "C&W".
func (a *CarliniWagner) Name() string { return "C&W" }

// String describes all that matters for the outcome.
func (a *CarliniWagner) String() string {
	return summary(a.Name(), a.Threat, "steps", or(a.Steps, 1000), "searches", or(a.Searches, 9), "c", or(a.C, 1e-3), "learning rate", or(a.LR, 0.01), "confidence", a.Confidence) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *CarliniWagner) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L2 {
		return Result{}, fmt.Errorf("attack: C&W under %v, want l2", a.Threat.Norm)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "C&W", setting{"confidence", a.Confidence, 0}, setting{"steps", float64(a.Steps), 0},
		setting{"searches", float64(a.Searches), 0}, setting{"c", a.C, 0}, setting{"learning rate", a.LR, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: Margin{}, targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginCW[float32](a, r, y), beginCW[float64](a, r, y))
}

func beginCW[T float](a *CarliniWagner, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		t := &carlini[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, aim: r.aim(i, y), search: newSearch(or(a.C, 1e-3), or(a.Searches, 9)),
			confidence: a.Confidence, steps: or(a.Steps, 1000), rate: or(a.LR, 0.01),
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

package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

var (
	_ Attack = (*DeepFool)(nil)
	_ Attack = (*FMN)(nil)
	_ Attack = (*DDN)(nil)
)

// checkAll checks what Run of most attacks is given.
func checkAll(m Model, x *tensor.Tensor, y []int, th Threat, targets []int, name string, settings ...setting) error {
	if err := checkInputs(m, x, y, th); err != nil {
		return err
	}
	if err := checkTargets(y, targets); err != nil {
		return err
	}
	return checkSettings(name, settings...)
}

// dual is the norm that the gradient is measured in when perturbations are measured
// in n.
func dual(n Norm) Norm {
	switch n {
	case Linf:
		return L1
	case L1:
		return Linf
	}
	return n
}

// DeepFool steps to the nearest boundary of the linearised model, again and again,
// until the answer changes.
//
// Moosavi-Dezfooli, Fawzi and Frossard, CVPR 2016, Algorithm 2 and section 3.3 for
// other norms.
type DeepFool struct {
	// Threat is under Linf, L2 or L1; a result farther than Eps counts as no
	// success.
	Threat Threat
	// Steps is the largest number of steps; 0 means 50.
	Steps int
	// Overshoot is how far beyond the boundary to go, as a share of the whole
	// perturbation; 0 means 0.02.
	Overshoot float64
	// Classes is the number of wrong classes to consider, those of the largest
	// logits at the input; 0 means 9.
	Classes    int
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "DeepFool".
func (a *DeepFool) Name() string { return "DeepFool" }

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the sizes of
// the perturbations.
func (a *DeepFool) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm == L0 {
		return Result{}, fmt.Errorf("attack: DeepFool under l0, want linf, l2 or l1")
	}
	if err := checkAll(m, x, y, a.Threat, nil, "DeepFool", setting{"steps", float64(a.Steps), 0}, setting{"overshoot", a.Overshoot, 0},
		setting{"classes", float64(a.Classes), 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, objective: difference{}, targeted: true, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginDeepFool[float32](a, y), beginDeepFool[float64](a, y))
}

func beginDeepFool[T float](a *DeepFool, y []int) beginner[T] {
	return func(i int, x0, z []T) trial[T] {
		return &deepFool[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, y: y[i], rivals: runnersUp(z, y[i], or(a.Classes, 9)),
			steps: or(a.Steps, 50), overshoot: or(a.Overshoot, 0.02),
			x: append([]T(nil), x0...), total: make([]float64, len(x0)), best: make([]T, len(x0)),
		}
	}
}

// deepFool is the attack on one input. It asks about the same point once for each
// rival class.
type deepFool[T float] struct {
	catch[T]
	y         int
	rivals    []int
	steps     int
	overshoot float64

	x       []T
	total   []float64 // perturbation without overshoot
	k, i    int       // rivals heard at x, steps made
	nearest float64   // distance of the nearest boundary so far
	lead    float64   // of its class
	best    []T       // gradient of its lead
}

func (t *deepFool[T]) ask(x []T) int {
	copy(x, t.x)
	return t.rivals[t.k]
}

func (t *deepFool[T]) answer(z []T, lead float64, g []T) bool {
	if c := argMax(z); c != t.y {
		t.offer(t.x, c)
		return false
	}
	if t.k == 0 {
		t.nearest = math.Inf(1)
	}
	if n := size(dual(t.threat.Norm), g); n > 0 && math.Abs(lead)/n < t.nearest {
		t.nearest, t.lead = math.Abs(lead)/n, lead
		copy(t.best, g)
	}
	if t.k++; t.k < len(t.rivals) {
		return true
	}
	t.k = 0
	if t.i++; t.i > t.steps || math.IsInf(t.nearest, 1) {
		return false
	}
	t.step()
	return true
}

// step adds the smallest move onto the nearest boundary.
func (t *deepFool[T]) step() {
	need := math.Abs(t.lead)
	lo, hi := t.threat.box()
	switch t.threat.Norm {
	case Linf:
		n := size(L1, t.best)
		for j, v := range t.best {
			switch {
			case v > 0:
				t.total[j] += need / n
			case v < 0:
				t.total[j] -= need / n
			}
		}
	case L2:
		n := size(L2, t.best)
		for j, v := range t.best {
			t.total[j] += need / n * (float64(v) / n)
		}
	case L1:
		most, slope := -1, 0.0
		for j, v := range t.best {
			room := v > 0 && float64(t.x[j]) < hi || v < 0 && float64(t.x[j]) > lo
			if a := math.Abs(float64(v)); room && a > slope {
				most, slope = j, a
			}
		}
		if most >= 0 {
			t.total[most] += need / float64(t.best[most])
		}
	}
	for j, o := range t.x0 {
		t.x[j] = T(min(hi, max(lo, float64(o)+(1+t.overshoot)*t.total[j])))
	}
}

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
			radius: or(a.Radius, 1), gamma: or(a.Gamma, 0.05), x: append([]T(nil), x0...), delta: make([]float64, len(x0)),
		}
	}
}

// ddn is the attack on one input.
type ddn[T float] struct {
	catch[T]
	aim           aim
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
	alpha := anneal(1, 0.01, t.i, t.steps)
	if n := size(L2, g); n > 0 {
		for j, v := range g {
			t.delta[j] += alpha * float64(v) / n
		}
	}
	n := size(L2, t.delta)
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

// FMN looks for the smallest perturbation in Linf, L2 or L1 by steps along the
// gradient of the margin, projected onto a ball whose radius jumps to the estimated
// boundary and then closes in on it.
//
// Pintor et al., NeurIPS 2021, Algorithm 1.
type FMN struct {
	// Threat is under Linf, L2 or L1; points farther than Eps count as no
	// success.
	Threat Threat
	// Steps is the number of steps; 0 means 100.
	Steps int
	// StepSize is the first length of a step, in L2; 0 means 1. It falls to a
	// hundredth along a cosine.
	StepSize float64
	// Gamma is the first relative change of the radius in a step, below 1; 0
	// means 0.05. It falls to 1e-3 along a cosine.
	Gamma      float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "FMN".
func (a *FMN) Name() string { return "FMN" }

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
			catch: catch[T]{threat: a.Threat, x0: x0}, aim: r.aim(i, y), steps: or(a.Steps, 100),
			alpha: or(a.StepSize, 1), gamma: or(a.Gamma, 0.05), radius: math.Inf(1), x: append([]T(nil), x0...),
		}
	}
}

// fmn is the attack on one input.
type fmn[T float] struct {
	catch[T]
	aim          aim
	steps, i     int
	alpha, gamma float64
	radius       float64
	succeeded    bool
	closest      float64 // smallest success, whatever Eps
	x            []T
}

func (t *fmn[T]) ask(x []T) int {
	copy(x, t.x)
	return t.aim.class()
}

func (t *fmn[T]) answer(z []T, _ float64, g []T) bool {
	norm := t.threat.Norm
	far := distance(norm, t.x, t.x0)
	gamma := anneal(t.gamma, 1e-3, t.i, t.steps)
	if c := argMax(z); t.aim.hit(c) {
		t.offer(t.x, c)
		if !t.succeeded || far < t.closest {
			t.closest = far
		}
		t.succeeded = true
		t.radius = min(t.radius*(1-gamma), t.closest)
	} else if t.succeeded {
		t.radius *= 1 + gamma
	} else if n := size(dual(norm), g); n > 0 {
		// A little beyond the estimate, which is exact for linear models: the
		// boundary itself is no success.
		t.radius = (far + max(0, shortfall(t.aim, z))/n) * 1.001
	}
	if t.i == t.steps {
		return false
	}
	add(t.x, g, anneal(t.alpha, t.alpha/100, t.i, t.steps), size(L2, g))
	ball := t.threat
	ball.Eps = min(t.radius, math.MaxFloat64)
	project(ball, t.x, t.x0)
	t.i++
	return true
}

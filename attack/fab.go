package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*FAB)(nil)

// FAB is the fast adaptive boundary attack: it looks for the nearest point that the
// model gets wrong by projecting onto the linearised boundary between the true class
// and another one, both from the iterate and from the input, and steps between the
// two. It needs no step size and does not change when the logits are scaled. In its
// targeted form, FAB-T, the other class stays the same for a run; in the untargeted
// one it is at each step the one whose linearised boundary is nearest, which takes a
// gradient for every wrong class.
//
// Croce and Hein, ICML 2020 ("Minimally distorted adversarial examples with a
// fast adaptive boundary attack"), Algorithm 1; the targeted form is that of the
// public implementation. The paper's final line search is left out, as it is
// there.
type FAB struct {
	Threat Threat // Linf, L2 or L1
	// Steps is the number of steps of a run; 0 means 100.
	Steps int
	// Restarts is the number of runs, for each target if there are targets, the
	// first from the input and others from a random point at half of Eps; 0
	// means 1.
	Restarts int
	// TargetClasses is the number of target classes to try, from the one with
	// the largest logit at the input on; 0 means 9. Any wrong answer is a
	// success. More than there are wrong classes means all of them.
	TargetClasses int
	// Untargeted chooses the class at each step; TargetClasses is 0 then.
	Untargeted bool
	// AlphaMax is the largest weight of the input in a step, 0 to 1; 0 means
	// 0.1.
	AlphaMax float64
	// Eta is the overshoot over the boundary, at least 1; 0 means 1.05.
	Eta float64
	// Beta is the share of the way back from the input to an adversary, 0 to 1;
	// 0 means 0.9.
	Beta float64
	// Minimize goes on after the first success to find the nearest one; then
	// Result.Distance holds the smallest perturbations found, of at most Eps.
	Minimize bool
	// Seed selects the random starts.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 32.
	BatchSize int
	// OnProgress is called with the number of inputs done and the number in
	// all, nil for none. Calls do not overlap.
	OnProgress func(done, total int)

	ids []int // names of the inputs for random numbers
}

// Name returns "FAB-T", or "FAB" for the untargeted form.
func (f *FAB) Name() string {
	if f.Untargeted {
		return "FAB"
	}
	return "FAB-T"
}

// String describes all that matters for the outcome.
func (f *FAB) String() string {
	s := summary(f.Name(), f.Threat, "steps", or(f.Steps, 100), "restarts", max(1, f.Restarts))
	if !f.Untargeted {
		s += fmt.Sprintf(", target classes %d", or(f.TargetClasses, 9))
	}
	if f.Minimize {
		s += ", to the nearest success"
	}
	return fmt.Sprintf("%s, alpha at most %v, eta %v, beta %v, seed %d", s, or(f.AlphaMax, 0.1), or(f.Eta, 1.05), or(f.Beta, 0.9), f.Seed)
}

// difference is the lead of the target over the true class, z_t - z_y.
type difference struct{}

func (difference) Values(logits *tensor.Tensor, rows Rows) *tensor.Tensor {
	return tensor.Sub(tensor.Pick(logits, rows.Target), tensor.Pick(logits, rows.Y))
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (f *FAB) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := f.check(m, x, y); err != nil {
		return Result{}, err
	}
	r := &relay{
		model: m, objective: difference{}, targeted: true,
		batch: f.BatchSize, ids: f.ids, progress: f.OnProgress,
	}
	return runTrials(ctx, r, f.Threat, x, y, beginFAB[float32](f, r, y), beginFAB[float64](f, r, y))
}

func (f *FAB) check(m Model, x *tensor.Tensor, y []int) error {
	if err := checkBall(m, x, y, f.Threat); err != nil {
		return err
	}
	switch {
	case f.Untargeted && f.TargetClasses > 0:
		return fmt.Errorf("attack: FAB: %d target classes for the untargeted form, want none", f.TargetClasses)
	case f.Threat.Norm == L0:
		return fmt.Errorf("attack: FAB under l0, want linf, l2 or l1")
	case f.Steps < 0 || f.Restarts < 0 || f.TargetClasses < 0 || f.BatchSize < 0:
		return fmt.Errorf("attack: FAB: %d steps, %d restarts, %d target classes, batch size %d, want 0 or more of each", f.Steps, f.Restarts, f.TargetClasses, f.BatchSize)
	case !(f.AlphaMax >= 0 && f.AlphaMax <= 1) || !(f.Beta >= 0 && f.Beta <= 1):
		return fmt.Errorf("attack: FAB: alpha at most %v and beta %v, want 0 to 1", f.AlphaMax, f.Beta)
	case !(f.Eta == 0 || f.Eta >= 1) || math.IsInf(f.Eta, 0):
		return fmt.Errorf("attack: FAB: eta is %v, want 1 or more", f.Eta)
	}
	return nil
}

func beginFAB[T float](f *FAB, r *relay, y []int) beginner[T] {
	return func(i int, x0, z []T) trial[T] {
		lo, hi := f.Threat.box()
		t := &fab[T]{
			plane: hyperplane[T]{norm: f.Threat.Norm, lo: lo, hi: hi},
			y:     y[i], steps: or(f.Steps, 100),
			alphaMax: or(f.AlphaMax, 0.1), eta: or(f.Eta, 1.05), beta: or(f.Beta, 0.9), minimize: f.Minimize,
			rng: rand.New(rand.NewPCG(f.Seed, r.id(i))), catch: catch[T]{threat: f.Threat, x0: x0},
			x: make([]T, len(x0)), d1: make([]T, len(x0)), d2: make([]T, len(x0)),
		}
		if f.Untargeted {
			for c := range z {
				if c != y[i] {
					t.rivals = append(t.rivals, c)
				}
			}
			t.nearest = make([]T, len(x0))
		}
		for restart := range max(1, f.Restarts) {
			if f.Untargeted {
				t.plan = append(t.plan, fabRun{random: restart > 0})
				continue
			}
			for _, c := range runnersUp(z, y[i], or(f.TargetClasses, 9)) {
				t.plan = append(t.plan, fabRun{c, restart > 0})
			}
		}
		t.startRun()
		return t
	}
}

// fabRun is one run, towards a target if the attack has targets.
type fabRun struct {
	target int
	random bool // from a random start
}

// fab is the attack on one input.
type fab[T float] struct {
	catch[T]
	y                   int
	steps               int
	alphaMax, eta, beta float64
	minimize            bool
	rng                 *rand.Rand
	plan                []fabRun // runs to come, the present one first

	plane     hyperplane[T]
	x, d1, d2 []T
	i         int  // steps made in the run
	stepped   bool // x is where a step has led, and not a start or pulled back

	// Without a target all wrong classes are asked about at x, one by one.
	rivals  []int
	heard   int     // of them
	lead    float64 // of the class whose boundary is the nearest so far
	far     float64 // its distance
	nearest []T     // the gradient of its lead
}

func (t *fab[T]) ask(x []T) int {
	copy(x, t.x)
	if t.rivals != nil {
		return t.rivals[t.heard]
	}
	return t.plan[0].target
}

func (t *fab[T]) startRun() {
	copy(t.x, t.x0)
	t.i, t.stepped, t.heard = 0, false, 0
	if !t.plan[0].random {
		return
	}
	half := t.threat
	if t.point != nil {
		half.Eps = min(half.Eps, t.distance)
	}
	half.Eps /= 2
	v := make([]float64, len(t.x0))
	size := 0.0
	for i := range v {
		if t.threat.Norm == Linf {
			v[i] = 2*t.rng.Float64() - 1
		} else {
			v[i] = t.rng.NormFloat64()
		}
		switch t.threat.Norm {
		case Linf:
			size = max(size, math.Abs(v[i]))
		case L2:
			size += v[i] * v[i]
		case L1:
			size += math.Abs(v[i])
		}
	}
	if t.threat.Norm == L2 {
		size = math.Sqrt(size)
	}
	for i, o := range t.x0 {
		t.x[i] = T(float64(o) + half.Eps*v[i]/(size+tiny))
	}
	project(half, t.x, t.x0)
}

func (t *fab[T]) answer(z []T, lead float64, g []T) bool {
	if t.stepped && t.heard == 0 {
		if c := argMax(z); c != t.y {
			if t.offer(t.x, c); t.point != nil && !t.minimize {
				return false
			}
			t.i++
			if t.i >= t.steps {
				return t.nextRun()
			}
			// Back towards the input, to look at the boundary from there.
			for i, o := range t.x0 {
				t.x[i] = T((1-t.beta)*float64(o) + t.beta*float64(t.x[i]))
			}
			t.stepped = false
			return true
		}
		t.i++
	}
	if t.i >= t.steps {
		return t.nextRun()
	}
	if t.rivals != nil {
		if t.hear(lead, g); t.heard > 0 {
			return true
		}
		lead, g = t.lead, t.nearest
	}
	t.step(lead, g)
	t.stepped = true
	return true
}

// hear keeps the lead of a rival if its boundary is the nearest so far. After the
// last one heard is 0 again.
func (t *fab[T]) hear(lead float64, g []T) {
	if far := math.Abs(lead) / (tiny + size(dual(t.threat.Norm), g)); t.heard == 0 || far < t.far {
		t.far, t.lead = far, lead
		copy(t.nearest, g)
	}
	t.heard = (t.heard + 1) % len(t.rivals)
}

func (t *fab[T]) nextRun() bool {
	if t.plan = t.plan[1:]; len(t.plan) == 0 {
		return false
	}
	t.startRun()
	return true
}

// shortest keeps the weights of a step finite.
const shortest = 1e-8

// step moves x to between the projections of x and of the input onto the
// linearised boundary { u : lead + <g, u - x> = 0 }.
func (t *fab[T]) step(lead float64, g []T) {
	lo, hi := t.plane.lo, t.plane.hi
	b := -lead
	for i, v := range g {
		b += float64(v) * float64(t.x[i])
	}
	t.plane.project(t.d1, t.x, g, b)
	t.plane.project(t.d2, t.x0, g, b)
	n1, n2 := max(shortest, size(t.threat.Norm, t.d1)), max(shortest, size(t.threat.Norm, t.d2))
	alpha := min(n1/(n1+n2), t.alphaMax)
	for i, v := range t.x {
		u := (1-alpha)*(float64(v)+t.eta*float64(t.d1[i])) + alpha*(float64(t.x0[i])+t.eta*float64(t.d2[i]))
		t.x[i] = T(min(hi, max(lo, u)))
	}
}

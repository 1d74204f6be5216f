package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*RFGSM)(nil)

// RFGSM is FGSM after a random step, which leaves the spot where a model may hide
// its gradients: x' = x + α sign(N(0, I)), and then a step of size Eps-α along the
// gradient at x'. In norms other than Linf both are steepest-ascent steps of the
// norm, the first along a Gaussian vector; under L0, where Eps counts values, they share a
// step of PGD's size as Alpha and Eps-Alpha share Eps.
//
// Tramèr et al., ICLR 2018, Eq. (7).
type RFGSM struct {
	Threat Threat
	// Alpha is the size of the random step, up to Eps; 0 means Eps/2.
	Alpha      float64
	Seed       uint64                // of the random step
	Objective  Objective             // what to climb; nil means CrossEntropy
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "R+FGSM".
func (a *RFGSM) Name() string { return "R+FGSM" }

// String describes all that matters for the outcome.
func (a *RFGSM) String() string {
	return summary(a.Name(), a.Threat, "objective", orCrossEntropy(a.Objective), "alpha", or(a.Alpha, a.Threat.Eps/2), "seed", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *RFGSM) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := checkAll(m, x, y, a.Threat, a.Targets, "R+FGSM", setting{"alpha", a.Alpha, 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	if a.Alpha > a.Threat.Eps {
		return Result{}, fmt.Errorf("attack: R+FGSM: alpha is %v, want at most eps, %v", a.Alpha, a.Threat.Eps)
	}
	r := &relay{model: m, objective: orCrossEntropy(a.Objective), targeted: a.Targets != nil, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginRFGSM[float32](a, r, y), beginRFGSM[float64](a, r, y))
}

func beginRFGSM[T float](a *RFGSM, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		alpha, whole := or(a.Alpha, a.Threat.Eps/2), a.Threat.stride(len(x0))
		if a.Threat.Norm == L0 {
			alpha *= whole / a.Threat.Eps
		}
		x, v := append([]T(nil), x0...), make([]T, len(x0))
		rng := rand.New(rand.NewPCG(a.Seed, r.id(i)))
		for j := range v {
			v[j] = T(rng.NormFloat64())
		}
		step(a.Threat, x, v, x0, alpha)
		return &walk[T]{aim: r.aim(i, y), x: x, steps: 1, all: r.chance, move: func(x, g []T) { step(a.Threat, x, g, x0, whole-alpha) }}
	}
}

package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*NES)(nil)

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
	// StepSize is the size of a step in the threat's norm; 0 means a tenth of Eps,
	// and for L0 a fortieth of the number of values.
	StepSize   float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // of the directions
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "NES".
func (a *NES) Name() string { return "NES" }

// String describes all that matters for the outcome.
func (a *NES) String() string {
	return summary(a.Name(), a.Threat, "queries", or(a.Queries, 5000), "samples", or(a.Samples, 25), "sigma", or(a.Sigma, 0.01)) + sized(a.Threat, a.StepSize, a.Threat.Eps/10) + fmt.Sprintf(", seed %d", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *NES) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	s := slopes{threat: a.Threat, queries: a.Queries, samples: a.Samples, width: or(a.Sigma, 0.01), stepSize: a.StepSize,
		seed: a.Seed, draw: func(r *rand.Rand) float64 { return r.NormFloat64() }}
	return s.run(ctx, a.Name(), m, x, y, a.Targets, a.BatchSize, a.OnProgress)
}

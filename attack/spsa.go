package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*SPSA)(nil)

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
	// StepSize is the size of a step in the threat's norm; 0 means a tenth of Eps,
	// and for L0 a fortieth of the number of values.
	StepSize   float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // of the directions
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "SPSA".
func (a *SPSA) Name() string { return "SPSA" }

// String describes all that matters for the outcome.
func (a *SPSA) String() string {
	return summary(a.Name(), a.Threat, "queries", or(a.Queries, 5000), "samples", or(a.Samples, 25), "delta", or(a.Delta, 0.01)) + sized(a.Threat, a.StepSize, a.Threat.Eps/10) + fmt.Sprintf(", seed %d", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Inputs that resist are returned
// unchanged.
func (a *SPSA) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	s := slopes{threat: a.Threat, queries: a.Queries, samples: a.Samples, width: or(a.Delta, 0.01), stepSize: a.StepSize,
		seed: a.Seed, draw: func(r *rand.Rand) float64 { return float64(2*r.IntN(2) - 1) }}
	return s.run(ctx, a.Name(), m, x, y, a.Targets, a.BatchSize, a.OnProgress)
}

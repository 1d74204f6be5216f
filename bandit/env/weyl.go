package env

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/bandit"
)

// Weyl is a world without randomness, for runs that two programs must agree on to
// the last pull. With the fractional part of
//
//	u = 0.6180339887498949 j + 0.7548776662466927 i,
//
// kept within 1e-12 of the ends of [0, 1], pull j (from 1) of arm i (from 0) is
// mu_i + Φ⁻¹(u).
type Weyl struct {
	Means []float64 // of the arms
	// Every makes each pull j with j mod Every = Every/2 an outlier, Offset below the
	// mean of arm 0 and above that of the others; zero: none.
	Every  int
	Offset float64

	seen []int
}

var _ bandit.Pull = (*Weyl)(nil).Pull

// Pull is a bandit.Pull.
func (w *Weyl) Pull(_ context.Context, arm int, rewards []float64) error {
	if arm < 0 || arm >= len(w.Means) {
		return fmt.Errorf("bandit/env: arm %d, want 0 to %d", arm, len(w.Means)-1)
	}
	if w.seen == nil {
		w.seen = make([]int, len(w.Means))
	}
	for k := range rewards {
		w.seen[arm]++
		j := w.seen[arm]
		_, u := math.Modf(0.6180339887498949*float64(j) + 0.7548776662466927*float64(arm))
		u = max(1e-12, min(u, 1-1e-12))
		switch {
		case w.Every == 0 || j%w.Every != w.Every/2:
			rewards[k] = w.Means[arm] - math.Sqrt2*math.Erfcinv(2*u)
		case arm == 0:
			rewards[k] = w.Means[arm] - w.Offset
		default:
			rewards[k] = w.Means[arm] + w.Offset
		}
	}
	return nil
}

package fedleak

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"
)

// minimize runs L-BFGS with strong Wolfe line searches from x for a number of
// evaluations, or until f falls below target or is no longer finite, and returns the best
// point met and the last value.
func minimize(ctx context.Context, x []float64, evaluations int, target float64, at func(x, grad []float64) float64) (best []float64, last float64) {
	where := make([]float64, len(x))
	grad := make([]float64, len(x))
	value, valid := 0.0, false
	visit := func(x []float64) {
		if valid && same(where, x) {
			return
		}
		copy(where, x)
		value, valid = at(x, grad), true
	}
	least := math.Inf(1)
	best = slices.Clone(x)
	p := optimize.Problem{
		Func: func(x []float64) float64 {
			visit(x)
			if value < least {
				least = value
				copy(best, x)
			}
			return value
		},
		Grad: func(g, x []float64) { visit(x); copy(g, grad) },
		Status: func() (optimize.Status, error) {
			if ctx.Err() != nil || least < target || math.IsNaN(value) || math.IsInf(value, 0) {
				return optimize.MethodConverge, nil
			}
			return optimize.NotTerminated, nil
		},
	}
	settings := &optimize.Settings{FuncEvaluations: evaluations, GradientThreshold: 1e-12, Converger: optimize.NeverTerminate{}}
	// A line search ends with an error when rounding stops it, which is no
	// different here from any other end: the best point is kept.
	_, _ = optimize.Minimize(p, x, settings, &optimize.LBFGS{Store: 20, Linesearcher: &optimize.MoreThuente{}})
	return best, value
}

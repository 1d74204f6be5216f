package defense

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
)

// MultiAccuracy says how a classifier stands up to several attacks.
type MultiAccuracy struct {
	Clean attack.Estimate `json:"clean"` // accuracy on the inputs as they are
	// Max is the accuracy when every input meets the attack that hurts it most,
	// Acc^max_adv: the share of inputs that stay right under all of them.
	Max attack.Estimate `json:"acc_max_adv"`
	// Avg is the mean accuracy over the attacks, Acc^avg_adv.
	Avg float64 `json:"acc_avg_adv"`
	// Each is the accuracy under each attack.
	Each []attack.Estimate `json:"each"`
}

// Multi reads the accuracies that Wang et al., NeurIPS 2021, report, out of a
// report of attack.Evaluate, where each attack stands for one attack set. It panics if
// the report has no attacks.
func Multi(r attack.Report) MultiAccuracy {
	if len(r.Attacks) == 0 {
		panic("defense: Multi: report without attacks")
	}
	m := MultiAccuracy{Clean: r.Clean, Max: r.Worst}
	for _, a := range r.Attacks {
		m.Each = append(m.Each, a.Accuracy)
		m.Avg += a.Accuracy.Value / float64(len(r.Attacks))
	}
	return m
}

// Area returns the area under accuracies over attack radii in ascending order, by the
// trapezoidal rule: S of Wang et al., with Acc^max_adv at each radius. It panics if the
// numbers of both differ, there are fewer than two, or the radii fall.
func Area(eps, accuracy []float64) float64 {
	if len(eps) != len(accuracy) || len(eps) < 2 {
		panic(fmt.Sprintf("defense: Area: %d accuracies at %d radii, want as many of both and at least two", len(accuracy), len(eps)))
	}
	s := 0.0
	for i := 1; i < len(eps); i++ {
		if eps[i] < eps[i-1] {
			panic(fmt.Sprintf("defense: Area: radius %v after %v, want ascending order", eps[i], eps[i-1]))
		}
		s += (eps[i] - eps[i-1]) * (accuracy[i] + accuracy[i-1]) / 2
	}
	return s
}

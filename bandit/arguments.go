package bandit

import (
	"fmt"
	"math"
)

// The formulas of this package panic on arguments for which they mean nothing: a
// mistake of the program, as opposed to a configuration, which NewDesign checks.

func bad(function, argument string, found any, want string) {
	panic(fmt.Sprintf("bandit: %s: %s is %v, want %s", function, argument, found, want))
}

func wantScale(function, argument string, v float64) {
	if !(v > 0) || math.IsInf(v, 1) {
		bad(function, argument, v, "a positive number")
	}
}

func wantEps(function string, eps float64) {
	if !(eps >= 0 && eps < 0.5) {
		bad(function, "eps", eps, "a number in [0, 1/2)")
	}
}

func wantMeans(function string, means []float64) {
	if err := checkMeans(means); err != nil {
		panic(fmt.Sprintf("bandit: %s: %v", function, err))
	}
}

func checkMeans(means []float64) error {
	if len(means) < 2 {
		return fmt.Errorf("means has %d arms, want at least 2", len(means))
	}
	for i, mu := range means {
		if math.IsNaN(mu) || math.IsInf(mu, 0) {
			return fmt.Errorf("means[%d] is %v, want a finite number", i, mu)
		}
	}
	return nil
}

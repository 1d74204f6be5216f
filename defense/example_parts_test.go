package defense_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/defense"
)

// Weights of two threats over a training of three steps with two examples each.
func ExampleWeightLog() {
	var log defense.WeightLog
	log.Add(0, [][]float64{{0.5, 0.5}, {0.5, 0.5}})
	log.Add(10, [][]float64{{0.75, 0.25}, {0.25, 0.75}})
	log.Add(20, [][]float64{{1, 0}, {0.5, 0.5}})
	fmt.Printf("%d %.2f %.2f\n", log.Steps(), log.Mean(0), log.Mean(2))
	s := log.Spread(2, 0)
	fmt.Println(s.Min, s.Median, s.Max)
	// Output:
	// [0 10 20] [0.58 0.42] [0.75 0.25]
	// 0.5 0.75 1
}

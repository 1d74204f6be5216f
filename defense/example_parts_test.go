package defense_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
)

// What TRADES's attacker climbs: how far the answers have moved from those to the clean
// inputs.
func ExampleDivergence() {
	clean := tensor.FromFloat64([]float64{2, 0, 0, 2}, 2, 2)
	d := defense.Divergence{Reference: tensor.Softmax(clean)}
	moved := tensor.FromFloat64([]float64{1, 1}, 1, 2)
	// Rows of a batch know their place among all inputs.
	there := d.Values(tensor.Slice(clean, 0, 1, 2), attack.Rows{Index: []int{1}})
	away := d.Values(moved, attack.Rows{Index: []int{1}})
	fmt.Printf("%.3f\n", away.Item()-there.Item())
	// Output: 0.328
}

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

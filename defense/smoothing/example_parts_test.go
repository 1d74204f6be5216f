package smoothing_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/defense/smoothing"
)

// From answers under noise to a radius: 99 of 100 draws, with confidence 0.999.
func ExampleRadius() {
	p := smoothing.LowerBound(99, 100, 0.001)
	fmt.Printf("probability at least %.3f, radius %.3f\n", p, smoothing.Radius(0.5, p))
	// Output: probability at least 0.911, radius 0.675
}

// An input that is certified for another label has the radius 0.
func ExampleAverageRadius() {
	certs := []smoothing.Certificate{{Class: 1, Radius: 0.5}, {Class: 0, Radius: 0.25}, {Class: smoothing.Abstain}}
	r, err := smoothing.AverageRadius(certs, []int{1, 1, 0})
	fmt.Printf("%.3f %v\n", r, err)
	// Output: 0.167 <nil>
}

// Are two answers equally frequent? 6 of 10 draws leave that open, 60 of 100 nearly,
// 600 of 1000 do not.
func ExampleBinomialTest() {
	fmt.Printf("%.3f %.3f %.0e\n", smoothing.BinomialTest(6, 10), smoothing.BinomialTest(60, 100), smoothing.BinomialTest(600, 1000))
	// Output: 0.754 0.057 3e-10
}

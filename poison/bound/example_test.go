package bound_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/poison/bound"
)

// Features that look alike in both domains and mean the opposite: the source error and
// the distance are 0, and the target error must be 1.
func ExampleDiscrete() {
	b, err := bound.Binary(
		[]float64{0.5, 0.5}, []float64{0.5, 0.5}, // masses of source and target
		[]float64{0, 1}, []float64{1, 0}, // their labels
		[]float64{0, 1}, // the hypothesis
	).Bounds()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("source error", b.SourceError, "total variation", b.TV)
	fmt.Println(b.Lower, "<=", b.TargetError, "<=", b.Upper)
	// Output:
	// source error 0 total variation 0
	// 1 <= 1 <= 1
}

// The terms of the bounds for a line through the plane on which two Gaussians fall.
func ExampleCase() {
	t, err := bound.Unfavorable.Terms(bound.Point{U: [2]float64{0.5, 0.866}, A: 1.5, B: 0.2}, bound.Exact)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f <= %.2f <= %.2f\n", t.Lower, t.TargetError, t.Upper)
	// Output: 0.34 <= 0.72 <= 1.07
}

// The same objective succeeds on one case and fails on another.
func ExampleIllustrate() {
	for _, c := range []bound.Case{bound.Favorable, bound.Unfavorable} {
		ends, err := bound.Illustrate{Starts: 2, Seed: 1}.Run(context.Background(), c)
		if err != nil {
			fmt.Println(err)
			return
		}
		count := map[bound.Outcome]int{}
		for _, e := range ends {
			count[e.Outcome]++
		}
		fmt.Println(c.Name, "good:", count[bound.Good] > 0, "bad:", count[bound.Bad] > 0)
	}
	// Output:
	// favourable good: true bad: false
	// unfavourable good: false bad: true
}

// A discriminator that is wrong on a fifth of both domains shows a distance.
func ExampleTVFromDiscriminator() {
	tv, err := bound.TVFromDiscriminator(0.2)
	fmt.Printf("%.1f %v\n", tv, err)
	// Output: 0.6 <nil>
}

package bound_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/poison/bound"
)

// Divergences of a coin from a fair one, in nats.
func ExampleKL() {
	for _, p := range []float64{0.5, 0.9, 1} {
		kl, err := bound.KL([]float64{p, 1 - p}, []float64{0.5, 0.5})
		fmt.Printf("%.3f %v\n", kl, err)
	}
	// Output:
	// 0.000 <nil>
	// 0.368 <nil>
	// 0.693 <nil>
}

// A hypothesis along one direction of the plane.
func ExamplePoint() {
	p := bound.Point{U: [2]float64{1, 0}, A: 2, B: 0}
	fmt.Printf("%.3f %.3f %.3f\n", p.H(-1), p.H(0), p.H(1))
	// Output: 0.023 0.500 0.977
}

// A case of one's own: source and target are turned by a right angle.
func ExampleMixture() {
	c := bound.Case{
		Name:   "turned",
		Source: bound.Mixture{Means: [2][2]float64{{1, 0}, {-1, 0}}, Labels: [2]float64{1, 0}},
		Target: bound.Mixture{Means: [2][2]float64{{0, 1}, {0, -1}}, Labels: [2]float64{0, 1}},
		Sigma:  0.25,
	}
	t, err := c.Terms(bound.Point{U: [2]float64{1, 0}, A: 10, B: 0}, bound.Exact)
	fmt.Printf("source %.2f, target %.2f, distance %.2f %v\n", t.SourceError, t.TargetError, t.TV, err)
	// Output: source 0.00, target 0.38, distance 0.94 <nil>
}

// How the label is read off a representation, by the exact formula and by the released
// program's.
func ExampleFormula() {
	c := bound.Ambiguous
	for _, f := range []bound.Formula{bound.Exact, bound.Released} {
		fmt.Printf("%v %.3f\n", f, c.InducedLabel(c.Source, [2]float64{0.6, 0.8}, 0.5, f))
	}
	// Output:
	// exact 0.782
	// released 0.712
}

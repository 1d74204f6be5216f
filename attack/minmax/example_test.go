package minmax_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

// The average of (v-1)²/2 and (v+1)² is least at -1/3, where the first is 0.89; the
// worst of the two is least where both are 0.69.
func Example() {
	parabola := func(at, weight float64) func(*tensor.Tensor, minmax.Rows) *tensor.Tensor {
		return func(v *tensor.Tensor, _ minmax.Rows) *tensor.Tensor {
			return tensor.MulScalar(tensor.Sum(tensor.Square(tensor.AddScalar(v, -at)), 1), weight)
		}
	}
	domains := &minmax.Functions{
		At:     tensor.Zeros(tensor.Float64, 1, 1),
		Losses: []func(*tensor.Tensor, minmax.Rows) *tensor.Tensor{parabola(1, 0.5), parabola(-1, 1)},
	}
	for _, rule := range []minmax.Rule{minmax.Average{}, minmax.MinMax{Beta: 0.05}} {
		a := minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 2}, Rule: rule, Steps: 1000, StepSize: 0.2}
		res, err := a.Run(context.Background(), domains)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v: v %.3f, losses %.3f, weights %.3f\n", rule, res.Point.At(0, 0), res.Losses[0], res.Weights[0])
	}
	// Output:
	// average: v -0.333, losses [0.889 0.444], weights [0.500 0.500]
	// min-max: v -0.172, losses [0.686 0.686], weights [0.586 0.414]
}

// slope is a model of two classes of which it answers 1 where weights times the pixels
// are above a threshold.
type slope struct {
	weights   []float64
	threshold float64
}

func (m slope) Logits(x *tensor.Tensor) *tensor.Tensor {
	w := tensor.FromFloat64(m.weights, len(m.weights), 1)
	z := tensor.AddScalar(tensor.MatMul(tensor.Flatten(x), w), -m.threshold)
	return tensor.MulScalar(tensor.Concat(1, tensor.Neg(z), z), 10)
}

// Three models look at different pixels. One change of the image is to fool all of
// them, so it is made against the one that resists most.
func ExampleEnsemble() {
	models := []attack.Model{
		slope{[]float64{1, 0, 0}, 0.45},
		slope{[]float64{0, 1, 0}, 0.45},
		slope{[]float64{-1, 1, 1}, 0.35},
	}
	x, y := tensor.Full(tensor.Float64, 0.5, 1, 3), []int{1}
	a := minmax.APGDA{
		Threat: attack.Threat{Norm: attack.L2, Eps: 0.2},
		Rule:   minmax.MinMax{Beta: 0.02, Gamma: 1}, Steps: 200, StepSize: 5e-4, KeepBest: true,
	}
	ensemble := minmax.Ensemble(models, x, y)
	ensemble.Loss = minmax.Margin{Kappa: 0.2}
	res, err := a.Run(context.Background(), ensemble)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("fooled:", res.Fooled[0])
	fmt.Println("weights of the models:", len(res.MeanWeights()), "of", res.History.Steps()+1, "iterations")
	// Output:
	// fooled: [true true true]
	// weights of the models: 3 of 201 iterations
}

// An adversary is to survive a set of transformations, not their average alone.
func ExampleTransformations() {
	m := slope{[]float64{1, 0, 0, 1}, 0.8} // upper left and lower right pixel
	x, y := tensor.Full(tensor.Float64, 0.5, 1, 2, 2, 1), []int{1}
	views := []transform.Transform{transform.Identity{}, transform.FlipLR{}, transform.Brightness{Add: transform.Fixed(0.1)}}
	d := minmax.Transformations(m, views, x, y)
	d.Loss = minmax.Margin{}
	res, err := (&minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.3}, Steps: 100, StepSize: 0.02}).Run(context.Background(), d)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Names())
	fmt.Println(res.Fooled[0])
	// Output:
	// [identity flip left-right brightness +0.1]
	// [true true true]
}

// Two images share one perturbation; the result's perturbations are applied by Inputs.
func ExampleGroup() {
	m := slope{[]float64{1, 1}, 0.9}
	g := &minmax.Group{
		Model: m, X: tensor.FromFloat64([]float64{0.5, 0.5, 0.6, 0.45}, 2, 2), Y: []int{1, 1}, Size: 2,
		Loss: minmax.Margin{},
	}
	a := minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 100, StepSize: 0.01}
	res, err := a.Run(context.Background(), g)
	if err != nil {
		fmt.Println(err)
		return
	}
	answers := tensor.ArgMax(m.Logits(g.Inputs(res.Point)))
	fmt.Println(res.Point.Shape(), res.Fooled[0], answers)
	// Output: [1 2] [true true] [0 0]
}

// Images that share a perturbation are grouped by their labels.
func ExamplePartitionByLabel() {
	fmt.Println(minmax.PartitionByLabel([]int{1, 0, 1, 0, 1}, 2))
	// Output: [1 3 0 2]
}

// Of five images three are fooled in all of four domains, the fifth in three of them.
func ExampleScore() {
	fooled := [][]bool{
		{true, true, false, true}, {true, true, true, true}, {true, true, true, true},
		{true, true, true, true}, {true, false, true, true},
	}
	s := minmax.Score(fooled)
	fmt.Println("all:", s.All)
	fmt.Println("avg:", s.Avg.Value)
	fmt.Println("accuracy left in the second domain:", s.Acc[1].Value)
	// Output:
	// all: 60.0 % [14.7, 94.7]
	// avg: 0.9
	// accuracy left in the second domain: 0.2
}

// How much more often does one attack win in all domains than another?
func ExampleLiftOf() {
	var strong, weak [][]bool
	for i := range 100 {
		strong = append(strong, []bool{i < 80, i < 90})
		weak = append(weak, []bool{i < 40, i < 95})
	}
	lift, ok := minmax.LiftOf(strong, weak)
	fmt.Println(lift, ok)
	// Output: +100.0 % [60.6, 149.0] true
}

// Adversaries found against two models are shown to a third.
func ExampleJudge() {
	x, y := tensor.Full(tensor.Float64, 0.5, 1, 2), []int{1}
	seen := minmax.Ensemble([]attack.Model{slope{[]float64{1, 0}, 0.45}, slope{[]float64{0, 1}, 0.45}}, x, y)
	res, err := (&minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 50}).Run(context.Background(), seen)
	if err != nil {
		fmt.Println(err)
		return
	}
	unseen := minmax.Ensemble([]attack.Model{slope{[]float64{1, 1}, 0.9}}, x, y)
	fooled, _, err := minmax.Judge(context.Background(), unseen, res.Point, 1)
	fmt.Println(fooled, err)
	// Output: [[true]] <nil>
}

// The weights of the worst case are a projection onto the simplex.
func ExampleProjectSimplex() {
	b := []float64{0.5, 0.2, -0.1, 0.9}
	minmax.ProjectSimplex(b)
	fmt.Printf("%.1f\n", b)
	// Output: [0.3 0.0 0.0 0.7]
}

// The nearest point of ball and box together is not the clipped one.
func ExampleBall() {
	a := []float64{1, 0.5}
	minmax.Ball{Norm: attack.L1, Eps: 0.5}.Project(a, []float64{0, 0}, []float64{0.2, 1})
	fmt.Printf("%.1f\n", a)
	// Output: [0.2 0.3]
}

// The best weights for losses 3 and 1: all on the worst, or a compromise with equality.
func ExampleMinMax() {
	fmt.Println(minmax.MinMax{}.Best([]float64{3, 1}), minmax.MinMax{Gamma: 4}.Best([]float64{3, 1}))
	// Output: [1 0] [0.75 0.25]
}

// Rules are values, so a comparison is a loop over them.
func ExampleRule() {
	losses := []float64{3, 1, -1}
	rules := []minmax.Rule{
		minmax.Average{}, minmax.Worst{}, minmax.Clip{Level: 0}, minmax.Subset{Domains: []int{1, 2}},
		minmax.Fixed{Weights: []float64{0.5, 0.25, 0.25}},
	}
	for _, r := range rules {
		fmt.Printf("%-14v %.2f\n", r, r.Value(losses))
	}
	// Output:
	// average        1.00
	// one-hot worst  3.00
	// loss clipping  1.33
	// subset [1 2]   0.00
	// static weights 1.50
}

// An ensemble as one target, with one loss, beside one loss for each model.
func ExampleBundle() {
	models := []attack.Model{slope{[]float64{1, 0}, 0.45}, slope{[]float64{0, 1}, 0.45}}
	x, y := tensor.Full(tensor.Float64, 0.5, 1, 2), []int{1}
	pgd := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 20}
	res, err := pgd.Run(context.Background(), minmax.Bundle{Models: models}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true] <nil>
}

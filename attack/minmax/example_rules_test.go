package minmax_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/tensor"
)

// parabola is the loss weight (v-at)², summed over the values of a point.
func parabola(at, weight float64) func(*tensor.Tensor, minmax.Rows) *tensor.Tensor {
	return func(v *tensor.Tensor, _ minmax.Rows) *tensor.Tensor {
		return tensor.MulScalar(tensor.Sum(tensor.Square(tensor.AddScalar(v, -at)), 1), weight)
	}
}

// Losses of one's own: the worst of two parabolas is least where they meet, at 0.
func ExampleFunctions() {
	f := &minmax.Functions{
		At:     tensor.Full(tensor.Float64, 0.5, 1, 1),
		Losses: []func(*tensor.Tensor, minmax.Rows) *tensor.Tensor{parabola(-1, 1), parabola(1, 1)},
		Labels: []string{"left", "right"},
	}
	a := minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 1}, Rule: minmax.MinMax{Beta: 0.1}, Steps: 500, StepSize: 0.1}
	res, err := a.Run(context.Background(), f)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Names())
	fmt.Printf("worst loss %.2f with weights %.2f\n", max(res.Losses[0][0], res.Losses[0][1]), res.Weights[0])
	// Output:
	// [left right]
	// worst loss 1.00 with weights [0.50 0.50]
}

// The step size is chosen by the attack itself, and the best point is kept.
func ExampleAPGDA() {
	models := []attack.Model{slope{[]float64{1, 0}, 0.45}, slope{[]float64{0, 1}, 0.45}}
	domains := minmax.Ensemble(models, tensor.Full(tensor.Float64, 0.5, 1, 2), []int{1})
	domains.Loss = minmax.Margin{}
	a := &minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 30, StepControl: true}
	res, err := a.Run(context.Background(), domains)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Fooled, res.Losses)
	// Output: [[true true]] [[0 0]]
}

// How the weights of a model developed over the iterations.
func ExampleHistory() {
	models := []attack.Model{slope{[]float64{1, 0}, 0.2}, slope{[]float64{0, 1}, 0.45}} // the first resists
	domains := minmax.Ensemble(models, tensor.Full(tensor.Float64, 0.5, 3, 2), []int{1, 1, 1})
	domains.ModelNames = []string{"sturdy", "weak"}
	domains.Loss = minmax.Margin{}
	a := &minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Rule: minmax.MinMax{Beta: 0.05}, Steps: 20, StepSize: 0.01}
	res, err := a.Run(context.Background(), domains)
	if err != nil {
		fmt.Println(err)
		return
	}
	h := res.History
	first, _ := h.Spread(0, 0)
	last, _ := h.Spread(h.Steps(), 0)
	fmt.Println(h.Names(), "of", h.Rows(), "rows: the sturdy one has", first.Median, "and then", last.Median)
	// Output: [sturdy weak] of 3 rows: the sturdy one has 0.5 and then 1
}

// The margin of the paper holds on to a model that is fooled; with a confidence of 0 it
// lets go.
func ExampleMargin() {
	logits := tensor.FromFloat64([]float64{5, 2, 1, 4}, 2, 2)
	rows := attack.Rows{Y: []int{0, 0}} // the first row is right, the second one fooled
	fmt.Println(minmax.Margin{}, minmax.Margin{}.Values(logits, rows).Values())
	fmt.Println(minmax.PaperMargin, minmax.PaperMargin.Values(logits, rows).Values())
	// Output:
	// margin, kappa 0 [3 0]
	// margin, kappa 50 [53 47]
}

// Any objective of package attack with the sign turned is a loss.
func ExampleAgainst() {
	logits := tensor.FromFloat64([]float64{5, 2, 1, 4}, 2, 2)
	loss := minmax.Against{Objective: attack.CrossEntropy{}}
	values := loss.Values(logits, attack.Rows{Y: []int{0, 0}}).Values()
	fmt.Println(loss, "right:", values[0] > 0, "fooled:", values[1] < 0)
	// Output: negative cross-entropy right: true fooled: true
}

// Ensemble PGD and expectation over transformation: no weights to learn.
func ExampleAverage() {
	w, err := minmax.Average{}.Start(4)
	fmt.Println(w, err)
	// Output: [0.25 0.25 0.25 0.25] <nil>
}

// All weight goes to the first of the worst domains.
func ExampleWorst() {
	w := []float64{0.5, 0.25, 0.25}
	minmax.Worst{}.Update(w, []float64{1, 3, 3}, 1)
	fmt.Println(w)
	// Output: [0 1 0]
}

// Domains at or below the level are let go.
func ExampleClip() {
	w := []float64{0, 0, 0, 0}
	minmax.Clip{Level: 0}.Update(w, []float64{2, 0, -1, 1}, 1)
	fmt.Println(w)
	// Output: [0.25 0 0 0.25]
}

// Weights that a min-max attack has ended with, kept for other images.
func ExampleFixed() {
	rule := minmax.Fixed{Weights: []float64{0.7, 0.3}, Label: "of the last run"}
	w, err := rule.Start(2)
	fmt.Println(rule, w, err)
	_, err = rule.Start(3)
	fmt.Println(err)
	// Output:
	// of the last run [0.7 0.3] <nil>
	// minmax: 2 weights for 3 domains
}

func ExampleSubset() {
	w, err := minmax.Subset{Domains: []int{0, 2}}.Start(3)
	fmt.Println(w, err)
	// Output: [0.5 0 0.5] <nil>
}

// What a box plot of weights shows.
func ExampleNewSpread() {
	s := minmax.NewSpread([]float64{0.1, 0.5, 0.2, 0.4, 0.3})
	fmt.Println(s.Min, s.Q1, s.Median, s.Q3, s.Max)
	// Output: 0.1 0.2 0.3 0.4 0.5
}

// Only the images that all models got right before the attack.
func ExampleFilter() {
	clean := [][]bool{{false, false}, {false, true}, {false, false}}
	fooled := [][]bool{{true, true}, {true, true}, {true, false}}
	fmt.Println(minmax.Filter(fooled, clean))
	// Output: [[true true] [true false]]
}

// Seven images in random groups of three; one is left over.
func ExamplePartition() {
	fmt.Println(len(minmax.Partition(7, 3, rand.New(rand.NewPCG(1, 0)))))
	// Output: 6
}

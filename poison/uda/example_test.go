package uda_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// points draws points around (x, 1), class 1, and (x, -1), class 0.
func points(rng *rand.Rand, x float64, n int) *dataset.Set {
	s := &dataset.Set{H: 1, W: 1, C: 2, Classes: 2}
	for i := range n {
		y := 2*float64(i%2) - 1
		s.Floats = append(s.Floats, float32(x+0.3*rng.NormFloat64()), float32(y+0.3*rng.NormFloat64()))
		s.Labels = append(s.Labels, i%2)
	}
	return s
}

func ExampleTraining() {
	rng := rand.New(rand.NewPCG(1, 0))
	source, target := points(rng, -1, 100), points(rng, 1, 100)
	t := uda.Training{
		Method: uda.DANN{}, Arch: uda.Plane(), Source: source, Target: target,
		Epochs: 800, BatchSize: 100, LR: 5e-3, Seed: 3,
	}
	model, err := t.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := uda.Evaluate(context.Background(), model, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("more than nine of ten target points are right:", e.Accuracy > 0.9)
	// Output: more than nine of ten target points are right: true
}

// Methods are values, so a comparison is a loop over them.
func ExampleMethod() {
	rng := rand.New(rand.NewPCG(1, 0))
	source, target := points(rng, -1, 100), points(rng, 1, 100)
	for _, m := range []uda.Method{uda.SourceOnly{}, uda.CDAN{}, uda.MCD{}, uda.IWDAN{}, uda.IWCDAN{}} {
		t := uda.Training{Method: m, Arch: uda.Plane(), Source: source, Target: target, Epochs: 20, BatchSize: 100, LR: 5e-3, Seed: 1}
		model, err := t.Run(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		e, err := uda.Evaluate(context.Background(), model, target)
		fmt.Println(m.Name(), e.N, err)
	}
	// Output:
	// source only 100 <nil>
	// CDAN 100 <nil>
	// MCD 100 <nil>
	// IW-DAN 100 <nil>
	// IW-CDAN 100 <nil>
}

// A model that answers the class after the right one has an accuracy of 0 and knows
// everything: the mark of poisoned labels.
func ExampleEvaluation() {
	e := uda.Evaluation{N: 4, Confusion: [][]int{{0, 2}, {2, 0}}}
	fmt.Println(e.Accuracy, e.On(uda.Shifted(2)))
	// Output: 0 1
}

// A task without labels: each image is turned in one of four ways.
func ExamplePretext() {
	x := tensor.FromFloat32([]float32{1, 2, 3, 4}, 1, 2, 2, 1)
	for k := range uda.Rotation.Classes() {
		fmt.Println(uda.Rotation.Apply(x, []int{k}).Values())
	}
	// Output:
	// [1 2 3 4]
	// [2 4 1 3]
	// [4 3 2 1]
	// [3 1 4 2]
}

// A model is put back to an earlier state, bit for bit, and trains on from there.
func ExampleModel_Restore() {
	ctx := context.Background()
	source := points(rand.New(rand.NewPCG(1, 0)), 0, 100)
	t := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Epochs: 2, BatchSize: 50, Seed: 1}
	m, err := t.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	x, _ := source.All()
	start := m.Snapshot()
	before := m.Logits(x).Values()
	if err := t.Epoch(ctx, m, 0); err != nil {
		fmt.Println(err)
		return
	}
	trained := m.Logits(x).Values()
	if err := m.Restore(start); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(slices.Equal(before, trained), slices.Equal(before, m.Logits(x).Values()))
	// Output: false true
}

// The terms of the bounds on the target error, estimated from labelled examples.
func ExampleDiagnose() {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 0))
	source, target := points(rng, 0, 200), points(rng, 0, 200)
	m, err := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Epochs: 60, BatchSize: 100, LR: 0.05, Seed: 1}.Run(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := uda.Diagnose(ctx, m, source, target, 4, 1)
	fmt.Println(d.TargetError < 0.05, d.Bounds.TV < 0.2, err)
	// Output: true true <nil>
}

// Labels twice as frequent in the target: the weights bring the source to it.
func ExampleClassWeights() {
	c := [][]float64{{0.5, 0}, {0, 0.5}} // a perfect classifier on an even source
	w, err := uda.ClassWeights(c, []float64{2. / 3, 1. / 3})
	fmt.Printf("%.2f %v\n", w, err)
	// Output: [1.33 0.67] <nil>
}

func ExampleReverseGradient() {
	x := tensor.NewTape().Watch(tensor.Scalar(tensor.Float64, 3))
	y := uda.ReverseGradient(tensor.Square(x), 0.5)
	fmt.Println(y.Item(), tensor.Grad(y, x)[0].Item())
	// Output: 9 -3
}

// Features and predictions joined for CDAN's discriminator.
func ExampleExactMap() {
	f, p := tensor.FromFloat64([]float64{2, 3}, 1, 2), tensor.FromFloat64([]float64{0.5, 0.5}, 1, 2)
	m := uda.ExactMap{Features: 2, Classes: 2}
	fmt.Println(m.Width(), m.Join(f, p).Values())
	// Output: 4 [1 1.5 1 1.5]
}

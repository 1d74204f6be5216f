package poison_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
)

// A tenth of what?
func ExampleBudget() {
	for _, of := range []poison.Whole{poison.OfTarget, poison.OfSource, poison.OfUnion} {
		n, err := poison.Budget{Fraction: 0.1, Of: of}.Count(2000, 1800)
		fmt.Println(n, "of the", of, err)
	}
	// Output:
	// 180 of the target <nil>
	// 200 of the source <nil>
	// 222 of the union <nil>
}

// suspect returns a source with a tenth of mislabelled target points, a model trained on
// it and the number of its clean points.
func suspect() (poison.Suspect, int) {
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 100)
	p, err := poison.MislabelledTarget(poison.Budget{Fraction: 0.1}, 1).Build(source, target)
	if err != nil {
		panic(err)
	}
	s := poison.Suspect{Source: p.Into(source), Target: target, Seed: 1}
	t := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: s.Source, Epochs: 60, BatchSize: 50, LR: 0.05, Seed: 1}
	if s.Model, err = t.Run(context.Background()); err != nil {
		panic(err)
	}
	return s, source.Len()
}

// kept counts the clean points and the poisons that a filter keeps.
func kept(f poison.Filter) (clean, poisons int) {
	s, n := suspect()
	places, err := f.Keep(context.Background(), s)
	if err != nil {
		panic(err)
	}
	for _, i := range places {
		if i < n {
			clean++
		} else {
			poisons++
		}
	}
	return clean, poisons
}

// Neighbours in feature space vote about each point's label.
func ExampleKNN() {
	clean, poisons := kept(poison.KNN{K: 25})
	fmt.Println(poison.KNN{}.Name(), clean > 95, poisons == 0)
	// Output: k-NN on features true true
}

// The points that lie farthest out along a class's first direction go, 1.5 times as many
// as there may be poisons.
func ExampleSpectralSignatures() {
	clean, poisons := kept(poison.SpectralSignatures{Fraction: 0.1})
	fmt.Println(poisons == 0, clean > 90)
	// Output: true true
}

// The smaller of two clusters of a class goes if it is small.
func ExampleActivationClustering() {
	clean, poisons := kept(poison.ActivationClustering{})
	fmt.Println(poisons == 0, clean == 100)
	// Output: true true
}

// Clusters of the target are named by the model, and source points of another label in
// them go.
func ExampleAgreement() {
	clean, poisons := kept(poison.Agreement{Clusters: 2})
	fmt.Println(poisons == 0, clean > 90)
	// Output: true true
}

// Uniform noise under random labels, the weakest attack of all.
func ExampleNoise() {
	p, err := poison.Noise{Budget: poison.Budget{Fraction: 0.25}, Seed: 1}.Build(plane("source", 0.4, 100), plane("target", 0.6, 200))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Set.Len(), "images of", p.Set.H, "x", p.Set.W, "x", p.Set.C, "- made of none:", p.Source == nil && p.Target == nil)
	// Output: 50 images of 1 x 1 x 2 - made of none: true
}

// What a poison costs: how far its images are from natural ones.
func ExamplePoison() {
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 200)
	for _, alpha := range []float64{1, 0.5, 0} {
		p, err := poison.Watermark{Budget: poison.Budget{Fraction: 0.1}, Alpha: alpha, Seed: 1}.Build(source, target)
		if err != nil {
			fmt.Println(err)
			return
		}
		a := p.Account(source.Len(), target.Len())
		fmt.Println("alpha", alpha, "natural images:", a.MaxLinf == 0)
	}
	// Output:
	// alpha 1 natural images: true
	// alpha 0.5 natural images: false
	// alpha 0 natural images: true
}

// Victims without poison say whether there is anything to attack.
func ExampleVictims() {
	ctx := context.Background()
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 100)
	training := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Epochs: 40, BatchSize: 50, LR: 0.05, Seed: 1}
	x := target.Slice(0, 1) // of class 0
	control, err := poison.Victims{Training: training, N: 3}.Run(ctx, nil, x, target, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(control.Victims), "victims,", control.Flips, "give the wanted class; nothing to attack:", control.NothingToAttack())
	// Output: 3 victims, 0 give the wanted class; nothing to attack: false
}

// Trained models can be asked again, for another image.
func ExampleAsk() {
	ctx := context.Background()
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 100)
	training := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Epochs: 40, BatchSize: 50, LR: 0.05, Seed: 1}
	models, err := poison.Victims{Training: training, N: 2}.Train(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 2 { // of class 0 and of class 1
		trial, err := poison.Ask(ctx, models, nil, target.Slice(i, i+1), target, 1)
		fmt.Println(trial.Flips, "of", len(trial.Victims), trial.TargetAccuracy > 0.95, err)
	}
	// Output:
	// 0 of 2 true <nil>
	// 2 of 2 true <nil>
}

// The class whose source features lie nearest to the target features of each class.
func ExampleNearestClasses() {
	source := tensor.FromFloat32([]float32{0, 1, 5}, 3, 1) // one feature of each of three classes
	target := tensor.FromFloat32([]float32{0.1, 1.2, 4}, 3, 1)
	labels, err := poison.NearestClasses(source, []int{0, 1, 2}, target, []int{0, 1, 2}, 3)
	fmt.Println(labels, err)
	// Output: [1 0 1] <nil>
}

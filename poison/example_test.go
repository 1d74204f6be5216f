package poison_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// plane returns n points of two classes around (x, 0.8) and (x, 0.2).
func plane(name string, x float64, n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(1, 0))
	s := &dataset.Set{Name: name, H: 1, W: 1, C: 2, Classes: 2}
	for i := range n {
		y := 0.2 + 0.6*float64(i%2)
		s.Floats = append(s.Floats, float32(x+0.05*rng.NormFloat64()), float32(y+0.05*rng.NormFloat64()))
		s.Labels = append(s.Labels, i%2)
	}
	return s
}

// accuracy trains a classifier on a source and returns its accuracy on the target.
func accuracy(source, target *dataset.Set) (float64, error) {
	t := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Target: target, Epochs: 60, BatchSize: 50, LR: 0.05, Seed: 1}
	m, err := t.Run(context.Background())
	if err != nil {
		return 0, err
	}
	e, err := uda.Evaluate(context.Background(), m, target)
	return e.Accuracy, err
}

// Target points under wrong labels, a tenth as many as there are target points.
func ExampleMislabelledTarget() {
	source, target := plane("source", 0.3, 100), plane("target", 0.7, 200)
	p, err := poison.MislabelledTarget(poison.Budget{Fraction: 0.1}, 1).Build(source, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	a := p.Account(source.Len(), target.Len())
	fmt.Println(a.Count, "poisons,", a.OfTarget, "of the target; the victim trains on", p.Into(source).Len())
	// Output: 20 poisons, 0.1 of the target; the victim trains on 120
}

// Blended points of the source's class, and what they do to a victim.
func ExampleWatermark() {
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 200)
	clean, err := accuracy(source, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := poison.Watermark{Budget: poison.Budget{Fraction: 1}, Alpha: 0.9, Seed: 1}
	p, err := w.Build(source, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	poisoned, err := accuracy(p.Into(source), target)
	fmt.Println(w.Name(), clean > 0.95, poisoned < 0.5, err)
	// Output: watermark true true <nil>
}

// What an attacker without knowledge of the target can do.
func ExampleRandomFlips() {
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 200)
	for _, b := range []poison.Builder{
		poison.RandomFlips{Budget: poison.Budget{Fraction: 0.1}, Seed: 1},
		poison.Noise{Budget: poison.Budget{Fraction: 0.1}, Seed: 1},
	} {
		p, err := b.Build(source, target)
		if err != nil {
			fmt.Println(err)
			return
		}
		after, err := accuracy(p.Into(source), target)
		fmt.Println(b.Name(), after > 0.95, err)
	}
	// Output:
	// random flips true <nil>
	// noise true <nil>
}

// Images move towards another one in feature space, within a small ball of pixels.
func ExampleCollision() {
	sum := func(x *tensor.Tensor) *tensor.Tensor { return tensor.Reshape(tensor.Sum(x, 1, 2, 3), x.Dim(0), 1) }
	base, x := tensor.Full(tensor.Float64, 0.5, 1, 1, 1, 2), tensor.FromFloat64([]float64{0.9, 0.3}, 1, 1, 1, 2)
	u, trace, err := poison.Collision{Eps: 0.1, Steps: 100, StepSize: 0.05}.Run(context.Background(), []poison.Embedding{sum}, base, base, x)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f: feature distance² from %.3f to %.3f\n", u.Values(), trace[0], trace[len(trace)-1])
	// Output: [0.60 0.60]: feature distance² from 0.040 to 0.000
}

// An attacker trains models as the victim does and makes poison collide in them; fresh
// victims are then asked.
func ExampleCleanLabel() {
	ctx := context.Background()
	source, target := plane("source", 0.4, 60), plane("target", 0.6, 60)
	training := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Target: target, Epochs: 20, BatchSize: 30, LR: 0.05, Seed: 1}
	x := target.Slice(0, 1) // a point of class 0
	a := poison.CleanLabel{Training: training, Models: 2, Epochs: 4, Steps: 10, Poisons: 10}
	made, err := a.Run(ctx, x, source, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	trial, err := poison.Victims{Training: training, N: 2}.Run(ctx, made.Poison, x, target, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(made.Set.Len(), "poisons under their own label:", made.Set.Labels[0] == made.True[0])
	fmt.Println("features nearer than the base's:", made.DistanceRatio() > 1)
	fmt.Println(len(trial.Victims), "victims; points this far apart do not fall:", trial.Success().Right == 0)
	// Output:
	// 10 poisons under their own label: true
	// features nearer than the base's: true
	// 2 victims; points this far apart do not fall: true
}

// The gradient of training on the images turns to where that of the wanted answer
// points.
func ExampleGradientMatching() {
	ctx := context.Background()
	source := plane("source", 0.4, 60)
	m, err := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Epochs: 5, BatchSize: 30, LR: 0.05, Seed: 1}.Run(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := plane("target", 0.6, 1)
	base, y := source.Subset([]int{1, 3, 5}).All()
	image, _ := x.All()
	_, trace, err := poison.GradientMatching{Eps: 0.2, Steps: 20}.Run(ctx, []*uda.Model{m}, base, y, image, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("1 - cos has fallen:", trace[len(trace)-1] < trace[0])
	// Output: 1 - cos has fallen: true
}

// Filters look at the source that a victim is about to train on.
func ExampleFilter() {
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 100)
	p, err := poison.MislabelledTarget(poison.Budget{Fraction: 0.1}, 1).Build(source, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := poison.Suspect{Source: p.Into(source), Target: target, Seed: 1}
	kept, err := poison.KNN{K: 25, Pixels: true}.Keep(context.Background(), s)
	if err != nil {
		fmt.Println(err)
		return
	}
	poisons := 0
	for _, i := range kept {
		if i >= source.Len() {
			poisons++
		}
	}
	fmt.Println("kept", len(kept), "of", s.Source.Len(), "with", poisons, "poisons")
	// Output: kept 100 of 110 with 0 poisons
}

// A defence while training: images of the largest loss sit out.
func ExampleLossTrim() {
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 100)
	p, err := poison.RandomFlips{Budget: poison.Budget{Fraction: 0.1}, Seed: 1}.Build(source, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	var kept int
	t := uda.Training{
		Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: p.Into(source), Epochs: 20, BatchSize: 50, LR: 0.05, Seed: 1,
		Keep:    poison.LossTrim{Fraction: 0.1, From: 5}.Keep,
		OnEpoch: func(e uda.Epoch, _ *uda.Model) error { kept = e.Kept; return nil },
	}
	_, err = t.Run(context.Background())
	fmt.Println(kept, "of", t.Source.Len(), err)
	// Output: 99 of 110 <nil>
}

// Models of parts of the source answer by majority.
func ExamplePartitionVote() {
	source, target := plane("source", 0.4, 120), plane("target", 0.6, 60)
	v := poison.PartitionVote{Training: uda.Training{
		Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: source, Target: target, Epochs: 60, BatchSize: 40, LR: 0.05, Seed: 1,
	}, Parts: 3}
	e, err := v.Run(context.Background(), target)
	fmt.Println(e.Accuracy > 0.95, err)
	// Output: true <nil>
}

// Filters that look at features need a model that was trained on the suspect source.
func ExampleSuspect() {
	ctx := context.Background()
	source, target := plane("source", 0.4, 100), plane("target", 0.6, 100)
	p, err := poison.MislabelledTarget(poison.Budget{Fraction: 0.1}, 1).Build(source, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := poison.Suspect{Source: p.Into(source), Target: target, Seed: 1}
	s.Model, err = uda.Training{Method: uda.SourceOnly{}, Arch: uda.Plane(), Source: s.Source, Epochs: 20, BatchSize: 50, LR: 0.05, Seed: 1}.Run(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range []poison.Filter{poison.SpectralSignatures{}, poison.ActivationClustering{}, poison.Agreement{Clusters: 2}} {
		kept, err := f.Keep(ctx, s)
		fmt.Println(f.Name(), len(kept) <= s.Source.Len(), err)
	}
	// Output:
	// spectral signatures true <nil>
	// activation clustering true <nil>
	// agreement true <nil>
}

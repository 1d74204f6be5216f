package uda_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// adapt trains a method on points of two domains and returns the last epoch's losses.
func adapt(m uda.Method, epochs int) (model *uda.Model, target *dataset.Set, last uda.Losses) {
	rng := rand.New(rand.NewPCG(1, 0))
	source, target := points(rng, -1, 100), points(rng, 1, 100)
	t := uda.Training{
		Method: m, Arch: uda.Plane(), Source: source, Target: target, Epochs: epochs, BatchSize: 100, LR: 5e-3, Seed: 3,
		OnEpoch: func(e uda.Epoch, _ *uda.Model) error { last = e.Losses; return nil },
	}
	model, err := t.Run(context.Background())
	if err != nil {
		panic(err)
	}
	return model, target, last
}

// The baseline sees no target, and has no loss but that of the labels.
func ExampleSourceOnly() {
	_, _, l := adapt(uda.SourceOnly{}, 20)
	fmt.Println(l.Class > 0, l.Domain, l.Confusion)
	// Output: true 0 0
}

// A discriminator that can no longer tell the domains apart is right half of the time.
func ExampleDANN() {
	_, _, l := adapt(uda.DANN{}, 800)
	fmt.Println(l.Class < 0.1, l.DomainAccuracy > 0.3 && l.DomainAccuracy < 0.7)
	// Output: true true
}

// The discriminator sees the outer product of features and predictions, as it is or
// through a random map.
func ExampleCDAN() {
	exact, _, _ := adapt(uda.CDAN{Exact: true}, 1)
	random, _, _ := adapt(uda.CDAN{MapWidth: 64}, 1)
	fmt.Println(exact.Map.Width(), random.Map.Width())
	fmt.Println(uda.CDAN{Entropy: true}.Name())
	// Output:
	// 2 64
	// CDAN+E
}

// Two classifiers, the first of which answers.
func ExampleMCD() {
	m, _, l := adapt(uda.MCD{FeatureSteps: 4}, 5)
	fmt.Println(len(m.Heads), l.Discrepancy > 0)
	// Output: 2 true
}

// Weights for classes that are more frequent in the target than in the source.
func ExampleIWDAN() {
	m, _, _ := adapt(uda.IWDAN{}, 20)
	fmt.Println(len(m.Weights()), "weights")
	plain, _, _ := adapt(uda.DANN{}, 1)
	fmt.Println(plain.Weights() == nil)
	// Output:
	// 2 weights
	// true
}

// The same weights beside a conditional discriminator.
func ExampleIWCDAN() {
	m, _, _ := adapt(uda.IWCDAN{CDAN: uda.CDAN{Exact: true}}, 1)
	fmt.Println(uda.IWCDAN{}.Name(), len(m.Weights()), m.Map.Width())
	// Output: IW-CDAN 2 2
}

// bars returns images of 4x4 pixels with a bar along the upper (0) or the left (1) edge,
// of some brightness.
func bars(brightness float32, n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(2, 0))
	s := &dataset.Set{H: 4, W: 4, C: 1, Classes: 2}
	for i := range n {
		s.Labels = append(s.Labels, i%2)
		for p := range 16 {
			v := 0.1 * rng.Float32()
			if i%2 == 0 && p < 4 || i%2 == 1 && p%4 == 0 {
				v += brightness
			}
			s.Floats = append(s.Floats, v)
		}
	}
	return s
}

// flat is an architecture of one's own: a dense layer of features for images of any size.
func flat() uda.Architecture {
	return uda.Architecture{
		Name: "flat",
		Features: func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
			return nn.NewSequential(nn.Flatten, nn.NewLinear(rng, h*w*c, 16), nn.ReLU), 16
		},
		Head:          func(rng *rand.Rand, width, classes int) nn.Layer { return nn.NewLinear(rng, width, classes) },
		Discriminator: func(rng *rand.Rand, width int) nn.Layer { return nn.NewLinear(rng, width, 2) },
	}
}

// One head learns the labels of bright bars, another one by how much bright and dark
// images have been turned, as far as that can be told: a turned bar looks like the other
// class.
func ExampleSSL() {
	var first, last uda.Losses
	t := uda.Training{
		Method: uda.SSL{Task: uda.Rotation}, Arch: flat(), Source: bars(0.9, 60), Target: bars(0.3, 60),
		Epochs: 40, BatchSize: 30, LR: 0.01, Seed: 1,
		OnEpoch: func(e uda.Epoch, _ *uda.Model) error {
			if e.Epoch == 0 {
				first = e.Losses
			}
			last = e.Losses
			return nil
		},
	}
	m, err := t.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := uda.Evaluate(context.Background(), m, t.Target)
	fmt.Println(t.Method.Name(), "task learnt:", last.Pretext < 0.75*first.Pretext, "target:", e.Accuracy > 0.9, err)
	// Output: SSL task learnt: true target: true <nil>
}

// Networks of one's own for a training.
func ExampleArchitecture() {
	t := uda.Training{Method: uda.DANN{}, Arch: flat(), Source: bars(0.9, 20), Target: bars(0.6, 20), Epochs: 1, BatchSize: 10, Seed: 1}
	m, err := t.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	x, _ := t.Target.All()
	fmt.Println(m.Features(x).Shape(), m.Logits(x).Shape(), nn.CountParams(m.Discriminator))
	// Output: [20 16] [20 2] 34
}

// What is known of a trained model: features, predictions, losses.
func ExampleModel() {
	ctx := context.Background()
	m, target, _ := adapt(uda.SourceOnly{}, 1)
	features, err := uda.FeaturesOf(ctx, m, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := uda.Probabilities(ctx, m, target)
	if err != nil {
		fmt.Println(err)
		return
	}
	losses, err := uda.LossesOf(ctx, m, target)
	fmt.Println(features.Shape(), p.Shape(), len(losses), err)
	// Output: [100 1] [100 2] 100 <nil>
}

// Inner products of mapped pairs are near those of the outer products.
func ExampleRandomMap() {
	rng := rand.New(rand.NewPCG(1, 0))
	f, p := tensor.Normal(rng, tensor.Float32, 0, 1, 1, 3), tensor.FromFloat32([]float32{0.9, 0.1}, 1, 2)
	random, exact := uda.NewRandomMap(rng, 3, 2, 5000), uda.ExactMap{Features: 3, Classes: 2}
	a, b := random.Join(f, p), exact.Join(f, p)
	ratio := tensor.Dot(a, a).Item() / tensor.Dot(b, b).Item()
	fmt.Println(random.Width(), exact.Width(), ratio > 0.7 && ratio < 1.3)
	// Output: 5000 6 true
}

// Two classifiers that agree, and two that are sure of different classes.
func ExampleDiscrepancy() {
	a := tensor.FromFloat64([]float64{20, -20}, 1, 2)
	fmt.Printf("%.2f %.2f\n", uda.Discrepancy(a, a).Item(), uda.Discrepancy(a, tensor.Neg(a)).Item())
	// Output: 0.00 1.00
}

// Schedules of adversarial adaptation, at the start, half-way and at the end.
func ExampleAnneal() {
	for _, p := range []float64{0, 0.5, 1} {
		fmt.Printf("rate %.3f, reversal %.3f\n", uda.Anneal(p), uda.Lambda(p))
	}
	// Output:
	// rate 1.000, reversal 0.000
	// rate 0.261, reversal 0.987
	// rate 0.166, reversal 1.000
}

// Features that tell nothing of the domain cost ln 2.
func ExampleDomainCE() {
	blind, sure := tensor.FromFloat64([]float64{0, 0}, 1, 2), tensor.FromFloat64([]float64{9, -9}, 1, 2)
	fmt.Printf("%.3f %.3f\n", uda.DomainCE(blind, []int{0}).Item(), uda.DomainCE(sure, []int{0}).Item())
	// Output: 0.693 0.000
}

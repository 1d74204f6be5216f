package smoothing_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense/smoothing"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// line is a model of two classes on two values: it answers 0 if the first is larger,
// so that the boundary is |x₁ - x₂|/√2 away.
type line struct{}

func (line) Logits(x *tensor.Tensor) *tensor.Tensor { return x }

// The first input is 0.57 from the boundary, the second 0.02, too near for a hundred
// draws to say.
func ExampleClassifier_Certify() {
	x := tensor.FromFloat64([]float64{0.9, 0.1, 0.5, 0.47}, 2, 2)
	c := &smoothing.Classifier{Model: line{}, Sigma: 0.25, N: 100, Alpha: 0.01}
	certs, err := c.Certify(context.Background(), x)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, q := range certs {
		fmt.Printf("class %d within %.2f\n", q.Class, q.Radius)
	}
	// Output:
	// class 0 within 0.42
	// class -1 within 0.00
}

// A prediction is one where the vote leaves little doubt.
func ExampleClassifier_Predict() {
	x := tensor.FromFloat64([]float64{0.9, 0.1, 0.5, 0.5}, 2, 2)
	c := &smoothing.Classifier{Model: line{}, Sigma: 0.25, N: 100, Alpha: 0.001}
	answers, err := c.Predict(context.Background(), x)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answers[0].Class, answers[1].Class == smoothing.Abstain)
	// Output: 0 true
}

// The share of inputs that are right and certified at least that far.
func ExampleCertifiedAccuracy() {
	certs := []smoothing.Certificate{{Class: 0, Radius: 0.4}, {Class: 1, Radius: 0.9}, {Class: smoothing.Abstain}}
	y := []int{0, 0, 1}
	curve, err := smoothing.CertifiedAccuracy(certs, y, []float64{0, 0.3, 0.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range curve {
		fmt.Print(e.Right, " of ", e.Total, "\n")
	}
	mean, err := smoothing.AverageRadius(certs, y)
	fmt.Printf("%.3f %v\n", mean, err)
	// Output:
	// 1 of 3
	// 1 of 3
	// 0 of 3
	// 0.133 <nil>
}

// From 990 right answers of 1000 to a radius, with an error probability of 0.001.
func ExampleLowerBound() {
	p := smoothing.LowerBound(990, 1000, 0.001)
	fmt.Printf("%.3f %.2f\n", p, smoothing.Radius(0.25, p))
	// Output: 0.976 0.49
}

// Training on noisy examples is a loss for nn.Trainer.
func ExampleTraining() {
	noise := &smoothing.Training{Sigma: 0.25, Seed: 1}
	fmt.Println(certified(noise.Loss))
	// Output: certified for nine in ten: true <nil>
}

// SmoothAdv trains on noisy examples that an attack has found.
func ExampleSmoothAdv() {
	adv := &smoothing.SmoothAdv{Threat: attack.Threat{Norm: attack.L2, Eps: 0.1}, Sigma: 0.25, Steps: 2, Seed: 1}
	fmt.Println(certified(adv.Loss))
	// Output: certified for nine in ten: true <nil>
}

// certified trains a network on two groups of points, around 0.2 and 0.8 on both axes,
// and says whether the smoothed one is certified at least 0.1 far for most of them.
func certified(loss nn.Loss) (string, error) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 0))
	s := &dataset.Set{Name: "points", H: 1, W: 1, C: 2, Classes: 2}
	for i := range 100 {
		centre := 0.2 + 0.6*float32(i%2)
		s.Labels = append(s.Labels, i%2)
		s.Floats = append(s.Floats, centre+0.1*rng.Float32(), centre+0.1*rng.Float32())
	}
	net := nn.NewMLP(rng, 1, 1, 2, 8, 2)
	t := nn.Trainer{Net: net, Data: s, Epochs: 40, BatchSize: 50, Loss: loss, Schedule: optim.Constant(0.05)}
	if err := t.Run(ctx); err != nil {
		return "", err
	}
	x, y := s.All()
	c := &smoothing.Classifier{Model: nn.Classifier{Net: net}, Sigma: 0.25, N: 200}
	certs, err := c.Certify(ctx, x)
	if err != nil {
		return "", err
	}
	accuracy, err := smoothing.CertifiedAccuracy(certs, y, []float64{0.1})
	if err != nil {
		return "", err
	}
	return fmt.Sprint("certified for nine in ten: ", accuracy[0].Value >= 0.9), nil
}

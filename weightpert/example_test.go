package weightpert_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// A network of three layers keeps the label of x while its weights move by 0.05; the
// bound by norms says so too, with less room.
func Example() {
	net, err := weightpert.NewNetwork(
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{1, -1}, []float64{.5, 2}), Act: weightpert.ReLU},
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{1, -.5}, []float64{-1, 1}), Act: weightpert.ReLU},
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{2, -1}, []float64{1, 1})},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, label := []float64{1, .5}, 1
	box, err := weightpert.Absolute()(net, 0.05)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range []weightpert.Method{weightpert.Product{}, weightpert.Path{}, weightpert.IBP{}, weightpert.CROWN{}} {
		margins, err := weightpert.Margins(m, net, box, x, label)
		if err != nil {
			fmt.Println(err)
			return
		}
		radius, err := weightpert.CertifiedRadius(context.Background(), net, m, weightpert.Absolute(), x, label, weightpert.RadiusOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%-8s margin at least %.3f, certified up to eps %.4f\n", m.Name(), margins[0], radius)
	}
	// Output:
	// product  margin at least 1.076, certified up to eps 0.0999
	// path     margin at least 1.140, certified up to eps 0.1070
	// IBP      margin at least 1.425, certified up to eps 0.1449
	// CROWN    margin at least 1.425, certified up to eps 0.1449
}

// small is a network of two layers that gives the input (1, 0.5) the label 0.
func small() *weightpert.Network {
	net, err := weightpert.NewNetwork(
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{1, -1}, []float64{.5, 1}), Act: weightpert.ReLU},
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{2, 1}, []float64{-1, 1})},
	)
	if err != nil {
		panic(err)
	}
	return net
}

var input = []float64{1, .5}

// classifier is the same network as one of package nn, with two inputs and their
// labels.
func classifier() (net nn.Layer, x *tensor.Tensor, y []int) {
	rng := rand.New(rand.NewPCG(1, 0))
	first, second := nn.NewLinear(rng, 2, 2), nn.NewLinear(rng, 2, 2)
	first.Weight.CopyFrom(tensor.FromFloat64([]float64{1, .5, -1, 1}))
	second.Weight.CopyFrom(tensor.FromFloat64([]float64{2, -1, 1, 1}))
	first.Bias.Fill(0)
	second.Bias.Fill(0)
	x = tensor.FromFloat32([]float32{1, .5, 1, .1}, 2, 1, 1, 2)
	return nn.NewSequential(nn.Flatten, first, nn.ReLU, second), x, []int{0, 0}
}

// A trained network is certified on a batch of images.
func ExampleCertify() {
	mlp, x, y := classifier()
	net, err := weightpert.FromNN(mlp, 1, 1, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, eps := range []float64{0.05, 0.2} {
		box, err := weightpert.Absolute()(net, eps)
		if err != nil {
			fmt.Println(err)
			return
		}
		c, err := weightpert.Certify(context.Background(), weightpert.CROWN{}, net, box, weightpert.Examples(x), y)
		fmt.Println(eps, c.Certified, c.Share(), err)
	}
	// Output:
	// 0.05 [true true] 1 <nil>
	// 0.2 [false true] 0.5 <nil>
}

// One layer in a closed form, for the budget of every weight, of each row and of the
// whole matrix.
func ExampleSingleLayerRadius() {
	eps, err := weightpert.SingleLayerRadius(small(), 0, input, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	rows, err := weightpert.RowBallBound(small(), weightpert.RowBall{Layer: 0, Eps: 0.1, P: 2}, input, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	matrix, err := weightpert.FrobeniusBound(small(), 0, 0.1, input, 0)
	fmt.Printf("eps %.3f, margins %.3f and %.3f %v\n", eps, rows[1], matrix[1], err)
	// Output: eps 0.333, margins 1.165 and 1.165 <nil>
}

// Weng et al.'s bound, with label and rival joined.
func ExampleWengBound() {
	m, err := weightpert.WengBound(context.Background(), small(), weightpert.RowBall{Layer: 0, Eps: 0.1, P: math.Inf(1)}, true, input, 0)
	fmt.Printf("%.3f %v\n", m[1], err)
	// Output: 1.050 <nil>
}

// When only the last two layers move, the worst weights themselves can be had.
func ExampleLastTwo() {
	net := small()
	box, err := weightpert.Absolute()(net, 0.3)
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := weightpert.LastTwo(net, box, input, 0, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	z := w.Network.Logits(input)
	fmt.Printf("margin %.3f, as its weights have it: %.3f\n", w.Margin, z[0]-z[1])
	// Output: margin -0.750, as its weights have it: -0.750
}

// What a certificate leaves open an attack on the weights may settle.
func ExampleSamplePGD() {
	net := small()
	ctx := context.Background()
	for _, eps := range []float64{0.05, 0.3} {
		box, err := weightpert.Absolute()(net, eps)
		if err != nil {
			fmt.Println(err)
			return
		}
		w, err := weightpert.SamplePGD{}.Run(ctx, net, box, input, 0)
		fmt.Println(eps, "broken:", w.Margin <= 0, err)
	}
	// Output:
	// 0.05 broken: false <nil>
	// 0.3 broken: true <nil>
}

// Whether an example that some method does not certify can be got wrong: broken, robust or
// open.
func ExampleRefute() {
	net := small()
	box, err := weightpert.Relative()(net, 0.1)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, verdict, err := weightpert.Refute(context.Background(), net, box, weightpert.SamplePGD{}, input, 0)
	fmt.Println(verdict, err)
	// Output: robust <nil>
}

// The budgets that memory and quantisation give are boxes too.
func ExampleBox() {
	net := small()
	q := weightpert.Quantizer{Bits: 4}
	rounding, err := q.Rounding(net)
	if err != nil {
		fmt.Println(err)
		return
	}
	flips, err := q.BitFlips(net, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	stuck, err := weightpert.StuckAt(net, 0, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range []*weightpert.Box{rounding, flips, stuck} {
		m, err := weightpert.Margins(weightpert.IBP{}, net, b, input, 0)
		fmt.Println("layers that move:", b.Moving(), "safe:", m[1] > 0, err)
	}
	// Output:
	// layers that move: [0 1] safe: true <nil>
	// layers that move: [0 1] safe: false <nil>
	// layers that move: [1] safe: false <nil>
}

// A user's own box: one weight may move, the others stay.
func ExampleBox_SetLayer() {
	net := small()
	box := weightpert.NewBox(net)
	lo, hi := []float64{1, -1, .5, 1}, []float64{1, -1, .5, 3}
	if err := box.SetLayer(0, lo, hi); err != nil {
		fmt.Println(err)
		return
	}
	m, err := weightpert.Margins(weightpert.IBP{}, net, box, input, 0)
	fmt.Printf("%v %.2f %v\n", box.Moving(), m[1], err)
	// Output: [0] 1.50 <nil>
}

// One change of the weights that breaks as many inputs as possible.
func ExamplePGD() {
	net, x, y := classifier()
	out, err := weightpert.PGD{Eps: 0.3, Objective: weightpert.Objective{Kind: weightpert.Hinge}}.Run(context.Background(), net, x, y)
	fmt.Println(out.Clean, out.Accuracy < 1, err)
	// Output: 1 true <nil>
}

// Stored bits of a quantised network: those that a search flips hurt more than those
// that chance flips.
func ExampleBitSearch() {
	ctx := context.Background()
	net, x, y := classifier()
	q, err := weightpert.Quantizer{Bits: 8}.Quantize(net)
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := weightpert.BitSearch{Flips: 2}.Run(ctx, q, x)
	if err != nil {
		fmt.Println(err)
		return
	}
	after, err := weightpert.Accuracy(ctx, found.Network.Network(), x, y)
	fmt.Println(q.Bits(), "bits,", len(found.Flips), "flipped, accuracy", after, err)
	// Output: 64 bits, 2 flipped, accuracy 0 <nil>
}

// At a higher rate the same chip has the same errors and more.
func ExampleQuantized_RandomBitErrors() {
	net, _, _ := classifier()
	q, err := weightpert.Quantizer{}.Quantize(net)
	if err != nil {
		fmt.Println(err)
		return
	}
	few, err := q.RandomBitErrors(0.1, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	many, err := q.RandomBitErrors(0.5, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := q.Hamming(few)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := q.Hamming(many)
	if err != nil {
		fmt.Println(err)
		return
	}
	between, err := few.Hamming(many)
	fmt.Println(a < b, between == b-a, err)
	// Output: true true <nil>
}

// Faults without an adversary.
func ExampleGaussianNoise() {
	net, x, y := classifier()
	noisy, err := weightpert.GaussianNoise(net, 0.05, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	accuracy, err := weightpert.Accuracy(context.Background(), noisy, x, y)
	fmt.Println(accuracy, err)
	// Output: 1 <nil>
}

// How many bits each layer needs for every rounding to keep the predictions.
func ExampleSafeBits() {
	bits, err := weightpert.SafeBits(context.Background(), weightpert.IBP{}, small(), false, 1, [][]float64{input}, []int{0})
	fmt.Println(bits, err)
	// Output: [3 3] <nil>
}

// Which layer matters most?
func ExampleSensitivities() {
	all, err := weightpert.Sensitivities(context.Background(), weightpert.IBP{}, small(), weightpert.Absolute, 0.05, [][]float64{input}, []int{0})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range all {
		fmt.Printf("layer %d: certified %v, radius %.3f\n", s.Layer, s.Certificate.Share(), s.Norm)
	}
	// Output:
	// layer 0: certified 1, radius 0.333
	// layer 1: certified 1, radius 0.500
}

// On its training examples a bound of the generalization error says little; that of
// examples held out does.
func ExampleGeneralization() {
	x, y := [][]float64{{1, .5}, {1, .1}}, []int{0, 0}
	g, err := weightpert.Generalization(context.Background(), small(), 0.01, x, y, 1, 0.05)
	fmt.Println("vacuous:", g.Vacuous(), err)
	share, err := weightpert.CertifiedShare(98, 100, 0.05)
	fmt.Printf("at least %.2f of all examples %v\n", share, err)
	// Output:
	// vacuous: true <nil>
	// at least 0.94 of all examples <nil>
}

// The error of a network whose weights and biases are drawn anew around those that were
// learnt: the deviation and the initial network were chosen before the examples were
// looked at, and 100 draws measure the error on the examples.
func ExamplePACBayes() {
	ctx := context.Background()
	const sigma, delta = 0.3, 0.05
	rng := rand.New(rand.NewPCG(1, 0))
	mlp := nn.NewMLP(rng, 1, 1, 2, 8, 2)
	initial, err := weightpert.FromNN(mlp, 1, 1, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := points(rng, 1000)
	t := nn.Trainer{Net: mlp, Data: s, Epochs: 5, BatchSize: 50, Schedule: optim.Constant(0.02)}
	if err := t.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	learnt, err := weightpert.FromNN(mlp, 1, 1, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	divergence, err := weightpert.GaussianDivergence(learnt, initial, sigma)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y := s.All()
	const draws = 100
	observed := 0.0
	for seed := range draws {
		drawn, err := weightpert.DrawGaussian(mlp, sigma, uint64(seed))
		if err != nil {
			fmt.Println(err)
			return
		}
		accuracy, err := weightpert.Accuracy(ctx, drawn, x, y)
		if err != nil {
			fmt.Println(err)
			return
		}
		observed += (1 - accuracy) / draws
	}
	p, err := weightpert.PACBayes(observed, draws, divergence, s.Len(), delta)
	fmt.Printf("%.1f %v\n", p, err)
	// Output: 0.2 <nil>
}

// A draw of a network's parameters, and the share of inputs that it gets right.
func ExampleDrawGaussian() {
	net, x, y := classifier()
	drawn, err := weightpert.DrawGaussian(net, 0.01, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	accuracy, err := weightpert.Accuracy(context.Background(), drawn, x, y)
	fmt.Println(len(drawn.Params), accuracy, err)
	// Output: 4 1 <nil>
}

// points returns two groups of points in the plane.
func points(rng *rand.Rand, n int) *dataset.Set {
	s := &dataset.Set{Name: "points", H: 1, W: 1, C: 2, Classes: 2}
	for i := range n {
		bright := 0.1 + 0.7*float32(i%2)
		s.Labels = append(s.Labels, i%2)
		s.Floats = append(s.Floats, bright+0.1*rng.Float32(), 0.9-bright+0.1*rng.Float32())
	}
	return s
}

// train trains a network on two groups of points with a loss, and returns the largest
// change of all weights that CROWN certifies for one of them.
func train(loss nn.Loss) (float64, error) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 0))
	s := points(rng, 100)
	mlp := nn.NewMLP(rng, 1, 1, 2, 8, 2)
	t := nn.Trainer{Net: mlp, Data: s, Epochs: 30, BatchSize: 50, Loss: loss, Schedule: optim.Constant(0.02)}
	if err := t.Run(ctx); err != nil {
		return 0, err
	}
	net, err := weightpert.FromNN(mlp, 1, 1, 2)
	if err != nil {
		return 0, err
	}
	return weightpert.CertifiedRadius(ctx, net, weightpert.CROWN{}, weightpert.Relative(), []float64{.8, .1}, 1, weightpert.RadiusOptions{Halvings: 10})
}

// Every way to train for changed weights is a loss for nn.Trainer.
func ExampleTheoryLoss() {
	losses := map[string]nn.Loss{
		"theory":     (&weightpert.TheoryLoss{Lambda: 0.1, Mu: 0.001, RampSteps: 10}).Loss,
		"AWP":        (&weightpert.AWP{Gamma: 0.01}).Loss,
		"SAM":        (&weightpert.SAM{Rho: 0.05}).Loss,
		"sign step":  (&weightpert.SignStep{Eps: 0.01}).Loss,
		"noise":      (&weightpert.WeightNoise{Eps: 0.01, Seed: 1}).Loss,
		"IBP":        (&weightpert.IBPTraining{Eps: 0.01, From: 0, To: 10}).Loss,
		"RandBET":    (&weightpert.RandBET{P: 0.01, Seed: 1}).Loss,
		"quantised":  (&weightpert.QuantAware{Quantizer: weightpert.Quantizer{Bits: 4}}).Loss,
		"clustering": (&weightpert.Clustering{Coefficient: 1e-3}).Loss,
	}
	for _, name := range slices.Sorted(maps.Keys(losses)) {
		radius, err := train(losses[name])
		fmt.Println(name, radius > 0.05, err)
	}
	// Output:
	// AWP true <nil>
	// IBP true <nil>
	// RandBET true <nil>
	// SAM true <nil>
	// clustering true <nil>
	// noise true <nil>
	// quantised true <nil>
	// sign step true <nil>
	// theory true <nil>
}

// Cells of memory that are stuck, and units that are dead.
func ExamplePerturbed() {
	net, x, y := classifier()
	stuck, err := weightpert.StuckWeights(net, 1, 0, 1) // every weight at 0
	if err != nil {
		fmt.Println(err)
		return
	}
	fine, err := weightpert.DeadUnits(net, 0, 1) // none
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range []weightpert.Perturbed{stuck, fine} {
		loss, err := weightpert.MeanCrossEntropy(context.Background(), n, x, y)
		fmt.Printf("%.3f %v\n", loss, err)
	}
	// Output:
	// 0.693 <nil>
	// 0.133 <nil>
}

// Weights that stay small have small scales, and bit errors weigh less.
func ExampleClipWeights() {
	w := []*tensor.Tensor{tensor.FromFloat64([]float64{0.09, -0.5})}
	g := []*tensor.Tensor{tensor.FromFloat64([]float64{-1, 0})}
	weightpert.ClipWeights{Optimizer: &optim.SGD{}, Max: 0.1}.Step(0.05, w, g)
	fmt.Printf("%.2f\n", w[0].Values())
	// Output: [0.10 -0.10]
}

// Robustness against the weights of one layer is robustness of the layers behind it
// against inputs from a box, for any verifier of that.
func ExampleActivationBox() {
	net := small()
	box, err := weightpert.Absolute(0)(net, 0.1)
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := weightpert.ActivationBox(net, box, input)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("[%.2f, %.2f] %v\n", a.Lo[0], a.Hi[0], a.Exact)
	fmt.Println(net.Suffix(a.Layer).Inputs())
	// Output:
	// [0.35, 0.65] true
	// 2
}

// The network that is deployed, with its rounded weights, is the one to certify.
func ExampleFromNN() {
	net, _, _ := classifier()
	q, err := weightpert.Quantizer{Bits: 4}.Quantize(net)
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := weightpert.FromNN(q.Network(), 1, 1, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	box, err := weightpert.Absolute()(n, 0.01)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := weightpert.Margins(weightpert.CROWN{}, n, box, input, 0)
	fmt.Println(m[1] > 0, err)
	// Output: true <nil>
}

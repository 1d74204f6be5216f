package fedleak_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// horizontal is a client with n samples of 8x8 pixels and a network whose bottom part
// ends in a dense layer.
func horizontal(n int, bottom *nn.Sequential) *fedleak.Federation {
	x, y := private(n)
	m := &fedleak.Model{Bottoms: []*nn.Sequential{bottom}, Top: nn.NewSequential(), Inputs: [][3]int{{8, 8, 1}}, Classes: 3}
	return &fedleak.Federation{Model: m, X: []*tensor.Tensor{x}, Labels: y, Schedule: fedleak.FixedBatches{K: n}}
}

// A batch that is the whole data set leaves CAFE nothing. Behind a wide layer with ReLU
// SPEAR takes its only gradient apart, in an order of its own.
func ExampleSPEAR() {
	ctx := context.Background()
	f := horizontal(4, nn.NewMLP(rand.New(rand.NewPCG(1, 2)), 8, 8, 1, 64, 16, 3))
	seen, err := f.Observe(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := fedleak.SPEAR{Seed: 1}.Run(ctx, f.Model, seen)
	if err != nil {
		fmt.Println(err)
		return
	}
	ordered, _ := fedleak.Match(f.X, r.Images(nil))
	fmt.Println("slices:", r.Parties[0].Count(fedleak.Recovered), "above 30 dB:", fedleak.NewScore(f.X, ordered, nil).Above30)
	// Output: slices: 4 above 30 dB: 1
}

// A sample by itself is followed back through convolutions, layer by layer.
func ExampleRGAP() {
	rng := rand.New(rand.NewPCG(1, 2))
	f := horizontal(1, nn.NewSequential(
		nn.NewConv2D(rng, 1, 4, 3, tensor.Same(1, 1)), nn.Tanh, nn.Flatten, nn.NewLinear(rng, 256, 3),
	))
	share, err := above30(f, 1, fedleak.RGAP{})
	fmt.Println("recovered:", share, err)
	// Output: recovered: 1 <nil>
}

// nearness attacks a federation and returns the PSNR of the mean squared error in dB.
func nearness(f *fedleak.Federation, rounds int, a fedleak.Attack) (float64, error) {
	seen, err := f.Observe(rounds)
	if err != nil {
		return 0, err
	}
	r, err := a.Run(context.Background(), f.Model, seen)
	if err != nil {
		return 0, err
	}
	return fedleak.NewScore(f.X, r.Images(nil), nil).OfMean, nil
}

// Fake gradients keep the order of entries and lose their scale. Who has other images of
// the kind learns how the defended answer belongs to the image, from fakes of his own: the
// seed of the victim's is a secret.
func ExampleCalibrated() {
	f := federation(12, fedleak.Uniform{K: 3}, &fedleak.FakeGradients{Sigma: 1})
	shadow := federation(40, fedleak.Uniform{K: 3, Seed: 7}, &fedleak.FakeGradients{Sigma: 1})
	shadow.Seed = f.Seed + 1
	a := fedleak.Calibrated{CAFE: fedleak.CAFE{Coverage: -1, Ridge: 1}, Shadow: shadow, Rounds: 200}
	plain, err := nearness(f, 60, fedleak.CAFE{Coverage: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	learnt, err := nearness(f, 60, a)
	fmt.Println("nearer by more than 3 dB:", learnt > plain+3, err)
	// Output: nearer by more than 3 dB: true <nil>
}

// The scale that fake gradients change is put right by the norm of other images'
// features.
func ExampleRescale() {
	f := federation(12, fedleak.Uniform{K: 3}, &fedleak.FakeGradients{Sigma: 1})
	public := federation(40, fedleak.Uniform{K: 3}, nil).X
	plain, err := nearness(f, 60, fedleak.CAFE{Coverage: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	rescaled, err := nearness(f, 60, fedleak.CAFE{Coverage: -1, Ridge: 1, Rescale: &fedleak.Rescale{Public: public}})
	fmt.Println("nearer by more than 3 dB:", rescaled > plain+3, err)
	// Output: nearer by more than 3 dB: true <nil>
}

// Noise without clipping has no privacy budget; more rounds average it out.
func ExampleNoise() {
	f := federation(12, fedleak.Uniform{K: 3}, fedleak.Noise{Sigma: 0.02})
	few, err := nearness(f, 20, fedleak.CAFE{Coverage: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	many, err := nearness(f, 400, fedleak.CAFE{Coverage: -1})
	fmt.Println("20 rounds:", few > 20, "400 rounds:", many > 20, err)
	// Output: 20 rounds: false 400 rounds: true <nil>
}

// Three distances between gradients, each 0 for equal ones; an angle does not see their
// length.
func ExampleDistance() {
	want := []*tensor.Tensor{tensor.FromFloat64([]float64{3, 4}, 2)}
	got := []*tensor.Tensor{tensor.FromFloat64([]float64{6, 8}, 2)}
	for _, d := range []fedleak.Distance{fedleak.L2{}, fedleak.Cosine{}, fedleak.SAPAG{}} {
		fmt.Printf("%.2f %.2f %s\n", d.Between(want, want).Item(), d.Between(got, want).Item(), d.Name())
	}
	// Output:
	// 0.00 25.00 L2
	// 0.00 0.00 cosine
	// 0.00 1.00 SAPAG
}

// A convolutional model as released for CAFE, and the gradients of it that the attack
// looks at.
func ExampleNewQuadrants() {
	m := fedleak.NewQuadrants(rand.New(rand.NewPCG(1, 2)), 28, 1, 10, fedleak.Shape{})
	refs, err := fedleak.AttackRefs(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(m.Bottoms), "parties with slices of", m.Inputs[0])
	fmt.Println(len(refs), "of", len(m.Refs()), "gradients, such as", refs[0])
	// Output:
	// 4 parties with slices of [14 14 1]
	// 9 of 42 gradients, such as tensor 4 of party 0
}

// What the server sees of a round, and what it must not see.
func ExampleFederation() {
	f := federation(12, fedleak.Epochs{K: 4}, nil)
	ids := f.Schedule.Batch(0, 12)
	seen, err := f.Upload(context.Background(), 0, ids, fedleak.Ref{Party: 2, Tensor: 0})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, h, err := f.Truth(2, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	samples, outputs := v.Dims()
	_, inputs := h.Dims()
	fmt.Println("one gradient", seen[0].Shape(), "for", len(ids), "samples")
	fmt.Println(samples, "private gradients of", outputs, "outputs, and", inputs, "inputs each")
	// Output:
	// one gradient [16 32] for 4 samples
	// 12 private gradients of 32 outputs, and 16 inputs each
}

// What an attack could not get, and why.
func ExampleRecovery_Invisible() {
	f := federation(12, fedleak.FixedBatches{K: 4}, nil)
	seen, err := f.Observe(3)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := fedleak.CAFE{}.Run(context.Background(), f.Model, seen)
	fmt.Println(err)
	lost := r.Invisible()
	fmt.Println(len(lost), "slices:", lost[0].Status, "as", lost[0].Why)
	// Output:
	// fedleak: 3 rounds of 4 out of 12 samples have rank 3: Step I identifies 0 % of the samples (epochs of shuffled batches need at least 6 epochs, 18 rounds)
	// 48 slices: undetermined as the batches do not single it out: epochs of shuffled batches need at least 6 epochs, 18 rounds
}

// The published attack can be fed with the rounds of a training as they come.
func ExamplePublished_Start() {
	f := federation(6, fedleak.Uniform{K: 2}, nil)
	tables, err := fedleak.Published{Seed: 1}.Start(f.Model, f.Setting(), 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for t := range 3 {
		ids := f.Schedule.Batch(t, 6)
		seen, err := f.Upload(context.Background(), t, ids, f.Model.Refs()...)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := tables.Observe(ids, seen); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(len(tables.X), "parties,", len(tables.X[0])/16, "slices of 4x4 pixels")
	// Output: 4 parties, 6 slices of 4x4 pixels
}

// Measures of nearness, by image: the signal-to-noise ratio in dB and the similarity of
// structure.
func ExamplePSNR() {
	truth := tensor.FromFloat64([]float64{0, 1, 1, 0}, 1, 2, 2, 1)
	guess := tensor.FromFloat64([]float64{0.1, 0.9, 0.9, 0.1}, 1, 2, 2, 1)
	fmt.Printf("%.1f dB, MSE %.2f, SSIM %.2f\n", fedleak.PSNR(truth, guess), fedleak.MSE(truth, guess), fedleak.SSIM(truth, guess))
	// Output: [20.0] dB, MSE [0.01], SSIM [0.98]
}

// Images are cut into the slices of four parties and put together again.
func ExampleQuadrants() {
	x := tensor.FromFloat64([]float64{1, 2, 3, 4}, 1, 2, 2, 1)
	parties := fedleak.Quadrants(x)
	fmt.Println(parties[0].Values(), parties[3].Values(), fedleak.JoinQuadrants(parties).Values())
	// Output: [1] [4] [1 2 3 4]
}

// How fast the published Step I comes closer: the share of the squared error that is left
// after some iterations, with the best rate and with a smaller one.
func ExampleStepOneDecay() {
	for _, lr := range []float64{1. / 80, 0.005} {
		fmt.Printf("%.3f\n", fedleak.StepOneDecay(800, 40, lr, 100))
	}
	// Output:
	// 0.888
	// 0.927
}

func ExampleTotalVariation() {
	step := tensor.FromFloat64([]float64{0, 1, 0, 1}, 1, 2, 2, 1)
	fmt.Println(fedleak.TotalVariation(step).Item())
	// Output: 2
}

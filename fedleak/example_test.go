package fedleak_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Twenty private images are recovered from gradients averaged over five of them.
func ExampleCAFE() {
	rng := rand.New(rand.NewPCG(1, 2))
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 20, 8, 8, 1)
	y := make([]int, 20)
	for i := range y {
		y[i] = i % 3
	}
	m := fedleak.NewDenseQuadrants(rng, 8, 1, 3, 32, 8)
	f := &fedleak.Federation{Model: m, X: fedleak.Quadrants(x), Labels: y, Schedule: fedleak.Uniform{K: 5}}
	seen, err := f.Observe(30)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := fedleak.CAFE{}.Run(context.Background(), m, seen)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := fedleak.NewScore(f.X, r.Images(nil), r.Complete())
	fmt.Println("labels found:", fedleak.LabelAccuracy(y, r.Labels))
	fmt.Println("above 40 dB:", s.Above40)
	// Output:
	// labels found: 1
	// above 40 dB: 1
}

// What a schedule of batches gives away can be told without a gradient.
func ExampleIdentify() {
	for _, s := range []fedleak.Schedule{fedleak.Epochs{K: 3}, fedleak.FixedBatches{K: 3}} {
		var batches [][]int
		for t := range 20 {
			batches = append(batches, s.Batch(t, 12))
		}
		d, err := fedleak.Identify(batches, 12)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("rank %d of %d, reachable %d, %.0f %% identifiable\n", d.Rank, d.Samples, d.Reachable, 100*d.Share())
	}
	// Output:
	// rank 12 of 12, reachable 12, 100 % identifiable
	// rank 4 of 12, reachable 4, 0 % identifiable
}

// private returns n images of 8x8 pixels with labels of three classes.
func private(n int) (x *tensor.Tensor, y []int) {
	x = tensor.Uniform(rand.New(rand.NewPCG(3, 4)), tensor.Float32, 0, 1, n, 8, 8, 1)
	for i := range n {
		y = append(y, i%3)
	}
	return x, y
}

// federation is a vertical federation of n samples with a schedule and a defence.
func federation(n int, s fedleak.Schedule, d fedleak.Defense) *fedleak.Federation {
	x, y := private(n)
	m := fedleak.NewDenseQuadrants(rand.New(rand.NewPCG(1, 2)), 8, 1, 3, 32, 8)
	return &fedleak.Federation{Model: m, X: fedleak.Quadrants(x), Labels: y, Schedule: s, Defense: d, Seed: 1}
}

// above30 attacks a federation over some rounds and returns the share of images that
// are recovered above 30 dB.
func above30(f *fedleak.Federation, rounds int, a fedleak.Attack) (float64, error) {
	seen, err := f.Observe(rounds)
	if err != nil {
		return 0, err
	}
	r, err := a.Run(context.Background(), f.Model, seen)
	if r == nil {
		return 0, err
	}
	return fedleak.NewScore(f.X, r.Images(nil), nil).Above30, err
}

// The same batches in every epoch cost nothing and keep Step I from a solution.
func ExampleFixedBatches() {
	_, err := above30(federation(12, fedleak.FixedBatches{K: 4}, nil), 30, fedleak.CAFE{})
	var open *fedleak.NotIdentifiableError
	if errors.As(err, &open) {
		fmt.Println("rank", open.Rank, "of", open.Samples)
	}
	// Output: rank 3 of 12
}

// Freshly shuffled epochs put it off.
func ExampleEpochsNeeded() {
	fmt.Println(fedleak.EpochsNeeded(800, 40), "epochs of 20 batches")
	// Output: 43 epochs of 20 batches
}

// Fake gradients stop the plain attack; see Rescale and Calibrated for those that they do
// not stop.
func ExampleFakeGradients() {
	f := federation(12, fedleak.Uniform{K: 3}, &fedleak.FakeGradients{})
	share, err := above30(f, 40, fedleak.CAFE{})
	fmt.Println("recovered:", share, err)
	// Output: recovered: 0 <nil>
}

// Clipping by itself protects nothing; noise does, at a price that an accountant adds
// up.
func ExampleClippedNoise() {
	clipped, err := above30(federation(12, fedleak.Uniform{K: 3}, fedleak.ClippedNoise{Clip: 0.01}), 40, fedleak.CAFE{})
	fmt.Println("clipped:", clipped, err)
	noisy, err := above30(federation(12, fedleak.Uniform{K: 3}, fedleak.ClippedNoise{Clip: 0.01, Multiplier: 1}), 40, fedleak.CAFE{})
	fmt.Println("with noise:", noisy, err)
	// Output:
	// clipped: 1 <nil>
	// with noise: 0 <nil>
}

// The privacy budget of 1000 rounds against a server who names the batches, and against
// one who does not know that each sample takes part with probability 1/100 in which.
func ExampleAccountant() {
	for _, rate := range []float64{0, 0.01} {
		eps, err := fedleak.Accountant{Multiplier: 1, Rate: rate}.Epsilon(1000, 1e-5)
		fmt.Printf("rate %v: %.1f %v\n", rate, eps, err)
	}
	// Output:
	// rate 0: 651.7 <nil>
	// rate 0.01: 2.5 <nil>
}

// Entries that are left out are solved for from further rounds.
func ExampleSparse() {
	f := federation(12, fedleak.Uniform{K: 3}, fedleak.Sparse{Keep: 0.2})
	plain, err := above30(f, 200, fedleak.CAFE{})
	fmt.Println("a fifth of the entries:", plain < 1, err)
	masked, err := above30(f, 200, fedleak.CAFE{Masked: true})
	fmt.Println("known to be left out:", masked == 1, err)
	// Output:
	// a fifth of the entries: true <nil>
	// known to be left out: true <nil>
}

// A batch of one sample can be read off its gradient.
func ExampleAnalytic() {
	f := federation(1, fedleak.Uniform{K: 1}, nil)
	share, err := above30(f, 1, fedleak.Analytic{})
	fmt.Println(share, err)
	// Output: 1 <nil>
}

// Deep leakage looks for an image with the observed gradients, and gets near them; that
// is not yet the image, which Analytic reads off for a batch of one.
func ExampleDLG() {
	f := federation(1, fedleak.Uniform{K: 1}, nil)
	var distance []float64
	dlg := fedleak.DLG()
	dlg.Init, dlg.Method = fedleak.UniformInit, fedleak.Adam
	dlg.OnStep = func(_ int, objective float64) { distance = append(distance, objective) }
	_, err := above30(f, 1, dlg)
	fmt.Println(dlg.Name(), distance[len(distance)-1] < distance[0]/10, err)
	// Output: DLG true <nil>
}

// Rounds are written to a file as the server saw them, and attacked later.
func ExampleTranscript() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rounds.safetensors")

	f := federation(6, fedleak.Uniform{K: 2}, nil)
	keep, err := fedleak.AttackRefs(f.Model)
	if err != nil {
		fmt.Println(err)
		return
	}
	seen, err := f.Observe(20)
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := fedleak.Record(ctx, f.Model, seen, keep)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := record.Save(path); err != nil {
		fmt.Println(err)
		return
	}
	later, err := fedleak.LoadTranscript(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := fedleak.CAFE{}.Run(ctx, f.Model, later)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(later.Rounds(), "rounds,", r.Parties[0].Count(fedleak.Recovered), "slices of the first party")
	// Output: 20 rounds, 6 slices of the first party
}

// A federation trains its model on what the server sees.
func ExampleTraining() {
	f := federation(12, fedleak.Epochs{K: 4}, nil)
	before := f.Model.Accuracy(f.X, f.Labels)
	err := fedleak.Training{Steps: 300, LR: optim.Constant(0.01), Optimizer: &optim.Adam{}}.Run(context.Background(), f)
	fmt.Println(before < 0.9, f.Model.Accuracy(f.X, f.Labels) > 0.9, err)
	// Output: true true <nil>
}

// Scores of a guess: the mean image of other samples is what an attack must beat.
func ExampleScore() {
	x, _ := private(10)
	truth := fedleak.Quadrants(x)
	exact := fedleak.NewScore(truth, truth, nil)
	guess := fedleak.NewScore(truth, fedleak.MeanImage(truth, 10), nil)
	fmt.Println(exact.Above40, guess.Above20, exact.SSIM > guess.SSIM)
	// Output: 1 0 true
}

// A single round's samples come in no order; Match finds the one that fits best.
func ExampleMatch() {
	x, _ := private(3)
	truth := []*tensor.Tensor{x}
	guess := []*tensor.Tensor{tensor.Gather(x, []int{2, 0, 1})}
	_, places := fedleak.Match(truth, guess)
	fmt.Println(places)
	// Output: [1 2 0]
}

// The published iterations, for comparison.
func ExamplePublished() {
	a := fedleak.Published{Iterations: 50, Seed: 1}
	share, err := above30(federation(12, fedleak.Uniform{K: 3}, nil), 50, a)
	fmt.Println("after 50 of their 20,000 iterations:", share, err)
	// Output: after 50 of their 20,000 iterations: 0 <nil>
}

// In a horizontal federation clients hold samples of their own.
func ExamplePerClient() {
	s := fedleak.PerClient{Clients: 2, K: 3, Seed: 1}
	batch := s.Batch(0, 20)
	low := 0
	for _, id := range batch {
		if id < 10 {
			low++
		}
	}
	fmt.Println(len(batch), "ids,", low, "of the first client")
	// Output: 6 ids, 3 of the first client
}

package fedleak_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/tensor"
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

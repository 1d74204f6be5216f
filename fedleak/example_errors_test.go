package fedleak_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-ml/redoubt/fedleak"
)

// Too few rounds give a part of the samples, and an error that says what is missing.
func ExampleNotIdentifiableError() {
	f := federation(12, fedleak.Uniform{K: 3, Seed: 2}, nil)
	seen, err := f.Observe(8)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = fedleak.CAFE{SkipImages: true}.Run(context.Background(), f.Model, seen)
	var open *fedleak.NotIdentifiableError
	if errors.As(err, &open) {
		fmt.Println("rank", open.Rank, "of", open.Samples, "after", open.Rounds, "rounds; all after", open.Needed)
	}
	// Output: rank 8 of 12 after 8 rounds; all after 12
}

// A transcript that kept only some gradients says which one is missing.
func ExampleGradientError() {
	ctx := context.Background()
	f := federation(6, fedleak.Uniform{K: 2}, nil)
	seen, err := f.Observe(2)
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, err := fedleak.Record(ctx, f.Model, seen, []fedleak.Ref{{Party: 0, Tensor: 0}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = kept.Gradients(ctx, 1, fedleak.Ref{Party: fedleak.Top, Tensor: 1})
	var missing *fedleak.GradientError
	fmt.Println(errors.As(err, &missing), err)
	// Output: true fedleak: round 1: gradient of tensor 1 of the top network is not in the transcript
}

// Twelve samples in batches of four: drawn anew in each round, dealt out in each epoch,
// or the same batches for ever.
func ExampleSchedule() {
	for _, s := range []fedleak.Schedule{fedleak.Uniform{K: 4, Seed: 1}, fedleak.Epochs{K: 4, Seed: 1}, fedleak.FixedBatches{K: 4, Seed: 1}} {
		seen := map[int]bool{}
		for t := range 3 {
			for _, id := range s.Batch(t, 12) {
				seen[id] = true
			}
		}
		fmt.Println(len(seen) == 12, s.Check(12), s.Check(3) != nil)
	}
	// Output:
	// false <nil> true
	// true <nil> true
	// true <nil> true
}

// A server that sees only the mean over two clients cannot tell a constant that one
// client's samples gain and the other's lose.
func ExampleIdentifyClients() {
	s := fedleak.PerClient{Clients: 2, K: 1, Seed: 1}
	var batches [][]int
	for t := range 20 {
		batches = append(batches, s.Batch(t, 6))
	}
	d, err := fedleak.IdentifyClients(batches, 6, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("rank", d.Rank, "of", d.Samples, "- reachable", d.Reachable)
	// Output: rank 5 of 6 - reachable 5
}

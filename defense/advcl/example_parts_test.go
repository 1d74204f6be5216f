package advcl_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// An encoder with statistics of their own for clean and for attacked images. Before any
// batch has entered them it says nothing.
func ExampleEncoder() {
	ctx, data := context.Background(), stripes(32)
	e := advcl.NewEncoder(rand.New(rand.NewPCG(1, 1)), tiny, advcl.Clean, advcl.Attacked)
	fmt.Println("ready:", e.Ready(advcl.Clean) == nil)
	if err := e.Calibrate(ctx, advcl.Clean, data, 1); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ready:", e.Ready(advcl.Clean) == nil, e.Ready(advcl.Attacked) == nil)
	clean, err := e.Extract(advcl.Clean)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := advcl.Encode(ctx, clean, "", data)
	fmt.Println(f.Shape(), "with", len(clean.Sets), "set", err)
	// Output:
	// ready: false
	// ready: true false
	// [32 16] with 1 set <nil>
}

// The size and the cost of the encoders.
func ExampleForm() {
	for _, f := range []advcl.Form{advcl.ResNet18, advcl.Mini} {
		fmt.Printf("%s: %d features, %.1f million weights, %.0f million multiply-adds\n", f.Name, f.Features(), float64(f.ConvWeights())/1e6, float64(f.MultiplyAdds(32))/1e6)
	}
	// Output:
	// ResNet-18: 512 features, 11.2 million weights, 555 million multiply-adds
	// mini: 128 features, 0.3 million weights, 12 million multiply-adds
}

// What pretraining trains: features, a projection of them, and heads for pseudo-labels.
func ExampleNetwork() {
	rng := rand.New(rand.NewPCG(1, 1))
	net := advcl.NewNetwork(rng, tiny, advcl.Projector{Widths: []int{16, 8}}, []int{2, 10}, advcl.Clean, advcl.Attacked)
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 4, 16, 16, 3)
	pass := &nn.Pass{Train: true, Stats: advcl.Clean}
	fmt.Println(net.Features(pass, x).Shape(), net.Forward(pass, x).Shape(), len(net.Heads))
	// Output: [4 16] [4 8] 2
}

// A pretraining that was stopped goes on from its checkpoint.
func ExamplePretraining() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var steps []int
	run := func(stopAfter int) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		net := advcl.NewNetwork(rand.New(rand.NewPCG(1, 1)), tiny, advcl.Projector{Widths: []int{16, 8}}, nil)
		t := advcl.Pretraining{
			Net: net, Method: advcl.NewSimCLR(1), Data: stripes(32), Steps: 4, BatchSize: 16,
			Checkpoint: filepath.Join(dir, "run.safetensors"),
			OnStep: func(p nn.Progress) {
				steps = append(steps, p.Step)
				if p.Step+1 == stopAfter {
					cancel()
				}
			},
		}
		return t.Run(ctx)
	}
	fmt.Println(run(2))
	fmt.Println(run(-1))
	fmt.Println(steps)
	// Output:
	// nn: Trainer: stopped before step 2 of 4: context canceled
	// <nil>
	// [0 1 2 3]
}

// A random start, steps along signs, and the settings that make no sense.
func ExampleAttack() {
	a := advcl.Attack{Eps: 8. / 255, StepSize: 2. / 255, Steps: 5}
	fmt.Println(a.Check())
	a.Eps = 8
	fmt.Println(a.Check() != nil)
	// Output:
	// <nil>
	// true
}

// Augmentation that weakens with the epochs, and a weight that grows.
func ExampleAnnealedCrop() {
	schedule := advcl.Annealing{Epochs: 100, Every: 25}
	crop := advcl.AnnealedCrop{Area: 0.2, Annealing: schedule}
	weight := advcl.AnnealedWeight{Annealing: schedule, Attacked: true}
	for _, epoch := range []int{0, 99} {
		fmt.Printf("%d changes, weight %.2f\n", len(crop.Augment(epoch)), weight.At(epoch))
	}
	// Output:
	// 4 changes, weight 1.00
	// 4 changes, weight 1.67
}

// SimCLR's augmentation and the customary one of CIFAR-10.
func ExampleStrong() {
	for _, changes := range [][]dataset.Augment{advcl.Strong(0.2, 1), advcl.Weakly()} {
		_, err := dataset.NewAugmenter(1, changes...)
		fmt.Println(len(changes), "changes", err)
	}
	// Output:
	// 4 changes <nil>
	// 2 changes <nil>
}

// Labels belong to the images that they were made for.
func ExamplePseudoLabels() {
	data := stripes(4)
	labels := &advcl.PseudoLabels{Data: advcl.Checksum(data), Heads: []advcl.Labelling{{K: 2, ID: []int{0, 1, 0, 1}}}}
	fmt.Println(labels.Clusters(), labels.Fits(data), labels.Fits(data.Subset([]int{1, 0, 2, 3})) != nil)
	// Output: [2] <nil> true
}

package advcl_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Pretrain without labels, put a linear layer on the frozen encoder, and attack it.
func Example() {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 1))
	// Light and dark images, each with noise of its own.
	images := &dataset.Set{Name: "light and dark", H: 16, W: 16, C: 3, Classes: 2}
	for i := range 64 {
		images.Labels = append(images.Labels, i%2)
		for range 16 * 16 * 3 {
			images.Bytes = append(images.Bytes, byte(60+i%2*100+rng.IntN(40)))
		}
	}
	form := advcl.Form{Name: "tiny", Stem: 8, Stride: 2, Stages: []advcl.Stage{{Width: 16, Blocks: 1, Stride: 2}}}
	net := advcl.NewNetwork(rng, form, advcl.Projector{Widths: []int{16, 8}}, nil, advcl.Clean, advcl.Attacked)
	run := advcl.Pretraining{Net: net, Method: advcl.NewAdvCL(1), Data: images, Steps: 10, BatchSize: 16}
	if err := run.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	encoder, err := net.Encoder.Extract(advcl.Attacked)
	if err != nil {
		fmt.Println(err)
		return
	}
	classifier, err := finetune.Tuning{Kind: finetune.SLF, LR: 0.1, BatchSize: 16, Epochs: 20, Standardize: true}.Run(ctx, encoder, images)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y := images.All()
	scores, err := finetune.Protocol{Eps: []float64{2. / 255}}.Measure(ctx, classifier, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("right on most clean images:", scores.Clean.Value > 0.9)
	fmt.Println("no better under attack:", scores.Robust[0].Value <= scores.Clean.Value)
	// Output:
	// right on most clean images: true
	// no better under attack: true
}

// The loss of views is least when views of an image agree and images are far apart.
func ExampleNTXent() {
	a := tensor.FromFloat64([]float64{1, 0, -1, 0}, 2, 2) // two images with two features
	l, err := advcl.NTXent{}.Loss(a, a)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f, at least %.4f\n", l.Item(), advcl.NTXent{}.Bound(2, 2))
	// Output: 0.0360, at least 0.0360
}

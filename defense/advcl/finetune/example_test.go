package finetune_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// tinted returns images of 8x8 pixels that are reddish (0) or bluish (1).
func tinted(n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(1, 1))
	s := &dataset.Set{Name: "tinted", H: 8, W: 8, C: 3, Classes: 2}
	for i := range n {
		s.Labels = append(s.Labels, i%2)
		for range 64 {
			s.Bytes = append(s.Bytes, byte(60+120*(1-i%2)+rng.IntN(40)), byte(100+rng.IntN(40)), byte(60+120*(i%2)+rng.IntN(40)))
		}
	}
	return s
}

// encoder returns one that has seen the images and learnt nothing: tints can be told
// apart by it all the same.
func encoder(images *dataset.Set) (*advcl.Encoder, error) {
	form := advcl.Form{Name: "tiny", Stem: 8, Stride: 2, Stages: []advcl.Stage{{Width: 8, Blocks: 1, Stride: 2}}}
	e := advcl.NewEncoder(rand.New(rand.NewPCG(1, 2)), form)
	return e, e.Calibrate(context.Background(), "", images, 1)
}

// The three ways to fine-tune, at settings for 64 images.
func ExampleTuning() {
	ctx := context.Background()
	images := tinted(64)
	e, err := encoder(images)
	if err != nil {
		fmt.Println(err)
		return
	}
	weak := attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 2. / 255}, Steps: 2, StepSize: 1. / 255}
	for _, t := range []finetune.Tuning{
		{Kind: finetune.SLF, Standardize: true, LR: 0.1, Epochs: 20},
		{Kind: finetune.ALF, Attack: weak, LR: 0.5, Epochs: 20},
		{Kind: finetune.AFF, Attack: weak, LR: 0.05, Epochs: 10},
	} {
		t.BatchSize = 16
		c, err := t.Run(ctx, e, images)
		if err != nil {
			fmt.Println(err)
			return
		}
		x, y := images.All()
		answers, err := attack.Predict(ctx, c, x)
		right := 0
		for i, a := range answers {
			if a == y[i] {
				right++
			}
		}
		fmt.Println(t.Kind, right > 58, err)
	}
	// Output:
	// SLF true <nil>
	// ALF true <nil>
	// AFF true <nil>
}

// Clean accuracy, and accuracy under PGD at two radii.
func ExampleProtocol() {
	ctx := context.Background()
	images := tinted(64)
	e, err := encoder(images)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := finetune.Tuning{Kind: finetune.SLF, Standardize: true, LR: 0.1, BatchSize: 16, Epochs: 20}.Run(ctx, e, images)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y := images.All()
	scores, err := finetune.Protocol{Eps: []float64{1. / 255, 1}}.Measure(ctx, c, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scores.Clean.Value > 0.9, scores.Robust[0].Value > 0.9, scores.Robust[1].Value < 0.1)
	// Output: true true true
}

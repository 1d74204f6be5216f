package finetune_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// An encoder and a linear layer of one's own are a classifier for attacks, too.
func ExampleClassifier() {
	images := tinted(8)
	e, err := encoder(images)
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &finetune.Classifier{Encoder: e, Head: nn.NewLinear(rand.New(rand.NewPCG(1, 0)), e.Form.Features(), 2)}
	x, _ := images.All()
	fmt.Println(c.Logits(x).Shape(), nn.CountParams(c) > nn.CountParams(c.Head))
	// Output: [8 2] true
}

// Accuracy by steps and by radius shows masked gradients: it must fall.
func ExampleProtocol_StepsCurve() {
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
	p := finetune.Protocol{StepSize: 0.5}
	bySteps, err := p.StepsCurve(ctx, c, x, y, 1, 0, 20)
	if err != nil {
		fmt.Println(err)
		return
	}
	byRadius, err := p.EpsCurve(ctx, c, x, y, 0, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(bySteps[0].Value > 0.9, bySteps[1].Value < 0.1, byRadius[1].Value < 0.1)
	// Output: true true true
}

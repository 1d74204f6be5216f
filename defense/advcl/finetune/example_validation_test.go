package finetune_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
)

// The epoch that is best on 16 training images that are held out.
func ExampleValidation() {
	images := tinted(64)
	e, err := encoder(images)
	if err != nil {
		fmt.Println(err)
		return
	}
	epochs, best := 0, -1
	_, err = finetune.Tuning{
		Kind: finetune.SLF, LR: 0.1, BatchSize: 16, Epochs: 5,
		Validation: &finetune.Validation{Images: 16, OnEpoch: func(epoch int, _ finetune.Scores, better bool) {
			epochs++
			if better {
				best = epoch
			}
		}},
	}.Run(context.Background(), e, images)
	fmt.Println(epochs, "epochs, a best one:", best >= 0, err)
	// Output: 5 epochs, a best one: true <nil>
}

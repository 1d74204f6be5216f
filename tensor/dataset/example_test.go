package dataset_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func ExampleMNISTMini() {
	train, _, err := dataset.MNISTMini()
	if err != nil {
		panic(err)
	}
	x, y := train.Batch([]int{0, 1, 2})
	fmt.Println(train.Len(), x.Shape(), y)
	// Output: 2000 [3 28 28 1] [5 0 4]
}

func ExampleBatches() {
	order, err := dataset.NewBatches(7, dataset.BatchOptions{Size: 3, Sequential: true})
	if err != nil {
		panic(err)
	}
	for idx := range order.Epoch() {
		fmt.Println(idx)
	}
	// Output:
	// [0 1 2]
	// [3 4 5]
	// [6]
}

func ExampleNewAugmenter() {
	train, _, err := dataset.MNISTMini()
	if err != nil {
		panic(err)
	}
	augment, err := dataset.NewAugmenter(1, dataset.PadCrop{Pad: 2}, dataset.HorizontalFlip{})
	if err != nil {
		panic(err)
	}
	idx := []int{3, 1, 4}
	x, _ := train.Batch(idx)
	augment.Apply(x, idx, 0)
	fmt.Println(x.Shape())
	// Output: [3 28 28 1]
}

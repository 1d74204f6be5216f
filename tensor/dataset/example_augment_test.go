package dataset_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// augmented applies one augmentation to n copies of an image.
func augmented(a dataset.Augment, n int, image *tensor.Tensor) *tensor.Tensor {
	augment, err := dataset.NewAugmenter(1, a)
	if err != nil {
		panic(err)
	}
	idx, copies := make([]int, n), make([]*tensor.Tensor, n)
	for i := range idx {
		idx[i], copies[i] = i, image
	}
	x := tensor.Concat(0, copies...).Clone()
	augment.Apply(x, idx, 0)
	return x
}

// Brightness is multiplied by a factor between 0.6 and 1.4; nothing else changes.
func ExampleColorJitter() {
	x := augmented(dataset.ColorJitter{Brightness: 0.4}, 200, tensor.Full(tensor.Float32, 0.5, 1, 2, 2, 3))
	lo, hi := tensor.Min(tensor.Reshape(x, -1), 0).Item(), tensor.Max(tensor.Reshape(x, -1), 0).Item()
	fmt.Println(lo >= 0.3-1e-6 && lo < 0.32, hi > 0.68 && hi <= 0.7+1e-6)
	// Output: true true
}

// Half of the images are mirrored.
func ExampleHorizontalFlip() {
	x := augmented(dataset.HorizontalFlip{}, 200, tensor.FromFloat32([]float32{0, 1}, 1, 1, 2, 1))
	flipped := 0
	for i := range 200 {
		if x.At(i, 0, 0, 0) == 1 {
			flipped++
		}
	}
	fmt.Println(flipped > 70 && flipped < 130)
	// Output: true
}

// A window of the padded image: the lit pixel in the middle moves by at most one.
func ExamplePadCrop() {
	x := augmented(dataset.PadCrop{Pad: 1}, 200, tensor.FromFloat32([]float32{0, 0, 0, 0, 1, 0, 0, 0, 0}, 1, 3, 3, 1))
	fmt.Println("lit in all images:", tensor.Sum(x).Item() == 200, "where it can be:", tensor.Greater(tensor.Mean(x, 0, 3), tensor.Scalar(tensor.Float32, 0)).Values())
	// Output: lit in all images: true where it can be: [1 1 1 1 1 1 1 1 1]
}

// Red becomes a grey with the weight that red has in brightness.
func ExampleRandomGrayscale() {
	x := augmented(dataset.RandomGrayscale{P: 1}, 1, tensor.FromFloat32([]float32{1, 0, 0}, 1, 1, 1, 3))
	fmt.Printf("%.2f\n", x.Values())
	// Output: [0.30 0.30 0.30]
}

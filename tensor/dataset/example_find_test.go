package dataset_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Names of data sets, however they are written.
func ExampleFind() {
	for _, name := range []string{"Fashion-MNIST", "USPS", "imagenet"} {
		found, err := dataset.Find(name)
		fmt.Printf("%q %v\n", found, err != nil)
	}
	// Output:
	// "fashion" false
	// "usps" false
	// "" true
}

package corrupt_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/dataset/corrupt"
)

// Contrast at the strongest severity keeps 15 % of a pixel's distance from the mean.
func ExampleCorruption_Apply() {
	half := make([]byte, 64)
	for i := range 32 {
		half[i] = 255
	}
	s := &dataset.Set{Name: "half", H: 8, W: 8, C: 1, Bytes: half}
	out, err := corrupt.Corruption{Type: corrupt.Contrast, Severity: 5}.Apply(context.Background(), s)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Name, out.Bytes[0], out.Bytes[63])
	// Output: half, contrast 5 147 108
}

// The twelve types, in five severities each.
func ExampleTypes() {
	fmt.Println(len(corrupt.Types()), corrupt.Types()[0], corrupt.Types()[11])
	fmt.Println(corrupt.Corruption{Type: corrupt.Fog, Severity: 6}.Check() != nil)
	// Output:
	// 12 gaussian noise jpeg
	// true
}

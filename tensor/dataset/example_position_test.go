package dataset_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// A walk through batches is stopped, its place saved, and gone on with later.
func ExamplePosition() {
	o := dataset.BatchOptions{Size: 2, Seed: 1}
	walk, err := dataset.NewBatches(10, o)
	if err != nil {
		panic(err)
	}
	walk.Next()
	walk.Next()
	saved, err := json.Marshal(walk.Position())
	if err != nil {
		panic(err)
	}
	want := slices.Clone(walk.Next())

	var place dataset.Position
	if err := json.Unmarshal(saved, &place); err != nil {
		panic(err)
	}
	later, err := dataset.NewBatches(10, o)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(saved), later.Seek(place), slices.Equal(later.Next(), want))
	// Output: {"epoch":0,"batch":2} <nil> true
}

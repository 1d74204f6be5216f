package safetensors_test

import (
	"bytes"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

func ExampleEncode() {
	var file bytes.Buffer
	err := safetensors.Encode(&file, safetensors.Contents{
		Tensors: map[string]*tensor.Tensor{"0.weight": tensor.FromFloat32([]float32{1, 2, 3, 4}, 2, 2)},
		Ints:    map[string]safetensors.IntTensor{"step": {Data: []int64{50}}},
	})
	if err != nil {
		panic(err)
	}
	f, err := safetensors.Read(&file)
	if err != nil {
		panic(err)
	}
	w, _ := f.Tensor("0.weight")
	step, _ := f.Ints("step")
	fmt.Println(f.Names(), w.Shape(), step)
	// Output: [0.weight step] [2 2] [50]
}

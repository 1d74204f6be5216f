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

// A file is read tensor by tensor.
func ExampleFile() {
	var data bytes.Buffer
	weights := tensor.FromFloat64([]float64{1, 2, 3, 4, 5, 6}, 3, 2)
	err := safetensors.Encode(&data, safetensors.Contents{
		Tensors:  map[string]*tensor.Tensor{"head.weight": weights},
		Metadata: map[string]string{"format": "pt"},
	})
	if err != nil {
		panic(err)
	}
	f, err := safetensors.ReadAt(bytes.NewReader(data.Bytes()), int64(data.Len()))
	if err != nil {
		panic(err)
	}
	info, ok := f.Info("head.weight")
	fmt.Println(info.DType, info.Shape, info.End-info.Begin, ok, f.Metadata())
	_, err = f.Tensor("tail.weight")
	fmt.Println(err != nil)
	// Output:
	// F64 [3 2] 48 true map[format:pt]
	// true
}

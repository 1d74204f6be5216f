package safetensors_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// A file is written whole or not at all, and says what it holds.
func ExampleWrite() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")
	err = safetensors.Write(path, safetensors.Contents{
		Tensors:  map[string]*tensor.Tensor{"w": tensor.FromFloat32([]float32{1, 2, 3, 4}, 2, 2)},
		Ints:     map[string]safetensors.IntTensor{"step": {Data: []int64{7}}},
		Metadata: map[string]string{"task": "digits"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := safetensors.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		fmt.Println(name, info.DType, info.Shape, info.End-info.Begin, "bytes")
	}
	steps, err := f.Ints("step")
	fmt.Println(steps, f.Metadata()["task"], err)
	// Output:
	// step I64 [] 8 bytes
	// w F32 [2 2] 16 bytes
	// [7] digits <nil>
}

package nn

import (
	"fmt"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// Save writes the network's tensors to a safetensors file with PyTorch's names
// and layouts. The file is either written whole or not at all.
func Save(path string, l Layer) error {
	c := safetensors.Contents{
		Tensors:  make(map[string]*tensor.Tensor),
		Metadata: map[string]string{"format": "pt"},
	}
	encode(c.Tensors, "", l)
	if err := safetensors.Write(path, c); err != nil {
		return fmt.Errorf("nn: Save: %w", err)
	}
	return nil
}

func encode(into map[string]*tensor.Tensor, prefix string, l Layer) {
	l.Visit(prefix, func(s Slot) { into[s.Name] = s.toFile() })
}

// Load reads the network's tensors from a safetensors file with PyTorch's names
// and layouts. Every tensor of the network must be in the file with the right
// shape, and none of another network may be; the counters that PyTorch keeps in
// normalisation layers are passed over. On an error the network is unchanged.
func Load(path string, l Layer) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return fmt.Errorf("nn: Load: %w", err)
	}
	defer f.Close()
	if err := decode(f, "", l, func(name string) bool { return strings.HasSuffix(name, ".num_batches_tracked") }); err != nil {
		return fmt.Errorf("nn: Load: %s: %w", path, err)
	}
	return nil
}

// decode sets l's tensors from those of f under prefix. skip says which other
// names f may hold.
func decode(f *safetensors.File, prefix string, l Layer, skip func(string) bool) error {
	type change struct{ dst, src *tensor.Tensor }
	var changes []change
	known := make(map[string]bool)
	var err error
	l.Visit(prefix, func(s Slot) {
		known[s.Name] = true
		if err != nil {
			return
		}
		var t *tensor.Tensor
		if t, err = f.Tensor(s.Name); err != nil {
			return
		}
		if t, err = s.fromFile(t); err == nil {
			changes = append(changes, change{s.Tensor, t})
		}
	})
	if err != nil {
		return err
	}
	for _, name := range f.Names() {
		if strings.HasPrefix(name, prefix) && !known[name] && !skip(name) {
			return fmt.Errorf("tensor %q has no place in the network", name)
		}
	}
	for _, c := range changes {
		c.dst.CopyFrom(c.src)
	}
	return nil
}

// toFile returns the tensor in the file's layout.
func (s Slot) toFile() *tensor.Tensor {
	t := s.Tensor
	switch s.Layout {
	case Matrix:
		if in := s.Image; in != [3]int{} {
			t = tensor.Reshape(t, in[0], in[1], in[2], t.Dim(1))
			return tensor.Reshape(tensor.Transpose(t, 3, 2, 0, 1), s.Tensor.Dim(1), s.Tensor.Dim(0))
		}
		return tensor.Transpose(t)
	case Filter:
		return tensor.Transpose(t, 3, 2, 0, 1)
	case Channel:
		return tensor.Reshape(t, 1, t.Dim(0), 1, 1)
	}
	return t
}

// fromFile returns a file's tensor in the network's layout.
func (s Slot) fromFile(t *tensor.Tensor) (*tensor.Tensor, error) {
	want := s.toFile().Shape()
	if fmt.Sprint(t.Shape()) != fmt.Sprint(want) {
		return nil, fmt.Errorf("tensor %q has shape %v, want %v", s.Name, t.Shape(), want)
	}
	if t.DType() != s.Tensor.DType() {
		return nil, fmt.Errorf("tensor %q has type %v, want %v", s.Name, t.DType(), s.Tensor.DType())
	}
	if !tensor.AllFinite(t) {
		return nil, fmt.Errorf("tensor %q holds a value that is not finite", s.Name)
	}
	switch s.Layout {
	case Matrix:
		if in := s.Image; in != [3]int{} {
			t = tensor.Reshape(t, t.Dim(0), in[2], in[0], in[1])
			return tensor.Reshape(tensor.Transpose(t, 2, 3, 1, 0), s.Tensor.Dim(0), s.Tensor.Dim(1)), nil
		}
		return tensor.Transpose(t), nil
	case Filter:
		return tensor.Transpose(t, 2, 3, 1, 0), nil
	case Channel:
		return tensor.Reshape(t, t.Dim(1)), nil
	}
	return t, nil
}

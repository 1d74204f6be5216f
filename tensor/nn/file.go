package nn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// Save writes the network's tensors to a safetensors file with PyTorch's names
// and layouts. The file is either written whole or not at all. A network with a
// value that Load refuses is an error.
func Save(path string, l Layer) error {
	c := safetensors.Contents{
		Tensors:  make(map[string]*tensor.Tensor),
		Metadata: map[string]string{"format": "pt"},
	}
	err := encode(c.Tensors, "", l)
	if err == nil {
		err = safetensors.Write(path, c)
	}
	if err != nil {
		return fmt.Errorf("nn: Save: %w", err)
	}
	return nil
}

// encode adds l's tensors under prefix. Two of one name, or a value that Load
// would refuse, are an error.
func encode(into map[string]*tensor.Tensor, prefix string, l Layer) (err error) {
	l.Visit(prefix, func(s Slot) {
		if err != nil {
			return
		}
		if into[s.Name] != nil {
			err = fmt.Errorf("two tensors of the network are named %q", s.Name)
			return
		}
		if err = s.check(); err != nil {
			return
		}
		if err = s.Range.holds(s.Tensor); err != nil {
			err = fmt.Errorf("tensor %q: %w", s.Name, err)
			return
		}
		into[s.Name] = s.toFile()
	})
	return err
}

// Load reads the network's tensors from a safetensors file with PyTorch's names
// and layouts. Every tensor of the network must be in the file with the right
// shape, element type and range of values (finite, no negative variance, no zero
// deviation), and none of another network may be; the counters that PyTorch keeps
// in normalisation layers are passed over. On an error the network is unchanged.
func Load(path string, l Layer) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return fmt.Errorf("nn: Load: %w", err)
	}
	defer f.Close()
	changes, err := decode(f, "", l, func(name string) bool { return strings.HasSuffix(name, ".num_batches_tracked") })
	if err != nil {
		return fmt.Errorf("nn: Load: %s: %w", path, err)
	}
	changes.apply()
	return nil
}

// changes are values that tensors of a network are to take over.
type changes []struct{ dst, src *tensor.Tensor }

func (c changes) apply() {
	for _, v := range c {
		v.dst.CopyFrom(v.src)
	}
}

// decode reads the values of l's tensors from those of f under prefix. skip says
// which other names f may hold.
func decode(f *safetensors.File, prefix string, l Layer, skip func(string) bool) (changes, error) {
	var found changes
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
			found = append(found, struct{ dst, src *tensor.Tensor }{s.Tensor, t})
		}
	})
	if err != nil {
		return nil, err
	}
	for _, name := range f.Names() {
		if strings.HasPrefix(name, prefix) && !known[name] && !skip(name) {
			return nil, fmt.Errorf("tensor %q has no place in the network", name)
		}
	}
	return found, nil
}

// check says whether the images that a matrix is said to see have as many values as
// the matrix has rows.
func (s Slot) check() error {
	in := s.Image
	if s.Layout == Matrix && in != [3]int{} && (slices.Min(in[:]) < 1 || in[0]*in[1]*in[2] != s.Tensor.Dim(0)) {
		return fmt.Errorf("tensor %q of shape %v is said to see images of %dx%dx%d, want as many values as it has rows",
			s.Name, s.Tensor.Shape(), in[0], in[1], in[2])
	}
	return nil
}

// toFile returns the tensor, which passes check, in the file's layout.
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
	if err := s.check(); err != nil {
		return nil, err
	}
	want := s.toFile().Shape()
	if !slices.Equal(t.Shape(), want) {
		return nil, fmt.Errorf("tensor %q has shape %v, want %v", s.Name, t.Shape(), want)
	}
	if t.DType() != s.Tensor.DType() {
		return nil, fmt.Errorf("tensor %q has type %v, want %v", s.Name, t.DType(), s.Tensor.DType())
	}
	if err := s.Range.holds(t); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", s.Name, err)
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

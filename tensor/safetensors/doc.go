// Package safetensors reads and writes model weights in the safetensors format
// (https://github.com/huggingface/safetensors): eight bytes with the length of
// a header, little-endian, a JSON header that gives each tensor's element type,
// shape and place, and the elements, little-endian and row-major.
//
//	f, err := safetensors.Open("model.safetensors")
//	defer f.Close()
//	for _, name := range f.Names() {
//		w, err := f.Tensor(name)
//		...
//	}
//
// A file is checked in full before any tensor is made: the header's length and
// syntax, that no name occurs twice, that each tensor's place fits its element
// type and shape, and that the places cover the data without hole or overlap.
// The memory this takes is a small multiple of the file's true size, whatever
// its length fields say.
//
// Shapes are those of the file. A file written by PyTorch has its layouts: a
// linear layer is [out, in], a convolution [out, in, height, width].
package safetensors

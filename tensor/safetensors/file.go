package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
)

// File is a checked safetensors file, whose tensors are read when they are
// asked for. Several goroutines may read from it at once.
type File struct {
	header
	data   io.ReaderAt
	start  int64 // place of the data in the file
	closer io.Closer
}

// Open opens and checks the file at path. The caller closes it.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	file, err := readAt(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	file.closer = f
	return file, nil
}

// ReadAt checks a file of size bytes behind a ReaderAt, which the File goes on
// using.
func ReadAt(r io.ReaderAt, size int64) (*File, error) {
	f, err := readAt(r, size)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

func readAt(r io.ReaderAt, size int64) (*File, error) {
	if size < 8 {
		return nil, fmt.Errorf("file has %d bytes, want 8 for the header's length", size)
	}
	var field [8]byte
	if err := readFullAt(r, field[:], 0); err != nil {
		return nil, fmt.Errorf("header length: %w", err)
	}
	n, err := headerLength(binary.LittleEndian.Uint64(field[:]), size)
	if err != nil {
		return nil, err
	}
	text := make([]byte, n)
	if err := readFullAt(r, text, 8); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	h, err := parseHeader(text)
	if err != nil {
		return nil, err
	}
	if found := size - 8 - int64(n); found != h.dataSize {
		return nil, h.sizeError(found)
	}
	return &File{header: h, data: r, start: 8 + int64(n)}, nil
}

// sizeError says that the data has found bytes, and which tensor lacks some.
func (h *header) sizeError(found int64) error {
	for _, t := range h.tensors {
		if t.End > found {
			return fmt.Errorf("tensor %q: data_offsets end at %d, want at most the %d bytes of data", t.Name, t.End, found)
		}
	}
	return fmt.Errorf("data has %d bytes, want the %d of the tensors", found, h.dataSize)
}

// Read reads and checks a whole file from r into memory.
func Read(r io.Reader) (*File, error) {
	fail := func(err error) (*File, error) { return nil, fmt.Errorf("safetensors: %w", err) }
	var field [8]byte
	if k, err := io.ReadFull(r, field[:]); err != nil {
		return fail(fmt.Errorf("header length has %d bytes, want 8: %w", k, noEOF(err)))
	}
	n, err := headerLength(binary.LittleEndian.Uint64(field[:]), -1)
	if err != nil {
		return fail(err)
	}
	text, err := readUpTo(r, int64(n))
	if err != nil {
		return fail(fmt.Errorf("header: %w", err))
	}
	if len(text) < n {
		return fail(fmt.Errorf("header has %d bytes, want %d: %w", len(text), n, io.ErrUnexpectedEOF))
	}
	h, err := parseHeader(text)
	if err != nil {
		return fail(err)
	}
	data, err := readUpTo(r, h.dataSize)
	if err != nil {
		return fail(fmt.Errorf("data: %w", err))
	}
	if int64(len(data)) < h.dataSize {
		return fail(h.sizeError(int64(len(data))))
	}
	var more [1]byte
	switch _, err := io.ReadFull(r, more[:]); {
	case err == nil:
		return fail(h.sizeError(h.dataSize + 1))
	case !errors.Is(err, io.EOF):
		return fail(fmt.Errorf("data: %w", err))
	}
	return &File{header: h, data: bytes.NewReader(data)}, nil
}

// readUpTo reads n bytes, or fewer if r ends. Its memory grows with what
// arrives, not with n.
func readUpTo(r io.Reader, n int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(io.LimitReader(r, n))
	return b.Bytes(), err
}

func readFullAt(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	return fmt.Errorf("found %d bytes at %d, want %d: %w", n, at, len(p), noEOF(err))
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close closes what Open opened; for other files it does nothing.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Names returns the names of the tensors, sorted.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Metadata returns a copy of the texts that the file carries beside its
// tensors.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Info returns the description of a tensor; ok is false if there is none of
// that name.
func (f *File) Info(name string) (info Info, ok bool) {
	i, ok := slices.BinarySearchFunc(f.tensors, name, func(t Info, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		return Info{}, false
	}
	info = f.tensors[i]
	info.Shape = slices.Clone(info.Shape)
	return info, true
}

// Tensor reads a tensor of floating-point numbers in the file's shape: F32,
// F16 and BF16 become float32, F64 becomes float64, all exactly. Errors: no
// such tensor, another element type (see Ints for whole numbers), more than tensor.MaxRank axes, a file
// that has become unreadable.
func (f *File) Tensor(name string) (*tensor.Tensor, error) {
	t, ok := f.Info(name)
	if !ok {
		return nil, fmt.Errorf("safetensors: found no tensor %q among %d", name, len(f.tensors))
	}
	fail := func(err error) (*tensor.Tensor, error) {
		return nil, fmt.Errorf("safetensors: tensor %q: %w", name, err)
	}
	if !t.DType.isFloat() {
		return fail(fmt.Errorf("element type is %s, want F64, F32, F16 or BF16", t.DType))
	}
	if len(t.Shape) > tensor.MaxRank {
		return fail(fmt.Errorf("shape %v has %d axes, want at most %d", t.Shape, len(t.Shape), tensor.MaxRank))
	}
	for _, n := range t.Shape {
		if n > math.MaxInt32 {
			return fail(fmt.Errorf("shape %v has extent %d, want at most %d", t.Shape, n, math.MaxInt32))
		}
	}
	if t.DType == F64 {
		out := tensor.Zeros(tensor.Float64, t.Shape...)
		values := out.Float64s()
		err := f.pieces(t, func(at int, raw []byte) error {
			for i := range len(raw) / 8 {
				values[at+i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
			}
			return nil
		})
		if err != nil {
			return fail(err)
		}
		return out, nil
	}
	out := tensor.Zeros(tensor.Float32, t.Shape...)
	values := out.Float32s()
	err := f.pieces(t, func(at int, raw []byte) error {
		decodeFloat32(values[at:at+len(raw)/t.DType.Size()], raw, t.DType)
		return nil
	})
	if err != nil {
		return fail(err)
	}
	return out, nil
}

// Ints reads a tensor of whole numbers or truth values in row-major order.
// Errors: no such tensor, floating-point numbers (see Tensor), a BOOL that is
// neither 0 nor 1, a U64 of 2^63 or more, a file that has become unreadable.
func (f *File) Ints(name string) ([]int64, error) {
	t, ok := f.Info(name)
	if !ok {
		return nil, fmt.Errorf("safetensors: found no tensor %q among %d", name, len(f.tensors))
	}
	if !t.DType.isWhole() {
		return nil, fmt.Errorf("safetensors: tensor %q: element type is %s, want I64, I32, I16, I8, U64, U32, U16, U8 or BOOL", name, t.DType)
	}
	out := make([]int64, t.count())
	err := f.pieces(t, func(at int, raw []byte) error {
		return decodeInts(out[at:at+len(raw)/t.DType.Size()], raw, t.DType)
	})
	if err != nil {
		return nil, fmt.Errorf("safetensors: tensor %q: %w", name, err)
	}
	return out, nil
}

// pieces reads a tensor's bytes in pieces of whole elements and gives each to
// use, with the number of its first element.
func (f *File) pieces(t Info, use func(at int, raw []byte) error) error {
	const piece = 64 << 10 // a multiple of every element's size
	buf := make([]byte, min(piece, t.End-t.Begin))
	for from := t.Begin; from < t.End; from += piece {
		raw := buf[:min(piece, t.End-from)]
		if err := readFullAt(f.data, raw, f.start+from); err != nil {
			return err
		}
		if err := use(int((from-t.Begin)/int64(t.DType.Size())), raw); err != nil {
			return err
		}
	}
	return nil
}

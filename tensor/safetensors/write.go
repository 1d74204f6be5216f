package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/redoubt-ml/redoubt/tensor"
)

// IntTensor is an array of whole numbers, such as a counter or the state of a
// random source.
type IntTensor struct {
	// Shape holds the extents, outermost first; empty for a scalar.
	Shape []int
	// Data holds the elements in row-major order.
	Data []int64
}

// Contents is what a file is to hold. A name must be valid UTF-8, other than
// __metadata__, and occur in only one of Tensors and Ints.
type Contents struct {
	// Tensors are written as F32 or F64, by their element type.
	Tensors map[string]*tensor.Tensor
	// Ints are written as I64.
	Ints map[string]IntTensor
	// Metadata holds texts to go with the tensors; it may be nil.
	Metadata map[string]string
}

// entry is a tensor on its way into a file.
type entry struct {
	Info
	f32 []float32
	f64 []float64
	i64 []int64
}

// Write writes a file to path: into a temporary file in the same folder, which
// is flushed to the disk and then takes path's place. When anything fails, path
// is what it was before and the temporary file is gone. Equal contents make
// equal bytes.
func Write(path string, c Contents) error {
	entries, err := c.entries()
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	temp, err := createBeside(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	err = encode(temp, entries, c.Metadata)
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("safetensors: %w", errors.Join(err, os.Remove(temp.Name())))
	}
	// Makes the rename last through a crash where a folder can be synced; the
	// file is in its place in any case.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// createBeside creates a file with a new name in path's folder, with the
// permissions that path would get.
func createBeside(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) && try < 100 {
			continue
		}
		return f, err
	}
}

// Encode writes the bytes of a file to w.
func Encode(w io.Writer, c Contents) error {
	entries, err := c.entries()
	if err == nil {
		err = encode(w, entries, c.Metadata)
	}
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// entries checks the contents and gives each tensor its place: those of eight
// bytes an element first, so that every element is aligned, then by name.
func (c Contents) entries() ([]entry, error) {
	var list []entry
	for name, t := range c.Tensors {
		if t == nil {
			return nil, fmt.Errorf("tensor %q is nil", name)
		}
		e := entry{Info: Info{Name: name, DType: F32, Shape: t.Shape()}}
		if t.DType() == tensor.Float64 {
			e.DType, e.f64 = F64, t.Float64s()
		} else {
			e.f32 = t.Float32s()
		}
		list = append(list, e)
	}
	for name, t := range c.Ints {
		if _, ok := c.Tensors[name]; ok {
			return nil, fmt.Errorf("name %q occurs in Tensors and in Ints, want it in one of them", name)
		}
		n := 1
		for _, d := range t.Shape {
			if d < 0 || d > 0 && n > math.MaxInt/d {
				return nil, fmt.Errorf("tensor %q: shape is %v, want extents of 0 or more", name, t.Shape)
			}
			n *= d
		}
		if n != len(t.Data) {
			return nil, fmt.Errorf("tensor %q: %d elements, want %d for shape %v", name, len(t.Data), n, t.Shape)
		}
		list = append(list, entry{Info: Info{Name: name, DType: I64, Shape: t.Shape}, i64: t.Data})
	}
	for _, e := range list {
		if e.Name == metadataKey || !utf8.ValidString(e.Name) {
			return nil, fmt.Errorf("tensor name is %q, want UTF-8 other than %s", e.Name, metadataKey)
		}
	}
	for key, value := range c.Metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("metadata %q is %q, want UTF-8", key, value)
		}
	}
	slices.SortFunc(list, func(a, b entry) int {
		if d := b.DType.Size() - a.DType.Size(); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	at := int64(0)
	for i := range list {
		e := &list[i]
		n := len(e.f32) + len(e.f64) + len(e.i64)
		e.Begin, e.End = at, at+int64(n*e.DType.Size())
		at = e.End
	}
	return list, nil
}

func encode(w io.Writer, entries []entry, metadata map[string]string) error {
	text, err := headerText(entries, metadata)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], uint64(len(text)))
	b.Write(word[:])
	b.Write(text)
	for _, e := range entries {
		for _, v := range e.f32 {
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(v))
			b.Write(word[:4])
		}
		for _, v := range e.f64 {
			binary.LittleEndian.PutUint64(word[:], math.Float64bits(v))
			b.Write(word[:])
		}
		for _, v := range e.i64 {
			binary.LittleEndian.PutUint64(word[:], uint64(v))
			b.Write(word[:])
		}
	}
	// The writer keeps the first error of all writes.
	return b.Flush()
}

// headerText is the JSON header, with blanks up to a multiple of eight bytes.
func headerText(entries []entry, metadata map[string]string) ([]byte, error) {
	var text bytes.Buffer
	put := func(v any) error {
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(v)
		text.Truncate(text.Len() - 1) // the encoder's line feed
		return err
	}
	text.WriteByte('{')
	if len(metadata) > 0 {
		text.WriteString(`"` + metadataKey + `":`)
		if err := put(metadata); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		if text.Len() > 1 {
			text.WriteByte(',')
		}
		if err := put(e.Name); err != nil {
			return nil, err
		}
		text.WriteByte(':')
		field := struct {
			DType   DType    `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{e.DType, append([]int{}, e.Shape...), [2]int64{e.Begin, e.End}}
		if err := put(field); err != nil {
			return nil, err
		}
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	if text.Len() > maxHeader {
		return nil, fmt.Errorf("header has %d bytes, want at most %d", text.Len(), maxHeader)
	}
	return text.Bytes(), nil
}

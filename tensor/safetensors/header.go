package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the largest header, in bytes, that the format allows.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// Info describes a tensor of a file.
type Info struct {
	Name  string
	DType DType
	// Shape holds the extents, outermost first; it is empty for a scalar.
	Shape []int
	// Begin and End are the tensor's place in the data, in bytes.
	Begin, End int64
}

// count is the number of elements, of a byte or more each.
func (t Info) count() int { return int((t.End - t.Begin) / int64(t.DType.Size())) }

// header is the content of a checked header.
type header struct {
	tensors  []Info // sorted by name
	metadata map[string]string
	// dataSize is the number of bytes that the tensors cover.
	dataSize int64
}

// headerLength checks the length field of a file of the given size; size -1
// means unknown.
func headerLength(field uint64, size int64) (int, error) {
	switch {
	case field < 2:
		return 0, fmt.Errorf("header length is %d, want at least 2", field)
	case field > maxHeader:
		return 0, fmt.Errorf("header length is %d, want at most %d", field, maxHeader)
	case size >= 0 && int64(field) > size-8:
		return 0, fmt.Errorf("header length is %d, want at most the %d bytes that follow it", field, size-8)
	}
	return int(field), nil
}

// parseHeader checks everything that can be checked without the data.
func parseHeader(text []byte) (header, error) {
	h, err := decodeHeader(text)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	inOrder := slices.Clone(h.tensors)
	slices.SortStableFunc(inOrder, func(a, b Info) int {
		if a.Begin != b.Begin {
			if a.Begin < b.Begin {
				return -1
			}
			return 1
		}
		return int(min(1, max(-1, a.End-b.End)))
	})
	for _, t := range inOrder {
		if t.Begin != h.dataSize {
			what := "a hole before it"
			if t.Begin < h.dataSize {
				what = "an overlap"
			}
			return header{}, fmt.Errorf("tensor %q: data begins at %d, want %d (%s)", t.Name, t.Begin, h.dataSize, what)
		}
		h.dataSize = t.End
	}
	return h, nil
}

// decodeHeader reads the JSON text token by token: the depth of what it accepts
// is fixed, names that occur twice are seen, and numbers stay as written.
func decodeHeader(text []byte) (header, error) {
	if !utf8.Valid(text) {
		return header{}, errors.New("found bytes that are not UTF-8")
	}
	if text[0] != '{' {
		return header{}, fmt.Errorf("begins with %q, want '{'", text[0])
	}
	d := tokens{json.NewDecoder(bytes.NewReader(text))}
	d.UseNumber()
	if err := d.open('{'); err != nil {
		return header{}, err
	}
	var h header
	seen := map[string]bool{}
	for d.More() {
		name, err := d.text("a tensor's name")
		if err != nil {
			return header{}, err
		}
		if seen[name] {
			return header{}, fmt.Errorf("name %q occurs twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if h.metadata, err = d.metadata(); err != nil {
				return header{}, fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		t, err := d.tensor()
		if err != nil {
			return header{}, fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
		h.tensors = append(h.tensors, t)
	}
	if err := d.close(); err != nil {
		return header{}, err
	}
	if rest := bytes.TrimLeft(text[d.InputOffset():], " "); len(rest) > 0 {
		return header{}, fmt.Errorf("found %q after the JSON object, want nothing but blanks", rest[:min(len(rest), 16)])
	}
	slices.SortFunc(h.tensors, func(a, b Info) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return h, nil
}

// tokens is a JSON decoder that knows what it wants next.
type tokens struct{ *json.Decoder }

func (d tokens) next(want string) (json.Token, error) {
	token, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("%w, want %s", err, want)
	}
	return token, nil
}

func (d tokens) open(delim json.Delim) error {
	token, err := d.next(fmt.Sprintf("'%v'", delim))
	if err == nil && token != delim {
		err = fmt.Errorf("found %s, want '%v'", show(token), delim)
	}
	return err
}

// close reads the end of an object or array; the decoder checks which.
func (d tokens) close() error {
	_, err := d.next("the end of the object or array")
	return err
}

func (d tokens) text(want string) (string, error) {
	token, err := d.next(want)
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("found %s, want %s (a string)", show(token), want)
	}
	return s, nil
}

func show(token json.Token) string {
	switch t := token.(type) {
	case nil:
		return "null"
	case json.Delim:
		return fmt.Sprintf("'%v'", t)
	case string:
		return strconv.Quote(t)
	}
	return fmt.Sprint(token)
}

func (d tokens) metadata() (map[string]string, error) {
	if err := d.open('{'); err != nil {
		return nil, err
	}
	m := map[string]string{}
	for d.More() {
		key, err := d.text("a key")
		if err != nil {
			return nil, err
		}
		if _, ok := m[key]; ok {
			return nil, fmt.Errorf("key %q occurs twice", key)
		}
		if m[key], err = d.text("a value"); err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
	}
	return m, d.close()
}

// tensor reads the description of a tensor and checks that its place has the
// size that its element type and shape ask for.
func (d tokens) tensor() (Info, error) {
	if err := d.open('{'); err != nil {
		return Info{}, err
	}
	var t Info
	var offsets []int64
	seen := map[string]bool{}
	for d.More() {
		field, err := d.text("a field's name")
		if err != nil {
			return Info{}, err
		}
		if seen[field] {
			return Info{}, fmt.Errorf("field %q occurs twice", field)
		}
		seen[field] = true
		switch field {
		case "dtype":
			var name string
			if name, err = d.text("an element type"); err == nil {
				if t.DType = DType(name); t.DType.bits() == 0 {
					err = fmt.Errorf("found %q, want a type of the format such as F32 or I64", name)
				}
			}
		case "shape":
			var shape []int64
			shape, err = d.numbers()
			t.Shape = make([]int, len(shape))
			for i, n := range shape {
				t.Shape[i] = int(n)
			}
		case "data_offsets":
			offsets, err = d.numbers()
			if err == nil && len(offsets) != 2 {
				err = fmt.Errorf("found %d numbers, want 2", len(offsets))
			}
		default:
			return Info{}, fmt.Errorf("found field %q, want dtype, shape and data_offsets", field)
		}
		if err != nil {
			return Info{}, fmt.Errorf("%s: %w", field, err)
		}
	}
	if err := d.close(); err != nil {
		return Info{}, err
	}
	for _, field := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[field] {
			return Info{}, fmt.Errorf("found no field %q, want dtype, shape and data_offsets", field)
		}
	}
	t.Begin, t.End = offsets[0], offsets[1]
	if t.End < t.Begin {
		return Info{}, fmt.Errorf("data_offsets: found [%d, %d], want the end after the beginning", t.Begin, t.End)
	}
	bits := int64(t.DType.bits())
	for _, n := range t.Shape {
		if n > 0 && bits > math.MaxInt64/int64(n) {
			return Info{}, fmt.Errorf("shape: found %v, want a size in bits below 2^63", t.Shape)
		}
		bits *= int64(n)
	}
	if bits%8 != 0 {
		return Info{}, fmt.Errorf("shape: found %d bits for %s%v, want whole bytes", bits, t.DType, t.Shape)
	}
	if t.End-t.Begin != bits/8 {
		return Info{}, fmt.Errorf("data_offsets: found %d bytes, want %d for %s%v", t.End-t.Begin, bits/8, t.DType, t.Shape)
	}
	return t, nil
}

// numbers reads an array of whole numbers that are not negative.
func (d tokens) numbers() ([]int64, error) {
	if err := d.open('['); err != nil {
		return nil, err
	}
	list := []int64{}
	for d.More() {
		token, err := d.next("a number")
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("found %s, want a number", show(token))
		}
		n, err := strconv.ParseUint(number.String(), 10, 63)
		if err != nil || n > math.MaxInt {
			return nil, fmt.Errorf("found %s, want a whole number from 0 to 2^63-1", number)
		}
		list = append(list, int64(n))
	}
	return list, d.close()
}

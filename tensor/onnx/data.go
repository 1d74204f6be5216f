package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// elemType is a TensorProto.DataType.
type elemType int64

const (
	typeFloat    elemType = 1
	typeUint8    elemType = 2
	typeInt8     elemType = 3
	typeUint16   elemType = 4
	typeInt16    elemType = 5
	typeInt32    elemType = 6
	typeInt64    elemType = 7
	typeBool     elemType = 9
	typeFloat16  elemType = 10
	typeDouble   elemType = 11
	typeUint32   elemType = 12
	typeUint64   elemType = 13
	typeBfloat16 elemType = 16
)

// elemTypes holds the name and the size in bytes of the types that are read.
var elemTypes = map[elemType]struct {
	name string
	size int
}{
	typeFloat: {"FLOAT", 4}, typeUint8: {"UINT8", 1}, typeInt8: {"INT8", 1}, typeUint16: {"UINT16", 2},
	typeInt16: {"INT16", 2}, typeInt32: {"INT32", 4}, typeInt64: {"INT64", 8}, typeBool: {"BOOL", 1},
	typeFloat16: {"FLOAT16", 2}, typeDouble: {"DOUBLE", 8}, typeUint32: {"UINT32", 4}, typeUint64: {"UINT64", 8},
	typeBfloat16: {"BFLOAT16", 2},
}

func (t elemType) String() string {
	if e, ok := elemTypes[t]; ok {
		return e.name
	}
	return fmt.Sprintf("type %d", int64(t))
}

func (t elemType) isFloat() bool {
	return t == typeFloat || t == typeDouble || t == typeFloat16 || t == typeBfloat16
}

// isWhole says whether elements are whole numbers or truth values.
func (t elemType) isWhole() bool {
	_, known := elemTypes[t]
	return known && !t.isFloat()
}

// tensorProto is a tensor of the file whose data has not been decoded.
type tensorProto struct {
	name     string
	dims     []int64
	elem     elemType
	raw      []byte
	hasRaw   bool
	floats   []float32
	doubles  []float64
	int32s   []int64
	int64s   []int64
	uint64s  []int64
	external bool // the data is at place
	place    external
}

func decodeTensor(b []byte) (tensorProto, error) {
	t := tensorProto{place: external{length: -1}}
	err := fields(b, func(f field) (err error) {
		switch f.num {
		case 1:
			t.dims, err = f.integers(t.dims)
		case 2:
			var n int64
			n, err = f.integer()
			t.elem = elemType(n)
		case 3:
			err = errors.New("found a segment of a tensor, want whole ones")
		case 4:
			t.floats, err = f.floats(t.floats)
		case 5:
			t.int32s, err = f.integers(t.int32s)
		case 6:
			err = errors.New("found texts, want numbers")
		case 7:
			t.int64s, err = f.integers(t.int64s)
		case 8:
			t.name, err = f.text()
		case 9:
			t.hasRaw = true
			t.raw, err = f.message()
		case 10:
			t.doubles, err = f.doubles(t.doubles)
		case 11:
			t.uint64s, err = f.integers(t.uint64s)
		case 13:
			t.external = true
			var b []byte
			if b, err = f.message(); err != nil {
				return err
			}
			var key, value string
			if key, value, err = decodeEntry(b); err == nil {
				err = t.place.set(key, value)
			}
		case 14:
			var n int64
			n, err = f.integer()
			t.external = t.external || n == 1
		}
		return err
	})
	return t, err
}

// decodeEntry reads a StringStringEntryProto.
func decodeEntry(b []byte) (key, value string, err error) {
	err = fields(b, func(f field) (err error) {
		switch f.num {
		case 1:
			key, err = f.text()
		case 2:
			value, err = f.text()
		}
		return err
	})
	return key, value, err
}

// elements checks a tensor's type and shape, and returns the number and the size in
// bytes of its elements.
func (t *tensorProto) elements() (count, size int64, err error) {
	e, ok := elemTypes[t.elem]
	if !ok {
		return 0, 0, fmt.Errorf("element type is %v, want a number's", t.elem)
	}
	if len(t.dims) > tensor.MaxRank {
		return 0, 0, fmt.Errorf("shape %v has %d axes, want at most %d", t.dims, len(t.dims), tensor.MaxRank)
	}
	n := int64(1)
	for _, d := range t.dims {
		if d < 0 || d > math.MaxInt32 {
			return 0, 0, fmt.Errorf("shape %v has extent %d, want 0 to %d", t.dims, d, math.MaxInt32)
		}
		if d > 0 && n > math.MaxInt64/8/d {
			return 0, 0, fmt.Errorf("shape %v has too many elements", t.dims)
		}
		n *= d
	}
	return n, int64(e.size), nil
}

// count checks a tensor's type, shape and amount of data, and returns the
// number of its elements.
func (t *tensorProto) count() (int, error) {
	n, size, err := t.elements()
	if err != nil {
		return 0, err
	}
	if t.hasRaw {
		if int64(len(t.raw)) != n*size {
			return 0, fmt.Errorf("raw_data has %d bytes, want %d for %v%v", len(t.raw), n*size, t.elem, t.dims)
		}
		return int(n), nil
	}
	var found int
	switch t.elem {
	case typeFloat:
		found = len(t.floats)
	case typeDouble:
		found = len(t.doubles)
	case typeInt64:
		found = len(t.int64s)
	case typeUint32, typeUint64:
		found = len(t.uint64s)
	default:
		found = len(t.int32s)
	}
	if int64(found) != n {
		return 0, fmt.Errorf("found %d values, want %d for %v%v", found, n, t.elem, t.dims)
	}
	return int(n), nil
}

// check checks a tensor that nothing reads; external data is left alone.
func (t *tensorProto) check() error {
	var err error
	if t.external {
		_, _, err = t.elements()
	} else {
		_, err = t.count()
	}
	return err
}

func (t *tensorProto) shape() []int {
	out := make([]int, len(t.dims))
	for i, d := range t.dims {
		out[i] = int(d)
	}
	return out
}

// numbers decodes a tensor of floating-point numbers in the given type.
func (t *tensorProto) numbers(dtype tensor.DType) (*tensor.Tensor, error) {
	n, err := t.count()
	if err != nil {
		return nil, err
	}
	if !t.elem.isFloat() {
		return nil, fmt.Errorf("element type is %v, want FLOAT, DOUBLE, FLOAT16 or BFLOAT16", t.elem)
	}
	at := t.floatAt()
	out := tensor.Zeros(dtype, t.shape()...)
	if dtype == tensor.Float32 {
		for i, v := 0, out.Float32s(); i < n; i++ {
			v[i] = float32(at(i))
		}
	} else {
		for i, v := 0, out.Float64s(); i < n; i++ {
			v[i] = at(i)
		}
	}
	return out, nil
}

// floatAt returns a function that reads one element.
func (t *tensorProto) floatAt() func(i int) float64 {
	order := binary.LittleEndian
	switch {
	case t.elem == typeFloat && t.hasRaw:
		return func(i int) float64 { return float64(math.Float32frombits(order.Uint32(t.raw[4*i:]))) }
	case t.elem == typeFloat:
		return func(i int) float64 { return float64(t.floats[i]) }
	case t.elem == typeDouble && t.hasRaw:
		return func(i int) float64 { return math.Float64frombits(order.Uint64(t.raw[8*i:])) }
	case t.elem == typeDouble:
		return func(i int) float64 { return t.doubles[i] }
	}
	bits := func(i int) uint16 { return uint16(t.int32s[i]) }
	if t.hasRaw {
		bits = func(i int) uint16 { return order.Uint16(t.raw[2*i:]) }
	}
	if t.elem == typeBfloat16 {
		return func(i int) float64 { return float64(math.Float32frombits(uint32(bits(i)) << 16)) }
	}
	return func(i int) float64 { return halfToFloat(bits(i)) }
}

// halfToFloat is the value of an IEEE 754 binary16 number.
func halfToFloat(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 31:
		v = math.Inf(1)
		if fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if h>>15 == 1 {
		return -v
	}
	return v
}

// wholes decodes a tensor of whole numbers or truth values.
func (t *tensorProto) wholes() ([]int64, error) {
	n, err := t.count()
	if err != nil {
		return nil, err
	}
	if !t.elem.isWhole() {
		return nil, fmt.Errorf("element type is %v, want whole numbers", t.elem)
	}
	if !t.hasRaw {
		switch t.elem {
		case typeInt64:
			return t.int64s, nil
		case typeUint32, typeUint64:
			return t.uint64s, nil
		}
		return t.int32s, nil
	}
	out := make([]int64, n)
	order := binary.LittleEndian
	for i := range out {
		switch t.elem {
		case typeUint8, typeBool:
			out[i] = int64(t.raw[i])
		case typeInt8:
			out[i] = int64(int8(t.raw[i]))
		case typeUint16:
			out[i] = int64(order.Uint16(t.raw[2*i:]))
		case typeInt16:
			out[i] = int64(int16(order.Uint16(t.raw[2*i:])))
		case typeInt32:
			out[i] = int64(int32(order.Uint32(t.raw[4*i:])))
		case typeUint32:
			out[i] = int64(order.Uint32(t.raw[4*i:]))
		default:
			out[i] = int64(order.Uint64(t.raw[8*i:]))
		}
	}
	return out, nil
}

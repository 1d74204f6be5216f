package dataset

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Data types of an element of a MAT-file of level 5 ("MAT-File Format",
// MathWorks, table 1-1).
const (
	matInt8       = 1
	matUint8      = 2
	matInt16      = 3
	matUint16     = 4
	matInt32      = 5
	matUint32     = 6
	matSingle     = 7
	matDouble     = 9
	matInt64      = 12
	matUint64     = 13
	matMatrix     = 14
	matCompressed = 15
)

// matNumeric maps the array classes that hold numbers to their names ("MAT-File
// Format", table 1-3).
var matNumeric = map[byte]string{
	6: "double", 7: "single", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64",
}

// matElementSize is the number of bytes of one number of a data type.
var matElementSize = map[uint32]int{
	matInt8: 1, matUint8: 1, matInt16: 2, matUint16: 2, matInt32: 4, matUint32: 4,
	matSingle: 4, matDouble: 8, matInt64: 8, matUint64: 8,
}

// matVar is an array of numbers in a MAT-file whose elements are still to be
// read, in column-major order.
type matVar struct {
	name  string
	dims  []int
	count int // product of dims
	// dtype is how the elements are stored, which may be narrower than the
	// array's class.
	dtype uint32
	order binary.ByteOrder
	data  io.Reader // the elements, count*matElementSize[dtype] bytes
}

// scanMAT calls visit for each real numeric array at the top level of a
// MAT-file of level 5, in the order of the file, and skips everything else.
// What visit leaves unread is skipped.
func scanMAT(r io.Reader, visit func(*matVar) error) error {
	r = bufio.NewReaderSize(r, 64<<10)
	head, err := readExactly(r, 128)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	var order binary.ByteOrder
	switch mark := string(head[126:128]); mark {
	case "IM":
		order = binary.LittleEndian
	case "MI":
		order = binary.BigEndian
	default:
		return fmt.Errorf("header: byte-order mark is %q, want \"IM\" or \"MI\" (is it a MAT-file of level 5?)", mark)
	}
	if version := order.Uint16(head[124:]); version != 0x0100 {
		return fmt.Errorf("header: version is 0x%04x, want 0x0100 (level 5)", version)
	}
	for n := 0; ; n++ {
		dtype, size, small, err := readMATTag(r, order)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("element %d: %w", n, err)
		}
		if small != nil {
			continue
		}
		body := &io.LimitedReader{R: r, N: int64(size)}
		switch dtype {
		case matMatrix:
			err = scanMatrix(body, order, visit)
		case matCompressed:
			err = scanCompressed(body, order, visit)
		}
		if err != nil {
			return fmt.Errorf("element %d: %w", n, err)
		}
		if err := drain(body, body.N); err != nil {
			return fmt.Errorf("element %d: %w", n, err)
		}
		if dtype != matCompressed {
			if err := drain(r, int64(-size&7)); err != nil {
				return fmt.Errorf("element %d: padding: %w", n, err)
			}
		}
	}
}

// readMATTag reads the tag of an element: its data type and the size of its
// data, which follows. The data of a small element is inside the tag and is
// returned.
func readMATTag(r io.Reader, order binary.ByteOrder) (dtype, size uint32, small []byte, err error) {
	var tag [8]byte
	n, err := io.ReadFull(r, tag[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, 0, nil, fmt.Errorf("tag has %d bytes, want 8: %w", n, err)
	}
	if err != nil {
		return 0, 0, nil, err
	}
	dtype, size = order.Uint32(tag[:]), order.Uint32(tag[4:])
	if dtype>>16 == 0 {
		return dtype, size, nil, nil
	}
	size, dtype = dtype>>16, dtype&0xffff
	if size > 4 {
		return 0, 0, nil, fmt.Errorf("small element has %d bytes, want at most 4", size)
	}
	return dtype, size, tag[4 : 4+size], nil
}

// drain skips n bytes.
func drain(r io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	k, err := io.CopyN(io.Discard, r, n)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("found %d bytes, want %d: %w", k, n, io.ErrUnexpectedEOF)
	}
	return err
}

func scanCompressed(body io.Reader, order binary.ByteOrder, visit func(*matVar) error) error {
	z, err := zlib.NewReader(body)
	if err != nil {
		return fmt.Errorf("compressed data: %w", err)
	}
	dtype, size, small, err := readMATTag(z, order)
	if err != nil {
		return fmt.Errorf("compressed data: %w", noEOF(err))
	}
	if small != nil || dtype != matMatrix {
		return fmt.Errorf("compressed data holds data type %d, want %d (matrix)", dtype, matMatrix)
	}
	inner := &io.LimitedReader{R: z, N: int64(size)}
	if err := scanMatrix(inner, order, visit); err != nil {
		return err
	}
	if err := drain(inner, inner.N); err != nil {
		return fmt.Errorf("compressed data: %w", err)
	}
	// Reading on to the end makes zlib check its checksum.
	if err := expectEnd(z); err != nil {
		return fmt.Errorf("compressed data: %w", err)
	}
	return nil
}

// noEOF says that an end of file here is one too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// maxMATField is the largest size in bytes that a name or the extents of an
// array may have.
const maxMATField = 1024

// readMATField reads a short sub-element of a matrix.
func readMATField(r io.Reader, order binary.ByteOrder, what string) (dtype uint32, data []byte, err error) {
	dtype, size, small, err := readMATTag(r, order)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", what, noEOF(err))
	}
	if small != nil {
		return dtype, small, nil
	}
	if size > maxMATField {
		return 0, nil, fmt.Errorf("%s: %d bytes, want at most %d", what, size, maxMATField)
	}
	if data, err = readExactly(r, int(size)); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", what, err)
	}
	if err := drain(r, int64(-size&7)); err != nil {
		return 0, nil, fmt.Errorf("%s: padding: %w", what, err)
	}
	return dtype, data, nil
}

func scanMatrix(body *io.LimitedReader, order binary.ByteOrder, visit func(*matVar) error) error {
	dtype, flags, err := readMATField(body, order, "array flags")
	if err != nil {
		return err
	}
	if dtype != matUint32 || len(flags) != 8 {
		return fmt.Errorf("array flags: data type %d with %d bytes, want %d (uint32) with 8", dtype, len(flags), matUint32)
	}
	word := order.Uint32(flags)
	class, complexBit := byte(word), word&0x0800 != 0
	if _, ok := matNumeric[class]; !ok {
		return nil
	}
	dtype, extents, err := readMATField(body, order, "dimensions")
	if err != nil {
		return err
	}
	if dtype != matInt32 || len(extents)%4 != 0 || len(extents) < 8 {
		return fmt.Errorf("dimensions: data type %d with %d bytes, want %d (int32) with 8, 12, 16 and so on", dtype, len(extents), matInt32)
	}
	dtype, name, err := readMATField(body, order, "name")
	if err != nil {
		return err
	}
	if dtype != matInt8 {
		return fmt.Errorf("name: data type %d, want %d (int8)", dtype, matInt8)
	}
	v := &matVar{name: string(name), dims: make([]int, len(extents)/4), count: 1, order: order}
	for i := range v.dims {
		n := int(int32(order.Uint32(extents[4*i:])))
		if n < 0 || (n > 0 && v.count > math.MaxInt32/n) {
			return fmt.Errorf("variable %q: extent %d of axis %d, want 0 or more and at most 2^31-1 elements", v.name, n, i)
		}
		v.dims[i] = n
		v.count *= n
	}
	if complexBit {
		return nil
	}
	dtype, size, small, err := readMATTag(body, order)
	if err != nil {
		return fmt.Errorf("variable %q: %w", v.name, noEOF(err))
	}
	width, ok := matElementSize[dtype]
	if !ok {
		return fmt.Errorf("variable %q: elements have data type %d, want a type of numbers", v.name, dtype)
	}
	if int64(size) != int64(v.count)*int64(width) {
		return fmt.Errorf("variable %q: %d bytes for shape %v of data type %d, want %d", v.name, size, v.dims, dtype, int64(v.count)*int64(width))
	}
	v.dtype = dtype
	if small != nil {
		v.data = bytes.NewReader(small)
	} else {
		v.data = &io.LimitedReader{R: body, N: int64(size)}
	}
	return visit(v)
}

// ints reads the elements as whole numbers.
func (v *matVar) ints() ([]int, error) {
	width := matElementSize[v.dtype]
	if err := affordable(int64(v.count), 8, "elements"); err != nil {
		return nil, fmt.Errorf("variable %q: %w", v.name, err)
	}
	raw, err := readExactly(v.data, v.count*width)
	if err != nil {
		return nil, fmt.Errorf("variable %q: %w", v.name, err)
	}
	out := make([]int, v.count)
	for i := range out {
		b := raw[i*width:]
		switch v.dtype {
		case matInt8:
			out[i] = int(int8(b[0]))
		case matUint8:
			out[i] = int(b[0])
		case matInt16:
			out[i] = int(int16(v.order.Uint16(b)))
		case matUint16:
			out[i] = int(v.order.Uint16(b))
		case matInt32:
			out[i] = int(int32(v.order.Uint32(b)))
		case matUint32:
			out[i] = int(v.order.Uint32(b))
		case matInt64, matUint64:
			out[i] = int(v.order.Uint64(b))
		case matSingle, matDouble:
			x := float64(math.Float32frombits(v.order.Uint32(b)))
			if v.dtype == matDouble {
				x = math.Float64frombits(v.order.Uint64(b))
			}
			if x != math.Trunc(x) || math.Abs(x) > 1<<31 {
				return nil, fmt.Errorf("variable %q: element %d is %v, want a whole number", v.name, i, x)
			}
			out[i] = int(x)
		}
	}
	return out, nil
}

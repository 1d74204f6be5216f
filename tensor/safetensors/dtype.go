package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DType is an element type of the format, by the name it has in the header.
type DType string

// The element types of the format. Write makes F32, F64 and I64.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"  // IEEE 754 half precision
	BF16 DType = "BF16" // the upper half of an F32
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL" // one byte, 0 or 1

	// Files with tensors of these types can be opened, but the tensors not read.
	C64    DType = "C64" // two F32
	F8E5M2 DType = "F8_E5M2"
	F8E4M3 DType = "F8_E4M3"
	F8E8M0 DType = "F8_E8M0"
	F6E3M2 DType = "F6_E3M2"
	F6E2M3 DType = "F6_E2M3"
	F4     DType = "F4"
)

// Size returns the number of bytes of an element, 0 for an unknown type and for those
// of less than a byte.
func (d DType) Size() int { return d.bits() / 8 }

// bits is the number of bits of an element, 0 for an unknown type.
func (d DType) bits() int {
	switch d {
	case F64, I64, U64, C64:
		return 64
	case F32, I32, U32:
		return 32
	case F16, BF16, I16, U16:
		return 16
	case I8, U8, Bool, F8E5M2, F8E4M3, F8E8M0:
		return 8
	case F6E3M2, F6E2M3:
		return 6
	case F4:
		return 4
	}
	return 0
}

// isFloat says whether elements are floating-point numbers.
func (d DType) isFloat() bool { return d == F64 || d == F32 || d == F16 || d == BF16 }

// isWhole says whether elements are whole numbers or truth values.
func (d DType) isWhole() bool {
	switch d {
	case I64, I32, I16, I8, U64, U32, U16, U8, Bool:
		return true
	}
	return false
}

// decodeFloat32 converts the elements in raw, of type F32, F16 or BF16.
func decodeFloat32(dst []float32, raw []byte, d DType) {
	for i := range dst {
		switch d {
		case F32:
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		case F16:
			dst[i] = halfToFloat32(binary.LittleEndian.Uint16(raw[2*i:]))
		case BF16:
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		}
	}
}

// halfToFloat32 widens an IEEE 754 half, exactly.
func halfToFloat32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch {
	case exponent == 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	case exponent > 0:
		return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
	}
	// A subnormal half is fraction * 2^-24, a normal float32.
	return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
}

// decodeInts converts the elements in raw, of a whole-number type or BOOL.
func decodeInts(dst []int64, raw []byte, d DType) error {
	for i := range dst {
		switch d {
		case I64:
			dst[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		case I32:
			dst[i] = int64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		case I16:
			dst[i] = int64(int16(binary.LittleEndian.Uint16(raw[2*i:])))
		case I8:
			dst[i] = int64(int8(raw[i]))
		case U64:
			v := binary.LittleEndian.Uint64(raw[8*i:])
			if v > math.MaxInt64 {
				return fmt.Errorf("found a U64 element of %d, want at most %d", v, int64(math.MaxInt64))
			}
			dst[i] = int64(v)
		case U32:
			dst[i] = int64(binary.LittleEndian.Uint32(raw[4*i:]))
		case U16:
			dst[i] = int64(binary.LittleEndian.Uint16(raw[2*i:]))
		case U8:
			dst[i] = int64(raw[i])
		case Bool:
			if raw[i] > 1 {
				return fmt.Errorf("BOOL element %d is %d, want 0 or 1", i, raw[i])
			}
			dst[i] = int64(raw[i])
		}
	}
	return nil
}

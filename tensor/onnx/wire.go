package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a protobuf message.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64 // of a varint or a fixed-size number
	bytes []byte // of a length-delimited field, part of the file's memory
}

// fields calls visit with each field of a message. Nothing is copied and nested
// messages are not entered, so the work is linear in the message's size.
func fields(message []byte, visit func(f field) error) error {
	size := len(message)
	for len(message) > 0 {
		at := size - len(message)
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("byte %d: found no valid field: %w", at, protowire.ParseError(n))
		}
		message = message[n:]
		f := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(num, typ, message)
		}
		if n < 0 {
			return fmt.Errorf("field %d at byte %d: %w", num, at, protowire.ParseError(n))
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// wants returns an error unless the field has the given wire type.
func (f field) wants(typ protowire.Type) error {
	if f.typ != typ {
		return fmt.Errorf("field %d has wire type %d, want %d", f.num, f.typ, typ)
	}
	return nil
}

func (f field) message() ([]byte, error) { return f.bytes, f.wants(protowire.BytesType) }

func (f field) text() (string, error) { return string(f.bytes), f.wants(protowire.BytesType) }

func (f field) integer() (int64, error) { return int64(f.value), f.wants(protowire.VarintType) }

func (f field) float() (float32, error) {
	return math.Float32frombits(uint32(f.value)), f.wants(protowire.Fixed32Type)
}

// integers appends a repeated number, which may be packed.
func (f field) integers(list []int64) ([]int64, error) {
	if f.typ != protowire.BytesType {
		v, err := f.integer()
		return append(list, v), err
	}
	for rest := f.bytes; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return nil, fmt.Errorf("field %d: %w", f.num, protowire.ParseError(n))
		}
		list, rest = append(list, int64(v)), rest[n:]
	}
	return list, nil
}

// floats appends a repeated float, which may be packed.
func (f field) floats(list []float32) ([]float32, error) {
	if f.typ != protowire.BytesType {
		v, err := f.float()
		return append(list, v), err
	}
	if len(f.bytes)%4 != 0 {
		return nil, fmt.Errorf("field %d has %d bytes, want a multiple of 4", f.num, len(f.bytes))
	}
	for rest := f.bytes; len(rest) > 0; rest = rest[4:] {
		v, _ := protowire.ConsumeFixed32(rest)
		list = append(list, math.Float32frombits(v))
	}
	return list, nil
}

// doubles appends a repeated double, which may be packed.
func (f field) doubles(list []float64) ([]float64, error) {
	if f.typ == protowire.Fixed64Type {
		return append(list, math.Float64frombits(f.value)), nil
	}
	if err := f.wants(protowire.BytesType); err != nil {
		return nil, err
	}
	if len(f.bytes)%8 != 0 {
		return nil, fmt.Errorf("field %d has %d bytes, want a multiple of 8", f.num, len(f.bytes))
	}
	for rest := f.bytes; len(rest) > 0; rest = rest[8:] {
		v, _ := protowire.ConsumeFixed64(rest)
		list = append(list, math.Float64frombits(v))
	}
	return list, nil
}

package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// These types hold what is needed of the messages of onnx.proto; the numbers in
// the decoders are its field numbers.

type modelProto struct {
	opset int64 // version of the default operator set, 0 for none
	graph graphProto
}

type graphProto struct {
	nodes        []nodeProto
	initializers []tensorProto
	inputs       []valueProto
	outputs      []valueProto
}

type nodeProto struct {
	index           int
	name, op        string
	domain          string
	inputs, outputs []string
	attributes      []attributeProto
}

// String names the node in errors.
func (n *nodeProto) String() string {
	if n.name == "" {
		return fmt.Sprintf("node %d (%s)", n.index, n.op)
	}
	return fmt.Sprintf("node %d (%s %q)", n.index, n.op, n.name)
}

type attributeProto struct {
	name   string
	typ    attributeType
	float  float32
	number int64
	text   string
	tensor *tensorProto
	floats []float32
	ints   []int64
	// holds are the types of which a value was found, in the file's order.
	holds []attributeType
	// reference says that the value is that of a function's attribute.
	reference bool
}

// attributeType is an AttributeProto.AttributeType.
type attributeType int64

const (
	attrUndefined attributeType = iota
	attrFloat
	attrInt
	attrString
	attrTensor
	attrGraph
	attrFloats
	attrInts
	attrStrings
	attrTensors
	attrGraphs
	attrSparseTensor
	attrSparseTensors
	attrTypeProto
	attrTypeProtos
)

var attributeTypes = [...]string{
	"UNDEFINED", "FLOAT", "INT", "STRING", "TENSOR", "GRAPH", "FLOATS", "INTS", "STRINGS", "TENSORS", "GRAPHS",
	"SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS",
}

func (t attributeType) String() string {
	if t < 0 || int(t) >= len(attributeTypes) {
		return fmt.Sprintf("type %d", int64(t))
	}
	return attributeTypes[t]
}

// readable says whether supported operators have attributes of the type.
func (t attributeType) readable() bool {
	switch t {
	case attrFloat, attrInt, attrString, attrTensor, attrFloats, attrInts:
		return true
	}
	return false
}

// attributeFields are the fields of an attribute with a value, and their types.
var attributeFields = map[protowire.Number]attributeType{
	2: attrFloat, 3: attrInt, 4: attrString, 5: attrTensor, 6: attrGraph, 7: attrFloats, 8: attrInts, 9: attrStrings,
	10: attrTensors, 11: attrGraphs, 14: attrTypeProto, 15: attrTypeProtos, 22: attrSparseTensor, 23: attrSparseTensors,
}

// resolve makes sure that the attribute has one type, which operators read, and that
// its value is of it. A file may leave out a value that is zero or empty; one from the
// time before types leaves out the type, which is then that of the value.
func (a *attributeProto) resolve() error {
	if a.reference {
		return fmt.Errorf("attribute %q is a reference to a function's attribute, want a value", a.name)
	}
	if a.typ == attrUndefined {
		if len(a.holds) == 0 {
			return fmt.Errorf("attribute %q has neither a type nor a value", a.name)
		}
		a.typ = a.holds[0]
	}
	if !a.typ.readable() {
		return fmt.Errorf("attribute %q is %v, want a number, a text or a tensor", a.name, a.typ)
	}
	for _, t := range a.holds {
		if t != a.typ {
			return fmt.Errorf("attribute %q is %v and holds %v, want one type", a.name, a.typ, t)
		}
	}
	return nil
}

// valueProto describes an input or output of the graph.
type valueProto struct {
	name     string
	typed    bool // as a tensor
	elemType int64
	shaped   bool
	dims     []dimProto
}

// dimProto is an extent: a number, or a name for one that is open.
type dimProto struct {
	value int64 // -1 for open
	param string
}

// domainName maps the two names of the default operator set to one.
func domainName(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

func decodeModel(b []byte) (modelProto, error) {
	var m modelProto
	hasGraph := false
	err := fields(b, func(f field) error {
		switch f.num {
		case 7:
			if hasGraph {
				return errors.New("found two graphs, want one")
			}
			hasGraph = true
			b, err := f.message()
			if err != nil {
				return fmt.Errorf("graph: %w", err)
			}
			if m.graph, err = decodeGraph(b); err != nil {
				return fmt.Errorf("graph: %w", err)
			}
		case 8:
			b, err := f.message()
			if err != nil {
				return fmt.Errorf("opset_import: %w", err)
			}
			domain, version, err := decodeOpset(b)
			if err != nil {
				return fmt.Errorf("opset_import: %w", err)
			}
			if domainName(domain) == "" {
				if m.opset != 0 && m.opset != version {
					return fmt.Errorf("opset_import: found versions %d and %d of the default operator set", m.opset, version)
				}
				m.opset = version
			}
		}
		return nil
	})
	if err == nil && !hasGraph {
		err = errors.New("found no graph, want one")
	}
	return m, err
}

func decodeOpset(b []byte) (domain string, version int64, err error) {
	err = fields(b, func(f field) (err error) {
		switch f.num {
		case 1:
			domain, err = f.text()
		case 2:
			version, err = f.integer()
		}
		return err
	})
	return domain, version, err
}

func decodeGraph(b []byte) (graphProto, error) {
	var g graphProto
	err := fields(b, func(f field) error {
		if f.num != 1 && f.num != 5 && f.num != 11 && f.num != 12 && f.num != 15 {
			return nil
		}
		b, err := f.message()
		if err != nil {
			return err
		}
		switch f.num {
		case 1:
			n, err := decodeNode(b)
			n.index = len(g.nodes)
			if err != nil {
				return fmt.Errorf("%v: %w", &n, err)
			}
			g.nodes = append(g.nodes, n)
		case 5:
			t, err := decodeTensor(b)
			if err != nil {
				return fmt.Errorf("initializer %d (%q): %w", len(g.initializers), t.name, err)
			}
			g.initializers = append(g.initializers, t)
		case 11, 12:
			list, what := &g.inputs, "input"
			if f.num == 12 {
				list, what = &g.outputs, "output"
			}
			v, err := decodeValue(b)
			if err != nil {
				return fmt.Errorf("%s %d (%q): %w", what, len(*list), v.name, err)
			}
			*list = append(*list, v)
		case 15:
			return errors.New("found a sparse initializer, want dense ones")
		}
		return nil
	})
	return g, err
}

func decodeNode(b []byte) (nodeProto, error) {
	var n nodeProto
	err := fields(b, func(f field) (err error) {
		var s string
		switch f.num {
		case 1:
			s, err = f.text()
			n.inputs = append(n.inputs, s)
		case 2:
			s, err = f.text()
			n.outputs = append(n.outputs, s)
		case 3:
			n.name, err = f.text()
		case 4:
			n.op, err = f.text()
		case 5:
			var b []byte
			if b, err = f.message(); err != nil {
				return err
			}
			a, err := decodeAttribute(b)
			if err != nil {
				return fmt.Errorf("attribute %q: %w", a.name, err)
			}
			n.attributes = append(n.attributes, a)
		case 7:
			n.domain, err = f.text()
		}
		return err
	})
	return n, err
}

func decodeAttribute(b []byte) (attributeProto, error) {
	var a attributeProto
	err := fields(b, func(f field) (err error) {
		if t, ok := attributeFields[f.num]; ok && !slices.Contains(a.holds, t) {
			a.holds = append(a.holds, t)
		}
		switch f.num {
		case 1:
			a.name, err = f.text()
		case 2:
			a.float, err = f.float()
		case 3:
			a.number, err = f.integer()
		case 4:
			a.text, err = f.text()
		case 5:
			var b []byte
			if b, err = f.message(); err != nil {
				return err
			}
			t, err := decodeTensor(b)
			a.tensor = &t
			return err
		case 7:
			a.floats, err = f.floats(a.floats)
		case 8:
			a.ints, err = f.integers(a.ints)
		case 20:
			var n int64
			n, err = f.integer()
			a.typ = attributeType(n)
		case 21:
			a.reference = true
		}
		return err
	})
	return a, err
}

func decodeValue(b []byte) (valueProto, error) {
	var v valueProto
	err := fields(b, func(f field) (err error) {
		switch f.num {
		case 1:
			v.name, err = f.text()
		case 2:
			var b []byte
			if b, err = f.message(); err == nil {
				err = v.decodeType(b)
			}
		}
		return err
	})
	return v, err
}

// decodeType reads a TypeProto, of which only tensor_type is understood.
func (v *valueProto) decodeType(b []byte) error {
	return fields(b, func(f field) error {
		if f.num != 1 {
			return nil
		}
		b, err := f.message()
		if err != nil {
			return err
		}
		v.typed = true
		return fields(b, func(f field) (err error) {
			switch f.num {
			case 1:
				v.elemType, err = f.integer()
			case 2:
				v.shaped = true
				if b, err = f.message(); err == nil {
					err = v.decodeShape(b)
				}
			}
			return err
		})
	})
}

func (v *valueProto) decodeShape(b []byte) error {
	return fields(b, func(f field) error {
		if f.num != 1 {
			return nil
		}
		b, err := f.message()
		if err != nil {
			return err
		}
		d := dimProto{value: -1}
		err = fields(b, func(f field) (err error) {
			switch f.num {
			case 1:
				if d.value, err = f.integer(); err == nil && d.value < 0 {
					err = fmt.Errorf("found extent %d, want 0 or more", d.value)
				}
			case 2:
				d.param, err = f.text()
			}
			return err
		})
		v.dims = append(v.dims, d)
		return err
	})
}

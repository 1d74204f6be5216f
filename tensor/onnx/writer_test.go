package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// array is a plain array in the file's order of axes.
type array struct {
	dims []int
	v    []float64
}

func zeros(dims ...int) array {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return array{dims, make([]float64, n)}
}

func random(r *rand.Rand, dims ...int) array {
	a := zeros(dims...)
	for i := range a.v {
		// Multiples of 1/64, so that they are the same in both types.
		a.v[i] = math.Round(r.NormFloat64()*64) / 64
	}
	return a
}

func positive(r *rand.Rand, dims ...int) array {
	a := random(r, dims...)
	for i := range a.v {
		a.v[i] = math.Abs(a.v[i]) + 0.25
	}
	return a
}

func (a array) offset(idx []int) int {
	o := 0
	for i, d := range a.dims {
		o = o*d + idx[i]
	}
	return o
}

func (a array) at(idx ...int) float64 { return a.v[a.offset(idx)] }

// fill sets every element from its index.
func fill(dims []int, f func(idx []int) float64) array {
	a := zeros(dims...)
	idx := make([]int, len(dims))
	for i := range a.v {
		q := i
		for k := len(dims) - 1; k >= 0; k-- {
			idx[k] = q % dims[k]
			q /= dims[k]
		}
		a.v[i] = f(idx)
	}
	return a
}

// stretched reads an array under NumPy's rule.
func (a array) stretched(idx []int) float64 {
	own := slices.Clone(idx[len(idx)-len(a.dims):])
	for i, d := range a.dims {
		if d == 1 {
			own[i] = 0
		}
	}
	return a.at(own...)
}

func (a array) transposed(perm ...int) array {
	dims := make([]int, len(perm))
	for i, p := range perm {
		dims[i] = a.dims[p]
	}
	return fill(dims, func(idx []int) float64 {
		from := make([]int, len(perm))
		for i, p := range perm {
			from[p] = idx[i]
		}
		return a.at(from...)
	})
}

// graph is an ONNX graph under construction.
type graph struct {
	opset  int
	double bool // FLOAT otherwise
	batch  int  // extent of the first axis in the file, 0 for open
	nodes  []node
	inits  []initializer
	x      array
	// lastAlready says that the file takes images as [N, H, W, C].
	lastAlready bool
	// outside, if not nil, takes the data of a tensor out of the file and returns the
	// entries of external_data.
	outside func(name string, raw []byte) [][2]string
}

type node struct {
	op      string
	in, out []string
	attrs   map[string]any
}

type initializer struct {
	name string
	data any // array or []int64
	dims []int
}

func newGraph(opset int, x array) *graph { return &graph{opset: opset, double: true, x: x} }

// constant adds an initializer and returns its name.
func (g *graph) constant(data any) string {
	name := fmt.Sprintf("c%d", len(g.inits))
	in := initializer{name: name, data: data}
	switch d := data.(type) {
	case array:
		in.dims = d.dims
	case []int64:
		in.dims = []int{len(d)}
	case int64:
		in.data = []int64{d}
	case int:
		// An element type that does not exist.
		in.dims = []int{1}
	}
	g.inits = append(g.inits, in)
	return name
}

func (g *graph) list(v []int) string {
	out := make([]int64, len(v))
	for i, k := range v {
		out[i] = int64(k)
	}
	return g.constant(out)
}

type attrs = map[string]any

// node adds a node and returns the name of its output.
func (g *graph) node(op string, a attrs, in ...string) string {
	out := fmt.Sprintf("t%d", len(g.nodes))
	g.nodes = append(g.nodes, node{op, in, []string{out}, a})
	return out
}

func message(b []byte, num protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), m)
}

func number(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

func (g *graph) floatType() int64 {
	if g.double {
		return int64(typeDouble)
	}
	return int64(typeFloat)
}

func (g *graph) tensor(name string, data any, dims []int) []byte {
	var b, raw []byte
	for _, d := range dims {
		b = number(b, 1, int64(d))
	}
	switch d := data.(type) {
	case array:
		b = number(b, 2, g.floatType())
		for _, v := range d.v {
			if g.double {
				raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
			} else {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
			}
		}
	case []int64:
		b = number(b, 2, int64(typeInt64))
		for _, v := range d {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
	case int:
		b = number(b, 2, int64(d))
	}
	if g.outside == nil {
		b = message(b, 9, raw)
	} else {
		for _, e := range g.outside(name, raw) {
			b = message(b, 13, message(message(nil, 1, []byte(e[0])), 2, []byte(e[1])))
		}
		b = number(b, 14, 1)
	}
	return message(b, 8, []byte(name))
}

// declared is the value of an attribute that says that it has another type; 0 says
// nothing, and so does a nil value.
type declared struct {
	value any
	as    attributeType
}

// referred is an attribute that stands for one of a function.
type referred string

func attribute(g *graph, name string, v any) []byte {
	b := message(nil, 1, []byte(name))
	typ := attrUndefined
	d, other := v.(declared)
	if other {
		v = d.value
	}
	switch v := v.(type) {
	case nil:
	case int:
		b, typ = number(b, 3, int64(v)), attrInt
	case float64:
		b = protowire.AppendFixed32(protowire.AppendTag(b, 2, protowire.Fixed32Type), math.Float32bits(float32(v)))
		typ = attrFloat
	case string:
		b, typ = message(b, 4, []byte(v)), attrString
	case []int:
		for _, k := range v {
			b = number(b, 8, int64(k))
		}
		typ = attrInts
	case initializer:
		b, typ = message(b, 5, g.tensor("", v.data, v.dims)), attrTensor
	case referred:
		b, typ = message(b, 21, []byte(v)), attrFloat
	default:
		panic(fmt.Sprintf("attribute %s of type %T", name, v))
	}
	if other {
		typ = d.as
	}
	if typ == attrUndefined {
		return b
	}
	return number(b, 20, int64(typ))
}

func valueInfo(name string, elem int64, dims []int, batch int) []byte {
	var shape []byte
	for i, d := range dims {
		switch {
		case i == 0 && batch == 0:
			shape = message(shape, 1, message(nil, 2, []byte("n")))
		case i == 0:
			shape = message(shape, 1, number(nil, 1, int64(batch)))
		default:
			shape = message(shape, 1, number(nil, 1, int64(d)))
		}
	}
	tensorType := message(number(nil, 1, elem), 2, shape)
	if dims == nil {
		tensorType = number(nil, 1, elem)
	}
	return message(message(nil, 1, []byte(name)), 2, message(nil, 1, tensorType))
}

// file writes the graph; the output is that of the last node.
func (g *graph) file() []byte { return g.modelProto(g.graphProto()) }

func (g *graph) graphProto() []byte {
	var b []byte
	for i, n := range g.nodes {
		var m []byte
		for _, in := range n.in {
			m = message(m, 1, []byte(in))
		}
		for _, out := range n.out {
			m = message(m, 2, []byte(out))
		}
		m = message(m, 3, fmt.Appendf(nil, "node%d", i))
		m = message(m, 4, []byte(n.op))
		for name, v := range n.attrs {
			m = message(m, 5, attribute(g, name, v))
		}
		b = message(b, 1, m)
	}
	b = message(b, 2, []byte("graph"))
	for _, in := range g.inits {
		b = message(b, 5, g.tensor(in.name, in.data, in.dims))
	}
	b = message(b, 11, valueInfo("x", g.floatType(), g.x.dims, g.batch))
	out := g.nodes[len(g.nodes)-1].out[0]
	return message(b, 12, valueInfo(out, g.floatType(), nil, 0))
}

func (g *graph) modelProto(b []byte) []byte {
	m := number(nil, 1, 8)
	m = message(m, 7, b)
	return message(m, 8, number(message(nil, 1, nil), 2, int64(g.opset)))
}

// toOurs brings an array into our layout and type.
func toOurs(a array, dtype tensor.DType) *tensor.Tensor {
	if len(a.dims) == 4 {
		a = a.transposed(0, 2, 3, 1)
	}
	return tensor.FromFloat64(slices.Clone(a.v), a.dims...).To(dtype)
}

// forward reads the graph and runs it on its input.
func (g *graph) forward(t *testing.T) (*Model, *tensor.Tensor) {
	m, err := Read(bytes.NewReader(g.file()))
	require.NoError(t, err)
	x := toOurs(g.x, m.DType())
	if g.lastAlready {
		x = tensor.FromFloat64(slices.Clone(g.x.v), g.x.dims...).To(m.DType())
	}
	y := m.Forward(&nn.Pass{}, x)
	require.Equal(t, y.Shape()[1:], m.OutputShape())
	return m, y
}

// check compares what the graph computes, in both types, with the expected
// output.
func (g *graph) check(t *testing.T, want array) {
	for _, double := range []bool{true, false} {
		g.double = double
		tol := 1e-12
		if !double {
			tol = 2e-5
		}
		_, y := g.forward(t)
		expected := toOurs(want, y.DType())
		require.Equal(t, expected.Shape(), y.Shape())
		for i, v := range y.Values() {
			w := expected.Values()[i]
			require.InDelta(t, w, v, tol*max(1, math.Abs(w)), "element %d, double %v", i, double)
		}
	}
}

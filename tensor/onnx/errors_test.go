package onnx

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// What does not fit is refused while reading, with the node and what was found.
func TestErrorsNameNodeAndFinding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	images := func() array { return random(r, 2, 3, 5, 6) }
	for _, c := range []struct {
		want string
		make func(g *graph)
	}{
		{`node 0 (Resize "node0"): operator not supported; the model needs Loop, Resize, and supported are Abs, Add`, func(g *graph) {
			g.node("Loop", nil, g.node("Resize", nil, "x"))
		}},
		{`node 0 (Conv "node0"): attribute "padding" is not supported, want one of [auto_pad dilations group kernel_shape pads strides]`, func(g *graph) {
			g.node("Conv", attrs{"padding": 1}, "x", g.constant(random(r, 2, 3, 1, 1)))
		}},
		{`weights: input 1 ("x") is not a constant of floating-point numbers`, func(g *graph) { g.node("Conv", nil, "x", "x") }},
		{`1 groups of 3 channels with weights [2 4 1 1]`, func(g *graph) { g.node("Conv", nil, "x", g.constant(random(r, 2, 4, 1, 1))) }},
		{`bias: input 2 ("c1") has shape [3], want [2]`, func(g *graph) {
			g.node("Conv", nil, "x", g.constant(random(r, 2, 3, 1, 1)), g.constant(random(r, 3)))
		}},
		{`window of 6 does not fit an extent of 5`, func(g *graph) { g.node("Conv", nil, "x", g.constant(random(r, 2, 3, 6, 1))) }},
		{`auto_pad is "EVEN"`, func(g *graph) { g.node("MaxPool", attrs{"auto_pad": "EVEN", "kernel_shape": []int{2, 2}}, "x") }},
		{`dilations are [2 2], want 1`, func(g *graph) {
			g.node("MaxPool", attrs{"dilations": []int{2, 2}, "kernel_shape": []int{2, 2}}, "x")
		}},
		{`keepdims is 2, want 0 or 1`, func(g *graph) { g.node("ReduceMean", attrs{"keepdims": 2, "axes": []int{1}}, "x") }},
		{`axis 0 of shape [N 3 5 6] is that of the images of a batch, which must not be mixed`, func(g *graph) { g.node("ReduceMean", nil, "x") }},
		{`axis 0 of shape [N 3 5 6] is that of the images`, func(g *graph) { g.node("Softmax", attrs{"axis": 0}, "x") }},
		{`axis 4 of shape [N 3 5 6], want -4 to 3`, func(g *graph) { g.node("Softmax", attrs{"axis": 4}, "x") }},
		{`cuts axis 0 of shape [N 3 5 6], which is that of the images`, func(g *graph) {
			g.node("Slice", nil, "x", g.constant([]int64{0}), g.constant([]int64{1}))
		}},
		{`result has shape [N 3 0 6] with extent 0`, func(g *graph) {
			g.node("Slice", nil, "x", g.constant([]int64{3}), g.constant([]int64{1}), g.constant([]int64{2}))
		}},
		{`shape [N 3 5 6] cannot become [0 91]`, func(g *graph) { g.node("Reshape", nil, "x", g.constant([]int64{0, 91})) }},
		{`shape [N 3 5 6] cannot become [-1 -1]`, func(g *graph) { g.node("Reshape", nil, "x", g.constant([]int64{-1, -1})) }},
		{`input 1 ("t0") is not a list of whole numbers that are known beforehand`, func(g *graph) {
			g.node("Reshape", nil, "x", g.node("Relu", nil, "x"))
		}},
		{`perm is [0 1 2 2]`, func(g *graph) { g.node("Transpose", attrs{"perm": []int{0, 1, 2, 2}}, "x") }},
		{`axis 1 of shape [N 3 5 6] has extent 3, want 1`, func(g *graph) { g.node("Squeeze", nil, "x", g.constant([]int64{1})) }},
		{`has 3 new axes for shape [N 3 5 6], want at most 6 in all`, func(g *graph) {
			g.node("Unsqueeze", nil, "x", g.constant([]int64{1, 2, 3}))
		}},
		{`index 5, want -5 to 4`, func(g *graph) { g.node("Gather", attrs{"axis": 2}, "x", g.constant([]int64{5})) }},
		{`shapes [N 3 5 6] and [4] do not stretch`, func(g *graph) { g.node("Add", nil, "x", g.constant(random(r, 4))) }},
		{`shapes [N 3 5 6] and [2 1 1 1] do not stretch`, func(g *graph) { g.node("Mul", nil, "x", g.constant(random(r, 2, 1, 1, 1))) }},
		{`turns floating-point numbers into INT64`, func(g *graph) { g.node("Cast", attrs{"to": int(typeInt64)}, "x") }},
		{`mode is "wrap", want constant, edge or reflect`, func(g *graph) {
			g.node("Pad", attrs{"mode": "wrap"}, "x", g.constant([]int64{0, 0, 1, 0, 0, 0, 0, 0}))
		}},
		{`fills shape [1048576 1048576], want at most`, func(g *graph) {
			g.node("Add", nil, "x", g.node("ConstantOfShape", nil, g.constant([]int64{1 << 20, 1 << 20})))
		}},
		{`is in operator sets from 20 on, and the file uses 13`, func(g *graph) { g.node("Gelu", nil, "x") }},
		{`variance 0 is -1 with epsilon`, func(g *graph) {
			one := g.constant(array{[]int{3}, []float64{1, 1, 1}})
			g.node("BatchNormalization", nil, "x", one, one, one, g.constant(array{[]int{3}, []float64{-1, 1, 1}}))
		}},
		{`tensor "c0" holds a value that is not finite`, func(g *graph) {
			g.node("Conv", nil, "x", g.constant(array{[]int{1, 3, 1, 1}, []float64{1, math.NaN(), 1}}))
		}},
		{`has 1 inputs, want 2 to 2`, func(g *graph) { g.node("Add", nil, "x") }},
		{`input 0 is tensor "q", which no earlier node makes`, func(g *graph) { g.node("Relu", nil, "q") }},
		{`output "t0": has shape [3 3], want [N ...] for N images`, func(g *graph) {
			g.node("Transpose", nil, g.constant(random(r, 3, 3)))
		}},
		{`node 0 (Clip "node0"): attribute "max" is INT, want FLOAT`, func(g *graph) {
			g.opset = 10
			g.node("Clip", attrs{"min": 0.0, "max": 6}, "x")
		}},
		{`node 0 (Gemm "node0"): attribute "alpha" is INT, want FLOAT`, func(g *graph) {
			g.x.dims = []int{2, 3}
			g.node("Gemm", attrs{"alpha": 1}, "x", g.constant(random(r, 3, 2)), g.constant(random(r, 2)))
		}},
		{`attribute "axis" is FLOAT, want INT`, func(g *graph) { g.node("Softmax", attrs{"axis": 1.0}, "x") }},
		{`attribute "axis" is INTS, want INT`, func(g *graph) { g.node("Concat", attrs{"axis": []int{1}}, "x", "x") }},
		{`attribute "kernel_shape" is INT, want INTS`, func(g *graph) { g.node("MaxPool", attrs{"kernel_shape": 2}, "x") }},
		{`attribute "mode" is INT, want STRING`, func(g *graph) {
			g.node("Pad", attrs{"mode": 1}, "x", g.constant(make([]int64, 8)))
		}},
		{`attribute "value" is FLOAT, want TENSOR`, func(g *graph) { g.node("Add", nil, "x", g.node("Constant", attrs{"value": 1.0})) }},
		{`attribute "value_float" is INT, want FLOAT`, func(g *graph) { g.node("Add", nil, "x", g.node("Constant", attrs{"value_float": 1})) }},
		{`attribute "alpha" is FLOAT and holds INT, want one type`, func(g *graph) { g.node("Elu", attrs{"alpha": declared{1, attrFloat}}, "x") }},
		{`attribute "alpha" has neither a type nor a value`, func(g *graph) { g.node("Elu", attrs{"alpha": declared{nil, attrUndefined}}, "x") }},
		{`attribute "alpha" is GRAPH, want a number, a text or a tensor`, func(g *graph) { g.node("Elu", attrs{"alpha": declared{nil, attrGraph}}, "x") }},
		{`attribute "alpha" is type 99, want a number, a text or a tensor`, func(g *graph) { g.node("Elu", attrs{"alpha": declared{1.0, 99}}, "x") }},
		{`attribute "alpha" is a reference to a function's attribute`, func(g *graph) { g.node("Elu", attrs{"alpha": referred("a")}, "x") }},
		{`fills shape [0 1099511627776] with extent 1099511627776 on axis 1`, func(g *graph) {
			g.node("Add", nil, "x", g.node("ConstantOfShape", nil, g.constant([]int64{0, 1 << 40})))
		}},
		{`fills shape [0 1099511627776] with extent 1099511627776 on axis 1`, func(g *graph) {
			whole := attrs{"value": initializer{data: []int64{1}, dims: []int{1}}}
			list := g.node("ConstantOfShape", whole, g.constant([]int64{0, 1 << 40}))
			g.node("Add", nil, "x", g.node("Cast", attrs{"to": int(typeFloat)}, list))
		}},
		{`fills shape of 7 axes, want at most 6`, func(g *graph) {
			g.node("Add", nil, "x", g.node("ConstantOfShape", nil, g.constant([]int64{1, 1, 1, 1, 1, 1, 1})))
		}},
		{`strides is [1 2147483648], want numbers of 1 to 2147483647`, func(g *graph) {
			g.node("MaxPool", attrs{"kernel_shape": []int{2, 2}, "strides": []int{1, 1 << 31}}, "x")
		}},
		{`weights dilated by [32767 32767]: result has shape [4 1 32768 32768], want at most 2147483647 elements`, func(g *graph) {
			g.x.dims = []int{1, 1, 1 << 15, 1 << 15}
			g.node("Conv", attrs{"dilations": []int{1<<15 - 1, 1<<15 - 1}}, "x", g.constant(random(r, 4, 1, 2, 2)))
		}},
		{`splits an extent of 5 into 2 parts, want parts of one size`, func(g *graph) {
			g.nodes = append(g.nodes, node{"Split", []string{"x"}, []string{"p", "q"}, attrs{"axis": 2}})
		}},
		{`splits an extent of 5 into parts of [2 2], want 2 parts that add up to it`, func(g *graph) {
			g.nodes = append(g.nodes, node{"Split", []string{"x", g.constant([]int64{2, 2})}, []string{"p", "q"}, attrs{"axis": 2}})
		}},
		{`num_outputs is 3, and the node has 1`, func(g *graph) {
			g.opset = 18
			g.node("Split", attrs{"axis": 2, "num_outputs": 3}, "x")
		}},
		{`axis 0 of shape [N 3 5 6] is that of the images`, func(g *graph) { g.node("Split", nil, "x") }},
		{`LayerNormalization "node0"): is in operator sets from 17 on, and the file uses 13`, func(g *graph) {
			g.node("LayerNormalization", nil, "x", g.constant(random(r, 6)))
		}},
		{`scale: input 1 ("c0") has shape [5], want [6]`, func(g *graph) {
			g.opset = 17
			g.node("LayerNormalization", nil, "x", g.constant(random(r, 5)))
		}},
		{`axis 0 of shape [N 3 5 6] is that of the images`, func(g *graph) {
			g.opset = 17
			g.node("LayerNormalization", attrs{"axis": 0}, "x", g.constant(random(r, 2, 3, 5, 6)))
		}},
		{`initializer "c0": element type is type 77`, func(g *graph) { g.node("Add", nil, "x", g.constant(77)) }},
	} {
		g := newGraph(13, images())
		c.make(g)
		_, err := Read(bytes.NewReader(g.file()))
		if assert.Error(t, err, c.want) {
			assert.Contains(t, err.Error(), c.want)
			assert.Contains(t, err.Error(), "onnx: ")
		}
	}
}

func TestOpsetsOutsideTheRangeAreRefused(t *testing.T) {
	for _, v := range []int{0, 6, 22, 9999} {
		g := newGraph(v, zeros(1, 2))
		g.node("Relu", nil, "x")
		_, err := Read(bytes.NewReader(g.file()))
		require.ErrorContains(t, err, "want 7 to 21")
	}
}

// A file that has no types, or leaves out values of zero, is read all the same.
func TestTypesAndZerosMayBeLeftOut(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, c := range []struct {
		low any
		min float64
	}{{declared{-0.5, attrUndefined}, -0.5}, {declared{nil, attrFloat}, 0}} {
		g := newGraph(7, random(r, 2, 9))
		y := g.node("Clip", attrs{"min": c.low}, "x")
		g.node("Transpose", attrs{"perm": declared{[]int{0, 1}, attrUndefined}}, y)
		g.check(t, apply(g.x, func(v float64) float64 { return max(v, c.min) }))
	}
}

// Constants that a small file blows up are refused before they are made.
func TestConstantsStayWithinTheFilesSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 1 << 10
	for name, build := range map[string]func(g *graph){
		"doubled": func(g *graph) {
			c := g.constant(random(r, 64))
			for range 40 {
				c = g.node("Concat", attrs{"axis": 0}, c, c)
			}
			g.node("Add", nil, "x", c)
		},
		"whole numbers, added again and again": func(g *graph) {
			ones := g.constant(slices.Repeat([]int64{1}, n))
			c := ones
			for range 200 {
				c = g.node("Add", nil, c, ones)
			}
			g.node("Add", nil, "x", g.node("Cast", attrs{"to": int(typeDouble)}, c))
		},
		"large on the way": func(g *graph) {
			c := g.node("Pad", nil, g.constant(random(r, 1, 2000)), g.constant([]int64{500, -1999, 500, 0}))
			g.x = zeros(1, 1001)
			g.node("MatMul", nil, "x", c)
		},
		"indices, kept by many nodes": func(g *graph) {
			y, idx := "x", g.constant(slices.Repeat([]int64{1}, n))
			for range 200 {
				y = g.node("Gather", attrs{"axis": 1}, y, idx)
			}
		},
	} {
		g := newGraph(13, zeros(1, n))
		build(g)
		_, err := Read(bytes.NewReader(g.file()))
		require.ErrorContains(t, err, "constants made from the file's are too large", name)
	}
}

// What stays small is not refused for how it is made.
func TestConstantsMayBeCutFromLargerOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	g := newGraph(13, zeros(1, 16))
	all := g.constant(random(r, 64, 16, 16))
	y := "x"
	for i := range 64 {
		one := g.node("Slice", nil, all, g.constant([]int64{int64(i)}), g.constant([]int64{int64(i) + 1}))
		y = g.node("MatMul", nil, y, g.node("Reshape", nil, one, g.constant([]int64{16, 16})))
	}
	require.Equal(t, 64*16*16, nn.CountParams(read(t, g)))
}

// Every way in which a file can hold numbers gives those numbers.
func TestElementTypesAndEncodings(t *testing.T) {
	floats := []float64{0, 1, -2.5, 65504, 5.9604644775390625e-08, math.Inf(-1)}
	half := []uint16{0, 0x3c00, 0xc100, 0x7bff, 0x0001, 0xfc00}
	whole := []int64{0, 1, 127, 5, 100, 77}
	signed := []int64{-1, 1, -128, 127, 0, 3}
	pack := func(f func(b []byte, i int) []byte) []byte {
		var b []byte
		for i := range 6 {
			b = f(b, i)
		}
		return b
	}
	order := binary.LittleEndian
	for _, c := range []struct {
		elem  elemType
		num   int // of the field with data
		data  []byte
		want  []float64
		wants []int64
	}{
		{typeFloat, 4, pack(func(b []byte, i int) []byte { return order.AppendUint32(b, math.Float32bits(float32(floats[i]))) }), floats, nil},
		{typeFloat, 9, pack(func(b []byte, i int) []byte { return order.AppendUint32(b, math.Float32bits(float32(floats[i]))) }), floats, nil},
		{typeDouble, 10, pack(func(b []byte, i int) []byte { return order.AppendUint64(b, math.Float64bits(floats[i])) }), floats, nil},
		{typeDouble, 9, pack(func(b []byte, i int) []byte { return order.AppendUint64(b, math.Float64bits(floats[i])) }), floats, nil},
		{typeFloat16, 5, pack(func(b []byte, i int) []byte { return binary.AppendUvarint(b, uint64(half[i])) }), floats, nil},
		{typeFloat16, 9, pack(func(b []byte, i int) []byte { return order.AppendUint16(b, half[i]) }), floats, nil},
		{typeBfloat16, 9, pack(func(b []byte, i int) []byte {
			return order.AppendUint16(b, []uint16{0x3f80, 0xc020, 0, 0, 0x7f80, 0x4000}[i])
		}), []float64{1, -2.5, 0, 0, math.Inf(1), 2}, nil},
		{typeInt64, 7, pack(func(b []byte, i int) []byte { return binary.AppendUvarint(b, uint64(signed[i])) }), nil, signed},
		{typeInt64, 9, pack(func(b []byte, i int) []byte { return order.AppendUint64(b, uint64(signed[i])) }), nil, signed},
		{typeInt32, 5, pack(func(b []byte, i int) []byte { return binary.AppendUvarint(b, uint64(signed[i])) }), nil, signed},
		{typeInt32, 9, pack(func(b []byte, i int) []byte { return order.AppendUint32(b, uint32(signed[i])) }), nil, signed},
		{typeInt16, 9, pack(func(b []byte, i int) []byte { return order.AppendUint16(b, uint16(signed[i])) }), nil, signed},
		{typeInt8, 9, pack(func(b []byte, i int) []byte { return append(b, byte(signed[i])) }), nil, signed},
		{typeUint8, 9, pack(func(b []byte, i int) []byte { return append(b, byte(whole[i])) }), nil, whole},
		{typeUint16, 9, pack(func(b []byte, i int) []byte { return order.AppendUint16(b, uint16(whole[i])) }), nil, whole},
		{typeUint32, 9, pack(func(b []byte, i int) []byte { return order.AppendUint32(b, uint32(whole[i])) }), nil, whole},
		{typeUint64, 11, pack(func(b []byte, i int) []byte { return binary.AppendUvarint(b, uint64(whole[i])) }), nil, whole},
		{typeBool, 9, []byte{0, 1, 1, 0, 0, 1}, nil, []int64{0, 1, 1, 0, 0, 1}},
	} {
		b := message(nil, 1, []byte{2, 3}) // packed shape
		b = number(b, 2, int64(c.elem))
		b = message(b, 9, c.data)
		if c.num != 9 {
			b = message(number(message(nil, 1, []byte{2, 3}), 2, int64(c.elem)), protowire.Number(c.num), c.data)
		}
		p, err := decodeTensor(b)
		require.NoError(t, err, c.elem)
		if c.want != nil {
			got, err := p.numbers(tensor.Float64)
			require.NoError(t, err, c.elem)
			require.Equal(t, []int{2, 3}, got.Shape())
			require.Equal(t, c.want, got.Values(), c.elem)
			_, err = p.wholes()
			require.Error(t, err)
			continue
		}
		got, err := p.wholes()
		require.NoError(t, err, c.elem)
		require.Equal(t, c.wants, got, c.elem)
		_, err = p.numbers(tensor.Float64)
		require.Error(t, err)
		p.dims[0]++
		_, err = p.wholes()
		require.ErrorContains(t, err, "want", c.elem)
	}
}

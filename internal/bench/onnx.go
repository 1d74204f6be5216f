package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// message is a protocol-buffer message in the making.
type message []byte

func (m *message) number(field int, v uint64) {
	*m = binary.AppendUvarint(binary.AppendUvarint(*m, uint64(field)<<3), v)
}

func (m *message) bytes(field int, v []byte) {
	*m = binary.AppendUvarint(binary.AppendUvarint(*m, uint64(field)<<3|2), uint64(len(v)))
	*m = append(*m, v...)
}

func (m *message) text(field int, v string) { m.bytes(field, []byte(v)) }

// onnx writes a network as an ONNX graph, for the peer to run with the same
// weights.
type onnx struct {
	graph   message
	tensors map[string]*tensor.Tensor
	image   map[string][3]int
	names   int
}

// attribute is a list of integers; axis-like attributes hold one.
type attribute struct {
	name string
	ints []int
}

// add appends a node and returns the name of its result.
func (o *onnx) add(op string, attrs []attribute, in ...string) string {
	o.names++
	out := "t" + strconv.Itoa(o.names)
	var n message
	for _, i := range in {
		n.text(1, i)
	}
	n.text(2, out)
	n.text(4, op)
	for _, a := range attrs {
		var m message
		m.text(1, a.name)
		if len(a.ints) == 1 && a.name != "axes" {
			m.number(3, uint64(a.ints[0]))
			m.number(20, 2)
		} else {
			for _, v := range a.ints {
				m.number(8, uint64(v))
			}
			m.number(20, 7)
		}
		n.bytes(5, m)
	}
	o.graph.bytes(1, n)
	return out
}

// constant adds a tensor, with filters and image inputs in ONNX's order.
func (o *onnx) constant(name string) string {
	t := o.tensors[name]
	dims, v := t.Shape(), t.Float32s()
	switch len(dims) {
	case 4:
		t = tensor.Transpose(t, 3, 2, 0, 1)
		dims, v = t.Shape(), t.Float32s()
	case 2:
		if im := o.image[name]; im[2] > 1 {
			t = tensor.Reshape(tensor.Transpose(tensor.Reshape(t, im[0], im[1], im[2], dims[1]), 2, 0, 1, 3), dims[0], dims[1])
			v = t.Float32s()
		}
	}
	raw := make([]byte, 0, 4*len(v))
	for _, f := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	var m message
	for _, d := range dims {
		m.number(1, uint64(d))
	}
	m.number(2, 1)
	m.text(8, name)
	m.bytes(9, raw)
	o.graph.bytes(5, m)
	return name
}

func (o *onnx) conv(x, name string, stride, pad int) string {
	in := []string{x, o.constant(name + ".weight")}
	if o.tensors[name+".bias"] != nil {
		in = append(in, o.constant(name+".bias"))
	}
	return o.add("Conv", []attribute{{"strides", []int{stride, stride}}, {"pads", []int{pad, pad, pad, pad}}}, in...)
}

func (o *onnx) norm(x, name string) string {
	return o.add("BatchNormalization", nil, x, o.constant(name+".weight"), o.constant(name+".bias"),
		o.constant(name+".running_mean"), o.constant(name+".running_var"))
}

func (o *onnx) linear(x, name string) string {
	return o.add("Gemm", nil, x, o.constant(name+".weight"), o.constant(name+".bias"))
}

func (o *onnx) relu(x string) string { return o.add("Relu", nil, x) }

func (o *onnx) pool(x string) string {
	return o.add("MaxPool", []attribute{{"kernel_shape", []int{2, 2}}, {"strides", []int{2, 2}}}, x)
}

func (o *onnx) flatten(x string) string { return o.add("Flatten", []attribute{{"axis", []int{1}}}, x) }

// body adds the nodes of a network and returns its result.
func (o *onnx) body(w workload) string {
	x := "x"
	switch w.name {
	case "cnn":
		x = o.pool(o.relu(o.conv(x, "0", 1, 2)))
		x = o.pool(o.relu(o.conv(x, "3", 1, 2)))
		return o.linear(o.relu(o.linear(o.flatten(x), "7")), "9")
	case "mlp":
		x = o.relu(o.linear(o.flatten(x), "1"))
		return o.linear(o.relu(o.linear(x, "3")), "5")
	case "resnet18":
		o.constant("norm.mean")
		o.constant("norm.std")
		x = o.add("Div", nil, o.add("Sub", nil, x, "norm.mean"), "norm.std")
		x = o.relu(o.norm(o.conv(x, "conv1", 1, 1), "bn1"))
		for stage := 1; stage <= 4; stage++ {
			for block := range 2 {
				name := fmt.Sprintf("layer%d.%d.", stage, block)
				stride := 1
				if stage > 1 && block == 0 {
					stride = 2
				}
				y := o.relu(o.norm(o.conv(x, name+"conv1", stride, 1), name+"bn1"))
				y = o.norm(o.conv(y, name+"conv2", 1, 1), name+"bn2")
				if o.tensors[name+"downsample.0.weight"] != nil {
					x = o.norm(o.conv(x, name+"downsample.0", stride, 0), name+"downsample.1")
				}
				x = o.relu(o.add("Add", nil, y, x))
			}
		}
		return o.linear(o.flatten(o.add("GlobalAveragePool", nil, x)), "fc")
	}
	panic("bench: no ONNX form of " + w.name)
}

func valueInfo(name string, dims ...int) message {
	var shape message
	for _, d := range dims {
		var dim message
		dim.number(1, uint64(d))
		shape.bytes(1, dim)
	}
	var kind message
	kind.number(1, 1)
	kind.bytes(2, shape)
	var typ message
	typ.bytes(1, kind)
	var info message
	info.text(1, name)
	info.bytes(2, typ)
	return info
}

// export writes the network of w.forward to an ONNX file and returns the
// logits that its first image of a deterministic batch must have.
func (w workload) export(path string, n int) ([]float32, error) {
	net := w.build(rand.New(rand.NewPCG(1, 1)))
	o := &onnx{tensors: map[string]*tensor.Tensor{}, image: map[string][3]int{}}
	net.Visit("", func(s nn.Slot) {
		o.tensors[s.Name], o.image[s.Name] = s.Tensor, s.Image
	})
	if m := o.tensors["norm.mean"]; m != nil {
		o.tensors["norm.mean"] = tensor.Reshape(m, 1, 1, m.Len(), 1)
		o.tensors["norm.std"] = tensor.Reshape(o.tensors["norm.std"], 1, 1, m.Len(), 1)
	}
	out := o.body(w)
	o.graph.text(2, w.name)
	o.graph.bytes(11, valueInfo("x", n, w.c, w.size, w.size))
	o.graph.bytes(12, valueInfo(out, n, 10))
	var version, model message
	version.text(1, "")
	version.number(2, 13)
	model.number(1, 7)
	model.bytes(7, o.graph)
	model.bytes(8, version)

	x := tensor.Zeros(tensor.Float32, 1, w.c, w.size, w.size)
	for i := range x.Float32s() {
		x.Float32s()[i] = float32(i%97) / 97
	}
	logits := net.Forward(&nn.Pass{}, tensor.Transpose(x, 0, 2, 3, 1))
	return logits.Float32s(), os.WriteFile(path, model, 0o644)
}

// sameLogits compares a driver's answer "ok v v ..." with logits.
func sameLogits(want []float32, answer string) error {
	words := strings.Fields(answer)
	if len(words) != len(want)+1 {
		return fmt.Errorf("%d logits, want %d", len(words)-1, len(want))
	}
	for i, v := range want {
		got, err := strconv.ParseFloat(words[i+1], 32)
		if err != nil || math.Abs(got-float64(v)) > 1e-3*(1+math.Abs(float64(v))) {
			return fmt.Errorf("logit %d is %s, want %v", i, words[i+1], v)
		}
	}
	return nil
}

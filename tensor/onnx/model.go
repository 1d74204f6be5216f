package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

var _ nn.Layer = (*Model)(nil)

// Operator set versions that are read.
const (
	MinOpset = 7
	MaxOpset = 21
)

// memoryFactor bounds, as a multiple of the size of the files, the memory of what is
// made from their constants, and that of tensors that share parts of a file.
const memoryFactor = 16

// Options says how a model is read.
type Options struct {
	// Shape is the shape of one input as Forward takes it, for images
	// [H, W, C]. It is needed where the file leaves an extent open, and may not
	// contradict the others. Nil means that of the file.
	Shape []int
	// Output names the graph's output that Forward returns; "" means the first.
	Output string
}

// Model is a network read from a file. It can be trained and attacked like any
// other nn.Layer; nn.Classifier makes it the target of an attack.
type Model struct {
	program
	dtype         tensor.DType // of the constants
	input, output *value
	parameters    []*parameter
	opset         int
	largest       int // elements of the largest value for one image
}

// Open reads the model in the file at path. Data of its tensors that is in other files,
// as current exporters of PyTorch write it, is read from files in the model's folder and
// the folders in it.
func Open(path string) (*Model, error) { return Options{}.Open(path) }

// Read reads a model whose data is all in one file.
func Read(r io.Reader) (*Model, error) { return Options{}.Read(r) }

// Open is the function Open with options.
func (o Options) Open(path string) (*Model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	beside := &companions{dir: filepath.Dir(path)}
	defer beside.Close()
	m, err := o.decode(b, beside)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", path, err)
	}
	return m, nil
}

// Read is the function Read with options.
func (o Options) Read(r io.Reader) (*Model, error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	m, err := o.decode(b.Bytes(), nil)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return m, nil
}

// decode reads a model. beside gives access to the files beside it, nil to none.
func (o Options) decode(b []byte, beside *companions) (*Model, error) {
	if len(b) == 0 {
		return nil, errors.New("file is empty")
	}
	file, err := decodeModel(b)
	if err != nil {
		return nil, err
	}
	if file.opset < MinOpset || file.opset > MaxOpset {
		return nil, fmt.Errorf("operator set has version %d, want %d to %d", file.opset, MinOpset, MaxOpset)
	}
	g := &file.graph
	in, err := g.input()
	if err != nil {
		return nil, err
	}
	out, err := g.output(o.Output)
	if err != nil {
		return nil, err
	}
	nodes, err := g.needed(in.name, out)
	if err != nil {
		return nil, err
	}
	if err := checkOperators(nodes); err != nil {
		return nil, err
	}
	c := &compiler{
		beside: beside, dtype: tensor.Float32, opset: int(file.opset), budget: max(1<<14, memoryFactor*len(b)),
		values: map[string]*value{}, readers: map[string]int{out: 1},
		byConstant: map[*constant]*parameter{}, lastRead: map[int]int{}, learnedRegs: map[int]bool{}, named: map[int]bool{}, shared: map[int]bool{},
	}
	if elemType(in.elemType) == typeDouble {
		c.dtype = tensor.Float64
	}
	input, err := c.declare(in, o.Shape, readsChannelsFirst(nodes, in.name))
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.name, err)
	}
	for _, n := range nodes {
		for _, name := range n.inputs {
			c.readers[name]++
		}
	}
	if err := c.declareInitializers(g); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if err := c.compileNode(n); err != nil {
			return nil, fmt.Errorf("%v: %w", n, err)
		}
	}
	result, err := c.result(out)
	if err != nil {
		return nil, fmt.Errorf("output %q: %w", out, err)
	}
	return &Model{
		program: c.program(result.reg), dtype: c.dtype, input: input, output: result,
		parameters: c.parameters, opset: c.opset, largest: c.largest,
	}, nil
}

// input returns the graph's only input that no initializer gives a value.
func (g *graphProto) input() (*valueProto, error) {
	given := make(map[string]bool, len(g.initializers))
	for i := range g.initializers {
		given[g.initializers[i].name] = true
	}
	var found []*valueProto
	for i := range g.inputs {
		if v := &g.inputs[i]; !given[v.name] {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		names := make([]string, len(found))
		for i, v := range found {
			names[i] = v.name
		}
		return nil, fmt.Errorf("graph has %d inputs %q, want one", len(found), names)
	}
	return found[0], nil
}

// output returns the name of the wanted output of the graph.
func (g *graphProto) output(want string) (string, error) {
	names := make([]string, len(g.outputs))
	for i, v := range g.outputs {
		names[i] = v.name
	}
	switch {
	case len(names) == 0:
		return "", errors.New("graph has no output")
	case want == "":
		return names[0], nil
	case !slices.Contains(names, want):
		return "", fmt.Errorf("graph has no output %q, want one of %q", want, names)
	}
	return want, nil
}

// readsChannelsFirst says whether the graph turns its input from [N, H, W, C]
// to [N, C, H, W] before anything else, and so takes images as Forward does.
func readsChannelsFirst(nodes []*nodeProto, input string) bool {
	any := false
	for _, n := range nodes {
		if !slices.Contains(n.inputs, input) {
			continue
		}
		turns := n.op == "Transpose" && slices.ContainsFunc(n.attributes, func(a attributeProto) bool {
			return a.name == "perm" && slices.Equal(a.ints, []int64{0, 3, 1, 2})
		})
		if !turns {
			return false
		}
		any = true
	}
	return any
}

// declare makes the graph's input a register. The first axis is that of the
// images, whatever the file says of its extent.
func (c *compiler) declare(in *valueProto, want []int, lastAlready bool) (*value, error) {
	switch {
	case !in.typed || !in.shaped:
		return nil, errors.New("has no type with a shape")
	case !elemType(in.elemType).isFloat():
		return nil, fmt.Errorf("has type %v, want FLOAT, DOUBLE, FLOAT16 or BFLOAT16", elemType(in.elemType))
	case len(in.dims) < 2 || len(in.dims) > tensor.MaxRank:
		return nil, fmt.Errorf("has %d axes, want 2 to %d", len(in.dims), tensor.MaxRank)
	case want != nil && len(want) != len(in.dims)-1:
		return nil, fmt.Errorf("has %d axes, and Options.Shape %v has %d, want one less", len(in.dims), want, len(want))
	}
	v := &value{name: in.name, order: inOrder(len(in.dims))}
	if len(in.dims) == 4 && !lastAlready {
		v.order = channelsLast()
	}
	for i, d := range in.dims {
		extent := dim{fixed: int(d.value)}
		switch {
		case i == 0:
			extent = dim{batch: 1}
			c.fixedBatch = int(max(d.value, 0))
		case want != nil:
			given := want[v.place(i)-1]
			if d.value > 0 && d.value != int64(given) {
				return nil, fmt.Errorf("has extent %d on axis %d, and Options.Shape %v asks for %d", d.value, i, want, given)
			}
			extent.fixed = given
		case d.value <= 0:
			return nil, fmt.Errorf("leaves the extent of axis %d open (%q): give it with Options.Shape", i, d.param)
		}
		v.dims = append(v.dims, extent)
	}
	if err := checkShape(v.dims, tensor.MaxRank); err != nil {
		return nil, err
	}
	v.reg = c.regs
	c.regs++
	c.largest = product(v.dims).batch
	c.values[v.name] = v
	return v, nil
}

// declareInitializers decodes the constants that some node reads.
func (c *compiler) declareInitializers(g *graphProto) error {
	for i := range g.initializers {
		t := &g.initializers[i]
		if c.readers[t.name] == 0 {
			if err := t.check(); err != nil {
				return fmt.Errorf("initializer %q: %w", t.name, err)
			}
			continue
		}
		v, err := c.literal(t)
		if err != nil {
			return fmt.Errorf("initializer %q: %w", t.name, err)
		}
		v.name = t.name
		if v.kind == numbers {
			v.constant.name, v.constant.initial = t.name, true
		}
		c.values[t.name] = v
	}
	return nil
}

// literal decodes a constant of the file.
func (c *compiler) literal(t *tensorProto) (*value, error) {
	if t.external {
		var err error
		if t, err = c.fetched(t); err != nil {
			return nil, err
		}
	}
	v := &value{kind: numbers}
	if t.elem.isWhole() {
		list, err := t.wholes()
		if err != nil {
			return nil, err
		}
		v.kind = wholes
		v.whole = make([]dim, len(list))
		for i, k := range list {
			v.whole[i].fixed = int(k)
		}
	} else {
		values, err := t.numbers(c.dtype)
		if err != nil {
			return nil, err
		}
		v.constant = &constant{values: values}
	}
	v.dims = fixedDims(t.shape())
	return v, nil
}

// result is the graph's output as Forward returns it.
func (c *compiler) result(name string) (*value, error) {
	v := c.values[name]
	switch {
	case v == nil:
		return nil, errors.New("is an output of a node that is not computed: of operators other than Split only the first is")
	case v.kind != computed || len(v.dims) == 0 || v.dims[0] != dim{batch: 1}:
		return nil, fmt.Errorf("has shape %s, want [N ...] for N images", show(v.dims))
	case len(v.dims) == 4:
		return c.as(v, channelsLast())
	}
	return c.plain(v)
}

// Opset is the version of the operator set that the file uses.
func (m *Model) Opset() int { return m.opset }

// DType is the type in which the model computes: float64 if the file's input is
// DOUBLE, else float32, or what nn.Convert has changed its parameters to. A model
// without parameters stays as it is.
func (m *Model) DType() tensor.DType {
	if len(m.parameters) > 0 {
		return m.parameters[0].Tensor.DType()
	}
	return m.dtype
}

// InputShape is the shape of one input, for images [H, W, C].
func (m *Model) InputShape() []int { return extents(m.input.stored()[1:], 0) }

// OutputShape is the shape of one output, for a classifier [classes].
func (m *Model) OutputShape() []int { return extents(m.output.stored()[1:], 0) }

// Forward computes the graph's output for inputs x [N, ...], images as
// [N, H, W, C]: for a classifier the logits [N, classes]. The file's own batch
// size does not matter. With p.Train, BatchNormalization uses and gathers
// statistics of the batch and Dropout drops. It panics if x has another shape or
// type than InputShape and DType say.
func (m *Model) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	want, dtype := m.input.stored(), m.DType()
	if x.Rank() != len(want) || x.DType() != dtype || !slices.Equal(x.Shape()[1:], extents(want[1:], 0)) {
		panic(fmt.Sprintf("onnx: Forward: input %v%v, want %v%s", x.DType(), x.Shape(), dtype, show(want)))
	}
	if x.Dim(0) == 0 {
		return tensor.Zeros(dtype, extents(m.output.stored(), 0)...)
	}
	return m.run(&run{Pass: p, n: x.Dim(0), converted: dtype != m.dtype, dtype: dtype}, m.output.reg, x)
}

// Visit visits the weights that the graph's operators take from initializers,
// and the statistics of its BatchNormalization nodes, under the names that the
// file gives them.
func (m *Model) Visit(prefix string, visit func(nn.Slot)) {
	for _, p := range m.parameters {
		s := p.Slot
		s.Name = prefix + s.Name
		visit(s)
	}
}

package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// compiler turns a graph into a program whose images are [N, H, W, C]. It works
// with shapes only: nothing but constants of the file is computed.
type compiler struct {
	beside     *companions // nil for none
	dtype      tensor.DType
	opset      int
	fixedBatch int // the batch size that the file fixes, 0 for none

	values     map[string]*value
	readers    map[string]int // how many inputs of nodes name a value
	parameters []*parameter
	byConstant map[*constant]*parameter
	budget     int // bytes that constants made from those of the file may take

	steps       []step
	regs        int
	largest     int   // elements of the largest value for one image
	made        int   // elements of all results of steps, for one image
	reads       []int // registers that the step at hand reads
	learns      bool  // whether it reads a parameter
	lastRead    map[int]int
	learnedRegs map[int]bool
	named       map[int]bool // registers that a name stands for
	shared      map[int]bool // registers that several names stand for
}

// call is a node while it is compiled.
type call struct {
	*compiler
	*attributes
	node *nodeProto
	in   []*value // nil for one that is left out
	more []*value // outputs after the first, for an operator that computes them
}

// spend takes n elements of size bytes from the budget for what is derived from
// constants: a small file must not take a large memory.
func (c *compiler) spend(name string, n, size int) error {
	if n > c.budget/size {
		return fmt.Errorf("tensor %q: constants made from the file's are too large, want at most %d times its size", name, memoryFactor)
	}
	c.budget -= n * size
	return nil
}

// numberSize is the size in bytes of a floating-point number of the model.
func (c *compiler) numberSize() int {
	if c.dtype == tensor.Float64 {
		return 8
	}
	return 4
}

// needed returns the nodes on which the output depends, in the file's order, and
// checks that every name is made once and before it is read.
func (g *graphProto) needed(input, output string) ([]*nodeProto, error) {
	const outside = -1
	maker := map[string]int{input: outside}
	for i := range g.initializers {
		name := g.initializers[i].name
		if _, ok := maker[name]; ok {
			return nil, fmt.Errorf("tensor %q is made twice", name)
		}
		maker[name] = outside
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		for k, name := range n.inputs {
			if _, ok := maker[name]; !ok && name != "" {
				return nil, fmt.Errorf("%v: input %d is tensor %q, which no earlier node makes", n, k, name)
			}
		}
		for _, name := range n.outputs {
			if name == "" {
				continue
			}
			if _, ok := maker[name]; ok {
				return nil, fmt.Errorf("%v: tensor %q is made twice", n, name)
			}
			maker[name] = i
		}
	}
	last, ok := maker[output]
	if !ok {
		return nil, fmt.Errorf("output %q is made by no node", output)
	}
	if last == outside {
		return nil, fmt.Errorf("output %q is an input of the graph or one of its initializers, want the result of a node", output)
	}
	want := map[string]bool{output: true}
	var nodes []*nodeProto
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := &g.nodes[i]
		if !slices.ContainsFunc(n.outputs, func(name string) bool { return want[name] }) {
			continue
		}
		nodes = append(nodes, n)
		for _, name := range n.inputs {
			want[name] = name != ""
		}
	}
	slices.Reverse(nodes)
	return nodes, nil
}

// compileNode compiles one node.
func (c *compiler) compileNode(n *nodeProto) error {
	op := operators[n.op]
	attrs, err := newAttributes(n.attributes)
	if err != nil {
		return err
	}
	k := &call{compiler: c, attributes: attrs, node: n}
	for i, name := range n.inputs {
		var v *value
		if name != "" {
			if v = c.values[name]; v == nil {
				return fmt.Errorf("input %d is tensor %q, an output of a node that is not computed: of operators other than Split only the first is", i, name)
			}
		}
		k.in = append(k.in, v)
	}
	for len(k.in) > 0 && k.in[len(k.in)-1] == nil {
		k.in = k.in[:len(k.in)-1]
	}
	if len(k.in) < op.least || len(k.in) > op.most {
		return fmt.Errorf("has %d inputs, want %d to %d", len(k.in), op.least, op.most)
	}
	for i := range op.least {
		if k.in[i] == nil {
			return fmt.Errorf("input %d is left out", i)
		}
	}
	if len(n.outputs) == 0 || n.outputs[0] == "" {
		return errors.New("has no output")
	}
	v, err := k.build(op)
	if attrs.wrong != nil {
		// Whatever else went wrong may come of it.
		return attrs.wrong
	}
	if err != nil {
		return err
	}
	if err := attrs.rest(); err != nil {
		return err
	}
	for i, v := range append([]*value{v}, k.more...) {
		c.name(v, n.outputs[i])
	}
	return nil
}

// name makes a value that of a name of the graph.
func (c *compiler) name(v *value, name string) {
	if name == "" {
		return
	}
	named := *v
	named.name = name
	if v.kind == numbers {
		// What the exporter shared between equal tensors is learned apart.
		named.constant = &constant{name: named.name, values: v.constant.values, initial: v.constant.initial}
	}
	if v.kind == computed {
		c.shared[v.reg] = c.named[v.reg]
		c.named[v.reg] = true
	}
	c.values[name] = &named
}

// build compiles the node at hand, or computes it when its inputs are constants.
func (k *call) build(op operator) (*value, error) {
	if op.onWholes != nil && len(k.in) > 0 && k.in[0].kind == wholes {
		return op.onWholes(k)
	}
	constants := true
	for _, v := range k.in {
		constants = constants && (v == nil || v.kind != computed)
	}
	if constants && op.fold != foldNone && len(k.in) > 0 {
		return k.folded(op, k.numberSize())
	}
	return op.build(k)
}

// folded computes a node whose inputs are all constants, of numbers of size bytes, by a
// program of its own.
func (k *call) folded(op operator, size int) (*value, error) {
	sub := &compiler{
		dtype: k.dtype, opset: k.opset, budget: k.budget,
		byConstant: map[*constant]*parameter{}, lastRead: map[int]int{}, learnedRegs: map[int]bool{}, named: map[int]bool{}, shared: map[int]bool{},
	}
	inner := &call{compiler: sub, attributes: k.attributes, node: k.node, in: slices.Clone(k.in)}
	initial := false
	for i, v := range inner.in {
		if v == nil || v.kind != numbers || i > 0 && op.fold == foldFirst {
			continue
		}
		initial = initial || v.constant.initial
		lifted, err := sub.lift(v)
		if err != nil {
			return nil, err
		}
		inner.in[i] = lifted
	}
	given := sub.made
	v, err := op.build(inner)
	if err != nil {
		return nil, err
	}
	if v, err = sub.plain(v); err != nil {
		return nil, err
	}
	// The program may hold each of its results at once, and some may be larger
	// than the last.
	k.budget = sub.budget
	if err := k.spend(k.node.outputs[0], sub.made-given, size); err != nil {
		return nil, err
	}
	p := program{sub.steps, sub.regs}
	return &value{
		kind: numbers, dims: v.dims,
		constant: &constant{values: p.run(&run{Pass: &nn.Pass{}, n: 1}, v.reg), initial: initial},
	}, nil
}

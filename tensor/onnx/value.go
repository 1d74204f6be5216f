package onnx

import (
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// kind says what a name of the graph stands for.
type kind uint8

const (
	computed kind = iota // by the program, in a register
	numbers              // floating-point numbers of the file
	wholes               // whole numbers, known but for the batch size
)

// value is what a name of the graph stands for while the graph is compiled.
type value struct {
	name string
	kind kind
	dims []dim // the shape, with the axes as the file counts them

	// The register of a computed value holds its axes in another order: its
	// axis i is the file's axis order[i]. If image is not zero, the value is
	// [n, H W C] where the file has [n, C H W]: flattened images that nobody
	// has needed in the file's order yet.
	reg   int
	order []int
	image [3]int
	// learned says that a computed value depends on parameters.
	learned bool

	constant *constant
	whole    []dim
}

// constant holds numbers of the file in the file's layout.
type constant struct {
	name    string
	values  *tensor.Tensor
	initial bool // an initializer, or made from one
}

// run is one pass through the program.
type run struct {
	*nn.Pass
	n    int // images
	regs []*tensor.Tensor
	// converted says that the model has been converted to dtype, which the constants
	// of its steps follow.
	converted bool
	dtype     tensor.DType
}

// constant returns a constant of a step in the type of the run.
func (r *run) constant(t *tensor.Tensor) *tensor.Tensor {
	if r.converted {
		return t.To(r.dtype)
	}
	return t
}

// operand gives a step the value of one of its inputs.
type operand func(r *run) *tensor.Tensor

// step computes a register.
type step struct {
	out  int
	f    func(r *run) *tensor.Tensor
	last []int // registers that no later step reads
	// rectify, if not nil, makes the step rectify its result.
	rectify *bool
}

// inOrder is the order in which a tensor of n axes is laid out as in the file.
func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// channelsLast is the order of images [N, C, H, W] as [N, H, W, C].
func channelsLast() []int { return []int{0, 2, 3, 1} }

// stored is the shape of the value's register.
func (v *value) stored() []dim { return arrange(v.dims, v.order) }

// arrange returns the extents of axes in another order.
func arrange(dims []dim, order []int) []dim {
	out := make([]dim, len(order))
	for i, a := range order {
		out[i] = dims[a]
	}
	return out
}

// place is the register's axis that holds the file's axis a.
func (v *value) place(a int) int { return slices.Index(v.order, a) }

// axis resolves a possibly negative axis of a value.
func (v *value) axis(a int) (int, error) { return axisOf(a, len(v.dims), v.dims) }

func axisOf(a, rank int, dims []dim) (int, error) {
	if a < -rank || a >= rank {
		return 0, fmt.Errorf("axis %d of shape %s, want %d to %d", a, show(dims), -rank, rank-1)
	}
	if a < 0 {
		a += rank
	}
	return a, nil
}

// ownAxis resolves an axis along which an image does not meet others.
func (v *value) ownAxis(a int) (int, error) {
	a, err := v.axis(a)
	if err == nil && !v.dims[a].isFixed() {
		err = fmt.Errorf("axis %d of shape %s is that of the images of a batch, which must not be mixed", a, show(v.dims))
	}
	return a, err
}

// extents are the values of dims for a batch of n.
func extents(dims []dim, n int) []int {
	out := make([]int, len(dims))
	for i, d := range dims {
		out[i] = d.at(n)
	}
	return out
}

// get returns access to a computed value's register.
func (c *compiler) get(v *value) operand {
	c.reads = append(c.reads, v.reg)
	reg := v.reg
	return func(r *run) *tensor.Tensor { return r.regs[reg] }
}

// emit appends a step to the program and returns its result, whose register has
// the axes of dims in the given order.
func (c *compiler) emit(dims []dim, order []int, f func(r *run) *tensor.Tensor) (*value, error) {
	if err := checkShape(dims, tensor.MaxRank); err != nil {
		return nil, err
	}
	v := &value{kind: computed, dims: dims, order: order, reg: c.regs}
	for _, reg := range c.reads {
		c.lastRead[reg] = len(c.steps)
		v.learned = v.learned || c.learnedRegs[reg]
	}
	v.learned = v.learned || c.learns
	if v.learned {
		c.learnedRegs[c.regs] = true
	}
	c.reads, c.learns = c.reads[:0], false
	size := product(dims)
	c.largest = max(c.largest, size.fixed, size.batch)
	c.made += max(size.fixed, size.batch)
	c.steps = append(c.steps, step{out: c.regs, f: f})
	c.regs++
	return v, nil
}

// like emits a step whose result has v's shape and layout.
func (c *compiler) like(v *value, f func(x *tensor.Tensor) *tensor.Tensor) (*value, error) {
	x := c.get(v)
	out, err := c.emit(v.dims, v.order, func(r *run) *tensor.Tensor { return f(x(r)) })
	if err == nil {
		out.image = v.image
	}
	return out, err
}

// as returns the value as a computed one with its axes in the given order.
func (c *compiler) as(v *value, order []int) (*value, error) {
	v, err := c.lift(v)
	if err != nil {
		return nil, err
	}
	if v.image != [3]int{} {
		if v, err = c.unflatten(v); err != nil {
			return nil, err
		}
	}
	if slices.Equal(v.order, order) {
		return v, nil
	}
	move := rearrange(v.dims, v.order, order)
	x := c.get(v)
	return c.emit(v.dims, order, func(r *run) *tensor.Tensor { return move(x(r), r.n) })
}

// plain returns the value as a computed one in the file's order.
func (c *compiler) plain(v *value) (*value, error) { return c.as(v, inOrder(len(v.dims))) }

// lift returns the value as a computed one.
func (c *compiler) lift(v *value) (*value, error) {
	switch v.kind {
	case computed:
		return v, nil
	case wholes:
		return nil, fmt.Errorf("input %q holds whole numbers, want floating-point ones", v.name)
	}
	t := v.constant.values
	return c.emit(v.dims, inOrder(len(v.dims)), func(r *run) *tensor.Tensor { return r.constant(t) })
}

// rearrange returns the function that moves the axes of a tensor from one order
// to another.
func rearrange(dims []dim, from, to []int) func(x *tensor.Tensor, n int) *tensor.Tensor {
	if sameLong(dims, from, to) {
		target := arrange(dims, to)
		return func(x *tensor.Tensor, n int) *tensor.Tensor { return tensor.Reshape(x, extents(target, n)...) }
	}
	perm := make([]int, len(to))
	for i, a := range to {
		perm[i] = slices.Index(from, a)
	}
	return func(x *tensor.Tensor, _ int) *tensor.Tensor { return tensor.Transpose(x, perm...) }
}

// sameLong says whether two orders agree on the axes that are longer than 1, so
// that going from one to the other moves nothing in memory.
func sameLong(dims []dim, a, b []int) bool {
	long := func(order []int) []int {
		return slices.DeleteFunc(slices.Clone(order), func(axis int) bool { return dims[axis].isOne() })
	}
	return slices.Equal(long(a), long(b))
}

// unflatten brings the features of flattened images into the file's order.
func (c *compiler) unflatten(v *value) (*value, error) {
	x, rows, image := c.get(v), v.dims[0], v.image
	return c.emit(v.dims, inOrder(2), func(r *run) *tensor.Tensor {
		y := tensor.Reshape(x(r), rows.at(r.n), image[0], image[1], image[2])
		return tensor.Flatten(tensor.Transpose(y, 0, 3, 1, 2))
	})
}

// reshape returns a computed value, in the file's order, in another shape of as
// many elements.
func (c *compiler) reshape(v *value, dims []dim) (*value, error) {
	if slices.Equal(v.dims, dims) {
		return v, nil
	}
	if v.image == [3]int{} && slices.Equal(v.order, channelsLast()) && len(dims) == 2 &&
		dims[0] == v.dims[0] && product(v.dims[1:]).isFixed() {
		return c.flattenImages(v, dims)
	}
	v, err := c.plain(v)
	if err != nil {
		return nil, err
	}
	return c.restore(v, dims, inOrder(len(dims)))
}

// restore gives a register another shape without moving anything.
func (c *compiler) restore(v *value, dims []dim, order []int) (*value, error) {
	if err := checkShape(dims, tensor.MaxRank); err != nil {
		return nil, err
	}
	x, target := c.get(v), arrange(dims, order)
	return c.emit(dims, order, func(r *run) *tensor.Tensor { return tensor.Reshape(x(r), extents(target, r.n)...) })
}

// flattenImages flattens [n, C, H, W] to [n, C H W] and leaves the features as
// they are, in the order H, W, C: a dense layer that follows has its weights
// rearranged instead.
func (c *compiler) flattenImages(v *value, dims []dim) (*value, error) {
	out, err := c.restore(v, dims, inOrder(2))
	if err == nil && !sameLong(v.dims, v.order, inOrder(4)) {
		out.image = [3]int{v.dims[2].fixed, v.dims[3].fixed, v.dims[1].fixed}
	}
	return out, err
}

package tensor

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/mem"
)

// Tape records the operations on the tensors that it watches, so that Grad can
// run them backwards, and owns the memory of every result computed from them.
// The zero Tape is ready to use. A Tape belongs to one goroutine; tensors on no
// tape may be read by many.
type Tape struct {
	// DirectConv keeps convolutions of this tape's tensors, and their
	// gradients, from running as Winograd's F(4x4, 3x3) and F(2x2, 5x5). These
	// algorithms serve float32 convolutions of 3x3 and 5x5 filters at stride 1 with
	// channels enough on both sides, a multiple of 32: gradients from 32 channels on,
	// results from 64 with 3x3 filters. They are 1.6 to 4 times as fast, and their
	// relative rounding errors are four to thirteen times as large, a few parts in a
	// million. Set it where errors must be as small as float32 allows, as in
	// certified bounds. Tensors on no tape and float64 are always convolved directly.
	DirectConv bool

	nodes    []node
	operands []*Tensor  // the operand lists of all nodes, end to end
	live     []*storage // memory handed out since the last Reset
	indices  [][]int32

	spare []*storage // taken back, to be handed out again

	pool32   mem.Pool[float32]
	pool64   mem.Pool[float64]
	poolInts mem.Pool[int32]

	// While a backward pass walks the tape, another one cannot. If it keeps no
	// graph, nothing is recorded, and memory made by the rule at hand collects
	// in temps so that what no gradient slot holds can be reused by the next
	// rule.
	walking, quiet bool
	temps          []*storage

	visits []visit // scratch of Grad
	resets uint32  // calls of Reset, to tell records of an earlier time
}

// node is the record of one operation.
type node struct {
	op      op
	in      []*Tensor
	out     *Tensor
	version uint64 // versions() when recorded
	alpha   float64
	aux     any
}

// NewTape returns an empty tape.
func NewTape() *Tape { return new(Tape) }

// Watch returns a tensor with x's value (and memory) whose uses are recorded on
// t: the gradient of what is computed from it can be asked of Grad. It is cut
// off from whatever x was computed from.
func (t *Tape) Watch(x *Tensor) *Tensor {
	x.check("Watch")
	w := *x
	w.tape = t
	w.node, w.reset = int32(len(t.nodes)), t.resets
	t.nodes = append(t.nodes, node{op: opLeaf, out: &w})
	return &w
}

// Const returns a tensor with x's value (and memory) that is not
// differentiated, but whose results take their memory from t: evaluating a
// model on one makes no garbage.
func (t *Tape) Const(x *Tensor) *Tensor {
	x.check("Const")
	c := *x
	c.tape = t
	c.node = -1
	return &c
}

// Len returns the number of records on the tape.
func (t *Tape) Len() int { return len(t.nodes) }

// Reset forgets all records and takes back the memory of every tensor computed
// on the tape. Using one of them afterwards, or a tensor that Watch returned
// before, panics.
func (t *Tape) Reset() {
	t.resets++
	for _, st := range t.live {
		t.free(st)
	}
	clear(t.live)
	t.live = t.live[:0]
	for _, x := range t.indices {
		t.poolInts.Put(x)
	}
	clear(t.indices)
	t.indices = t.indices[:0]
	clear(t.nodes)
	t.nodes = t.nodes[:0]
	clear(t.operands)
	t.operands = t.operands[:0]
}

// free takes memory back. Tensors that still refer to it are stale from now on.
func (t *Tape) free(st *storage) {
	if st.spare {
		return
	}
	st.spare = true
	st.life++
	t.spare = append(t.spare, st)
	if st.f32 != nil {
		t.pool32.Put(st.f32)
		st.f32 = nil
	}
	if st.f64 != nil {
		t.pool64.Put(st.f64)
		st.f64 = nil
	}
}

// newOn returns a tensor with undefined elements in t's memory, or on the heap
// when t is nil.
func newOn(t *Tape, dtype DType, s shape) *Tensor {
	if t == nil {
		return newHeap(dtype, s)
	}
	n := s.size()
	st := t.newStorage()
	x := &Tensor{shape: s, dtype: dtype, node: -1, tape: t, st: st, life: st.life}
	if dtype == Float32 {
		st.f32 = t.pool32.Get(n)
		x.f32 = st.f32
	} else {
		st.f64 = t.pool64.Get(n)
		x.f64 = st.f64
	}
	if t.quiet {
		t.temps = append(t.temps, st)
	} else {
		t.live = append(t.live, st)
	}
	return x
}

func (t *Tape) newStorage() *storage {
	n := len(t.spare)
	if n == 0 {
		return &storage{owner: t, fresh: t.quiet}
	}
	st := t.spare[n-1]
	t.spare[n-1] = nil
	t.spare = t.spare[:n-1]
	st.fresh, st.spare, st.refs = t.quiet, false, 0
	return st
}

func zerosOn(t *Tape, dtype DType, s shape) *Tensor {
	x := newOn(t, dtype, s)
	clear(x.f32)
	clear(x.f64)
	return x
}

// indicesOn returns index memory that lives as long as t's tensors.
func indicesOn(t *Tape, n int) []int32 {
	if t == nil {
		return make([]int32, n)
	}
	x := t.poolInts.Get(n)
	t.indices = append(t.indices, x)
	return x
}

// operandsOf checks the operands of an operation and returns their tape, nil
// when none is on one.
func operandsOf(op string, xs ...*Tensor) *Tape {
	var tape *Tape
	for _, x := range xs {
		if x == nil {
			continue
		}
		x.check(op)
		if x.dtype != xs[0].dtype {
			panic(fmt.Sprintf("tensor: %s: operands of type %v%v and %v%v", op, xs[0].dtype, xs[0].shape, x.dtype, x.shape))
		}
		if x.tape == nil {
			continue
		}
		x.checkRecord(op)
		if tape != nil && tape != x.tape {
			panic(fmt.Sprintf("tensor: %s: operands of shape %v and %v are on different tapes", op, xs[0].shape, x.shape))
		}
		tape = x.tape
	}
	return tape
}

// records says whether operations on t are recorded now. An operation whose
// description costs an allocation asks before it makes one.
func (t *Tape) records() bool { return t != nil && !t.quiet }

// record makes out the result of an operation on the tape if an operand is
// differentiable, and returns out. Nil operands are allowed.
func (t *Tape) record(n node, out *Tensor, in ...*Tensor) *Tensor {
	if !t.records() {
		return out
	}
	tracked := false
	for _, x := range in {
		if x == nil {
			continue
		}
		tracked = tracked || x.node >= 0
	}
	if !tracked {
		return out
	}
	lo := len(t.operands)
	t.operands = append(t.operands, in...)
	n.in = t.operands[lo:len(t.operands):len(t.operands)]
	n.out = out
	n.version = n.versions()
	out.node, out.reset = int32(len(t.nodes)), t.resets
	t.nodes = append(t.nodes, n)
	return out
}

// versions sums the versions of everything that the rule of the record may read.
// They only grow, so the sum changes when one of them does.
func (n *node) versions() uint64 {
	v := n.out.st.version.Load()
	for _, x := range n.in {
		if x != nil {
			v += x.st.version.Load()
		}
	}
	switch x := n.aux.(type) {
	case *Tensor:
		v += x.st.version.Load()
	case normalisation:
		v += x.mean.st.version.Load()
	}
	return v
}

// checkRecord panics if the tensor's record went with a Reset of its tape.
func (t *Tensor) checkRecord(op string) {
	if t.node >= 0 && t.reset != t.tape.resets {
		panic(fmt.Sprintf("tensor: %s: tensor of shape %v was watched before Tape.Reset; watch it again", op, t.shape))
	}
}

package tensor

import "fmt"

// GradOptions says how Gradients runs.
type GradOptions struct {
	// CreateGraph records the gradients themselves, so that they can be
	// differentiated again.
	CreateGraph bool
	// Seed is the gradient of the final quantity with respect to y, of y's
	// shape and type. Nil means 1, and y must then have exactly one element.
	// With CreateGraph the gradients can be differentiated with respect to
	// what the seed was computed from, which must be on y's tape.
	Seed *Tensor
	// NilUnreached leaves nil, instead of zeros, the gradient of an x from which no
	// way leads to y: what an optimiser wants, so as to leave such a parameter alone.
	NilUnreached bool
}

// Grad returns the gradients of the one-element tensor y with respect to
// exactly the tensors xs, computing nothing else: a value that lies on no way
// from an x to y costs nothing. Each gradient has its x's shape, is zero where y
// does not depend on x, and lives on y's tape. The tape's records are kept until
// Tape.Reset, so Grad may be called again.
//
// It panics if y is on no tape, or an x is not watched by it, or a value that a
// recorded operation reads or made was changed in place in the meantime.
func Grad(y *Tensor, xs ...*Tensor) []*Tensor {
	return Gradients(y, GradOptions{}, xs...)
}

// visit is what Grad knows of one record while it walks the tape.
type visit struct {
	wanted bool    // on a way from an x to y
	keep   bool    // is one of the xs
	grad   *Tensor // what has been summed so far
}

// back carries one record through its rule: the rule reads the operands in, the
// result out and the gradient g of the result, and fills grads[i] for every i
// with need[i].
type back struct {
	node
	g      *Tensor
	record bool // the gradients will be differentiated again
	need   []bool
	grads  []*Tensor
}

// Gradients is Grad with options.
func Gradients(y *Tensor, o GradOptions, xs ...*Tensor) []*Tensor {
	t := y.tape
	if t == nil {
		panic(fmt.Sprintf("tensor: Grad: y of shape %v is on no tape", y.shape))
	}
	y.check("Grad")
	y.checkRecord("Grad")
	seed := o.Seed
	if seed == nil && y.Len() != 1 {
		panic(fmt.Sprintf("tensor: Grad: y has shape %v, want one element or a seed", y.shape))
	}
	if seed != nil && (seed.shape != y.shape || seed.dtype != y.dtype) {
		panic(fmt.Sprintf("tensor: Grad: seed %v%v for y %v%v", seed.dtype, seed.shape, y.dtype, y.shape))
	}
	if t.walking {
		panic("tensor: Grad: called from within a backward rule")
	}
	first := y.node + 1
	for i, x := range xs {
		if x.tape != t || x.node < 0 {
			panic(fmt.Sprintf("tensor: Grad: x %d of shape %v is not watched by y's tape", i, x.shape))
		}
		x.checkRecord("Grad")
		first = min(first, x.node)
	}
	out := make([]*Tensor, len(xs))
	if y.node >= first {
		t.backward(y, first, seed, o.CreateGraph, xs, out)
	}
	if o.NilUnreached {
		return out
	}
	for i, x := range xs {
		if out[i] == nil {
			out[i] = zerosOn(t, x.dtype, x.shape)
		}
	}
	return out
}

// backward walks the records from y down to first and leaves the gradients of
// xs in out.
func (t *Tape) backward(y *Tensor, first int32, seed *Tensor, create bool, xs, out []*Tensor) {
	if len(t.visits) <= int(y.node) {
		t.visits = make([]visit, 2*(y.node+1))
	}
	visits := t.visits[:y.node+1]
	t.walking, t.quiet = true, !create
	defer func() {
		clear(visits[first:])
		t.settle()
		t.walking, t.quiet = false, false
	}()
	t.markWanted(visits, first, xs)
	if !visits[y.node].wanted {
		return
	}
	if seed == nil {
		seed = newOn(t, y.dtype, y.shape)
		seed.Fill(1)
	} else {
		seed = t.own(seed, "seed")
	}
	t.hold(seed)
	visits[y.node].grad = seed

	b := back{record: create}
	for i := y.node; i >= first; i-- {
		v := &visits[i]
		if v.grad == nil {
			continue
		}
		if t.nodes[i].op != opLeaf {
			// A copy, because a rule that records can move the nodes.
			b.node, b.g = t.nodes[i], v.grad
			b.run(visits, first)
			for k, in := range b.in {
				if b.need[k] {
					t.accumulate(&visits[in.node], in, b.grads[k], b.op)
				}
			}
		}
		if !v.keep {
			t.release(v.grad)
			v.grad = nil
		}
		t.settle()
	}
	for i, x := range xs {
		if x.node <= y.node && visits[x.node].grad != nil {
			out[i] = t.hand(visits[x.node].grad)
		}
	}
	for i := first; i <= y.node; i++ {
		if g := visits[i].grad; g != nil {
			t.release(g)
		}
	}
}

// markWanted finds the records that lie between the xs and y, the last visit.
func (t *Tape) markWanted(visits []visit, first int32, xs []*Tensor) {
	for _, x := range xs {
		if int(x.node) < len(visits) {
			visits[x.node].wanted = true
			visits[x.node].keep = true
		}
	}
	for i := int(first); i < len(visits); i++ {
		for _, in := range t.nodes[i].in {
			if in != nil && in.node >= first && visits[in.node].wanted {
				visits[i].wanted = true
				break
			}
		}
	}
}

// run applies the rule of b's record.
func (b *back) run(visits []visit, first int32) {
	b.need, b.grads = b.need[:0], b.grads[:0]
	for _, in := range b.in {
		need := false
		if in != nil {
			need = in.node >= first && visits[in.node].wanted
		}
		b.need = append(b.need, need)
		b.grads = append(b.grads, nil)
	}
	if b.versions() != b.version {
		panic("tensor: Grad: an operand or the result of " + names[b.op] + " was changed in place after the operation")
	}
	rules[b.op](b)
}

// accumulate adds g to what x has received so far.
func (t *Tape) accumulate(v *visit, x, g *Tensor, from op) {
	if g.shape != x.shape {
		panic(fmt.Sprintf("tensor: Grad: rule of %s gives shape %v for an operand of shape %v", names[from], g.shape, x.shape))
	}
	old := v.grad
	switch {
	case old == nil:
		v.grad = g
		t.hold(g)
		return
	case t.quiet && old.st.fresh && old.st.refs == 1:
		addInPlace(old, g)
		return
	}
	v.grad = Add(old, g)
	t.hold(v.grad)
	t.release(old)
}

// hold counts a gradient slot that keeps g.
func (t *Tape) hold(g *Tensor) {
	if t.quiet {
		g.st.refs++
	}
}

// release gives up a gradient slot's hold on g.
func (t *Tape) release(g *Tensor) {
	if !t.quiet {
		return
	}
	g.st.refs--
	if g.st.refs == 0 && g.st.fresh {
		t.temps = append(t.temps, g.st)
	}
}

// own returns a gradient that comes from outside of this package in memory of the
// tape: other goroutines may share it, and a pass counts who holds its memory. One
// that the tape has recorded is left as it is while the pass records too.
func (t *Tape) own(g *Tensor, what string) *Tensor {
	g.check("Grad")
	switch {
	case g.node < 0 || t.quiet:
		if g.tape == t && g.st.owner == t {
			return g
		}
		return t.copyOf(g)
	case g.tape != t:
		panic(fmt.Sprintf("tensor: Grad: %s of shape %v is recorded on another tape than y", what, g.shape))
	}
	g.checkRecord("Grad")
	return g
}

func (t *Tape) copyOf(x *Tensor) *Tensor {
	c := newOn(t, x.dtype, x.shape)
	c.CopyFrom(x)
	return c
}

// settle reuses the memory that the last rule made and no gradient slot holds.
func (t *Tape) settle() {
	for _, st := range t.temps {
		if st.refs == 0 {
			t.free(st)
		}
	}
	clear(t.temps)
	t.temps = t.temps[:0]
}

// hand makes a gradient ready for the caller: in memory of its own, that lives
// until Reset.
func (t *Tape) hand(g *Tensor) *Tensor {
	if !t.quiet {
		return g
	}
	if !g.st.fresh || g.st.refs > 1 {
		g = t.copyOf(g)
	}
	// The storage leaves the care of this pass for that of the tape. The
	// count stays up, so that settle lets it be.
	g.st.fresh = false
	g.st.refs++
	t.live = append(t.live, g.st)
	return g
}

// HVP returns the products of the Hessian of the one-element tensor y with
// respect to xs and the vectors vs, which have the shapes of the xs. It costs
// about as much as three gradients.
func HVP(y *Tensor, xs, vs []*Tensor) []*Tensor {
	if len(xs) != len(vs) || len(xs) == 0 {
		panic(fmt.Sprintf("tensor: HVP: %d tensors and %d vectors, want as many", len(xs), len(vs)))
	}
	var s *Tensor
	for i, g := range Gradients(y, GradOptions{CreateGraph: true}, xs...) {
		d := Dot(g, vs[i])
		if s == nil {
			s = d
		} else {
			s = Add(s, d)
		}
	}
	return Grad(s, xs...)
}

package tensor

import "fmt"

// Rule is the derivative of an operation that is computed outside of this
// package.
type Rule struct {
	// Name says what the operation is, in panics.
	Name string
	// Backward takes the gradient g of a quantity with respect to the result
	// back to the operands: it returns one gradient for each operand, of the
	// operand's shape and type. need says which ones are asked for; the others
	// may be nil. It must not change g or the operands. The gradients may be
	// on the tape or on none, and may share memory with other goroutines.
	Backward func(g *Tensor, need []bool) []*Tensor
	// FirstOrder says that Backward computes values outside of this package,
	// so that they cannot be differentiated in turn: GradOptions.CreateGraph
	// then panics. Otherwise Backward must be written in this package's
	// operations on g and on the operands, as they were given to Custom.
	FirstOrder bool
}

// custom is the record of an operation with a rule of its own.
type custom struct{ Rule }

// Custom records y, which the caller has computed from the values of the
// operands in, as the result of an operation with the given rule, and returns it
// with y's memory. y must be on no tape, or a constant on the operands' tape;
// with no watched operand nothing is recorded.
//
// It panics if an operand is of another type than y, or on another tape than
// the others, and Grad panics if the rule's gradients do not fit.
func Custom(r Rule, y *Tensor, in ...*Tensor) *Tensor {
	if r.Backward == nil {
		panic("tensor: Custom: " + r.Name + " has no backward rule")
	}
	y.check(r.Name)
	if y.node >= 0 {
		panic(fmt.Sprintf("tensor: Custom: result of %s, of shape %v, has a record already; detach it", r.Name, y.shape))
	}
	t := operandsOf(r.Name, append([]*Tensor{y}, in...)...)
	out := *y
	out.tape = t
	return t.record(node{op: opCustom, aux: custom{r}}, &out, in...)
}

func backCustom(b *back) {
	r := b.aux.(custom)
	if b.record && r.FirstOrder {
		panic("tensor: Grad: " + r.Name + " has no second derivative")
	}
	grads := r.Backward(b.g, b.need)
	if len(grads) != len(b.in) {
		panic(fmt.Sprintf("tensor: Grad: rule of %s gives %d gradients for %d operands", r.Name, len(grads), len(b.in)))
	}
	for i, in := range b.in {
		if !b.need[i] {
			continue
		}
		if g := grads[i]; g == nil || g.shape != in.shape || g.dtype != in.dtype {
			found := "nothing"
			if g != nil {
				found = fmt.Sprintf("%v%v", g.dtype, g.shape)
			}
			panic(fmt.Sprintf("tensor: Grad: rule of %s gives %s for an operand %v%v", r.Name, found, in.dtype, in.shape))
		}
		b.grads[i] = b.g.tape.own(grads[i], "gradient of "+r.Name)
	}
}

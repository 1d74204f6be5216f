package optim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redoubt-ml/redoubt/tensor"
)

// zerosLike returns zero tensors of the parameters' shapes.
func zerosLike(params []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(params))
	for i, w := range params {
		out[i] = tensor.Zeros(w.DType(), w.Shape()...)
	}
	return out
}

// memory is what an optimiser keeps between steps: for each name some tensors of
// the parameters' forms.
type memory struct {
	params []*tensor.Tensor // those that it belongs to
	slots  [][]*tensor.Tensor
}

// slot is a kind of memory.
type slot struct {
	name        string
	notNegative bool
}

// belongTo makes the memory one of n slots for params, or panics if it belongs to
// others.
func (m *memory) belongTo(op string, params []*tensor.Tensor, n int) {
	if m.slots == nil {
		m.params = slices.Clone(params)
		for range n {
			m.slots = append(m.slots, zerosLike(params))
		}
	}
	if len(params) != len(m.params) {
		panic(fmt.Sprintf("optim: %s: %d parameters, want the %d of the steps before", op, len(params), len(m.params)))
	}
	for i, w := range params {
		if kept := m.slots[0][i]; !alike(w, kept) {
			panic(fmt.Sprintf("optim: %s: parameter %d is %v%v, want %v%v as in the steps before", op, i, w.DType(), w.Shape(), kept.DType(), kept.Shape()))
		}
		if w != m.params[i] {
			panic(fmt.Sprintf("optim: %s: parameter %d of shape %v is not that of the steps before", op, i, w.Shape()))
		}
	}
}

// state returns the tensors by name.
func (m *memory) state(kinds ...slot) map[string]*tensor.Tensor {
	s := make(map[string]*tensor.Tensor)
	for k, tensors := range m.slots {
		for i, t := range tensors {
			s[kinds[k].key(i)] = t
		}
	}
	return s
}

func (s slot) key(i int) string { return s.name + "." + strconv.Itoa(i) }

// remember reads back what state returned. more names what else the state has.
func remember(op string, params []*tensor.Tensor, state map[string]*tensor.Tensor, kinds []slot, more ...string) (memory, error) {
	fail := func(format string, args ...any) (memory, error) {
		return memory{}, fmt.Errorf("optim: %s: state %s", op, fmt.Sprintf(format, args...))
	}
	m := memory{params: slices.Clone(params)}
	known := make(map[string]bool)
	for _, name := range more {
		known[name] = true
	}
	for _, kind := range kinds {
		tensors := zerosLike(params)
		for i, w := range tensors {
			key := kind.key(i)
			known[key] = true
			t := state[key]
			switch {
			case t == nil:
				return fail("has no tensor %q", key)
			case !alike(t, w):
				return fail("tensor %q is %v%v, want %v%v", key, t.DType(), t.Shape(), w.DType(), w.Shape())
			case !tensor.AllFinite(t):
				return fail("tensor %q holds a value that is not finite", key)
			}
			if kind.notNegative {
				for k, v := range t.Values() {
					if v < 0 {
						return fail("tensor %q: value %d is %v, want 0 or more", key, k, v)
					}
				}
			}
			w.CopyFrom(t)
		}
		m.slots = append(m.slots, tensors)
	}
	for _, name := range slices.Sorted(maps.Keys(state)) {
		if !known[name] {
			return fail("has a tensor %q, which %s with %d parameters does not", name, op, len(params))
		}
	}
	return m, nil
}

// set is SetState for a memory of these kinds.
func (m *memory) set(op string, params []*tensor.Tensor, state map[string]*tensor.Tensor, kinds []slot) error {
	var taken memory
	if len(state) > 0 {
		var err error
		if taken, err = remember(op, params, state, kinds); err != nil {
			return err
		}
	}
	*m = taken
	return nil
}

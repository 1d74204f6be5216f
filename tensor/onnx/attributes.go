package onnx

import (
	"fmt"
	"slices"
)

// attributes gives a node's attributes by name and remembers which were asked
// for, so that one that nobody understands is an error and not passed over.
type attributes struct {
	list  []attributeProto
	known map[string]bool
	wrong error // what flag found
}

func newAttributes(list []attributeProto) (*attributes, error) {
	a := &attributes{list: list, known: make(map[string]bool)}
	for i := range list {
		if list[i].other != "" {
			return nil, fmt.Errorf("attribute %q is %s, want a number, a text or a tensor", list[i].name, list[i].other)
		}
		if slices.ContainsFunc(list[:i], func(b attributeProto) bool { return b.name == list[i].name }) {
			return nil, fmt.Errorf("attribute %q occurs twice", list[i].name)
		}
	}
	return a, nil
}

// find returns an attribute, nil if the node does not have it.
func (a *attributes) find(name string) *attributeProto {
	a.known[name] = true
	for i := range a.list {
		if a.list[i].name == name {
			return &a.list[i]
		}
	}
	return nil
}

func (a *attributes) number(name string, otherwise int) int {
	if p := a.find(name); p != nil {
		return int(p.number)
	}
	return otherwise
}

// flag returns a number that stands for no or yes; rest reports others.
func (a *attributes) flag(name string, otherwise bool) bool {
	p := a.find(name)
	if p == nil {
		return otherwise
	}
	if p.number != 0 && p.number != 1 {
		a.wrong = fmt.Errorf("%s is %d, want 0 or 1", name, p.number)
	}
	return p.number != 0
}

// float returns a number, which like the default is of single precision.
func (a *attributes) float(name string, otherwise float64) float64 {
	if p := a.find(name); p != nil {
		return float64(p.float)
	}
	return float64(float32(otherwise))
}

func (a *attributes) text(name, otherwise string) string {
	if p := a.find(name); p != nil {
		return p.text
	}
	return otherwise
}

// ints returns a list of numbers, nil if the node does not have it.
func (a *attributes) ints(name string) []int {
	p := a.find(name)
	if p == nil {
		return nil
	}
	out := make([]int, len(p.ints))
	for i, v := range p.ints {
		out[i] = int(v)
	}
	return out
}

// positive returns a list of n positive numbers, all equal to otherwise if the node
// does not have it.
func (a *attributes) positive(name string, n, otherwise int) ([]int, error) {
	v := a.ints(name)
	if v == nil {
		return slices.Repeat([]int{otherwise}, n), nil
	}
	if len(v) != n {
		return nil, fmt.Errorf("%s has %d numbers, want %d", name, len(v), n)
	}
	for _, k := range v {
		if k < 1 || k > maxElements {
			return nil, fmt.Errorf("%s is %v, want numbers of at least 1", name, v)
		}
	}
	return v, nil
}

// rest returns an error if there is an attribute that was not asked for, or a
// flag that is none.
func (a *attributes) rest() error {
	if a.wrong != nil {
		return a.wrong
	}
	for i := range a.list {
		if name := a.list[i].name; !a.known[name] {
			names := make([]string, 0, len(a.known))
			for k := range a.known {
				names = append(names, k)
			}
			slices.Sort(names)
			return fmt.Errorf("attribute %q is not supported, want one of %v", name, names)
		}
	}
	return nil
}

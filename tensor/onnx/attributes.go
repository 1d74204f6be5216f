package onnx

import (
	"fmt"
	"slices"
)

// attributes gives a node's attributes by name and remembers which were asked
// for, so that one that nobody understands is an error and not passed over.
type attributes struct {
	list  []attributeProto
	at    map[string]int // positions in the list
	known map[string]bool
	wrong error // about the first that was not what was asked for
}

func newAttributes(list []attributeProto) (*attributes, error) {
	a := &attributes{list: list, at: make(map[string]int, len(list)), known: make(map[string]bool)}
	for i := range list {
		if err := list[i].resolve(); err != nil {
			return nil, err
		}
		if _, ok := a.at[list[i].name]; ok {
			return nil, fmt.Errorf("attribute %q occurs twice", list[i].name)
		}
		a.at[list[i].name] = i
	}
	return a, nil
}

// find returns an attribute of the given type, nil if the node does not have it. One
// of another type is wrong.
func (a *attributes) find(name string, want attributeType) *attributeProto {
	a.known[name] = true
	i, ok := a.at[name]
	if !ok {
		return nil
	}
	p := &a.list[i]
	if p.typ != want {
		a.refuse(fmt.Errorf("attribute %q is %v, want %v", name, p.typ, want))
		return nil
	}
	return p
}

// refuse keeps the first error.
func (a *attributes) refuse(err error) {
	if a.wrong == nil {
		a.wrong = err
	}
}

func (a *attributes) number(name string, otherwise int) int {
	if p := a.find(name, attrInt); p != nil {
		return int(p.number)
	}
	return otherwise
}

// flag returns a number that stands for no or yes; another is wrong.
func (a *attributes) flag(name string, otherwise bool) bool {
	p := a.find(name, attrInt)
	if p == nil {
		return otherwise
	}
	if p.number != 0 && p.number != 1 {
		a.refuse(fmt.Errorf("%s is %d, want 0 or 1", name, p.number))
	}
	return p.number != 0
}

// float returns a number, which like the default is of single precision.
func (a *attributes) float(name string, otherwise float64) float64 {
	if p := a.find(name, attrFloat); p != nil {
		return float64(p.float)
	}
	return float64(float32(otherwise))
}

func (a *attributes) text(name, otherwise string) string {
	if p := a.find(name, attrString); p != nil {
		return p.text
	}
	return otherwise
}

// ints returns a list of numbers, nil if the node does not have it.
func (a *attributes) ints(name string) []int {
	p := a.find(name, attrInts)
	if p == nil {
		return nil
	}
	out := make([]int, len(p.ints))
	for i, v := range p.ints {
		out[i] = int(v)
	}
	return out
}

// positive returns a list of n numbers of 1 to maxElements, all equal to otherwise if the node
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
			return nil, fmt.Errorf("%s is %v, want numbers of 1 to %d", name, v, maxElements)
		}
	}
	return v, nil
}

// rest returns an error if there is an attribute that was not asked for.
func (a *attributes) rest() error {
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

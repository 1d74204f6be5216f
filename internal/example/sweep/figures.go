package sweep

import (
	"fmt"
	"slices"
	"strings"
)

// leaf is a figure of one result: a number or a truth value.
type leaf struct {
	name  string
	value any
	entry bool // of a matrix
}

// leaves lists the figures of a result in order. Keys of objects are joined by dots, or
// stand in brackets where they have dots themselves; elements of lists are in brackets
// under their names. Texts are no figures, nor are the fields by which elements are
// named, seeds, and truth values in a list, which are answers to single images.
func (n *names) leaves(result any) ([]leaf, error) {
	var out []leaf
	n.walk(&out, "", "", result)
	seen := map[string]bool{}
	for _, l := range out {
		if seen[l.name] {
			return nil, fmt.Errorf("two figures have the name %s", l.name)
		}
		seen[l.name] = true
	}
	return out, nil
}

// walk adds the figures below a value: name is what leads to it, path the same without
// the elements of lists.
func (n *names) walk(out *[]leaf, name, path string, v any, named ...string) {
	switch v := v.(type) {
	case float64, bool:
		*out = append(*out, leaf{name, v, strings.HasSuffix(path, "[][]")})
	case object:
		for _, m := range v {
			if m.key == seedKey || slices.Contains(named, m.key) {
				continue
			}
			n.walk(out, join(name, m.key), path+"."+m.key, m.value)
		}
	case list:
		labels, by := n.labels(path, v)
		for i, e := range v {
			if _, answer := e.(bool); !answer {
				n.walk(out, fmt.Sprintf("%s[%s]", name, labels[i]), path+"[]", e, by...)
			}
		}
	}
}

// join adds a key to a name.
func join(name, key string) string {
	switch {
	case strings.ContainsAny(key, ".[]"):
		return name + "[" + key + "]"
	case name == "":
		return key
	}
	return name + "." + key
}

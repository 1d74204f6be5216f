package sweep

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// names finds, for every list of objects in the results of a sweep, the fields by which
// its elements are told apart, whatever their order: for cells of a table its texts and
// parameters.
//
// The first text is taken, and then, in the order of the objects and texts before others,
// each field that tells more elements apart, until all are. Numbers and truth values count
// only where every one of several results has the same ones: those are settings, and not
// figures. Of a single result nobody can tell.
type names struct {
	lists  map[string][]occurrence
	chosen map[string][]string
}

// occurrence is a list of objects in one of the results.
type occurrence struct {
	result   int
	elements []object
}

// seedKey is the field that says which seed a part of a result is of. The unit says it
// already.
const seedKey = "seed"

func findNames(results []any) *names {
	n := &names{lists: map[string][]occurrence{}, chosen: map[string][]string{}}
	for i, r := range results {
		n.collect(i, "", r)
	}
	for path, all := range n.lists {
		n.chosen[path] = choose(all)
	}
	return n
}

// collect finds lists of objects. Paths leave out which element of a list they lead
// through.
func (n *names) collect(result int, path string, v any) {
	switch v := v.(type) {
	case object:
		for _, m := range v {
			n.collect(result, path+"."+m.key, m.value)
		}
	case list:
		if elements := objects(v); elements != nil {
			n.lists[path] = append(n.lists[path], occurrence{result, elements})
		}
		for _, e := range v {
			n.collect(result, path+"[]", e)
		}
	}
}

// objects returns the elements of a list that has nothing but objects, else nil.
func objects(l list) (out []object) {
	for _, e := range l {
		o, ok := e.(object)
		if !ok {
			return nil
		}
		out = append(out, o)
	}
	return out
}

// choose returns the fields that tell the elements of lists apart.
func choose(all []occurrence) []string {
	texts, others := candidates(all)
	chosen := slices.Clone(texts[:min(1, len(texts))])
	total := 0
	for _, o := range all {
		total += len(o.elements)
	}
	best := distinct(all, chosen)
	for _, key := range append(texts, others...) {
		if best == total {
			break
		}
		if d := distinct(all, append(slices.Clip(chosen), key)); d > best {
			chosen, best = append(chosen, key), d
		}
	}
	return chosen
}

// candidates are the fields with texts, and those with other scalars that all of several
// results have the same of.
func candidates(all []occurrence) (texts, others []string) {
	seen := map[string]bool{seedKey: true}
	for _, o := range all {
		for _, e := range o.elements {
			for _, m := range e {
				if seen[m.key] {
					continue
				}
				switch m.value.(type) {
				case string:
					seen[m.key] = true
					texts = append(texts, m.key)
				case float64, bool:
					seen[m.key] = true
					if same(all, m.key) {
						others = append(others, m.key)
					}
				}
			}
		}
	}
	return texts, others
}

// same says whether there are several results, with the same values under a key.
func same(all []occurrence, key string) bool {
	values := map[int]map[string]bool{}
	for _, o := range all {
		if values[o.result] == nil {
			values[o.result] = map[string]bool{}
		}
		for _, e := range o.elements {
			values[o.result][scalar(e.get(key))] = true
		}
	}
	if len(values) < 2 {
		return false
	}
	first := values[all[0].result]
	for _, v := range values {
		if len(v) != len(first) {
			return false
		}
		for k := range v {
			if !first[k] {
				return false
			}
		}
	}
	return true
}

// distinct counts the labels that differ within their list.
func distinct(all []occurrence, keys []string) (n int) {
	for _, o := range all {
		seen := map[string]bool{}
		for _, e := range o.elements {
			seen[label(e, keys)] = true
		}
		n += len(seen)
	}
	return n
}

// label writes the values of an element under keys.
func label(e object, keys []string) string {
	var out []string
	for _, k := range keys {
		if s := scalar(e.get(k)); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

// scalar writes a text, a number or a truth value; nothing for anything else.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// labels names the elements of a list at a path: by their fields, with a number where
// these do not tell them apart, or by their places, from 0 on.
func (n *names) labels(path string, l list) (out, by []string) {
	elements := objects(l)
	if by = n.chosen[path]; elements == nil || len(by) == 0 {
		for i := range l {
			out = append(out, strconv.Itoa(i))
		}
		return out, nil
	}
	seen := map[string]int{}
	for _, e := range elements {
		name := label(e, by)
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s #%d", name, seen[name])
		}
		out = append(out, name)
	}
	return out, by
}

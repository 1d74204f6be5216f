package sweep

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Merged is what the lines of a sweep come to.
type Merged struct {
	Program  string            `json:"program"`
	Settings map[string]string `json:"settings"`
	Data     map[string]string `json:"data"`
	// Revisions are those of the programs, as far as they are known.
	Revisions []string `json:"revisions"`
	// Seeds is the number of seeds of which there is a line, Units that of units.
	Seeds int `json:"seeds"`
	Units int `json:"units"`
	// Missing are the units of the lines' sweeps without a line.
	Missing []Unit   `json:"missing"`
	Figures []Figure `json:"figures"`
}

// Merge combines lines of one program with the same settings on the same data; units of
// different values may use different data sets. A line that is there twice counts once. An
// error names the place of what does not fit: a line of another program, with other
// settings, with another set under the name of one in use, or two lines of one unit that
// differ.
func Merge(lines []Located) (*Merged, error) {
	if len(lines) == 0 {
		return nil, errors.New("no lines of a sweep")
	}
	first := lines[0]
	m := &Merged{Program: first.Program, Settings: first.Settings, Data: map[string]string{}, Revisions: []string{}, Missing: []Unit{}}
	byUnit := map[Unit]Located{}
	seenIn := map[string]Located{} // the first line with a data set
	for _, l := range lines {
		if err := l.Fits(first.Program, first.Settings); err != nil {
			return nil, fmt.Errorf("%s: %w as in %s", l.Place(), err, first.Place())
		}
		for _, name := range slices.Sorted(maps.Keys(l.Data)) {
			other, ok := seenIn[name]
			if !ok {
				seenIn[name], m.Data[name] = l, l.Data[name]
			} else if l.Data[name] != m.Data[name] {
				return nil, fmt.Errorf("%s: data of %s is %q, want %q as in %s", l.Place(), name, l.Data[name], m.Data[name], other.Place())
			}
		}
		if other, ok := byUnit[l.Unit]; ok && !bytes.Equal(l.Text, other.Text) {
			return nil, fmt.Errorf("%s: another result for %v than in %s, want one for each unit", l.Place(), l.Unit, other.Place())
		}
		byUnit[l.Unit] = l
		if l.Revision != "" && !slices.Contains(m.Revisions, l.Revision) {
			m.Revisions = append(m.Revisions, l.Revision)
		}
	}
	m.Units = len(byUnit)
	m.findMissing(lines, byUnit)
	return m, m.sumUp(byUnit)
}

// findMissing lists the units of all sweeps that have no line.
func (m *Merged) findMissing(lines []Located, byUnit map[Unit]Located) {
	known := map[string]bool{}
	missing := map[Unit]bool{}
	for _, l := range lines {
		key := fmt.Sprintf("%d %d %q", l.Sweep.First, l.Sweep.Seeds, l.Sweep.Values)
		if known[key] {
			continue
		}
		known[key] = true
		for _, u := range l.Sweep.Units() {
			if _, ok := byUnit[u]; !ok {
				missing[u] = true
			}
		}
	}
	m.Missing = append(m.Missing, slices.SortedFunc(maps.Keys(missing), compare)...)
}

func compare(a, b Unit) int {
	return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Value, b.Value))
}

// result is the JSON of a unit, and where it was read.
type result struct {
	tree  any
	place string
}

// sumUp works out the figures. Those of different values of a list are different
// figures, so that each has one number a seed.
func (m *Merged) sumUp(byUnit map[Unit]Located) error {
	var values []string
	results := map[string][]result{}
	for _, u := range slices.SortedFunc(maps.Keys(byUnit), compare) {
		l := byUnit[u]
		tree, err := parse(l.Result)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Place(), err)
		}
		if results[u.Value] == nil {
			values = append(values, u.Value)
		}
		results[u.Value] = append(results[u.Value], result{tree, l.Place()})
	}
	for _, value := range values {
		m.Seeds = max(m.Seeds, len(results[value]))
		figures, err := sumUp(results[value])
		if err != nil {
			return err
		}
		for _, f := range figures {
			if value != "" {
				f.Name = value + ": " + f.Name
			}
			m.Figures = append(m.Figures, f)
		}
	}
	return nil
}

// sumUp works out the figures of results, one for each seed, in the order in which they
// appear.
func sumUp(results []result) ([]Figure, error) {
	trees := make([]any, len(results))
	for i, r := range results {
		trees[i] = r.tree
	}
	n := findNames(trees)
	var order []string
	numbers, truths, entries := map[string][]float64{}, map[string][]bool{}, map[string]bool{}
	for _, r := range results {
		leaves, err := n.leaves(r.tree)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.place, err)
		}
		for _, l := range leaves {
			if len(numbers[l.name])+len(truths[l.name]) == 0 {
				order = append(order, l.name)
				entries[l.name] = l.entry
			}
			switch v := l.value.(type) {
			case float64:
				numbers[l.name] = append(numbers[l.name], v)
			case bool:
				truths[l.name] = append(truths[l.name], v)
			}
			if len(numbers[l.name]) > 0 && len(truths[l.name]) > 0 {
				return nil, fmt.Errorf("%s: %s is %v, want the same kind of figure as for the other seeds", r.place, l.name, l.value)
			}
		}
	}
	out := make([]Figure, 0, len(order))
	for _, name := range order {
		var f Figure
		if v := truths[name]; len(v) > 0 {
			f = truthsFigure(v)
		} else {
			f = numbersFigure(numbers[name])
		}
		f.Name, f.Absent, f.Entry = name, len(results)-f.N, entries[name]
		out = append(out, f)
	}
	return out, nil
}

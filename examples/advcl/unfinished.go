package main

import (
	"cmp"
	"slices"
	"sync"
)

// unfinished is a run that was stopped: what its learning curve has so far.
type unfinished struct {
	Method  string  `json:"method"`
	Seed    uint64  `json:"seed"`
	Step    int     `json:"step"`    // of the last measurement
	Steps   int     `json:"steps"`   // of the whole training
	Seconds float64 `json:"seconds"` // of pretraining so far
	Curve   []point `json:"curve"`
}

// left keeps the records of runs that were stopped.
type left struct {
	mu      sync.Mutex
	records map[string]*record
}

func (l *left) keep(r *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records == nil {
		l.records = map[string]*record{}
	}
	l.records[key(r.Method, r.Seed)] = r
}

// leftOf returns what there is of a run that has no result: from this program, or from
// an earlier one if this one did not come to it; nil for nothing.
func (e *experiment) leftOf(name string, seed uint64) (*unfinished, error) {
	r := e.left.records[key(name, seed)]
	if r == nil {
		k, err := e.read(e.file(name, seed, "progress.json"))
		if k == nil || k.Record == nil || err != nil {
			return nil, err
		}
		r = k.Record
	}
	if len(r.Curve) == 0 {
		return nil, nil
	}
	return &unfinished{name, seed, r.Curve[len(r.Curve)-1].Step, r.Steps, r.Seconds, r.Curve}, nil
}

// curve is the learning curve of a method with a seed, finished or not; nil for none.
func (o *outcome) curve(name string, seed uint64) []point {
	for _, r := range o.Runs {
		if r.Method == name && r.Seed == seed {
			return r.Curve
		}
	}
	for _, u := range o.Unfinished {
		if u.Method == name && u.Seed == seed {
			return u.Curve
		}
	}
	return nil
}

// curves are the methods and the seeds that have a learning curve.
func (o *outcome) curves() (names []string, seeds []uint64) {
	add := func(name string, seed uint64, curve []point) {
		if len(curve) > 0 {
			names, seeds = append(names, name), append(seeds, seed)
		}
	}
	for _, r := range o.Runs {
		add(r.Method, r.Seed, r.Curve)
	}
	for _, u := range o.Unfinished {
		add(u.Method, u.Seed, u.Curve)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(slices.Index(methodNames, a), slices.Index(methodNames, b))
	})
	slices.Sort(seeds)
	return slices.Compact(names), slices.Compact(seeds)
}

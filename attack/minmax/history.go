package minmax

import (
	"slices"

	"gonum.org/v1/gonum/stat"
)

// History holds the weights of every row at every iteration: those at iteration 0
// are the first, those at iteration T the last.
type History struct {
	names []string
	steps int
	rows  int
	w     []float32
	seen  []bool // by row
}

func newHistory(names []string, steps, rows int) *History {
	return &History{names: names, steps: steps, rows: rows, w: make([]float32, (steps+1)*rows*len(names)), seen: make([]bool, rows)}
}

func (h *History) at(t, row int) []float32 {
	k := len(h.names)
	from := (t*h.rows + row) * k
	return h.w[from : from+k]
}

func (h *History) set(t, row int, w []float64) {
	for i, v := range w {
		h.at(t, row)[i] = float32(v)
	}
	h.seen[row] = true
}

// Names returns the names of the K domains.
func (h *History) Names() []string { return h.names }

// Steps returns the number of iterations T; there are T+1 weights of each row.
func (h *History) Steps() int { return h.steps }

// Rows returns the number of rows N.
func (h *History) Rows() int { return h.rows }

// Weights returns the K weights of a row at iteration t, 0 to T, rounded to
// float32; nil if an interrupted attack has not reached the row.
func (h *History) Weights(t, row int) []float64 {
	if !h.seen[row] {
		return nil
	}
	out := make([]float64, len(h.names))
	for i, v := range h.at(t, row) {
		out[i] = float64(v)
	}
	return out
}

// Spread says how numbers are distributed: what a box plot shows.
type Spread struct {
	Min    float64 `json:"min"`
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
	Max    float64 `json:"max"`
	Mean   float64 `json:"mean"`
}

// NewSpread returns the spread of numbers, of which there is at least one. Quartile p
// lies at position p (n-1), from 0, of the n numbers in order, and between two of them
// on the line between both.
func NewSpread(v []float64) Spread {
	s := slices.Clone(v)
	slices.Sort(s)
	q := func(p float64) float64 {
		at := p * float64(len(s)-1)
		i := int(at)
		return s[i] + (at-float64(i))*(s[min(i+1, len(s)-1)]-s[i])
	}
	return Spread{Min: s[0], Q1: q(0.25), Median: q(0.5), Q3: q(0.75), Max: s[len(s)-1], Mean: stat.Mean(s, nil)}
}

// Spread returns the spread of a domain's weights over the rows at iteration t. ok
// is false if no row was reached.
func (h *History) Spread(t, domain int) (s Spread, ok bool) {
	var v []float64
	for row := range h.rows {
		if h.seen[row] {
			v = append(v, float64(h.at(t, row)[domain]))
		}
	}
	if len(v) == 0 {
		return Spread{}, false
	}
	return NewSpread(v), true
}

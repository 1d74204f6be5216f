package weightpert

import (
	"fmt"
	"math"
)

// Matrix is a linear map from Cols inputs to Rows outputs. With a nil Col it is
// dense: Val holds the rows one after the other. Otherwise the entries of row r are
// Val[Start[r]:Start[r+1]], in the columns that Col names at the same positions,
// and all others are 0: so a convolution is laid out.
type Matrix struct {
	Rows, Cols int
	Val        []float64 // the entries
	Start      []int     // Rows+1 offsets, nil for a dense matrix
	Col        []int32   // nil for a dense matrix
}

// NewMatrix returns a dense matrix of the given rows, which it copies. It panics
// if they differ in length.
func NewMatrix(rows ...[]float64) Matrix {
	m := Matrix{Rows: len(rows)}
	for _, r := range rows {
		if m.Cols != 0 && len(r) != m.Cols {
			panic(fmt.Sprintf("weightpert: NewMatrix: rows of %d and %d values", m.Cols, len(r)))
		}
		m.Cols = len(r)
		m.Val = append(m.Val, r...)
	}
	return m
}

// span returns where the entries of row r are.
func (m *Matrix) span(r int) (from, to int) {
	if m.Col == nil {
		return r * m.Cols, (r + 1) * m.Cols
	}
	return m.Start[r], m.Start[r+1]
}

// column returns the column of entry k, which is in a row whose entries begin at
// from.
func (m *Matrix) column(k, from int) int {
	if m.Col == nil {
		return k - from
	}
	return int(m.Col[k])
}

// check says what is wrong with the matrix's form.
func (m *Matrix) check() error {
	if m.Rows < 1 || m.Cols < 1 {
		return fmt.Errorf("matrix is %dx%d, want at least 1x1", m.Rows, m.Cols)
	}
	if m.Col == nil {
		if m.Start != nil {
			return fmt.Errorf("matrix has offsets of rows but no columns, want both or none")
		}
		if len(m.Val) != m.Rows*m.Cols {
			return fmt.Errorf("%dx%d matrix has %d values, want %d", m.Rows, m.Cols, len(m.Val), m.Rows*m.Cols)
		}
		return nil
	}
	if len(m.Start) != m.Rows+1 || len(m.Col) != len(m.Val) {
		return fmt.Errorf("sparse %dx%d matrix has %d offsets, %d columns and %d values, want %d offsets and as many columns as values",
			m.Rows, m.Cols, len(m.Start), len(m.Col), len(m.Val), m.Rows+1)
	}
	if m.Start[0] != 0 || m.Start[m.Rows] != len(m.Val) {
		return fmt.Errorf("offsets of rows go from %d to %d, want 0 to %d", m.Start[0], m.Start[m.Rows], len(m.Val))
	}
	for r := range m.Rows {
		if m.Start[r] > m.Start[r+1] {
			return fmt.Errorf("offset of row %d is %d, want at most %d", r, m.Start[r], m.Start[r+1])
		}
	}
	for i, c := range m.Col {
		if c < 0 || int(c) >= m.Cols {
			return fmt.Errorf("column of value %d is %d, want 0 to %d", i, c, m.Cols-1)
		}
	}
	seen := make([]int, m.Cols) // the last row, from 1, with an entry in each column
	for r := range m.Rows {
		for _, c := range m.Col[m.Start[r]:m.Start[r+1]] {
			if seen[c] == r+1 {
				return fmt.Errorf("row %d has two values in column %d, want at most one", r, c)
			}
			seen[c] = r + 1
		}
	}
	return nil
}

// spread writes the given entries out as rows of a dense matrix.
func (m *Matrix) spread(val []float64) []float64 {
	if m.Col == nil {
		return val
	}
	out := make([]float64, m.Rows*m.Cols)
	for r := range m.Rows {
		for i := m.Start[r]; i < m.Start[r+1]; i++ {
			out[r*m.Cols+int(m.Col[i])] = val[i]
		}
	}
	return out
}

// longest returns the number of entries of the fullest row.
func (m *Matrix) longest() int {
	if m.Col == nil {
		return m.Cols
	}
	n := 0
	for r := range m.Rows {
		n = max(n, m.Start[r+1]-m.Start[r])
	}
	return n
}

// times computes the product with x, plus bias unless it is nil, from the given
// entries, which may be other than the matrix's own.
func (m *Matrix) times(out, val, bias, x []float64) {
	for r := range m.Rows {
		from, to := m.span(r)
		sum := 0.0
		if m.Col == nil {
			for i, v := range val[from:to] {
				sum += v * x[i]
			}
		} else {
			for i := from; i < to; i++ {
				sum += val[i] * x[m.Col[i]]
			}
		}
		if bias != nil {
			sum += bias[r]
		}
		out[r] = sum
	}
}

// absTransposed computes the product of the transpose of the entries' moduli with
// s >= 0, rounded up.
func (m *Matrix) absTransposed(out, val, s []float64) {
	clear(out)
	defer func() {
		g, u := 1+gamma(m.Rows), under(m.Rows)
		for i := range out {
			out[i] = out[i]*g + u
		}
	}()
	for r, f := range s {
		if f == 0 {
			continue
		}
		from, to := m.span(r)
		if m.Col == nil {
			for i, v := range val[from:to] {
				out[i] += f * math.Abs(v)
			}
			continue
		}
		for i := from; i < to; i++ {
			out[m.Col[i]] += f * math.Abs(val[i])
		}
	}
}

// rowSum returns the largest sum of moduli of a row, rounded up: the operator norm
// from sup-norm to sup-norm.
func (m *Matrix) rowSum(val []float64) float64 {
	largest := 0.0
	for r := range m.Rows {
		from, to := m.span(r)
		largest = max(largest, sumAbs(val[from:to]))
	}
	return largest * (1 + gamma(m.longest()))
}

// columnSum returns the largest sum of moduli of a column, rounded up: the operator
// norm from l1 to l1.
func (m *Matrix) columnSum(val []float64) float64 {
	sums := make([]float64, m.Cols)
	ones := make([]float64, m.Rows)
	for r := range ones {
		ones[r] = 1
	}
	m.absTransposed(sums, val, ones)
	largest := 0.0
	for _, s := range sums {
		largest = max(largest, s)
	}
	return largest
}

func sumAbs(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += math.Abs(x)
	}
	return s
}

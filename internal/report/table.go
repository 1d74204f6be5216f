package report

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Table is a titled table of text. Columns are set left or right.
type Table struct {
	ID      string // by which a page's Lookup finds it; empty for none
	Title   string
	columns []Column
	rows    [][]string
}

// Column is the head of a column.
type Column struct {
	head  string
	right bool
}

// Left returns a column of texts.
func Left(head string) Column { return Column{head, false} }

// Right returns a column of numbers.
func Right(head string) Column { return Column{head, true} }

// NewTable returns a table without rows.
func NewTable(title string, columns ...Column) *Table {
	return &Table{Title: title, columns: columns}
}

// AddRow adds a row of one cell for each column.
func (t *Table) AddRow(cells ...string) {
	if len(cells) != len(t.columns) {
		panic(fmt.Sprintf("report: row of %d cells in a table of %d columns", len(cells), len(t.columns)))
	}
	t.rows = append(t.rows, cells)
}

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Text sets the table out for a terminal.
func (t *Table) Text() string {
	width := make([]int, len(t.columns))
	for j, c := range t.columns {
		width[j] = utf8.RuneCountInString(c.head)
		for _, row := range t.rows {
			width[j] = max(width[j], utf8.RuneCountInString(row[j]))
		}
	}
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(t.Title + "\n\n")
	}
	line := func(cell func(j int) string) {
		var l strings.Builder
		for j, c := range t.columns {
			s := cell(j)
			gap := strings.Repeat(" ", width[j]-utf8.RuneCountInString(s))
			if l.WriteString("  "); c.right {
				l.WriteString(gap + s)
			} else {
				l.WriteString(s + gap)
			}
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(func(j int) string { return t.columns[j].head })
	line(func(j int) string { return strings.Repeat("─", width[j]) })
	for _, row := range t.rows {
		line(func(j int) string { return row[j] })
	}
	return b.String()
}

// InPercent writes a share of 1 without the sign, as in "97.3", for columns that have it
// in their head.
func InPercent(v float64) string { return fmt.Sprintf("%.1f", 100*v) }

// Percent writes a share of 1, as in "97.3 %".
func Percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// Seconds writes a duration for a table, as in "0.42 s", "12.3 s" or "3m05s".
func Seconds(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.2f s", s)
	case s < 100:
		return fmt.Sprintf("%.1f s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

package report

import (
	"encoding/json"
	"fmt"
)

// blockData is a block as JSON has it.
type blockData struct {
	Kind   string      `json:"kind"`
	Text   string      `json:"text,omitempty"`
	Items  []string    `json:"items,omitempty"`
	Table  *tableData  `json:"table,omitempty"`
	Figure *figureData `json:"figure,omitempty"`
}

type tableData struct {
	ID      string       `json:"id,omitempty"`
	Title   string       `json:"title,omitempty"`
	Columns []columnData `json:"columns"`
	Rows    [][]string   `json:"rows"`
}

type columnData struct {
	Head  string `json:"head"`
	Right bool   `json:"right,omitempty"`
}

type figureData struct {
	ID      string `json:"id,omitempty"`
	SVG     []byte `json:"svg,omitempty"`
	PNG     []byte `json:"png,omitempty"`
	Alt     string `json:"alt,omitempty"`
	Caption string `json:"caption,omitempty"`
}

type pageData struct {
	Title    string      `json:"title"`
	Contents bool        `json:"contents,omitempty"`
	Blocks   []blockData `json:"blocks"`
}

// MarshalJSON writes the page as data, for programs that put pages together.
func (p *Page) MarshalJSON() ([]byte, error) {
	d := pageData{Title: p.Title, Contents: p.Contents, Blocks: []blockData{}}
	for _, b := range p.blocks {
		e := blockData{Kind: b.kind, Text: b.text, Items: b.items}
		if t := b.table; t != nil {
			e.Table = &tableData{ID: t.ID, Title: t.Title, Columns: []columnData{}, Rows: t.rows}
			for _, c := range t.columns {
				e.Table.Columns = append(e.Table.Columns, columnData{c.head, c.right})
			}
		}
		if b.figure != nil {
			f := figureData(*b.figure)
			e.Figure = &f
		}
		d.Blocks = append(d.Blocks, e)
	}
	return json.Marshal(d)
}

// UnmarshalJSON reads what MarshalJSON has written. An error names the block that is
// wrong, and leaves the page as it was.
func (p *Page) UnmarshalJSON(text []byte) error {
	var d pageData
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	blocks := make([]block, len(d.Blocks))
	for i, e := range d.Blocks {
		b, err := e.block()
		if err != nil {
			return fmt.Errorf("report: block %d of page %q: %w", i, d.Title, err)
		}
		blocks[i] = b
	}
	p.Title, p.Contents, p.blocks = d.Title, d.Contents, blocks
	return nil
}

// block checks that a block has what its kind needs.
func (e blockData) block() (block, error) {
	b := block{kind: e.Kind}
	switch e.Kind {
	case kindHeading, kindText, kindCommand:
		b.text = e.Text
	case kindList:
		b.items = e.Items
	case kindTable:
		if e.Table == nil {
			return b, fmt.Errorf("kind %q without a table", e.Kind)
		}
		t := &Table{ID: e.Table.ID, Title: e.Table.Title, rows: e.Table.Rows}
		for _, c := range e.Table.Columns {
			t.columns = append(t.columns, Column{c.Head, c.Right})
		}
		for j, row := range t.rows {
			if len(row) != len(t.columns) {
				return b, fmt.Errorf("row %d has %d cells, want %d", j, len(row), len(t.columns))
			}
		}
		b.table = t
	case kindFigure:
		if e.Figure == nil || len(e.Figure.SVG)+len(e.Figure.PNG) == 0 {
			return b, fmt.Errorf("kind %q without a picture", e.Kind)
		}
		f := Figure(*e.Figure)
		b.figure = &f
	default:
		return b, fmt.Errorf("kind %q is not known", e.Kind)
	}
	return b, nil
}

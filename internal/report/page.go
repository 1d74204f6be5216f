package report

// Page is a page under way, one block after the other.
type Page struct {
	Title string
	// Contents asks for a list of links to the headings below the title.
	Contents bool
	blocks   []block
}

// Figure is a picture with a text below it; SVG, PNG or both are set.
type Figure struct {
	ID       string // by which Lookup finds it; empty for none
	SVG, PNG []byte
	Alt      string // what the picture shows, for readers who cannot see it
	Caption  string
}

// Drawing can be drawn in both forms that a Figure has.
type Drawing interface {
	SVG() ([]byte, error)
	PNG() ([]byte, error)
}

// block is one part of a page; which fields are set follows from its kind.
type block struct {
	kind   string
	text   string
	items  []string
	table  *Table
	figure *Figure
}

// Kinds of blocks, which are the names of their templates too.
const (
	kindHeading = "heading"
	kindText    = "text"
	kindCommand = "command"
	kindList    = "list"
	kindTable   = "table"
	kindFigure  = "figure"
)

// NewPage returns a page with a title and nothing else.
func NewPage(title string) *Page { return &Page{Title: title} }

// Heading opens a part of the page.
func (p *Page) Heading(s string) { p.blocks = append(p.blocks, block{kind: kindHeading, text: s}) }

// Text adds a paragraph.
func (p *Page) Text(s string) { p.blocks = append(p.blocks, block{kind: kindText, text: s}) }

// Command adds a line to type in a terminal.
func (p *Page) Command(s string) { p.blocks = append(p.blocks, block{kind: kindCommand, text: s}) }

// List adds short paragraphs with a dot before each; without items it adds nothing.
func (p *Page) List(items ...string) {
	if len(items) > 0 {
		p.blocks = append(p.blocks, block{kind: kindList, items: items})
	}
}

// Table adds a table.
func (p *Page) Table(t *Table) { p.blocks = append(p.blocks, block{kind: kindTable, table: t}) }

// Figure adds a picture.
func (p *Page) Figure(f Figure) { p.blocks = append(p.blocks, block{kind: kindFigure, figure: &f}) }

// Figures adds what a program prints: a part with its tables, but those without rows, and
// its notes as a list.
func (p *Page) Figures(tables []*Table, notes []string) {
	p.Heading("Figures")
	for _, t := range tables {
		if t.Len() > 0 {
			p.Table(t)
		}
	}
	p.List(notes...)
}

// Draw adds a drawing: f with SVG and PNG set.
func (p *Page) Draw(d Drawing, f Figure) error {
	var err error
	if f.SVG, err = d.SVG(); err != nil {
		return err
	}
	if f.PNG, err = d.PNG(); err != nil {
		return err
	}
	p.Figure(f)
	return nil
}

// Lookup returns the first table or figure with that ID, and nil for what there is not.
func (p *Page) Lookup(id string) (*Table, *Figure) {
	for _, b := range p.blocks {
		switch {
		case b.table != nil && b.table.ID == id:
			return b.table, nil
		case b.figure != nil && b.figure.ID == id:
			return nil, b.figure
		}
	}
	return nil, nil
}

package report

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"strings"
)

// Page is an HTML page under way, one block after the other.
type Page struct {
	title  string
	blocks []any
}

// Figure is a picture with a text below it; one of SVG and PNG is set.
type Figure struct {
	SVG, PNG []byte
	Alt      string // what the picture shows, for readers who cannot see it
	Caption  string
}

type (
	heading string
	text    string
)

// NewPage returns a page with a title and nothing else.
func NewPage(title string) *Page { return &Page{title: title} }

// Heading opens a part of the page.
func (p *Page) Heading(s string) { p.blocks = append(p.blocks, heading(s)) }

// Text adds a paragraph.
func (p *Page) Text(s string) { p.blocks = append(p.blocks, text(s)) }

// Table adds a table.
func (p *Page) Table(t *Table) { p.blocks = append(p.blocks, t) }

// Figure adds a picture.
func (p *Page) Figure(f Figure) { p.blocks = append(p.blocks, f) }

// HTML returns the page as one file that needs no other.
func (p *Page) HTML() ([]byte, error) {
	var body strings.Builder
	for _, b := range p.blocks {
		var name string
		data := b
		switch b := b.(type) {
		case heading:
			name = "heading"
		case text:
			name = "text"
		case *Table:
			name, data = "table", b.view()
		case Figure:
			name, data = "figure", b.view()
		}
		if err := pageTemplate.ExecuteTemplate(&body, name, data); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	err := pageTemplate.ExecuteTemplate(&out, "page", map[string]any{"Title": p.title, "Body": template.HTML(body.String())})
	return out.Bytes(), err
}

type tableView struct {
	Title string
	Head  []Column
	Rows  [][]cellView
}

type cellView struct {
	Text  string
	Right bool
}

// Head and Right are read by the template.
func (c Column) Head() string { return c.head }
func (c Column) Right() bool  { return c.right }

func (t *Table) view() tableView {
	v := tableView{Title: t.Title, Head: t.columns}
	for _, row := range t.rows {
		cells := make([]cellView, len(row))
		for j, s := range row {
			cells[j] = cellView{s, t.columns[j].right}
		}
		v.Rows = append(v.Rows, cells)
	}
	return v
}

type figureView struct {
	Figure
	Source template.URL
}

func (f Figure) view() figureView {
	kind, data := "image/png", f.PNG
	if f.SVG != nil {
		kind, data = "image/svg+xml", f.SVG
	}
	return figureView{f, template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data))}
}

var pageTemplate = template.Must(template.New("").Parse(`
{{define "heading"}}<h2>{{.}}</h2>
{{end}}
{{define "text"}}<p>{{.}}</p>
{{end}}
{{define "table"}}<div class="table"><table>{{if .Title}}<caption>{{.Title}}</caption>{{end}}
<thead><tr>{{range .Head}}<th{{if .Right}} class="right"{{end}}>{{.Head}}</th>{{end}}</tr></thead>
<tbody>{{range .Rows}}<tr>{{range .}}<td{{if .Right}} class="right"{{end}}>{{.Text}}</td>{{end}}</tr>
{{end}}</tbody></table></div>
{{end}}
{{define "figure"}}<figure><img{{if .SVG}} class="drawing"{{end}} src="{{.Source}}" alt="{{.Alt}}">{{if .Caption}}<figcaption>{{.Caption}}</figcaption>{{end}}</figure>
{{end}}
{{define "page"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #e4e4e4; text-align: left; white-space: nowrap; }
th { border-bottom: 2px solid #888; }
.right { text-align: right; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figure img.drawing { width: 100%; max-width: 50rem; }
figcaption { color: #555; font-size: .9rem; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{.Body}}</body>
</html>
{{end}}`))

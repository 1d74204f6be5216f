package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// HTML returns the page as one file that needs no other. It is well-formed XML too.
func (p *Page) HTML() ([]byte, error) {
	var body strings.Builder
	var links []link
	anchors := anchors{}
	for _, b := range p.blocks {
		var data any
		switch b.kind {
		case kindHeading:
			l := link{anchors.of(b.text), b.text}
			links = append(links, l)
			data = l
		case kindText, kindCommand:
			data = b.text
		case kindList:
			data = b.items
		case kindTable:
			data = b.table.view(anchors)
		case kindFigure:
			data = b.figure.view(anchors)
		}
		if err := pageTemplate.ExecuteTemplate(&body, b.kind, data); err != nil {
			return nil, err
		}
	}
	if !p.Contents {
		links = nil
	}
	var out bytes.Buffer
	err := pageTemplate.ExecuteTemplate(&out, "page", map[string]any{
		"Title": p.Title, "Links": links, "Style": template.CSS(style), "Body": template.HTML(body.String()),
	})
	return out.Bytes(), err
}

type link struct{ Anchor, Text string }

// anchors are the names of places on a page, none of which may occur twice.
type anchors map[string]bool

// of returns a name for the place of a text that no other place has, and none for no
// text.
func (a anchors) of(text string) string {
	slug := strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), "-")
	if slug == "" {
		return ""
	}
	name := slug
	for k := 2; a[name]; k++ {
		name = fmt.Sprintf("%s-%d", slug, k)
	}
	a[name] = true
	return name
}

type tableView struct {
	Anchor, Title string
	Head          []cellView
	Rows          [][]cellView
}

type cellView struct{ Text, Class string }

// longCell is the number of characters from which a cell of text is broken into lines.
const longCell = 44

func (t *Table) view(a anchors) tableView {
	class := func(j int, text string) string {
		switch {
		case t.columns[j].right:
			return "right"
		case utf8.RuneCountInString(text) > longCell:
			return "long"
		}
		return ""
	}
	v := tableView{Anchor: a.of(t.ID), Title: t.Title}
	for j, c := range t.columns {
		v.Head = append(v.Head, cellView{c.head, class(j, "")})
	}
	for _, row := range t.rows {
		cells := make([]cellView, len(row))
		for j, s := range row {
			cells[j] = cellView{s, class(j, s)}
		}
		v.Rows = append(v.Rows, cells)
	}
	return v
}

type figureView struct {
	Anchor, Class, Alt, Caption string
	Source                      template.URL
}

func (f *Figure) view(a anchors) figureView {
	v := figureView{Anchor: a.of(f.ID), Class: "images", Alt: f.Alt, Caption: f.Caption}
	kind, data := "image/png", f.PNG
	if f.SVG != nil {
		v.Class = "drawing"
		kind, data = "image/svg+xml", f.SVG
	}
	v.Source = template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data))
	return v
}

var pageTemplate = template.Must(template.New("").Parse(`
{{define "heading"}}<h2{{if .Anchor}} id="{{.Anchor}}"{{end}}>{{.Text}}</h2>
{{end}}
{{define "text"}}<p>{{.}}</p>
{{end}}
{{define "command"}}<pre><code>{{.}}</code></pre>
{{end}}
{{define "list"}}<ul>{{range .}}
<li>{{.}}</li>{{end}}
</ul>
{{end}}
{{define "table"}}<div{{if .Anchor}} id="{{.Anchor}}"{{end}}>{{if .Title}}<p class="title">{{.Title}}</p>{{end}}<div class="table"><table>
<thead><tr>{{range .Head}}<th{{if .Class}} class="{{.Class}}"{{end}}>{{.Text}}</th>{{end}}</tr></thead>
<tbody>{{range .Rows}}<tr>{{range .}}<td{{if .Class}} class="{{.Class}}"{{end}}>{{.Text}}</td>{{end}}</tr>
{{end}}</tbody></table></div></div>
{{end}}
{{define "figure"}}<figure{{if .Anchor}} id="{{.Anchor}}"{{end}}><div class="{{.Class}}"><img src="{{.Source}}" alt="{{.Alt}}" /></div>{{if .Caption}}<figcaption>{{.Caption}}</figcaption>{{end}}</figure>
{{end}}
{{define "page"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{if .Links}}<nav><ul>{{range .Links}}<li><a href="#{{.Anchor}}">{{.Text}}</a></li>{{end}}</ul></nav>
{{end}}{{.Body}}</body>
</html>
{{end}}`))

package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// full is a page with every kind of block.
func full() *Page {
	tab := NewTable("Figures", Left("name"), Right("n"))
	tab.ID = "figures"
	tab.AddRow("a < b", "1")
	p := NewPage("A & B")
	p.Contents = true
	p.Heading("One, two")
	p.Heading("One: two")
	p.Text("text")
	p.Command("go run .")
	p.List("first", "second")
	p.Table(tab)
	p.Table(NewTable("Empty", Left("nothing")))
	p.Figure(Figure{ID: "curve", SVG: []byte("<svg/>"), PNG: []byte{1, 2, 3}, Alt: "a", Caption: "c"})
	p.Figure(Figure{PNG: []byte{4}})
	return p
}

func TestPageComesBackFromData(t *testing.T) {
	text, err := json.Marshal(full())
	require.NoError(t, err)
	var got Page
	require.NoError(t, json.Unmarshal(text, &got))
	want, err := full().HTML()
	require.NoError(t, err)
	html, err := got.HTML()
	require.NoError(t, err)
	require.Equal(t, string(want), string(html))

	tab, fig := got.Lookup("figures")
	require.Nil(t, fig)
	require.Equal(t, "Figures", tab.Title)
	require.Contains(t, tab.Text(), "a < b")
	tab, fig = got.Lookup("curve")
	require.Nil(t, tab)
	require.Equal(t, []byte{1, 2, 3}, fig.PNG)
	tab, fig = got.Lookup("none")
	require.Nil(t, tab)
	require.Nil(t, fig)
}

func TestDataThatIsNoPageIsNamed(t *testing.T) {
	for want, text := range map[string]string{
		"cannot unmarshal":       `{"title": 1}`,
		`kind "video"`:           `{"title": "t", "blocks": [{"kind": "text"}, {"kind": "video"}]}`,
		"block 0 of page \"t\"":  `{"title": "t", "blocks": [{"kind": "table"}]}`,
		"without a picture":      `{"blocks": [{"kind": "figure", "figure": {"alt": "a"}}]}`,
		"row 1 has 1 cells":      `{"blocks": [{"kind": "table", "table": {"columns": [{"head": "a"}, {"head": "b"}], "rows": [["1", "2"], ["3"]]}}]}`,
		"illegal base64":         `{"blocks": [{"kind": "figure", "figure": {"png": "*"}}]}`,
		"unexpected end of JSON": `{"blocks": [`,
	} {
		p := NewPage("before")
		require.ErrorContains(t, json.Unmarshal([]byte(text), p), want)
		require.Equal(t, "before", p.Title)
	}
}

func TestHeadingsAreLinkedFromTheContents(t *testing.T) {
	html, err := full().HTML()
	require.NoError(t, err)
	text := string(html)
	for _, want := range []string{
		`<a href="#one-two">One, two</a>`, `<a href="#one-two-2">One: two</a>`,
		`<h2 id="one-two">One, two</h2>`, `<h2 id="one-two-2">One: two</h2>`, `id="figures"`, `id="curve"`,
	} {
		require.Equal(t, 1, strings.Count(text, want), want)
	}
	require.NotContains(t, text, `href="#three"`)
	p := full()
	p.Contents = false
	html, err = p.HTML()
	require.NoError(t, err)
	require.NotContains(t, string(html), "<nav>")
}

// wellFormed fails unless the page is well-formed, refers to nothing outside itself
// and links to places that it has.
func wellFormed(t testing.TB, html []byte) {
	d := xml.NewDecoder(strings.NewReader(string(html)))
	ids, links := map[string]bool{}, []string{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		require.NotContains(t, []string{"script", "link", "iframe"}, e.Name.Local)
		for _, a := range e.Attr {
			switch a.Name.Local {
			case "id":
				require.False(t, ids[a.Value], "two places are called %q", a.Value)
				ids[a.Value] = true
			case "src":
				require.True(t, strings.HasPrefix(a.Value, "data:"), "%.60q", a.Value)
			case "href":
				require.True(t, strings.HasPrefix(a.Value, "#"), "%q", a.Value)
				links = append(links, a.Value[1:])
			}
		}
	}
	for _, l := range links {
		require.True(t, ids[l], "a link to %q, which is nowhere", l)
	}
}

func TestPageIsWellFormed(t *testing.T) {
	html, err := full().HTML()
	require.NoError(t, err)
	wellFormed(t, html)
}

func FuzzPageFromData(f *testing.F) {
	text, err := json.Marshal(full())
	require.NoError(f, err)
	f.Add(string(text))
	f.Add(`{"title": "t", "blocks": [{"kind": "list", "items": []}, {"kind": "table", "table": {}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var p Page
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		_, err := p.HTML()
		require.NoError(t, err)
		again, err := json.Marshal(&p)
		require.NoError(t, err)
		var q Page
		require.NoError(t, json.Unmarshal(again, &q))
	})
}

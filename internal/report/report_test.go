package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTableAlignsItsColumns(t *testing.T) {
	tab := NewTable("Title", Left("name"), Right("n"))
	tab.AddRow("ä", "1")
	tab.AddRow("longer name", "23")
	require.Equal(t, "Title\n\n"+
		"  name          n\n"+
		"  ───────────  ──\n"+
		"  ä             1\n"+
		"  longer name  23\n", tab.Text())
	require.Equal(t, 2, tab.Len())
	require.Panics(t, func() { tab.AddRow("one cell") })
}

func TestNumbersReadWell(t *testing.T) {
	require.Equal(t, "97.3 %", Percent(0.9731))
	require.Equal(t, "97.3", InPercent(0.9731))
	require.Equal(t, "0.42 s", Seconds(0.42))
	require.Equal(t, "12.3 s", Seconds(12.34))
	require.Equal(t, "3m5s", Seconds(185.2))
}

func TestPageHoldsItsBlocksInOrderAndEscapesThem(t *testing.T) {
	tab := NewTable("Figures", Left("a"), Right("b"))
	tab.AddRow("<script>", "1")
	p := NewPage("A <title>")
	p.Heading("One")
	p.Text("2 < 3")
	p.Table(tab)
	p.Figure(Figure{SVG: []byte("<svg/>"), Alt: "a \"drawing\"", Caption: "below"})
	p.Figure(Figure{PNG: []byte{1, 2, 3}})
	html, err := p.HTML()
	require.NoError(t, err)
	rest := string(html)
	for _, want := range []string{
		"<title>A &lt;title&gt;</title>", "<h1>A &lt;title&gt;</h1>", `<h2 id="one">One</h2>`, "<p>2 &lt; 3</p>",
		`<p class="title">Figures</p>`, `<th>a</th><th class="right">b</th>`, `<td>&lt;script&gt;</td><td class="right">1</td>`,
		`src="data:image/svg&#43;xml;base64,PHN2Zy8&#43;"`, "a &#34;drawing&#34;", "<figcaption>below</figcaption>",
		"data:image/png;base64,AQID",
	} {
		_, after, found := strings.Cut(rest, want)
		require.True(t, found, "%q is missing, or out of order, in\n%s", want, html)
		rest = after
	}
}

func TestFiguresAreTablesWithRowsAndNotes(t *testing.T) {
	full, empty := NewTable("full", Left("a")), NewTable("empty", Left("a"))
	full.AddRow("1")
	p := NewPage("t")
	p.Figures([]*Table{empty, full}, []string{"a note"})
	want := NewPage("t")
	want.Heading("Figures")
	want.Table(full)
	want.List("a note")
	require.Equal(t, want, p)
}

func TestPageNeedsNoOtherFile(t *testing.T) {
	p := NewPage("t")
	p.Figure(Figure{PNG: []byte{1}})
	html, err := p.HTML()
	require.NoError(t, err)
	for _, remote := range []string{"http:", "https:", "src=\"/", "<link", "<script"} {
		require.NotContains(t, string(html), remote)
	}
}

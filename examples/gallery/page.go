package main

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Result shows what was reached.
func (g *gallery) Result() example.Result {
	if len(g.out.Examples) == 0 {
		return example.Result{}
	}
	res := example.Result{Figures: g.out, Tables: []*report.Table{g.overview()}}
	for _, s := range g.out.Examples {
		s.each(func(t *report.Table, _ *report.Figure) {
			if t != nil {
				res.Tables = append(res.Tables, t)
			}
		})
	}
	res.Notes = []string{fmt.Sprintf("Everything took %s.", report.Seconds(g.out.Seconds))}
	return res
}

// each calls f with the tables and figures that the gallery takes over, in their order.
func (s *shown) each(f func(*report.Table, *report.Figure)) {
	if s.page == nil {
		return
	}
	for _, ids := range [][]string{s.entry.blocks, s.entry.withData} {
		for _, id := range ids {
			if t, fig := s.page.Lookup(id); t != nil || fig != nil {
				f(t, fig)
			}
		}
	}
}

// overview is a table of the examples.
func (g *gallery) overview() *report.Table {
	t := report.NewTable("", report.Left("example"), report.Left("what it shows"), report.Left("command"), report.Right("time"))
	for _, e := range g.entries {
		time := "not run"
		for _, s := range g.out.Examples {
			if s.Name == e.name {
				if time = report.Seconds(s.Seconds); s.Error != "" {
					time = "failed"
				}
			}
		}
		t.AddRow(e.name, e.title, e.command(g.env), time)
	}
	return t
}

// Page sets the examples out, as many as were run.
func (g *gallery) Page(context.Context) (*report.Page, error) {
	p := report.NewPage("redoubt: attacks, measurements and defences in pictures")
	p.Contents = true
	p.Text("Every example of the library at its quick scale: small networks and little data, so that all of it is done in minutes on two cores. " +
		"The figures show how each technique behaves; those to be compared with the papers come from the longer runs, whose commands stand below each part.")
	p.Table(g.overview())
	data := "No data folder was given: digits are the cut of MNIST that is part of the library, or complete MNIST where it is at hand."
	if g.env.Data != "" {
		data = "Data sets come from the folder " + g.env.Data + " where it has them."
	}
	p.Text(fmt.Sprintf("%s Seed %d; everything took %s, with the time to build the programs.", data, g.env.Seed, report.Seconds(g.out.Seconds)))
	if n := len(g.entries) - len(g.out.Examples); n > 0 {
		p.Text(fmt.Sprintf("The gallery was stopped: %d of %d examples are missing.", n, len(g.entries)))
	}
	for _, s := range g.out.Examples {
		p.Heading(s.entry.title)
		p.Text(s.entry.about)
		if s.Error != "" {
			p.Text("This example failed: " + s.Error)
		}
		s.each(func(t *report.Table, f *report.Figure) {
			if t != nil {
				p.Table(t)
			} else {
				p.Figure(*f)
			}
		})
		if s.entry.reading != "" {
			p.Text(s.entry.reading)
		}
		p.Text(fmt.Sprintf("This took %s. The first command makes it again, the second one makes it in full.", report.Seconds(s.Seconds)))
		p.Command(s.Command + " -out DIR\n" + s.entry.full)
	}
	return p, nil
}

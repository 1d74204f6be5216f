package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// gallery runs the entries one after the other.
type gallery struct {
	env      *example.Env
	builder  builder
	entries  []entry
	pictures string // folder; empty for none
	out      outcome
}

// outcome is what -json prints.
type outcome struct {
	Seed     uint64  `json:"seed"`
	Examples []shown `json:"examples"`
	Seconds  float64 `json:"seconds"`
}

// shown is an example that was run.
type shown struct {
	Name    string  `json:"name"`
	Command string  `json:"command"`
	Seconds float64 `json:"seconds"` // without the time to build it
	// Error says what went wrong; empty for nothing.
	Error string `json:"error,omitempty"`
	// Figures is what the example itself prints with -json; null if it failed before
	// it had any.
	Figures json.RawMessage `json:"figures"`

	entry entry
	page  *report.Page // nil if it failed before it had one
}

// Run fills out. An example that fails does not keep the others from running; the
// error joins all that went wrong.
func (g *gallery) Run(ctx context.Context) error {
	start := time.Now()
	defer func() { g.out.Seconds = time.Since(start).Seconds() }()
	g.out.Seed, g.out.Examples = g.env.Seed, []shown{}
	if err := g.builder.ready(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gallery-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var failed []error
	for i, e := range g.entries {
		g.env.Announce("%d of %d: %s", i+1, len(g.entries), e.command(g.env))
		g.env.Stage(e.name, -1)
		s := g.show(ctx, e, filepath.Join(dir, e.name))
		if err := ctx.Err(); err != nil {
			// What an example has when it is stopped is not what it is shown for.
			return err
		}
		if s.Error == "" && g.pictures != "" && e.picture != "" {
			if err := g.writePicture(&s); err != nil {
				s.Error = err.Error()
			}
		}
		g.out.Examples = append(g.out.Examples, s)
		if s.Error != "" {
			failed = append(failed, fmt.Errorf("%s: %s", e.name, s.Error))
		}
	}
	return errors.Join(failed...)
}

// show runs one example.
func (g *gallery) show(ctx context.Context, e entry, dir string) shown {
	s := shown{Name: e.name, Command: e.command(g.env), entry: e}
	fail := func(err error) shown {
		s.Error = err.Error()
		return s
	}
	binary, err := g.builder.build(ctx, e.name, dir+".exe")
	if err != nil {
		return fail(err)
	}
	start := time.Now()
	var page report.Page
	s.Figures, err = runExample(ctx, binary, e.flags(g.env), dir)
	s.Seconds = time.Since(start).Seconds()
	if err != nil {
		return fail(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		return fail(err)
	}
	if err := json.Unmarshal(text, &page); err != nil {
		return fail(fmt.Errorf("report.json: %w", err))
	}
	s.page = &page
	for _, id := range e.blocks {
		if t, f := page.Lookup(id); t == nil && f == nil {
			return fail(fmt.Errorf("its page has no table and no figure %q", id))
		}
	}
	return s
}

// writePicture writes the picture of an example.
func (g *gallery) writePicture(s *shown) error {
	_, f := s.page.Lookup(s.entry.picture)
	if f == nil || f.PNG == nil {
		return fmt.Errorf("its page has no picture %q", s.entry.picture)
	}
	return example.WriteWhole(filepath.Join(g.pictures, s.Name+".png"), f.PNG)
}

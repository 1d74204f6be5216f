package example

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/redoubt-ml/redoubt/internal/example/sweep"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// jsonLines are figures that -json prints as they are.
type jsonLines []byte

// sweep makes those units of a shard that are not finished, one after the other. Without
// -shard it makes all of them and sums them up.
func (p Program) sweep(ctx context.Context, o *options) (Result, error) {
	shard := o.shard
	if shard.Count == 0 {
		shard = sweep.Shard{Index: 1, Count: 1}
	}
	units := shard.Of(o.units.Units())
	t := report.NewTable(fmt.Sprintf("Shard %v of a sweep of %d seeds", shard, o.units.Seeds), report.Left("unit"), report.Right("time"), report.Left("state"))
	var lines []sweep.Located
	var failed error
	for i, u := range units {
		l, state, err := p.unit(ctx, o, u)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%v: %w", u, err))
			if ctx.Err() != nil {
				break
			}
			o.env.Announce("%s: %v, unit %d of %d of the shard, failed: %v", p.Name, u, i+1, len(units), err)
			continue
		}
		o.env.Announce("%s: %v, unit %d of %d of the shard, %s, %s", p.Name, u, i+1, len(units), state, report.Seconds(l.Seconds))
		t.AddRow(u.String(), report.Seconds(l.Seconds), state)
		l.Sweep = o.units // a line that was there may be of a larger one
		lines = append(lines, l)
	}
	if o.shard.Count > 0 {
		var text jsonLines
		for _, l := range lines {
			text = append(append(text, l.Text...), '\n')
		}
		return Result{Figures: text, Tables: []*report.Table{t}}, failed
	}
	if len(lines) == 0 {
		return Result{}, failed
	}
	res, err := p.sumUp(lines)
	return res, errors.Join(failed, err)
}

// unit makes a unit, or takes the line that is there.
func (p Program) unit(ctx context.Context, o *options, u sweep.Unit) (l sweep.Located, state string, err error) {
	path := ""
	if o.env.Out != "" {
		path = filepath.Join(o.env.Out, u.FileName(p.Name))
		if l, ok, err := p.finished(o, u, path); ok || err != nil {
			return l, "finished before", err
		}
	}
	env := *o.env
	env.Seed, env.Seeds, env.Out, env.JSON, env.uses = u.Seed, 1, "", true, map[string]string{}
	if o.split {
		if err := o.set.Set(p.Split.Flag, u.Value); err != nil {
			return l, "", err
		}
	}
	start := time.Now()
	res, err := p.once(ctx, &env)
	if err != nil {
		return l, "", err
	}
	text, err := json.Marshal(res.Figures)
	if err != nil {
		return l, "", err
	}
	text, err = sweep.Line{
		Program: p.Name, Settings: o.settings(p), Data: env.uses, Revision: revision(), Sweep: o.units, Unit: u,
		Seconds: time.Since(start).Seconds(), Result: text,
	}.Encode()
	if err != nil {
		return l, "", err
	}
	if path != "" {
		if err := WriteWhole(path, text); err != nil {
			return l, "", err
		}
	}
	lines, err := sweep.Read(bytes.NewReader(text), path)
	if err != nil {
		return l, "", err
	}
	return lines[0], "finished", nil
}

// finished reads the line of a unit, if there is one.
func (p Program) finished(o *options, u sweep.Unit, path string) (l sweep.Located, ok bool, err error) {
	lines, err := readLines(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, false, nil
	}
	if err != nil {
		return l, false, err
	}
	l = lines[0]
	if err = l.Fits(p.Name, o.settings(p)); err == nil {
		err = p.sameInputs(o, l.Data)
	}
	if err != nil {
		return l, false, fmt.Errorf("%s: %w; another sweep wants another -out", l.Place(), err)
	}
	if l.Unit != u || len(lines) > 1 {
		return l, false, fmt.Errorf("%s has %d lines, the first of %v, want one of %v", path, len(lines), l.Unit, u)
	}
	return l, true, nil
}

func readLines(path string) ([]sweep.Located, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return sweep.Read(f, path)
}

// revision is that of the source the program was built from; empty if the build does not
// know it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	at, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			at = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	if at == "" {
		return ""
	}
	return at + changed
}

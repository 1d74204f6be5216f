package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/defense/advcl"
)

// kept is what a file of the state folder holds about a run.
type kept struct {
	Settings string          `json:"settings"`
	Record   *record         `json:"record,omitempty"`
	Clean    []bool          `json:"clean,omitempty"`
	Robust   []bool          `json:"robust,omitempty"`
	Labels   json.RawMessage `json:"labels,omitempty"`
}

// stepsOnce returns the number of steps that the folder's first program chose, or keeps
// this one's choice: a machine that is busier later must not change the experiment.
func (e *experiment) stepsOnce(choice int) (int, error) {
	if e.state == "" {
		return choice, nil
	}
	path := filepath.Join(e.state, "steps")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(e.state, 0o755); err != nil {
			return 0, err
		}
		return choice, os.WriteFile(path, []byte(strconv.Itoa(choice)), 0o644)
	}
	if err != nil {
		return 0, err
	}
	steps, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || steps < 1 {
		return 0, fmt.Errorf("%s holds %q, want a number of steps", path, text)
	}
	return steps, nil
}

// settings are what a finished run depends on, beside its name and seed.
func (e *experiment) settings() string {
	p := e.plan
	p.page, p.seeds, p.methods = pagePlan{}, 0, nil
	s := fmt.Sprintf("%+v of %s %.16s", p, e.source, advcl.Checksum(e.images))
	if e.chunk > 0 {
		s += fmt.Sprintf(" in chunks of %d", e.chunk)
	}
	return s
}

// file is the path of a file of a run; "" if no state is kept.
func (e *experiment) file(name string, seed uint64, kind string) string {
	if e.state == "" {
		return ""
	}
	return filepath.Join(e.state, fmt.Sprintf("%s-%d.%s", strings.ReplaceAll(name, " ", "-"), seed, kind))
}

// read reads what is kept about a run; nil if nothing is.
func (e *experiment) read(path string) (*kept, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, os.MkdirAll(e.state, 0o755)
	}
	if err != nil {
		return nil, err
	}
	k := new(kept)
	if err := json.Unmarshal(text, k); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if k.Settings != e.settings() {
		return nil, fmt.Errorf("%s is of a run with other settings; want another -state or -out folder\nfound %s\nwant  %s", path, k.Settings, e.settings())
	}
	return k, nil
}

// write keeps something about a run, whole or not at all.
func (e *experiment) write(path string, k kept) error {
	if path == "" {
		return nil
	}
	k.Settings = e.settings()
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, text, 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// finished returns the record of a run that is done; nil if it is not.
func (e *experiment) finished(name string, seed uint64) (*record, error) {
	k, err := e.read(e.file(name, seed, "result.json"))
	if k == nil || err != nil {
		return nil, err
	}
	if k.Record == nil || len(k.Clean) != e.plan.test || len(k.Robust) != e.plan.test {
		return nil, fmt.Errorf("result of %s, seed %d: %d and %d answers, want %d", name, seed, len(k.Clean), len(k.Robust), e.plan.test)
	}
	k.Record.clean, k.Record.robust = k.Clean, k.Robust
	return k.Record, nil
}

func (e *experiment) finish(r *record) error {
	return e.write(e.file(r.Method, r.Seed, "result.json"), kept{Record: r, Clean: r.clean, Robust: r.robust})
}

// keepProgress keeps the curve and the time of a run under way.
func (e *experiment) keepProgress(r *record) error {
	return e.write(e.file(r.Method, r.Seed, "progress.json"), kept{Record: r})
}

// resume takes over the curve and the time of a run that was stopped.
func (e *experiment) resume(r *record) error {
	k, err := e.read(e.file(r.Method, r.Seed, "progress.json"))
	if k != nil && k.Record != nil {
		r.Curve, r.Seconds = k.Record.Curve, k.Record.Seconds
	}
	return err
}

// loadLabels reads pseudo-labels; nil if there are none.
func (e *experiment) loadLabels(path string) (*advcl.PseudoLabels, error) {
	k, err := e.read(path)
	if k == nil || err != nil {
		return nil, err
	}
	l, err := advcl.ReadPseudoLabels(bytes.NewReader(k.Labels))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, l.Fits(e.images)
}

// keepLabels keeps pseudo-labels with the settings of the encoder that they are of.
func (e *experiment) keepLabels(path string, l *advcl.PseudoLabels) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return e.write(path, kept{Labels: text})
}

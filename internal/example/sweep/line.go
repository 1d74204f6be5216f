package sweep

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Line is what a finished unit leaves.
type Line struct {
	Program string `json:"program"`
	// Settings are the values of all flags that figures depend on, by name, but for
	// those that tell one unit from another.
	Settings map[string]string `json:"settings"`
	// Data are fingerprints of the data sets and files in use, by name.
	Data map[string]string `json:"data"`
	// Revision is that of the program's source, as far as its build knows it.
	Revision string `json:"revision,omitempty"`
	// Sweep is the sweep for which the unit was made.
	Sweep Range `json:"sweep"`
	Unit
	Seconds float64 `json:"seconds"`
	// Result is the program's own JSON.
	Result json.RawMessage `json:"result"`
}

// Encode returns the line with its end.
func (l Line) Encode() ([]byte, error) {
	if err := l.validate(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(l)
	return append(text, '\n'), err
}

// Decode reads a line that Encode has written, with its end or without.
func Decode(text []byte) (Line, error) {
	var l Line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("it ends after %d bytes", len(text))
		}
		return l, fmt.Errorf("want one JSON object: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return l, fmt.Errorf("more after the end of the JSON object at byte %d", d.InputOffset())
	}
	return l, l.validate()
}

func (l Line) validate() error {
	switch {
	case l.Program == "":
		return errors.New(`no "program", want its name`)
	case l.Settings == nil:
		return errors.New(`no "settings", want the values of flags`)
	case !(l.Seconds >= 0):
		return fmt.Errorf(`"seconds" is %v, want 0 or more`, l.Seconds)
	case !bytes.HasPrefix(bytes.TrimSpace(l.Result), []byte("{")):
		return fmt.Errorf(`"result" is %.20q, want an object`, l.Result)
	}
	if err := l.Sweep.Validate(); err != nil {
		return fmt.Errorf(`"sweep": %w`, err)
	}
	if !l.Sweep.holds(l.Unit) {
		return fmt.Errorf("%v is not of the line's own sweep: %d seeds from %d on, values %q", l.Unit, l.Sweep.Seeds, l.Sweep.First, l.Sweep.Values)
	}
	return nil
}

// Fits returns an error unless the line is of a program with settings, naming the first
// difference.
func (l Line) Fits(program string, settings map[string]string) error {
	if l.Program != program {
		return fmt.Errorf("program is %q, want %q", l.Program, program)
	}
	return difference("-", l.Settings, settings)
}

// difference names the first key under which two maps differ.
func difference(what string, found, want map[string]string) error {
	show := func(m map[string]string, k string) string {
		if v, ok := m[k]; ok {
			return fmt.Sprintf("%q", v)
		}
		return "nothing"
	}
	all := maps.Clone(found)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, want)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if f, w := show(found, k), show(want, k); f != w {
			return fmt.Errorf("%s%s is %s, want %s", what, k, f, w)
		}
	}
	return nil
}

// Located is a line with the place where it was read.
type Located struct {
	Line
	File   string
	Number int    // from 1 on
	Text   []byte // as it was read, without its end
}

// Place names where the line is, as in "a.jsonl line 3".
func (l Located) Place() string { return fmt.Sprintf("%s line %d", l.File, l.Number) }

// Read reads all lines of a file of the given name.
func Read(r io.Reader, file string) ([]Located, error) {
	var out []Located
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		text, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("%s line %d: %w", file, n, err)
		}
		if len(text) > 0 {
			l, err := Decode(text)
			if err != nil {
				return nil, fmt.Errorf("%s line %d: %w", file, n, err)
			}
			out = append(out, Located{l, file, n, bytes.TrimSpace(text)})
		}
		if err == io.EOF {
			break
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s is empty, want lines of a sweep", file)
	}
	return out, nil
}

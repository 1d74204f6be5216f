package env

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
)

// rows reads comma-separated values and keeps count of the lines.
type rows struct {
	set   string
	in    *csv.Reader
	line  int
	width int // fields of a row, fixed by the header
}

func newRows(set string, r io.Reader) *rows {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1 // counted here, to say what was wanted
	return &rows{set: set, in: in}
}

// next returns the fields of the next line that is not blank, io.EOF after the last.
func (r *rows) next() ([]string, error) {
	fields, err := r.in.Read()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.set, err) // names the line
	}
	r.line, _ = r.in.FieldPos(0)
	if r.width > 0 && len(fields) != r.width {
		return nil, r.errorf("%d fields, want %d", len(fields), r.width)
	}
	return fields, nil
}

// errorf puts the set's name and the line in front.
func (r *rows) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: line %d: %s", r.set, r.line, fmt.Sprintf(format, args...))
}

// load reads the file at path; errors name the package and the path.
func load[T any](path string, parse func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, fmt.Errorf("bandit/env: %w", err)
	}
	defer f.Close()
	return read(path+": ", f, parse)
}

// read parses r; errors name the package and what is read.
func read[T any](what string, r io.Reader, parse func(io.Reader) (T, error)) (T, error) {
	t, err := parse(r)
	if err != nil {
		err = fmt.Errorf("bandit/env: %s%w", what, err)
	}
	return t, err
}

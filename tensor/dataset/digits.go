package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	digitsSide = 8
	// digitsTop is the grey value of full ink.
	digitsTop = 16
)

// ReadDigitsCSV reads the 8x8 digits of UCI's "Optical Recognition of
// Handwritten Digits" in scikit-learn's form, plain or gzip: on each line 64
// whole grey values in [0, 16], row by row, and a label in [0, 9], separated
// by commas. A grey value v becomes the pixel v/16.
func ReadDigitsCSV(r io.Reader) (*Set, error) {
	r, err := plain(r)
	if err != nil {
		return nil, fmt.Errorf("digits: %w", err)
	}
	s := &Set{Name: "digits", H: digitsSide, W: digitsSide, C: 1, Classes: 10}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<10)
	line := 0
	for lines.Scan() {
		line++
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		fields := strings.Split(text, ",")
		if want := digitsSide*digitsSide + 1; len(fields) != want {
			return nil, fmt.Errorf("digits: line %d has %d numbers, want %d", line, len(fields), want)
		}
		last := len(fields) - 1
		if err := affordable(int64(len(s.Labels)+1), 4*digitsSide*digitsSide, "images"); err != nil {
			return nil, fmt.Errorf("digits: line %d: found %w", line, err)
		}
		label, err := strconv.Atoi(fields[last])
		if err != nil || label < 0 || label > 9 {
			return nil, fmt.Errorf("digits: line %d has label %q, want 0 to 9", line, fields[last])
		}
		s.Labels = append(s.Labels, label)
		for i, field := range fields[:last] {
			v, err := strconv.Atoi(field)
			if err != nil || v < 0 || v > digitsTop {
				return nil, fmt.Errorf("digits: line %d has grey value %q at position %d, want 0 to %d", line, field, i, digitsTop)
			}
			s.Floats = append(s.Floats, float32(v)/digitsTop)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("digits: line %d: %w", line+1, err)
	}
	if len(s.Labels) == 0 {
		return nil, errors.New("digits: found no lines of digits, want at least one")
	}
	return s, nil
}

// LoadDigits reads digits.csv, with or without .gz, from a folder. The file is
// not split; Train is its first 80 % (1,437 of 1,797 images), Test the rest,
// which was written by other people.
func LoadDigits(dir string, split Split) (*Set, error) {
	file, err := firstFile(dir, "digits.csv.gz", "digits.csv")
	if err != nil {
		return nil, err
	}
	s, err := readFile(file, ReadDigitsCSV)
	if err != nil {
		return nil, err
	}
	train, test := s.Split(s.Len() * 4 / 5)
	if split == Test {
		train = test
	}
	train.Name = "digits " + split.String()
	return train, nil
}

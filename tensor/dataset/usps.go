package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

const uspsSide = 16

// ReadUSPSText reads the USPS digits in the text form of "The Elements of
// Statistical Learning" (zip.train, zip.test), plain or gzip: on each line a
// label in [0, 9] and 256 grey values in [-1, 1] (white ink is 1), separated
// by blanks. A grey value v becomes the pixel (v+1)/2. Blank lines are skipped.
func ReadUSPSText(r io.Reader) (*Set, error) {
	r, err := plain(r)
	if err != nil {
		return nil, fmt.Errorf("usps: %w", err)
	}
	s := &Set{Name: "USPS", H: uspsSide, W: uspsSide, C: 1, Classes: 10}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	line := 0
	for lines.Scan() {
		line++
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		if want := 1 + uspsSide*uspsSide; len(fields) != want {
			return nil, fmt.Errorf("usps: line %d has %d numbers, want %d", line, len(fields), want)
		}
		if err := affordable(int64(len(s.Labels)+1), 4*uspsSide*uspsSide, "images"); err != nil {
			return nil, fmt.Errorf("usps: line %d: found %w", line, err)
		}
		label, err := strconv.ParseFloat(fields[0], 64)
		if err != nil || !(label >= 0 && label <= 9) || label != float64(int(label)) {
			return nil, fmt.Errorf("usps: line %d has label %q, want 0 to 9", line, fields[0])
		}
		s.Labels = append(s.Labels, int(label))
		for i, field := range fields[1:] {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil || !(v >= -1 && v <= 1) {
				return nil, fmt.Errorf("usps: line %d has grey value %q at position %d, want -1 to 1", line, field, i)
			}
			s.Floats = append(s.Floats, float32((v+1)/2))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("usps: line %d: %w", line+1, err)
	}
	if len(s.Labels) == 0 {
		return nil, errors.New("usps: found no lines of digits, want at least one")
	}
	return s, nil
}

// LoadUSPS reads USPS from a folder: the text files zip.train and zip.test
// (with or without .gz), which keep all of the source's 2,001 grey levels, or
// else the IDX files usps-train-images-idx3-ubyte and so on, which keep 256.
func LoadUSPS(dir string, split Split) (*Set, error) {
	name := "USPS " + split.String()
	stem := "zip." + split.String()
	file, err := firstFile(dir, stem+".gz", stem)
	if errors.Is(err, fs.ErrNotExist) {
		s, idxErr := LoadIDX(dir, "usps-"+split.String(), name, 10)
		if errors.Is(idxErr, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w, nor the IDX form: %w", err, idxErr)
		}
		return s, idxErr
	}
	if err != nil {
		return nil, err
	}
	s, err := readFile(file, ReadUSPSText)
	if err != nil {
		return nil, err
	}
	s.Name = name
	return s, nil
}

package dataset

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// ReadMNISTM reads a row sheet of 32x32 images and its labels, an IDX file, in
// the form in which MNIST-M (Ganin et al., JMLR 17, 2016) is kept here.
func ReadMNISTM(sheet, labels io.Reader) (*Set, error) {
	s, err := ReadRowSheet(sheet, 32, 32)
	if err != nil {
		return nil, err
	}
	y, err := ReadIDX(labels)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	return s.withMNISTMLabels(y)
}

func (s *Set) withMNISTMLabels(y IDX) (*Set, error) {
	labels, err := y.Labels()
	if err != nil {
		return nil, err
	}
	s.Name = "MNIST-M"
	return s.withLabels(labels, 10)
}

// LoadMNISTM reads MNIST-M from a folder: the sheet mnistm_train*.png or
// mnistm_test*.png (any tail, such as _first10000; the first by name if there
// are several) and the labels of the same name with dashes,
// mnistm-train*-labels-idx1-ubyte(.gz).
func LoadMNISTM(dir string, split Split) (*Set, error) {
	pattern := filepath.Join(dir, "mnistm_"+split.String()+"*.png")
	sheets, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("dataset: folder %q: %w", dir, err)
	}
	if len(sheets) == 0 {
		return nil, fmt.Errorf("dataset: found no file %s: %w", pattern, fs.ErrNotExist)
	}
	sheet := slices.Min(sheets)
	stem := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(sheet), ".png"), "_", "-")
	labels, err := firstFile(dir, idxNames(stem, "labels", 1)...)
	if err != nil {
		return nil, err
	}
	s, err := readFile(sheet, func(r io.Reader) (*Set, error) { return ReadRowSheet(r, 32, 32) })
	if err != nil {
		return nil, err
	}
	y, err := readFile(labels, ReadIDX)
	if err != nil {
		return nil, err
	}
	if s, err = s.withMNISTMLabels(y); err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", sheet, err)
	}
	s.Name += " " + split.String()
	return s, nil
}

package dataset

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

const svhnSide = 32

// ReadSVHN reads a file of SVHN's cropped digits (Netzer et al., NIPS workshop
// 2011; http://ufldl.stanford.edu/housenumbers/): a MAT-file of level 5 of
// either byte order, compressed or not, with X of shape [32, 32, 3, N], bytes
// in column-major order, and y of shape [N, 1], where 10 stands for the digit
// 0.
func ReadSVHN(r io.Reader) (*Set, error) {
	s := &Set{Name: "SVHN", H: svhnSide, W: svhnSide, C: 3, Classes: 10}
	err := scanMAT(r, func(v *matVar) error {
		switch v.name {
		case "X":
			return s.readSVHNImages(v)
		case "y":
			return s.readSVHNLabels(v)
		}
		return nil
	})
	if err == nil && s.Bytes == nil {
		err = errors.New(`found no variable "X", want the images`)
	}
	if err == nil && s.Labels == nil {
		err = errors.New(`found no variable "y", want the labels`)
	}
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("svhn: %w", err)
	}
	return s, nil
}

func (s *Set) readSVHNImages(v *matVar) error {
	if s.Bytes != nil {
		return errors.New(`variable "X" occurs twice`)
	}
	dims := v.dims
	if len(dims) == 3 {
		// MATLAB drops a last extent of 1.
		dims = append(slices.Clone(dims), 1)
	}
	if len(dims) != 4 || dims[0] != svhnSide || dims[1] != svhnSide || dims[2] != 3 {
		return fmt.Errorf(`variable "X" has shape %v, want [32 32 3 N]`, v.dims)
	}
	if v.dtype != matUint8 {
		return fmt.Errorf(`variable "X" has data type %d, want %d (uint8)`, v.dtype, matUint8)
	}
	s.Bytes = []byte{}
	raw := make([]byte, svhnSide*svhnSide*3)
	pixel := make([]byte, len(raw))
	for i := range dims[3] {
		if n, err := io.ReadFull(v.data, raw); err != nil {
			return fmt.Errorf(`variable "X": image %d has %d bytes, want %d: %w`, i, n, len(raw), noEOF(err))
		}
		at := 0
		for row := range svhnSide {
			for col := range svhnSide {
				for c := range 3 {
					pixel[at] = raw[row+svhnSide*(col+svhnSide*c)]
					at++
				}
			}
		}
		s.Bytes = append(s.Bytes, pixel...)
	}
	return nil
}

func (s *Set) readSVHNLabels(v *matVar) error {
	if s.Labels != nil {
		return errors.New(`variable "y" occurs twice`)
	}
	if len(v.dims) != 2 || min(v.dims[0], v.dims[1]) > 1 {
		return fmt.Errorf(`variable "y" has shape %v, want [N 1]`, v.dims)
	}
	labels, err := v.ints()
	if err != nil {
		return err
	}
	for i, y := range labels {
		if y < 1 || y > 10 {
			return fmt.Errorf(`variable "y": label %d is %d, want 1 to 10`, i, y)
		}
		labels[i] = y % 10
	}
	s.Labels = labels
	return nil
}

// LoadSVHN reads train_32x32.mat or test_32x32.mat from a folder.
func LoadSVHN(dir string, split Split) (*Set, error) {
	file, err := firstFile(dir, split.String()+"_32x32.mat")
	if err != nil {
		return nil, err
	}
	s, err := readFile(file, ReadSVHN)
	if err != nil {
		return nil, err
	}
	s.Name += " " + split.String()
	return s, nil
}

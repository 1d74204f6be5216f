package dataset

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// fuzzSet checks that a reader ends in an error or in a valid set.
func fuzzSet(f *testing.F, read func(b []byte) (*Set, error), seeds ...[]byte) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := read(b)
		if err != nil {
			return
		}
		if err := s.Check(); err != nil {
			t.Fatalf("reader passed an invalid set: %v", err)
		}
	})
}

func FuzzReadIDX(f *testing.F) {
	for _, seed := range [][]byte{idxFile([]byte("abcdef"), 1, 2, 3), idxFile([]byte{1}, 1), zipped(idxFile([]byte("ab"), 2)), idxFile(nil)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ReadIDX(bytes.NewReader(b))
		if err != nil {
			return
		}
		n := 1
		for _, d := range x.Dims {
			n *= d
		}
		if n != len(x.Data) {
			t.Fatalf("%d bytes for shape %v", len(x.Data), x.Dims)
		}
		if s, err := x.Set("fuzz", IDX{Dims: []int{1}, Data: []byte{1}}, 2); err == nil && s.Len() != 1 {
			t.Fatalf("%d images for one label", s.Len())
		}
	})
}

func FuzzReadCIFARBinary(f *testing.F) {
	fuzzSet(f, func(b []byte) (*Set, error) { return ReadCIFARBinary(bytes.NewReader(b)) },
		cifarFile(1), zipped(cifarFile(0, 9)), cifarFile(3)[:100])
}

func FuzzReadRowSheet(f *testing.F) {
	fuzzSet(f, func(b []byte) (*Set, error) { return readSheet4(bytes.NewReader(b)) },
		sheetFile(3, 2, 2), sheetFile(1, 2, 2), tall(sheetFile(3, 2, 2), 5000))
}

func FuzzReadJSONLabels(f *testing.F) {
	f.Add([]byte("[1, 2,3]"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		labels, err := ReadJSONLabels(bytes.NewReader(b), 10)
		if err != nil {
			return
		}
		for _, y := range labels {
			if y < 0 || y > 9 {
				t.Fatalf("reader passed label %d", y)
			}
		}
	})
}

func FuzzReadMAT(f *testing.F) {
	fuzzSet(f, func(b []byte) (*Set, error) { return ReadSVHN(bytes.NewReader(b)) },
		svhnFile(binary.LittleEndian, true, 1, 10), svhnFile(binary.BigEndian, true, 3), svhnFile(binary.LittleEndian, false, 1),
		newMAT(binary.BigEndian, false).array("y", 6, matUint8, []byte{1, 2}, 2, 1).b,
		svhnFile(binary.LittleEndian, false), svhnFile(binary.BigEndian, false), svhnFile(binary.LittleEndian, true))
}

func FuzzReadUSPSText(f *testing.F) {
	fuzzSet(f, func(b []byte) (*Set, error) { return ReadUSPSText(bytes.NewReader(b)) }, uspsFile(1), zipped(uspsFile(2)))
}

func FuzzReadDigitsCSV(f *testing.F) {
	fuzzSet(f, func(b []byte) (*Set, error) { return ReadDigitsCSV(bytes.NewReader(b)) }, digitsFile(2), zipped(digitsFile(1)))
}

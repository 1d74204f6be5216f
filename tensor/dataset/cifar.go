package dataset

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	cifarSide   = 32
	cifarPixels = cifarSide * cifarSide
	cifarRecord = 1 + 3*cifarPixels
	// cifarBatch is the number of images in each file of the published set.
	cifarBatch   = 10000
	cifarBatches = 5
)

// CIFAR10Classes names the classes of CIFAR-10, by label.
var CIFAR10Classes = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// ReadCIFARBinary reads a file of CIFAR-10's binary version
// (https://www.cs.toronto.edu/~kriz/cifar.html), plain or gzip: records of
// 3,073 bytes, each a label in [0, 9] and the red, green and blue planes of a
// 32x32 image. Any number of records above 0 is accepted.
func ReadCIFARBinary(r io.Reader) (*Set, error) { return readCIFAR(r, 0) }

// readCIFAR is ReadCIFARBinary of a part of a file that has given others already.
func readCIFAR(r io.Reader, before int) (*Set, error) {
	r, err := plain(r)
	if err != nil {
		return nil, fmt.Errorf("cifar: %w", err)
	}
	s := newCIFAR()
	record := make([]byte, cifarRecord)
	for {
		n, err := io.ReadFull(r, record)
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("cifar: record %d has %d bytes, want %d: %w", len(s.Labels), n, cifarRecord, err)
		}
		if err != nil {
			return nil, fmt.Errorf("cifar: record %d: %w", len(s.Labels), err)
		}
		if err := affordable(int64(before+len(s.Labels)+1), 3*cifarPixels, "records"); err != nil {
			return nil, fmt.Errorf("cifar: found %w", err)
		}
		if record[0] > 9 {
			return nil, fmt.Errorf("cifar: record %d has label %d, want 0 to 9", len(s.Labels), record[0])
		}
		s.Labels = append(s.Labels, int(record[0]))
		s.Bytes = appendPlanes(s.Bytes, record[1:], cifarPixels)
	}
	if len(s.Labels) == 0 {
		return nil, fmt.Errorf("cifar: found no records, want at least one of %d bytes", cifarRecord)
	}
	return s, nil
}

func newCIFAR() *Set {
	return &Set{Name: "CIFAR-10", H: cifarSide, W: cifarSide, C: 3, Classes: 10, ClassNames: CIFAR10Classes}
}

// appendPlanes appends an image given as three planes, one for each channel, in
// channels-last order.
func appendPlanes(dst, planes []byte, size int) []byte {
	red, green, blue := planes[:size], planes[size:2*size], planes[2*size:3*size]
	for i, v := range red {
		dst = append(dst, v, green[i], blue[i])
	}
	return dst
}

// LoadCIFAR10 reads CIFAR-10 from a folder, in the first of these forms that it
// finds there: the binary files data_batch_1.bin to data_batch_5.bin and
// test_batch.bin (each with or without .gz, in the folder or in its sub-folder
// cifar-10-batches-bin), the archive cifar-10-binary.tar.gz that holds them, or
// row sheets (see LoadCIFARRowSheets). A folder with some of the five training
// files gives the images of those.
func LoadCIFAR10(dir string, split Split) (*Set, error) {
	for _, sub := range []string{dir, filepath.Join(dir, "cifar-10-batches-bin")} {
		if s, err := loadCIFARBinary(sub, split); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	archive := filepath.Join(dir, "cifar-10-binary.tar.gz")
	if _, err := os.Stat(archive); err == nil {
		return readFile(archive, func(r io.Reader) (*Set, error) { return ReadCIFARArchive(r, split) })
	}
	s, err := LoadCIFARRowSheets(dir, split)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("dataset: folder of the data set: %w", err)
		}
		return nil, fmt.Errorf("dataset: %s: found neither %s nor cifar-10-binary.tar.gz nor row sheets (%w)",
			dir, strings.Join(cifarFiles(split), ", "), err)
	}
	return s, err
}

func cifarFiles(split Split) []string {
	if split == Test {
		return []string{"test_batch.bin"}
	}
	names := make([]string, cifarBatches)
	for i := range names {
		names[i] = fmt.Sprintf("data_batch_%d.bin", i+1)
	}
	return names
}

func loadCIFARBinary(dir string, split Split) (*Set, error) {
	var parts []*Set
	for _, name := range cifarFiles(split) {
		file, err := firstFile(dir, name, name+".gz")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		part, err := readFile(file, ReadCIFARBinary)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return joinCIFAR(parts, split)
}

// ReadCIFARArchive reads the binary files of one split out of the published
// archive cifar-10-binary.tar.gz. MaxBytes holds for all of them together; of two
// of one name the last counts.
func ReadCIFARArchive(r io.Reader, split Split) (*Set, error) {
	r, err := plain(r)
	if err != nil {
		return nil, fmt.Errorf("cifar: %w", err)
	}
	names := cifarFiles(split)
	parts := make([]*Set, len(names))
	for archive := tar.NewReader(r); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cifar: archive: %w", err)
		}
		for i, name := range names {
			if path.Base(entry.Name) != name {
				continue
			}
			parts[i] = nil
			before := 0
			for _, part := range parts {
				if part != nil {
					before += part.Len()
				}
			}
			if parts[i], err = readCIFAR(archive, before); err != nil {
				return nil, fmt.Errorf("%s: %w", entry.Name, err)
			}
		}
	}
	for i, part := range parts {
		if part == nil {
			return nil, fmt.Errorf("cifar: archive has no %s, want %s", names[i], strings.Join(names, ", "))
		}
	}
	return joinCIFAR(parts, split)
}

func joinCIFAR(parts []*Set, split Split) (*Set, error) {
	if len(parts) == 0 {
		return nil, fs.ErrNotExist
	}
	s := parts[0]
	if len(parts) > 1 {
		s = s.Concat(parts[1:]...)
	}
	s.Name = "CIFAR-10 " + split.String()
	return s, nil
}

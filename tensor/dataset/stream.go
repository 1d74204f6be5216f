package dataset

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// MaxBytes is the most memory, in bytes, that the images or the labels of one file
// may take: 2 GiB, or what the platform can address. A file that announces more is
// refused before it is decompressed; one whose format announces nothing, as soon as
// it has given more.
const MaxBytes = min(2<<30, math.MaxInt)

// maxBytes is MaxBytes, except in tests.
var maxBytes int64 = MaxBytes

// affordable returns an error if n elements of size bytes are more than a file may
// have.
func affordable(n, size int64, what string) error {
	if n > maxBytes/size {
		return fmt.Errorf("%d %s, want at most %d (%d bytes)", n, what, maxBytes/size, maxBytes)
	}
	return nil
}

// readBlock is the most memory that a reader sets aside for bytes that it has
// not seen yet.
const readBlock = 1 << 20

// readExactly reads n bytes. The buffer grows with the bytes that arrive, so a
// false n costs no memory.
func readExactly(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, readBlock))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		k, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return buf, fmt.Errorf("found %d bytes, want %d: %w", len(buf), n, io.ErrUnexpectedEOF)
			}
			return buf, err
		}
	}
	return buf, nil
}

// expectEnd reports bytes after the end of the data. Reading to the end also
// makes a decompressor check its checksum.
func expectEnd(r io.Reader) error {
	var b [1]byte
	switch _, err := io.ReadFull(r, b[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("found more bytes after the data, want the end of the file")
}

// plain returns a reader of r's content: decompressed if r begins with the
// mark of gzip, r itself otherwise.
func plain(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	mark, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(mark) < 2 || mark[0] != 0x1f || mark[1] != 0x8b {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, 64<<10), nil
}

// firstFile returns the first of the named files that exists in dir.
func firstFile(dir string, names ...string) (string, error) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			return path, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("dataset: %w", err)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("dataset: folder of the data set: %w", err)
	}
	return "", fmt.Errorf("dataset: %s: found none of %q: %w", dir, names, fs.ErrNotExist)
}

// readFile opens a file for read and puts the package and the path in front of its
// error.
func readFile[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, fmt.Errorf("dataset: %w", err)
	}
	defer f.Close()
	v, err := read(f)
	if err != nil {
		return v, fmt.Errorf("dataset: %s: %w", path, err)
	}
	return v, nil
}

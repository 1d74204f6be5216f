package dataset

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DownloadOptions says what Download fetches and where it puts it.
type DownloadOptions struct {
	// Dir is the data folder; the files go to the data set's sub-folder, so
	// that Load(Dir, Name, ...) finds them. Both folders are made if need be.
	Dir string
	// Name is the data set, one of Load's names.
	Name string
	// Files are the files to fetch; nil means Originals(Name).
	Files []Remote
	// Client makes the requests; nil means http.DefaultClient.
	Client *http.Client
	// MaxBytes is the largest size that a file may have; 0 means 4 GiB.
	MaxBytes int64
	// StallTimeout is how long a server may send nothing before the transfer
	// is given up; 0 means one minute.
	StallTimeout time.Duration
	// OnProgress, if not nil, is called while a file arrives with its name, the
	// bytes that are there and its size (-1 if the server does not say).
	OnProgress func(file string, done, size int64)
}

// Download fetches the files of a data set that are not yet in the data folder.
//
// Each file arrives under its name with .part added and takes its own name,
// atomically, once its size and checksums are right; a file with a wrong
// checksum is removed. An interrupted transfer keeps its .part, and the next
// call continues it if a checksum can prove the result (else it starts again).
// A file that is there with the right checksums, or that has none to compare,
// is left alone.
//
// Download returns the context's error, wrapped, when it is cancelled; an error
// with the status when a server does not have the file; an error that names
// file, found and wanted on a wrong checksum or size. Files that came before
// the error stay.
func Download(ctx context.Context, opt DownloadOptions) error {
	src, err := findSource(opt.Name)
	if err != nil {
		return err
	}
	if opt.Dir == "" {
		return errors.New("dataset: download: Dir is empty, want the data folder")
	}
	if opt.MaxBytes < 0 || opt.StallTimeout < 0 {
		return fmt.Errorf("dataset: download: MaxBytes is %d and StallTimeout %v, want 0 or more", opt.MaxBytes, opt.StallTimeout)
	}
	if opt.Files == nil {
		if opt.Files = Originals(opt.Name); opt.Files == nil {
			return fmt.Errorf("dataset: download: no public original of %s is known", src.name)
		}
	}
	if opt.Client == nil {
		opt.Client = http.DefaultClient
	}
	if opt.MaxBytes == 0 {
		opt.MaxBytes = 4 << 30
	}
	if opt.StallTimeout == 0 {
		opt.StallTimeout = time.Minute
	}
	for _, file := range opt.Files {
		if err := file.check(); err != nil {
			return fmt.Errorf("dataset: download: %w", err)
		}
	}
	dir := filepath.Join(opt.Dir, src.folder)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("dataset: download: %w", err)
	}
	for _, file := range opt.Files {
		if err := opt.get(ctx, file, filepath.Join(dir, file.Name)); err != nil {
			return fmt.Errorf("dataset: download: %s: %w", file.Name, err)
		}
	}
	return nil
}

func (f Remote) hasChecksum() bool { return f.SHA256 != "" || f.MD5 != "" }

func (f Remote) check() error {
	if f.Name == "" || f.Name != filepath.Base(f.Name) || strings.HasPrefix(f.Name, ".") {
		return fmt.Errorf("file name is %q, want a plain name", f.Name)
	}
	if len(f.URLs) == 0 {
		return fmt.Errorf("%s: no URL, want at least one", f.Name)
	}
	for _, text := range f.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("%s: URL is %q, want https or http", f.Name, text)
		}
		if u.Scheme == "http" && !f.hasChecksum() {
			return fmt.Errorf("%s: URL is %q, want https for a file without a checksum", f.Name, text)
		}
	}
	for _, sum := range []struct {
		name, hex string
		size      int
	}{{"SHA256", f.SHA256, sha256.Size}, {"MD5", f.MD5, md5.Size}} {
		if raw, err := hex.DecodeString(sum.hex); err != nil || sum.hex != "" && len(raw) != sum.size {
			return fmt.Errorf("%s: %s is %q, want %d hexadecimal digits", f.Name, sum.name, sum.hex, 2*sum.size)
		}
	}
	return nil
}

// wrongContentError says that what arrived is not the file that was wanted.
type wrongContentError struct{ what, found, want string }

func (e *wrongContentError) Error() string {
	return fmt.Sprintf("%s is %s, want %s", e.what, e.found, e.want)
}

// verify compares the size and the checksums of the file at path.
func (f Remote) verify(path string) error {
	content, err := os.Open(path)
	if err != nil {
		return err
	}
	defer content.Close()
	sha, md := sha256.New(), md5.New()
	n, err := io.Copy(io.MultiWriter(sha, md), content)
	if err != nil {
		return err
	}
	if f.Bytes > 0 && n != f.Bytes {
		return &wrongContentError{"size", fmt.Sprint(n), fmt.Sprint(f.Bytes)}
	}
	if sum := hex.EncodeToString(sha.Sum(nil)); f.SHA256 != "" && !strings.EqualFold(sum, f.SHA256) {
		return &wrongContentError{"SHA-256", sum, f.SHA256}
	}
	if sum := hex.EncodeToString(md.Sum(nil)); f.MD5 != "" && !strings.EqualFold(sum, f.MD5) {
		return &wrongContentError{"MD5", sum, f.MD5}
	}
	return nil
}

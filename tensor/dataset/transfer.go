package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// get fetches one file from the first of its URLs that has it.
func (opt *DownloadOptions) get(ctx context.Context, file Remote, path string) error {
	var wrong *wrongContentError
	err := file.verify(path)
	if err == nil {
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) && !errors.As(err, &wrong) {
		return err
	}
	part := path + ".part"
	var failures error
	for _, from := range file.URLs {
		resumed, err := opt.transfer(ctx, file, from, part)
		if resumed && errors.As(err, &wrong) {
			// The beginning may have come from another version of the file.
			_, err = opt.transfer(ctx, file, from, part)
		}
		if err == nil {
			if err := os.Rename(part, path); err != nil {
				return err
			}
			return syncFolder(filepath.Dir(path))
		}
		failures = errors.Join(failures, fmt.Errorf("%s: %w", from, err))
		if ctx.Err() != nil {
			break
		}
	}
	return failures
}

// transfer fetches one file from one place into part and verifies it. Content
// that is wrong is removed, content that is incomplete stays. The first result
// says whether the transfer built upon what was in part before.
func (opt *DownloadOptions) transfer(ctx context.Context, file Remote, from, part string) (resumed bool, err error) {
	var done int64
	if info, err := os.Stat(part); err == nil && file.hasChecksum() {
		done = info.Size()
	}
	if file.Bytes == 0 || done != file.Bytes {
		if done, err = opt.receive(ctx, file, from, part, done); err != nil {
			return done > 0, discard(part, err)
		}
	}
	return done > 0, discard(part, file.verify(part))
}

// discard removes part if err says that its content is wrong.
func discard(part string, err error) error {
	var wrong *wrongContentError
	if errors.As(err, &wrong) {
		if gone := os.Remove(part); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			return errors.Join(err, gone)
		}
	}
	return err
}

var errStalled = errors.New("server sent nothing for too long")

// receive appends to part, which has done bytes of the file, what is missing.
// It returns how many of these bytes it kept: 0 if the server sent the whole
// file anew.
func (opt *DownloadOptions) receive(ctx context.Context, file Remote, from, part string, done int64) (kept int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(opt.StallTimeout, func() { cancel(fmt.Errorf("%w (%v)", errStalled, opt.StallTimeout)) })
	defer watchdog.Stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return done, err
	}
	// Otherwise the client would unpack a .gz that is sent as an encoding.
	request.Header.Set("Accept-Encoding", "identity")
	if done > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", done))
	}
	response, err := opt.client(file).Do(request)
	if err != nil {
		return done, err
	}
	defer response.Body.Close()

	contentRange := response.Header.Get("Content-Range")
	flags := os.O_WRONLY | os.O_CREATE
	switch {
	case response.StatusCode == http.StatusOK:
		done = 0
		flags |= os.O_TRUNC
	case response.StatusCode == http.StatusPartialContent && done > 0:
		if want := fmt.Sprintf("bytes %d-", done); !strings.HasPrefix(contentRange, want) {
			return done, &wrongContentError{"Content-Range", fmt.Sprintf("%q", contentRange), fmt.Sprintf("%q...", want)}
		}
		flags |= os.O_APPEND
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable && done > 0:
		if want := fmt.Sprintf("bytes */%d", done); contentRange != want {
			return done, &wrongContentError{"size of the partial file", fmt.Sprint(done), fmt.Sprintf("one inside %q", contentRange)}
		}
		return done, nil
	default:
		return done, fmt.Errorf("status is %s, want 200 OK", response.Status)
	}

	size := int64(-1)
	if response.ContentLength >= 0 {
		size = done + response.ContentLength
	}
	if size > opt.MaxBytes {
		return done, &wrongContentError{"size", fmt.Sprint(size), fmt.Sprintf("at most MaxBytes = %d", opt.MaxBytes)}
	}
	if file.Bytes > 0 && size >= 0 && size != file.Bytes {
		return done, &wrongContentError{"size", fmt.Sprint(size), fmt.Sprint(file.Bytes)}
	}
	out, err := os.OpenFile(part, flags, 0o666)
	if err != nil {
		return done, err
	}
	err = opt.copyBody(out, response.Body, file, done, size, func() { watchdog.Reset(opt.StallTimeout) })
	if err == nil {
		err = out.Sync()
	}
	return done, errors.Join(err, out.Close())
}

// client is the options' client, which for a file without a checksum follows
// no redirection away from https.
func (opt *DownloadOptions) client(file Remote) *http.Client {
	if file.hasChecksum() {
		return opt.Client
	}
	secure := *opt.Client
	follow := secure.CheckRedirect
	secure.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		if request.URL.Scheme != "https" {
			return fmt.Errorf("redirected to %s, want https for a file without a checksum", request.URL)
		}
		if follow != nil {
			return follow(request, via)
		}
		if len(via) >= 10 {
			return errors.New("redirected 10 times")
		}
		return nil
	}
	return &secure
}

// copyBody writes what body sends to out, which has done bytes of the file;
// size is the whole file's size or -1. It calls alive at each piece.
func (opt *DownloadOptions) copyBody(out io.Writer, body io.Reader, file Remote, done, size int64, alive func()) error {
	limit, name := opt.MaxBytes, "at most MaxBytes = %d"
	if file.Bytes > 0 && file.Bytes < limit {
		limit, name = file.Bytes, "%d"
	}
	piece := make([]byte, 64<<10)
	for {
		n, err := body.Read(piece)
		if n > 0 {
			alive()
			if done += int64(n); done > limit {
				return &wrongContentError{"size", fmt.Sprintf("%d or more", done), fmt.Sprintf(name, limit)}
			}
			if _, err := out.Write(piece[:n]); err != nil {
				return err
			}
			if opt.OnProgress != nil {
				opt.OnProgress(file.Name, done, size)
			}
		}
		if errors.Is(err, io.EOF) && (size < 0 || done == size) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("transfer ended after %d bytes, want %d (what came is kept for the next call): %w", done, size, noEOF(err))
		}
	}
}

// syncFolder makes a rename in a folder last through a crash where the system
// can do that.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some systems cannot sync a folder; the rename is done all the same.
	_ = f.Sync()
	return f.Close()
}

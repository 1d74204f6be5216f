package dataset

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// content is a file large enough to arrive in several pieces.
var content = bytes.Repeat([]byte("all work and no play "), 20000)

func sums(b []byte) (sha, md string) {
	s, m := sha256.Sum256(b), md5.Sum(b)
	return hex.EncodeToString(s[:]), hex.EncodeToString(m[:])
}

// recorder is a file server that keeps the Range headers it saw.
type recorder struct {
	mu     sync.Mutex
	ranges []string
	serve  http.HandlerFunc
}

func (s *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	s.mu.Unlock()
	s.serve(w, r)
}

func serveContent(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "f", time.Time{}, bytes.NewReader(content))
}

func serve(t *testing.T, handler http.HandlerFunc) (url string, s *recorder) {
	s = &recorder{serve: handler}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL, s
}

func remote(urls ...string) Remote {
	sha, md := sums(content)
	return Remote{Name: "f.bin", URLs: urls, SHA256: sha, MD5: md}
}

func fetch(ctx context.Context, dir string, file Remote, change ...func(*DownloadOptions)) error {
	opt := DownloadOptions{Dir: dir, Name: "mnist", Files: []Remote{file}}
	for _, c := range change {
		c(&opt)
	}
	return Download(ctx, opt)
}

// folder lists the names in dir's sub-folder for MNIST.
func folder(t *testing.T, dir string) []string {
	list, err := os.ReadDir(filepath.Join(dir, "mnist"))
	require.NoError(t, err)
	names := []string{}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func requireArrived(t *testing.T, dir string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, "mnist", "f.bin"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	require.Equal(t, []string{"f.bin"}, folder(t, dir))
}

func writePart(t *testing.T, dir string, b []byte) {
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "mnist"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mnist", "f.bin.part"), b, 0o666))
}

func TestDownloadArrivesOnceWithProgress(t *testing.T) {
	dir := t.TempDir()
	url, s := serve(t, serveContent)
	var last, size int64
	progress := func(o *DownloadOptions) {
		o.OnProgress = func(file string, done, total int64) {
			assert.Equal(t, "f.bin", file)
			assert.Greater(t, done, last)
			last, size = done, total
		}
	}
	require.NoError(t, fetch(t.Context(), dir, remote(url), progress))
	requireArrived(t, dir)
	assert.Equal(t, int64(len(content)), last)
	assert.Equal(t, int64(len(content)), size)
	require.NoError(t, fetch(t.Context(), dir, remote(url)))
	assert.Len(t, s.ranges, 1, "a file that is there is not fetched again")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "mnist", "f.bin"), []byte("damaged"), 0o666))
	require.NoError(t, fetch(t.Context(), dir, remote(url)))
	requireArrived(t, dir)
}

func TestDownloadedMNISTLoads(t *testing.T) {
	files := map[string][]byte{
		"train-images-idx3-ubyte": idxFile([]byte("abcd"), 2, 1, 2), "train-labels-idx1-ubyte": idxFile([]byte{3, 4}, 2),
	}
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(files[strings.TrimPrefix(r.URL.Path, "/")]) })
	dir := t.TempDir()
	var list []Remote
	for name, b := range files {
		sha, _ := sums(b)
		list = append(list, Remote{Name: name, URLs: []string{url + "/" + name}, SHA256: sha})
	}
	require.NoError(t, Download(t.Context(), DownloadOptions{Dir: dir, Name: "MNIST", Files: list}))
	s, err := Load(dir, "mnist", Train)
	require.NoError(t, err)
	assert.Equal(t, []int{3, 4}, s.Labels)
}

func TestTruncatedTransferIsKeptAndResumed(t *testing.T) {
	dir := t.TempDir()
	cut := true
	url, s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if cut {
			cut = false
			w.Header().Set("Content-Length", "420000")
			w.Write(content[:100000])
			return
		}
		serveContent(w, r)
	})
	err := fetch(t.Context(), dir, remote(url))
	require.ErrorContains(t, err, "transfer ended after 100000 bytes, want 420000")
	assert.Equal(t, []string{"f.bin.part"}, folder(t, dir))
	require.NoError(t, fetch(t.Context(), dir, remote(url)))
	requireArrived(t, dir)
	assert.Equal(t, []string{"", "bytes=100000-"}, s.ranges)
}

func TestServerThatIgnoresRange(t *testing.T) {
	dir := t.TempDir()
	writePart(t, dir, content[:1000])
	url, s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(content) })
	require.NoError(t, fetch(t.Context(), dir, remote(url)))
	requireArrived(t, dir)
	assert.Equal(t, []string{"bytes=1000-"}, s.ranges)
}

func TestServerThatAnswersAnotherRange(t *testing.T) {
	dir := t.TempDir()
	writePart(t, dir, content[:1000])
	url, s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.Header().Set("Content-Range", "bytes 0-419999/420000")
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(content)
	})
	require.NoError(t, fetch(t.Context(), dir, remote(url)))
	requireArrived(t, dir)
	assert.Equal(t, []string{"bytes=1000-", ""}, s.ranges)
}

func TestPartOfAnotherFileIsFetchedAnew(t *testing.T) {
	dir := t.TempDir()
	for _, part := range [][]byte{[]byte("not the beginning"), bytes.Repeat([]byte("x"), len(content)+5), bytes.Repeat([]byte("x"), len(content))} {
		writePart(t, dir, part)
		url, _ := serve(t, serveContent)
		require.NoError(t, fetch(t.Context(), dir, remote(url)))
		requireArrived(t, dir)
		require.NoError(t, os.Remove(filepath.Join(dir, "mnist", "f.bin")))
	}
}

func TestCompletePartNeedsNoTransfer(t *testing.T) {
	dir := t.TempDir()
	writePart(t, dir, content)
	url, s := serve(t, serveContent)
	file := remote(url)
	file.Bytes = int64(len(content))
	require.NoError(t, fetch(t.Context(), dir, file))
	requireArrived(t, dir)
	assert.Empty(t, s.ranges)

	dir = t.TempDir()
	writePart(t, dir, content)
	require.NoError(t, fetch(t.Context(), dir, remote(url)))
	requireArrived(t, dir)
	assert.Equal(t, []string{"bytes=420000-"}, s.ranges, "unknown size: the server is asked")
}

func TestWrongChecksumLeavesNothing(t *testing.T) {
	url, _ := serve(t, serveContent)
	for want, change := range map[string]func(*Remote){
		"SHA-256 is ":                 func(f *Remote) { f.SHA256 = strings.Repeat("0", 64) },
		"MD5 is ":                     func(f *Remote) { f.MD5 = strings.Repeat("0", 32) },
		"size is 420000, want 419999": func(f *Remote) { f.Bytes = 419999 },
		"size is 420000, want 420001": func(f *Remote) { f.Bytes = 420001 },
	} {
		dir := t.TempDir()
		file := remote(url)
		change(&file)
		err := fetch(t.Context(), dir, file)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "dataset: download: f.bin: ")
		assert.Empty(t, folder(t, dir))
	}
}

func TestWrongDownloadKeepsTheFileThatIsThere(t *testing.T) {
	dir := t.TempDir()
	url, _ := serve(t, serveContent)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "mnist"), 0o777))
	path := filepath.Join(dir, "mnist", "f.bin")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o666))
	file := remote(url)
	file.SHA256 = strings.Repeat("0", 64)
	require.Error(t, fetch(t.Context(), dir, file))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(got))
}

func TestMissingFileGoesOnToTheNextPlace(t *testing.T) {
	missing, _ := serve(t, http.NotFound)
	url, _ := serve(t, serveContent)
	dir := t.TempDir()
	err := fetch(t.Context(), dir, remote(missing))
	require.ErrorContains(t, err, "status is 404 Not Found, want 200 OK")
	assert.Empty(t, folder(t, dir))
	require.NoError(t, fetch(t.Context(), dir, remote(missing, url)))
	requireArrived(t, dir)
}

func TestSizeLimit(t *testing.T) {
	limit := func(o *DownloadOptions) { o.MaxBytes = 1000 }
	announced, _ := serve(t, serveContent)
	silent, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(content[:500])
		w.(http.Flusher).Flush()
		w.Write(content[500:])
	})
	for _, url := range []string{announced, silent} {
		dir := t.TempDir()
		require.ErrorContains(t, fetch(t.Context(), dir, remote(url), limit), "want at most MaxBytes = 1000")
		assert.Empty(t, folder(t, dir))
	}
	dir := t.TempDir()
	require.NoError(t, fetch(t.Context(), dir, remote(silent)), "a server need not announce the size")
	requireArrived(t, dir)
}

// stalling sends some bytes and then nothing until the client goes away.
func stalling(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "420000")
	w.Write(content[:5000])
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func TestCancelledTransferCanBeResumed(t *testing.T) {
	dir := t.TempDir()
	slow, _ := serve(t, stalling)
	ctx, cancel := context.WithCancel(t.Context())
	onAll := func(o *DownloadOptions) {
		o.OnProgress = func(_ string, done, _ int64) {
			if done == 5000 {
				cancel()
			}
		}
	}
	require.ErrorIs(t, fetch(ctx, dir, remote(slow, slow), onAll), context.Canceled)
	assert.Equal(t, []string{"f.bin.part"}, folder(t, dir))
	url, s := serve(t, serveContent)
	require.NoError(t, fetch(t.Context(), dir, remote(url)))
	requireArrived(t, dir)
	assert.Equal(t, []string{"bytes=5000-"}, s.ranges)
}

func TestStalledServerIsGivenUp(t *testing.T) {
	slow, _ := serve(t, stalling)
	short := func(o *DownloadOptions) { o.StallTimeout = 50 * time.Millisecond }
	require.ErrorIs(t, fetch(t.Context(), t.TempDir(), remote(slow), short), errStalled)
}

func TestContentEncodingIsNotUnpacked(t *testing.T) {
	packed := zipped(content)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed)
	})
	sha, _ := sums(packed)
	require.NoError(t, fetch(t.Context(), t.TempDir(), Remote{Name: "f.gz", URLs: []string{url}, SHA256: sha}))
}

func TestFileWithoutChecksumNeedsHTTPS(t *testing.T) {
	plainURL, _ := serve(t, serveContent)
	target := ""
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if target != "" {
			http.Redirect(w, r, target, http.StatusFound)
			return
		}
		serveContent(w, r)
	}))
	defer secure.Close()
	withClient := func(o *DownloadOptions) { o.Client = secure.Client() }
	unsigned := Remote{Name: "f.bin", URLs: []string{secure.URL}}

	dir := t.TempDir()
	writePart(t, dir, []byte("cannot be proved"))
	require.NoError(t, fetch(t.Context(), dir, unsigned, withClient))
	requireArrived(t, dir)

	target = plainURL
	require.ErrorContains(t, fetch(t.Context(), t.TempDir(), unsigned, withClient), "want https for a file without a checksum")
	require.NoError(t, fetch(t.Context(), t.TempDir(), remote(secure.URL), withClient), "a checksum proves what http brings")
}

func TestBadDownloadOptionsAreErrors(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o666))
	good := remote("https://example.invalid/f")
	with := func(change func(*Remote)) []Remote {
		f := good
		change(&f)
		return []Remote{f}
	}
	for want, opt := range map[string]DownloadOptions{
		"data set is \"nothing\"":         {Dir: dir, Name: "nothing"},
		"Dir is empty":                    {Name: "mnist"},
		"MaxBytes is -1":                  {Dir: dir, Name: "mnist", MaxBytes: -1},
		"no public original of digits is": {Dir: dir, Name: "digits"},
		`file name is "../f"`:             {Dir: dir, Name: "mnist", Files: with(func(f *Remote) { f.Name = "../f" })},
		`file name is ".."`:               {Dir: dir, Name: "mnist", Files: with(func(f *Remote) { f.Name = ".." })},
		"no URL":                          {Dir: dir, Name: "mnist", Files: with(func(f *Remote) { f.URLs = nil })},
		"want https or http":              {Dir: dir, Name: "mnist", Files: with(func(f *Remote) { f.URLs = []string{"ftp://x/f"} })},
		"want https for a file":           {Dir: dir, Name: "mnist", Files: []Remote{{Name: "f", URLs: []string{"http://x/f"}}}},
		"MD5 is \"12\", want 32":          {Dir: dir, Name: "mnist", Files: with(func(f *Remote) { f.MD5 = "12" })},
		"SHA256 is \"zz\", want 64":       {Dir: dir, Name: "mnist", Files: with(func(f *Remote) { f.SHA256 = "zz" })},
		"not a directory":                 {Dir: blocked, Name: "mnist", Files: []Remote{good}},
	} {
		err := Download(t.Context(), opt)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "dataset: ")
	}
}

func TestOriginalsAreWellFormed(t *testing.T) {
	for _, name := range []string{"mnist", "fashion-mnist", "cifar10", "svhn", "usps"} {
		files := Originals(name)
		require.NotEmpty(t, files, name)
		for _, f := range files {
			require.NoError(t, f.check())
		}
		files[0].URLs[0] = "changed"
		assert.NotEqual(t, "changed", Originals(name)[0].URLs[0], "the table is a copy")
	}
	assert.Nil(t, Originals("digits"))
	assert.Nil(t, Originals("nothing"))
}

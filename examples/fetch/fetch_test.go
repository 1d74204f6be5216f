package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// content is a file that takes a server several pieces.
var content = bytes.Repeat([]byte("all work and no play "), 20000)

// published offers one file for two data sets, at a server.
func published(url string) func(name string) []dataset.Remote {
	sum := sha256.Sum256(content)
	return func(name string) []dataset.Remote {
		if name != "mnist" && name != "fashion" {
			return nil
		}
		return []dataset.Remote{{Name: "f.bin", URLs: []string{url + "/f.bin"}, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}}
	}
}

func execute(ctx context.Context, url string, terminal bool, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	c := command{stdout: &out, stderr: &errs, terminal: terminal, originals: published(url)}
	code = c.execute(ctx, args)
	return code, out.String(), errs.String()
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func serveContent(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "f.bin", time.Time{}, bytes.NewReader(content))
}

func TestFilesArriveWhereTheExamplesLook(t *testing.T) {
	requests := 0
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		serveContent(w, r)
	})
	for _, terminal := range []bool{false, true} {
		dir := t.TempDir()
		requests = 0
		for range 2 {
			code, out, errs := execute(t.Context(), url, terminal, "MNIST", "-out", dir, "fashion-mnist")
			require.Zero(t, code, errs)
			require.Equal(t, dir+" has mnist, fashion: name it with -data\n", out)
			require.Equal(t, 2, requests, "what is there is left alone")
		}
		for _, folder := range []string{"mnist", "fashion-mnist"} {
			got, err := os.ReadFile(filepath.Join(dir, folder, "f.bin"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got))
		}
	}
}

func TestProgressWithoutATerminalIsALineForEachFile(t *testing.T) {
	code, _, errs := execute(t.Context(), serve(t, serveContent), false, "-out", t.TempDir(), "mnist", "fashion")
	require.Zero(t, code, errs)
	require.Equal(t, "mnist/f.bin, 420 kB\nfashion/f.bin, 420 kB\n", errs)
}

func TestInterruptedTransferGoesOn(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "420000")
		w.Write(content[:5000])
		w.(http.Flusher).Flush()
		for ctx.Err() == nil {
			if info, err := os.Stat(filepath.Join(dir, "mnist", "f.bin.part")); err == nil && info.Size() == 5000 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
		<-r.Context().Done()
	})
	code, out, errs := execute(ctx, slow, false, "-out", dir, "mnist")
	require.Equal(t, 130, code)
	require.Empty(t, out)
	require.Contains(t, errs, "fetch: interrupted; the same command goes on")
	var asked string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Range")
		serveContent(w, r)
	})
	code, _, errs = execute(t.Context(), url, false, "-out", dir, "mnist")
	require.Zero(t, code, errs)
	require.Equal(t, "bytes=5000-", asked)
	got, err := os.ReadFile(filepath.Join(dir, "mnist", "f.bin"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
}

func TestWhatCannotBeFetchedIsNamed(t *testing.T) {
	dir := t.TempDir()
	missing := serve(t, http.NotFound)
	code, out, errs := execute(t.Context(), missing, false, "-out", dir, "mnist")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, errs, "f.bin: status is 404 Not Found")
	for want, args := range map[string][]string{
		`NAME has "imagenet", want some of mnist, fashion`: {"-out", dir, "imagenet"},
		`NAME has "digits", want some of mnist, fashion`:   {"-out", dir, "digits"},
		`NAME has "mnist" twice`:                           {"-out", dir, "mnist", "MNIST"},
		"no NAME, want some of mnist, fashion":             {"-out", dir},
		"no -out":                                          {"mnist"},
		"flag provided but not defined: -data":             {"-data", dir, "mnist"},
	} {
		code, out, errs := execute(t.Context(), missing, false, args...)
		require.Equal(t, 2, code, want)
		require.Empty(t, out)
		require.Contains(t, errs, want)
	}
}

func TestTheListHasNamesAndSizes(t *testing.T) {
	code, out, errs := execute(t.Context(), "https://example.org/a", false, "-list")
	require.Zero(t, code, errs)
	require.Regexp(t, `mnist +f.bin +420 kB +https://example.org/a/\n`, out)
	require.Regexp(t, `fashion +f.bin`, out)
	_, out, _ = execute(t.Context(), "https://example.org/a", false, "-list", "fashion")
	require.NotContains(t, out, "  mnist")
	code, out, _ = execute(t.Context(), "", false, "-help")
	require.Zero(t, code)
	require.Contains(t, out, "Names: mnist, fashion")

	c := command{originals: dataset.Originals}
	require.Equal(t, []string{"mnist", "fashion", "cifar10", "usps", "svhn"}, c.known())
	require.Equal(t, 13, c.table(c.known()).Len())
}

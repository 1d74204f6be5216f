package realdata

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Variable names the environment variable with the folder.
const Variable = "REDOUBT_DATA"

// Dir returns the folder. It skips the test if the variable is not set, and fails it if
// there is no such folder.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(Variable)
	if dir == "" {
		t.Skip(Variable + " is not set: no real data")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Fatalf("%s is %q, want a folder", Variable, dir)
	}
	return dir
}

// File returns the path of a file or folder below Dir; it skips the test without it.
func File(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{Dir(t)}, elem...)...)
	_, err := os.Stat(path)
	Found(t, err)
	return path
}

// Found skips the test if err says that something is not there, and fails it on any
// other error.
func Found(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

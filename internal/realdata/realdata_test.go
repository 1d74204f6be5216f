package realdata

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// stub is a test that notes how it ended.
type stub struct {
	testing.TB
	end string
}

func (s *stub) Helper() {}

func (s *stub) Skip(args ...any) { s.stop("skipped: " + fmt.Sprint(args...)) }

func (s *stub) Fatal(args ...any) { s.stop("failed: " + fmt.Sprint(args...)) }

func (s *stub) Fatalf(format string, args ...any) { s.stop("failed: " + fmt.Sprintf(format, args...)) }

func (s *stub) stop(end string) {
	s.end = end
	panic(s)
}

// end returns how a test that makes one call ends, "" if it goes on.
func end(call func(t testing.TB)) (how string) {
	s := &stub{}
	defer func() {
		if p := recover(); p != nil && p != any(s) {
			panic(p)
		}
		how = s.end
	}()
	call(s)
	return
}

func TestMissingFilesSkipAndOtherErrorsFail(t *testing.T) {
	file := func(t testing.TB) { File(t, "models", "a.onnx") }
	t.Setenv(Variable, "")
	require.Equal(t, "skipped: REDOUBT_DATA is not set: no real data", end(file))

	dir := t.TempDir()
	t.Setenv(Variable, filepath.Join(dir, "nowhere"))
	require.Contains(t, end(file), "failed: REDOUBT_DATA is")

	t.Setenv(Variable, dir)
	require.Regexp(t, `^skipped: .*models.a.onnx`, end(file))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "models"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "models", "a.onnx"), nil, 0o600))
	require.Empty(t, end(file))
	require.Equal(t, filepath.Join(dir, "models", "a.onnx"), File(t, "models", "a.onnx"))

	require.Empty(t, end(func(t testing.TB) { Found(t, nil) }))
	require.Equal(t, "failed: damaged", end(func(t testing.TB) { Found(t, errors.New("damaged")) }))
	require.Contains(t, end(func(t testing.TB) { Found(t, fmt.Errorf("set: %w", fs.ErrNotExist)) }), "skipped: set: ")
}

package kernel

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGeneratedFilesAreCurrent runs the generator and compares what it writes
// with what is committed.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	dir := t.TempDir()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	cmd := exec.Command(goTool, "run", ".", "-out", dir)
	cmd.Dir = "asmgen"
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOOS=", "GOARCH=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, made)
	for _, path := range made {
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		name := filepath.Base(path)
		have, err := os.ReadFile(name)
		require.NoError(t, err)
		require.True(t, string(want) == string(have), "%s is stale: run go generate in internal/kernel", name)
	}
	committed, err := filepath.Glob("*_a*64.s")
	require.NoError(t, err)
	for _, name := range committed {
		_, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err, "%s is no longer generated", name)
	}
}

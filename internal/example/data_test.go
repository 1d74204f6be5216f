package example

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMNISTComesFromTheFirstPlaceThatHasIt(t *testing.T) {
	dir := t.TempDir()
	e := &Env{Data: dir}
	train, test, source, err := e.MNIST(true)
	require.NoError(t, err)
	require.Equal(t, []int{2000, 1000}, []int{train.Len(), test.Len()})
	require.Equal(t, "embedded cut of MNIST", source)
	_, _, source, err = e.MNIST(false)
	require.NoError(t, err)
	require.NotContains(t, source, dir)

	require.NoError(t, os.Mkdir(filepath.Join(dir, "mnist"), 0o700))
	require.True(t, e.Has("mnist"))
	require.False(t, e.Has("cifar10"))
	require.False(t, (&Env{}).Has("mnist"))
	_, _, _, err = e.MNIST(false)
	require.Error(t, err, "a folder without files is not passed over")
}

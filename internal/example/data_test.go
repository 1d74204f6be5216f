package example

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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

// A folder without a set, and the embedded cut, are not taken in silence.
func TestStandInsAreTold(t *testing.T) {
	const cut = "embedded cut of MNIST (not found:\nhere\nthere)"
	dir := t.TempDir()
	for _, c := range []struct {
		data, want string
		lesser     bool
	}{
		{"", "", false},
		{"", "using " + cut, true},
		{dir, dir + " has no mnist/: using " + cut, false},
		{dir, dir + " has no mnist/: using " + cut, true},
	} {
		var errs bytes.Buffer
		e := &Env{Data: c.data, stderr: &errs, said: map[string]bool{}}
		for range 2 {
			require.NoError(t, e.instead("mnist", cut, c.lesser))
		}
		if c.want != "" {
			c.want += "\n"
		}
		require.Equal(t, c.want, errs.String(), "%+v", c)
		e.sharded = true
		err := e.instead("mnist", cut, c.lesser)
		require.Equal(t, c.lesser, err != nil)
		if c.lesser {
			require.ErrorContains(t, err, "found only this: "+cut)
			require.ErrorContains(t, err, "for a shard")
		}
	}
	var errs bytes.Buffer
	e := &Env{Data: dir, stderr: &errs}
	_, _, source, err := e.MNIST(false)
	require.NoError(t, err)
	require.Equal(t, dir+" has no mnist/: using "+strings.ReplaceAll(source, "\n", "; ")+"\n", errs.String())
	errs.Reset()
	_, _, _, err = e.MNIST(true)
	require.NoError(t, err)
	require.Empty(t, errs.String(), "-mini asks for the cut")
	e.Lacks([]string{"usps", "svhn"}, "fonts")
	require.Equal(t, dir+" has no usps/, no svhn/: using fonts\n", errs.String())
}

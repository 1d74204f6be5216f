package onnx

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// A model whose data lies in files beside it is the one with the data inside.
func TestExternalDataIsRead(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	g := network(r, 0)
	g.constant(random(r, 7)) // which nothing reads
	x := toOurs(g.x, tensor.Float64)
	want := read(t, g).Forward(&nn.Pass{}, x)
	for _, location := range []string{"model.onnx.data", "weights/all.bin", "link.bin"} {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "weights"), 0o777))
		if location == "link.bin" {
			if err := os.Symlink(filepath.Join("weights", "all.bin"), filepath.Join(dir, location)); err != nil {
				t.Skip(err)
			}
		}
		data := []byte("head")
		g.outside = func(name string, raw []byte) [][2]string {
			e := [][2]string{{"location", location}, {"offset", strconv.Itoa(len(data))}, {"checksum", "unread"}}
			if len(name)%2 == 0 {
				e = append(e, [2]string{"length", strconv.Itoa(len(raw))})
			}
			data = append(data, raw...)
			return e
		}
		path := filepath.Join(dir, "model.onnx")
		require.NoError(t, os.WriteFile(path, g.file(), 0o666))
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(location)), data, 0o666))
		m, err := Open(path)
		require.NoError(t, err)
		require.Equal(t, want.Values(), m.Forward(&nn.Pass{}, x).Values(), location)
	}
}

// Places outside of the model's folder or of a file are refused, with what was found.
func TestExternalDataStaysInTheModelsFolder(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "model")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "inner"), 0o777))
	w := random(rand.New(rand.NewPCG(3, 9)), 2, 3)
	for _, path := range []string{filepath.Join(outer, "w"), filepath.Join(dir, "w")} {
		require.NoError(t, os.WriteFile(path, make([]byte, 48), 0o666))
	}
	links := os.Symlink(filepath.Join("..", "w"), filepath.Join(dir, "link")) == nil &&
		os.Symlink("..", filepath.Join(dir, "up")) == nil
	path := filepath.Join(dir, "model.onnx")
	write := func(entries ...[2]string) []byte {
		g := newGraph(13, zeros(1, 2))
		g.node("MatMul", nil, "x", g.constant(w))
		g.outside = func(string, []byte) [][2]string { return entries }
		b := g.file()
		require.NoError(t, os.WriteFile(path, b, 0o666))
		return b
	}
	at := func(location, offset, length string) [][2]string {
		return [][2]string{{"location", location}, {"offset", offset}, {"length", length}}
	}
	inside := write(at("w", "0", "48")...)
	_, err := Open(path)
	require.NoError(t, err)
	_, err = Read(bytes.NewReader(inside))
	require.ErrorContains(t, err, `initializer "c0": its data is in the file "w" beside the model's: read the model with Open, or export it with external_data=False`)
	for _, c := range []struct {
		entries [][2]string
		want    string
	}{
		{at("../w", "0", "48"), `location is "../w", want a relative path inside the model's folder`},
		{at("inner/../w", "0", "48"), `location is "inner/../w", want a relative path inside the model's folder`},
		{at(filepath.ToSlash(filepath.Join(dir, "w")), "0", "48"), "want a relative path inside the model's folder"},
		{at("", "0", "48"), `location is "", want a relative path`},
		{nil, `location is "", want a relative path`},
		{at(".", "0", "48"), `"." is no regular file`},
		{at("inner", "0", "48"), `"inner" is no regular file`},
		{at("absent", "0", "48"), "absent"},
		{at("link", "0", "48"), "escapes"},
		{at("up/w", "0", "48"), "escapes"},
		{at("w", "1", "48"), `48 bytes at 1, want them within the 48 of "w"`},
		{at("w", "9223372036854775807", "48"), "48 bytes at 9223372036854775807"},
		{at("w", "9223372036854775808", "48"), `offset "9223372036854775808", want a whole number`},
		{at("w", "-8", "48"), `offset "-8", want a whole number`},
		{at("w", "0", "40"), "external data has 40 bytes, want 48"},
		{at("w", "0", "1e3"), `length "1e3", want a whole number`},
	} {
		if !links && c.want == "escapes" {
			continue
		}
		write(c.entries...)
		_, err := Open(path)
		require.ErrorContains(t, err, c.want, "%v", c.entries)
		require.ErrorContains(t, err, `initializer `, "%v", c.entries)
	}
}

// Tensors that share a file cannot take a multiple of its memory without limit.
func TestSharedExternalDataIsLimited(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.onnx")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w"), make([]byte, 80), 0o666))
	for n, fits := range map[int]bool{memoryFactor: true, memoryFactor + 1: false} {
		g := newGraph(13, zeros(1, 10))
		y := "x"
		for range n {
			y = g.node("Add", nil, y, g.constant(zeros(10)))
		}
		g.outside = func(string, []byte) [][2]string { return [][2]string{{"location", "w"}} }
		require.NoError(t, os.WriteFile(path, g.file(), 0o666))
		_, err := Open(path)
		if fits {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, `tensors take more than 16 times the 80 bytes of "w"`)
		}
	}
}

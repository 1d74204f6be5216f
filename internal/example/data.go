package example

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Has says whether there is a folder with data sets and something of that name in it.
func (e *Env) Has(name string) bool {
	if e.Data == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(e.Data, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// MNIST returns MNIST from the folder with data sets, without it the one that
// dataset.MNIST finds, and mini is the embedded cut. The text source says which it is.
func (e *Env) MNIST(mini bool) (train, test *dataset.Set, source string, err error) {
	switch {
	case mini:
		source = "embedded cut of MNIST"
		train, test, err = dataset.MNISTMini()
	case e.Has("mnist"):
		source = "MNIST in " + filepath.Join(e.Data, "mnist")
		train, test, err = e.Both("mnist")
		return train, test, source, err
	default:
		train, test, source, err = dataset.MNIST()
	}
	if err == nil {
		e.note("mnist train", train)
		e.note("mnist test", test)
	}
	return train, test, source, err
}

// Load returns a part of a data set in the folder with data sets.
func (e *Env) Load(name string, split dataset.Split) (*dataset.Set, error) {
	s, err := dataset.Load(e.Data, name, split)
	if err == nil {
		e.note(name+" "+split.String(), s)
	}
	return s, err
}

// Both returns both parts of a data set in the folder with data sets.
func (e *Env) Both(name string) (train, test *dataset.Set, err error) {
	if train, err = e.Load(name, dataset.Train); err != nil {
		return nil, nil, err
	}
	test, err = e.Load(name, dataset.Test)
	return train, test, err
}

// note keeps the fingerprint of a data set in use.
func (e *Env) note(name string, s *dataset.Set) {
	if e.uses != nil {
		e.uses[name] = s.Fingerprint()
	}
}

// UsesFile says that figures depend on what is in a file. A line of a sweep has its
// SHA-256 under the name.
func (e *Env) UsesFile(name, path string) error {
	if e.uses == nil {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	e.uses[name] = hex.EncodeToString(h.Sum(nil))
	return nil
}

package example

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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

// Missing says why a data set cannot be had from the folder with data sets, and nothing if
// it can.
func (e *Env) Missing(name string) string {
	switch {
	case e.Has(name):
		return ""
	case e.Data == "":
		return "want a folder that holds " + name + " with -data"
	}
	return "found no " + name + " in " + e.Data + ", the folder of -data"
}

// MNIST returns MNIST from the folder with data sets, without it the one that
// dataset.MNIST finds, and mini is the embedded cut. The text source says which it is.
// A user reads on standard error of a folder that has no MNIST, and of the embedded cut
// where nobody asked for it. That is an error in a shard, which must measure what the
// others measure.
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
		if err == nil {
			err = e.instead("mnist", strings.ReplaceAll(source, "\n", "; "), train.Len() < completeMNIST)
		}
	}
	if err == nil {
		e.note("mnist train", train)
		e.note("mnist test", test)
	}
	return train, test, source, err
}

// completeMNIST is the number of training images of the complete set.
const completeMNIST = 60000

// instead tells of what is used in place of a data set of the folder with data sets;
// lesser says that figures on it are not those of the real one.
func (e *Env) instead(name, what string, lesser bool) error {
	switch {
	case lesser && e.sharded:
		return fmt.Errorf("a shard wants the complete set, as in a folder %s of -data; found %s", name, what)
	case e.Data != "":
		e.Lacks([]string{name}, what)
	case lesser:
		e.once("using " + what)
	}
	return nil
}

// Lacks tells the user, on standard error, that the folder with data sets has none of
// some sub-folders, and what is used in their place. Without a folder there is nothing to
// tell.
func (e *Env) Lacks(names []string, instead string) {
	if e.Data != "" {
		e.once(fmt.Sprintf("%s has no %s/: using %s", e.Data, strings.Join(names, "/, no "), instead))
	}
}

// once writes a line to standard error unless an experiment of the same sweep has.
func (e *Env) once(line string) {
	if !e.said[line] {
		e.Announce("%s", line)
	}
	if e.said != nil {
		e.said[line] = true
	}
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

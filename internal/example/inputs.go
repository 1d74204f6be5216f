package example

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// note keeps the fingerprint of a data set in use.
func (e *Env) note(name string, s *dataset.Set) {
	if e.uses != nil {
		e.uses[name] = s.Fingerprint()
	}
}

// UsesFile says that figures depend on what is in a file: for one that a flag names,
// under the flag's name. A line of a sweep has its SHA-256 under the name.
func (e *Env) UsesFile(name, path string) error {
	if e.uses == nil {
		return nil
	}
	sum, err := sha256Of(path)
	if err != nil {
		return err
	}
	e.uses[name] = sum
	return nil
}

func sha256Of(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// inputs are fingerprints of what the flags name, by name, each looked up once.
type inputs map[string]string

func (known inputs) of(name string, look func() (string, error)) (string, error) {
	if v, ok := known[name]; ok {
		return v, nil
	}
	v, err := look()
	if err == nil {
		known[name] = v
	}
	return v, err
}

// sameInputs returns an error if figures were made of other files or data sets, given by
// name with their fingerprints, than those that the flags name now. Data sets that are not
// in the folder of -data are taken for the same.
func (p Program) sameInputs(o *options, made map[string]string) error {
	for _, name := range p.Places {
		found, err := o.inputs.of(name, func() (string, error) {
			path := o.set.Lookup(name).Value.String()
			if info, err := os.Stat(path); path == "" || err == nil && info.IsDir() {
				return "", nil
			}
			return sha256Of(path)
		})
		if err != nil {
			return fmt.Errorf("-%s: %w", name, err)
		}
		if had := made[name]; found != had {
			return fmt.Errorf("SHA-256 of -%s is %s, want %s", name, cmp.Or(had, "none"), cmp.Or(found, "none"))
		}
	}
	for name, had := range made {
		set, part, _ := strings.Cut(name, " ")
		split, ok := map[string]dataset.Split{dataset.Train.String(): dataset.Train, dataset.Test.String(): dataset.Test}[part]
		if !ok || !o.env.Has(set) {
			continue
		}
		found, err := o.inputs.of(name, func() (string, error) {
			s, err := dataset.Load(o.env.Data, set, split)
			if err != nil {
				return "", err
			}
			return s.Fingerprint(), nil
		})
		if err != nil {
			return err
		}
		if found != had && !embedded(set, had) {
			return fmt.Errorf("data of %s is %q, want %q", name, had, found)
		}
	}
	return nil
}

// embedded says whether a fingerprint is that of a part of the embedded cut of MNIST,
// which programs may use beside a folder that has MNIST.
func embedded(set, fingerprint string) bool {
	if set != "mnist" {
		return false
	}
	train, test, err := dataset.MNISTMini()
	return err == nil && (train.Fingerprint() == fingerprint || test.Fingerprint() == fingerprint)
}

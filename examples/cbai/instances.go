package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
	"github.com/redoubt-ml/redoubt/internal/example"
)

// instance is a benchmark with its adversaries by name.
type instance struct {
	env.Benchmark
	gaussian bool // the lower bound is for Gaussian arms
	attacks  map[string]env.Contamination
}

// estimator returns an estimator by its short name, with the instance's sigma.
func (in instance) estimator(name string) (bandit.Estimator, error) {
	switch name {
	case "TM":
		return bandit.TrimmedMean{Sigma: in.Sigma}, nil
	case "HM":
		return bandit.Huber{Sigma: in.Sigma}, nil
	case "HG":
		return bandit.GaussianHuber{Sigma: in.Sigma}, nil
	case "MED":
		return bandit.Median{Sigma: in.Sigma}, nil
	case "SGN":
		return bandit.SignMedian{Sigma: in.Sigma}, nil
	case "ALT":
		return bandit.AltschulerMedian{Sigma: in.Sigma}, nil
	case "SYM":
		return bandit.SymmetricMedian{}, nil
	case "KLB":
		return bandit.BoundedKL{}, nil
	case "mean":
		return bandit.Mean{Sigma: in.Sigma}, nil
	case "":
		return nil, nil
	}
	return nil, fmt.Errorf("no estimator %q", name)
}

func shifted(b env.Benchmark, gaussian bool) instance {
	return instance{b, gaussian, map[string]env.Contamination{
		"A0": env.None{}, "A1": env.Shift{Offset: b.Shift},
		"A2": env.Noise{Sigma: b.Shift}, "A3": env.TailShift{Offset: b.Shift},
	}}
}

// instances returns all instances for which there is data, names the data, and the
// files that a folder of data lacks.
func instances(e *example.Env) (all map[string]instance, found string, missing []string, err error) {
	all = map[string]instance{
		"I1": shifted(env.I1(), true), "I2": shifted(env.I2(), true), "I3": shifted(env.I3(), true),
		"I4": shifted(env.I4(), false), "I5": shifted(env.I5(), true),
	}
	if e.Data == "" {
		return all, "synthetic only; -data adds PKIS2 and New Yorker", nil, nil
	}
	names := []string{"synthetic"}
	add := func(name, folder, file string, load func(path string) error) {
		path := filepath.Join(e.Data, folder, file)
		failed := load(path)
		if failed == nil {
			failed = e.UsesFile(folder+"/"+file, path)
		}
		switch {
		case errors.Is(failed, fs.ErrNotExist):
			missing = append(missing, folder+"/"+file)
		case failed != nil:
			err = errors.Join(err, failed)
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	add("PKIS2", "pkis2", "pkis2_percent_inhibition.csv", func(path string) error { return addPKIS2(all, path) })
	add("New Yorker", "newyorker", "contest509r2_roundrobin.csv", func(path string) error {
		return addCaptions(all, path, captionSet{"NY509", math.MaxInt, .01})
	})
	add("New Yorker", "newyorker", "contest650_klucb.csv", func(path string) error {
		return addCaptions(all, path, captionSet{"NY650-100", 100, .02}, captionSet{"NY650", math.MaxInt, .02})
	})
	if len(names) == 1 && err == nil {
		e.Lacks([]string{"pkis2", "newyorker"}, "synthetic instances alone")
	}
	return all, strings.Join(names, ", "), missing, err
}

func addPKIS2(all map[string]instance, path string) error {
	table, err := env.LoadPKIS2(path)
	if err != nil {
		return err
	}
	const sigma = 0.2
	for _, kinase := range []string{"WNK1", "MKK7", "SRPK2"} {
		in, err := table.Instance(kinase, sigma)
		if err != nil {
			return err
		}
		in.Name = "PK-" + kinase
		all[in.Name] = shifted(env.Benchmark{Instance: in, Sigma: sigma, Eps: 0.05, Shift: 20 * sigma}, true)
	}
	return nil
}

// captionSet is an instance of the best captions of a contest.
type captionSet struct {
	name string
	top  int
	eps  float64
}

func addCaptions(all map[string]instance, path string, sets ...captionSet) error {
	captions, err := env.LoadCaptions(path)
	if err != nil {
		return err
	}
	for _, c := range sets {
		in, err := env.CaptionInstance(c.name, env.TopCaptions(captions, c.top))
		if err != nil {
			return err
		}
		all[c.name] = instance{env.Benchmark{Instance: in, Sigma: 0.5, Eps: c.eps}, false, map[string]env.Contamination{
			"A0": env.None{}, "A1": env.Replace{Best: 0, Other: 1},
		}}
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
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

// instances returns all instances for which there is data, and names the data.
func instances(data string) (map[string]instance, string, error) {
	all := map[string]instance{
		"I1": shifted(env.I1(), true), "I2": shifted(env.I2(), true), "I3": shifted(env.I3(), true),
		"I4": shifted(env.I4(), false), "I5": shifted(env.I5(), true),
	}
	if data == "" {
		return all, "synthetic only; -data adds PKIS2 and New Yorker", nil
	}
	found := []string{"synthetic"}
	if err := addPKIS2(all, filepath.Join(data, "pkis2", "pkis2_percent_inhibition.csv")); err == nil {
		found = append(found, "PKIS2")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	if err := addCaptions(all, filepath.Join(data, "newyorker")); err == nil {
		found = append(found, "New Yorker")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	return all, strings.Join(found, ", "), nil
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

func addCaptions(all map[string]instance, dir string) error {
	for _, c := range []struct {
		name, file string
		top        int
		eps        float64
	}{
		{"NY509", "contest509r2_roundrobin.csv", 1 << 30, .01},
		{"NY650-100", "contest650_klucb.csv", 100, .02},
		{"NY650", "contest650_klucb.csv", 1 << 30, .02},
	} {
		captions, err := env.LoadCaptions(filepath.Join(dir, c.file))
		if err != nil {
			return err
		}
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

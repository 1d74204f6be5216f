package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func main() { program().Main() }

var allParts = []string{"ensemble", "rules", "gamma", "universal", "transform", "defense"}

// options are the program's own flags.
type options struct {
	mini  bool
	parts string
}

func program() example.Program {
	var o options
	return example.Program{
		Name:  "minmax",
		About: "Finds perturbations that work everywhere at once.",
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&o.mini, "mini", false, "use the 2,000 + 1,000 MNIST images that are part of the program")
			set.StringVar(&o.parts, "parts", strings.Join(allParts, ","), "what to do, separated by commas")
		},
		Check: func(*example.Env) error {
			_, err := chooseParts(o.parts)
			return err
		},
		Run: func(ctx context.Context, env *example.Env) (example.Result, error) {
			e, err := newExperiment(env, o)
			if err != nil {
				return example.Result{}, err
			}
			err = e.run(ctx)
			return example.Result{Figures: e.out}, err
		},
	}
}

func chooseParts(list string) ([]string, error) {
	parts := strings.Split(list, ",")
	for _, p := range parts {
		if !slices.Contains(allParts, p) {
			return nil, fmt.Errorf("-parts has %q, want some of %s", p, strings.Join(allParts, ", "))
		}
	}
	return parts, nil
}

// newExperiment loads the data and chooses sizes for them.
func newExperiment(env *example.Env, o options) (*experiment, error) {
	parts, err := chooseParts(o.parts)
	if err != nil {
		return nil, err
	}
	e := &experiment{env: env, plan: smallPlan, parts: parts, nets: map[string]trained{}, sets: map[string][2]*dataset.Set{}}
	e.out.Data = map[string]string{}
	if env.Scale == example.Full {
		e.plan = fullPlan
	}
	for _, name := range []string{"mnist", "cifar10"} {
		if env.Data == "" || !isDir(filepath.Join(env.Data, name)) {
			continue
		}
		var both [2]*dataset.Set
		if both[0], err = dataset.Load(env.Data, name, dataset.Train); err != nil {
			return nil, err
		}
		if both[1], err = dataset.Load(env.Data, name, dataset.Test); err != nil {
			return nil, err
		}
		e.sets[name] = both
	}
	return e, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Weightpert trains one small network on MNIST in many ways, changes its weights, and
// shows how much of its accuracy survives attacks, what can be certified, what
// quantisation and memory faults cost, and how training and test error differ.
//
//	go run ./examples/weightpert                  # complete MNIST, minutes
//	go run ./examples/weightpert -json            # every figure as JSON
//	go run ./examples/weightpert -regimes standard,ibp-0.005 -seeds 1
//	go run ./examples/weightpert -mini            # 2,000 + 1,000 images, seconds
//	go run ./examples/weightpert -out DIR         # curves in DIR/report.html
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func main() { program().Main() }

// options are the program's own flags.
type options struct {
	mini    bool
	seeds   int
	regimes string
}

func program() example.Program {
	var o options
	return example.Program{
		Name: "weightpert",
		About: "Trains a network on MNIST in many ways and shows how its accuracy stands up to\n" +
			"changed weights: under attack, certified, quantised, with faults.",
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&o.mini, "mini", false, "use the 2,000 + 1,000 images that are part of the program")
			set.IntVar(&o.seeds, "seeds", 3, "number of seeds, from -seed on; with -scale small only some regimes use all of them")
			set.StringVar(&o.regimes, "regimes", "", "training regimes, separated by commas; none means all: "+strings.Join(regimeNames(), ", "))
		},
		Check: func(*example.Env) error {
			if o.seeds < 1 {
				return fmt.Errorf("-seeds is %d, want at least 1", o.seeds)
			}
			_, err := choose(o.regimes)
			return err
		},
		Run: func(ctx context.Context, env *example.Env) (example.Result, error) {
			e, err := newExperiment(env, o)
			if err != nil {
				return example.Result{}, err
			}
			err = e.run(ctx)
			res := e.result()
			if err == nil && env.Out != "" {
				res.Page, err = e.page()
			}
			return res, err
		},
	}
}

// newExperiment loads the data and chooses sizes for them.
func newExperiment(env *example.Env, o options) (*experiment, error) {
	list, err := choose(o.regimes)
	if err != nil {
		return nil, err
	}
	e := &experiment{env: env, plan: fullPlan, regimes: list, seeds: o.seeds}
	switch {
	case o.mini:
		e.out.Data = "embedded cut of MNIST"
		e.plan = miniPlan
		e.train, e.test, err = dataset.MNISTMini()
	case env.Data != "" && isDir(filepath.Join(env.Data, "mnist")):
		e.out.Data = "MNIST in " + filepath.Join(env.Data, "mnist")
		if e.train, err = dataset.Load(env.Data, "mnist", dataset.Train); err != nil {
			return nil, err
		}
		e.test, err = dataset.Load(env.Data, "mnist", dataset.Test)
	default:
		e.train, e.test, e.out.Data, err = dataset.MNIST()
		if err == nil && e.train.Len() < 10000 {
			e.plan = miniPlan
		}
	}
	return e, err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

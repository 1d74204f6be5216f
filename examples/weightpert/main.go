// Weightpert trains one small network on MNIST in many ways, changes its weights, and
// shows how much of its accuracy survives attacks, what can be certified, what
// quantisation and memory faults cost, and how training and test error differ.
//
//	go run ./examples/weightpert                  # complete MNIST, minutes
//	go run ./examples/weightpert -json            # every figure as JSON
//	go run ./examples/weightpert -regimes standard,ibp-0.005 -seeds 1
//	go run ./examples/weightpert -mini            # 2,000 + 1,000 images, seconds
//	go run ./examples/weightpert -scale full      # every training with every seed
//	go run ./examples/weightpert -out DIR         # curves in DIR/report.html
package main

import (
	"cmp"
	"flag"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/example"
)

func main() { program().Main() }

// options are the program's own flags.
type options struct {
	mini    bool
	regimes string
}

func program() example.Program {
	var o options
	return example.Program{
		Name: "weightpert",
		About: "Trains a network on MNIST in many ways and shows how its accuracy stands up to\n" +
			"changed weights: under attack, certified, quantised, with faults.",
		Seeds: true,
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&o.mini, "mini", false, "use the 2,000 + 1,000 images that are part of the program")
			set.StringVar(&o.regimes, "regimes", "", "training regimes, separated by commas; none means all: "+strings.Join(namesOf(allRegimes), ", "))
		},
		Check: func(env *example.Env) error {
			if err := example.CheckMini(env, o.mini); err != nil {
				return err
			}
			_, err := choose(o.regimes)
			return err
		},
		Split: &example.Split{Flag: "regimes", Values: func(*example.Env) ([]string, error) {
			list, err := choose(o.regimes)
			return namesOf(list), err
		}},
		New: func(env *example.Env) (example.Experiment, error) { return newExperiment(env, o) },
	}
}

// newExperiment loads the data and chooses sizes for them.
func newExperiment(env *example.Env, o options) (*experiment, error) {
	list, err := choose(o.regimes)
	if err != nil {
		return nil, err
	}
	e := &experiment{env: env, plan: fullPlan, regimes: list, seeds: cmp.Or(env.Seeds, 3)}
	if e.train, e.test, e.out.Data, err = env.MNIST(o.mini); err != nil {
		return nil, err
	}
	if e.train.Len() < 10000 {
		e.plan = miniPlan
	}
	return e, nil
}

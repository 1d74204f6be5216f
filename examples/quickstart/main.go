// Quickstart does the main job of redoubt: it trains a small convolutional
// network on MNIST, breaks it with gradient attacks that change every pixel by at
// most 0.3, trains a second one against such attacks, and attacks that one too.
//
//	go run ./examples/quickstart            # complete MNIST, about two minutes
//	go run ./examples/quickstart -mini      # 2,000 + 1,000 images, seconds
//	go run ./examples/quickstart -out DIR   # pictures and curves in DIR/report.html
package main

import (
	"flag"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/example"
)

func main() { program().Main() }

func program() example.Program {
	mini := false
	return example.Program{
		Name: "quickstart",
		About: "Trains a network on MNIST, attacks it, trains another against the attack,\n" +
			"attacks that one, and prints both.",
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&mini, "mini", false, "use the 2,000 + 1,000 images that are part of the program")
		},
		Check: func(env *example.Env) error { return example.CheckMini(env, mini) },
		New:   func(env *example.Env) (example.Experiment, error) { return newExperiment(env, mini) },
	}
}

// newExperiment loads the data and chooses the plan for them.
func newExperiment(env *example.Env, mini bool) (*experiment, error) {
	e := &experiment{env: env, plan: smallPlan}
	if env.Scale == example.Full {
		e.plan = fullPlan
		env.Say("-scale full trains the network of Madry et al. against 40-step attacks: hours on two cores")
	}
	var err error
	if e.train, e.test, e.out.Data, err = env.MNIST(mini); err != nil {
		return nil, err
	}
	if e.train.Len() < 10000 {
		if env.Scale == example.Full {
			return nil, fmt.Errorf("-scale full needs complete MNIST, but there is only this: %s", e.out.Data)
		}
		e.plan = miniPlan
	}
	return e, nil
}

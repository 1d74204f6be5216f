// Cafe trains nothing to begin with: it watches a server that asks four parties, each
// with a quadrant of every image, for gradients averaged over batches, and recovers
// the images. Then it shows what other attacks get, and what defences leave.
//
//	go run ./examples/cafe -data DIR      # MNIST at the released size, and CIFAR-10
//	go run ./examples/cafe -json          # every figure as JSON; MNIST needs no folder
//	go run ./examples/cafe -parts cafe    # one part alone
//	go run ./examples/cafe -mini          # embedded digits and small networks, seconds
//	go run ./examples/cafe -out DIR       # pictures and curves in DIR/report.html
package main

import (
	"flag"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func main() { program().Main() }

// parts of the experiment, in order.
var parts = []string{"cafe", "batches", "published", "defense", "cifar10"}

type options struct {
	mini  bool
	parts string
}

func (o *options) choice() example.Parts {
	return example.Parts{Names: parts, Text: &o.parts, Lacks: o.lacks}
}

// lacks says why a part cannot be run.
func (o *options) lacks(env *example.Env, part string) string {
	switch {
	case part != "cifar10":
		return ""
	case o.mini:
		return "-mini has no CIFAR-10"
	}
	return env.Missing("cifar10")
}

func program() example.Program {
	var o options
	return example.Program{
		Name: "cafe",
		About: "Recovers the private images of vertical federated learning from gradients that are\n" +
			"averaged over batches, beside other attacks and behind defences. CIFAR-10 needs -data.",
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&o.mini, "mini", false, "use the images that are part of the program, and small networks")
			o.choice().Flag(set)
		},
		Check: func(env *example.Env) error {
			if err := example.CheckMini(env, o.mini); err != nil {
				return err
			}
			return o.choice().Check(env)
		},
		Split: o.choice().Split(),
		New:   func(env *example.Env) (example.Experiment, error) { return newExperiment(env, o) },
	}
}

// newExperiment loads the data and chooses sizes for them.
func newExperiment(env *example.Env, o options) (*experiment, error) {
	list, left, err := o.choice().Choose(env)
	if err != nil {
		return nil, err
	}
	e := &experiment{env: env, plan: smallPlan, parts: list, left: left}
	if env.Scale == example.Full {
		e.plan = fullPlan
	}
	if o.mini {
		e.plan = miniPlan
	}
	e.train, e.test, e.data, err = env.MNIST(o.mini)
	if err == nil && slices.Contains(list, "cifar10") {
		e.cifar, err = env.Load("cifar10", dataset.Test)
	}
	return e, err
}

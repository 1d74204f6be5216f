// Minmax attacks several networks, images and transformations with one perturbation,
// by the average of their losses and by min-max weights, and hardens networks against
// two attacks at once.
//
//	go run ./examples/minmax -data DIR        # MNIST and CIFAR-10, less than 20 minutes on two cores
//	go run ./examples/minmax -json            # every figure as JSON
//	go run ./examples/minmax -parts ensemble  # some parts only
//	go run ./examples/minmax -mini            # 2,000 + 1,000 images, a minute or two
//	go run ./examples/minmax -out DIR         # box plots and pictures in DIR/report.html
//
// MNIST needs no folder; the transformations need CIFAR-10 and are left out without it.
package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func main() { program().Main() }

var allParts = []string{"ensemble", "rules", "gamma", "universal", "interpret", "transform", "defense"}

// options are the program's own flags.
type options struct {
	mini  bool
	parts string
}

func (o *options) choice() example.Parts {
	return example.Parts{Names: allParts, Text: &o.parts, Lacks: o.lacks}
}

// lacks says why a part cannot be run.
func (o *options) lacks(env *example.Env, part string) string {
	switch {
	case part != "transform":
		return ""
	case o.mini:
		return "-mini has no CIFAR-10"
	}
	return env.Missing("cifar10")
}

func program() example.Program {
	var o options
	return example.Program{
		Name:       "minmax",
		SmallTakes: "20 minutes on two cores",
		About: "Finds one perturbation against several networks, images or transformations, by their\n" +
			"average and by min-max weights, and hardens networks against two attacks at once.\n" +
			"With -scale full the paper's networks, epochs and 10,000 images: some 9e15 operations,\n" +
			"days on two cores, nearly all for the wide network B.",
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&o.mini, "mini", false, "use the 2,000 + 1,000 MNIST images that are part of the program")
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
	parts, left, err := o.choice().Choose(env)
	if err != nil {
		return nil, err
	}
	e := &experiment{env: env, plan: smallPlan, parts: parts, nets: map[string]trained{}, sets: map[string][2]*dataset.Set{}}
	e.out = newOutcome()
	if env.Scale == example.Full {
		e.plan = fullPlan
	}
	if err := e.loadMNIST(o.mini); err != nil {
		return nil, err
	}
	if e.sets["mnist"][0].Len() < 10000 {
		e.plan = miniPlan
	}
	if !o.mini && (len(left) > 0 || slices.Contains(parts, "universal") || slices.Contains(parts, "transform")) {
		err = e.loadCIFAR()
	}
	return e, err
}

func (e *experiment) loadMNIST(mini bool) error {
	train, test, source, err := e.env.MNIST(mini)
	e.sets["mnist"], e.out.Data["mnist"] = [2]*dataset.Set{train, test}, source
	return err
}

// loadCIFAR loads CIFAR-10 if it is there.
func (e *experiment) loadCIFAR() error {
	if !e.env.Has("cifar10") {
		e.missing = "The transformations need CIFAR-10, and groups of images are better shown on it: -data DIR with a folder cifar10."
		return nil
	}
	train, test, err := e.env.Both("cifar10")
	if err != nil {
		return err
	}
	e.sets["cifar10"] = [2]*dataset.Set{train, test}
	e.out.Data["cifar10"] = fmt.Sprintf("CIFAR-10 in %s, %d training images", filepath.Join(e.env.Data, "cifar10"), train.Len())
	return nil
}

// describeData names the data sets in use.
func (e *experiment) describeData() string {
	s := e.out.Data["mnist"]
	if c := e.out.Data["cifar10"]; c != "" {
		s += "; " + c
	}
	return s
}

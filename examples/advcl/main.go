// Advcl pretrains encoders on CIFAR-10 without labels by SimCLR, RoCL, ACL and AdvCL,
// puts a linear layer on each, and attacks what comes out.
//
//	go run ./examples/advcl -data DIR                 # section by section below, about an hour on two cores
//	go run ./examples/advcl -json                     # the figures of the tables as JSON
//	go run ./examples/advcl -quick                    # every stage in a minute; without -data on generated images
//	go run ./examples/advcl -out DIR                  # plots in DIR/report.html, and DIR/state to go on from
//	go run ./examples/advcl -scale medium -out DIR    # learning curves over 20,000 steps, hours
//	go run ./examples/advcl -scale medium -out DIR -show   # what DIR/state has of them, without training
//	go run ./examples/advcl -scale full -out DIR      # the paper's setting; says what it costs before it starts;
//	                                                  # -chunk 64 takes a fraction of the memory, and a third more time
//
// Everything but -quick needs CIFAR-10 in DIR/cifar10, in its original form: JPEG copies
// differ from it by about an attack's strength in the frequencies that AdvCL uses. A
// program that was stopped goes on where it was if it is started again with the same
// flags. Methods with learning curves move from measurement to measurement together, and
// a program that is interrupted shows the curves so far. They are all in memory then:
// about 3.5 GB for the five of the medium scale.
package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/example"
)

func main() { program().Main() }

// options are the program's own flags.
type options struct {
	quick   bool
	steps   int
	methods string
	state   string
	show    bool
	chunk   int
}

func program() example.Program {
	var o options
	return example.Program{
		Name:       "advcl",
		SmallTakes: "an hour on two cores",
		About: "Pretrains encoders without labels, by contrastive learning with and without attacks,\n" +
			"trains a linear layer on each with ordinary cross-entropy, and measures what resists.",
		Medium: true,
		Seeds:  true,
		// A run that was stopped shows its learning curves.
		Partial: true,
		Places:  []string{"state"},
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&o.quick, "quick", false, "few images and steps, to see every stage work; without -data on generated images")
			set.IntVar(&o.steps, "steps", 0, "training steps of each method; 0 means as many as the scale has, for small by the speed of this machine")
			set.StringVar(&o.methods, "methods", "", "methods, separated by commas; none means all of the scale: "+fmt.Sprint(methodNames))
			set.IntVar(&o.chunk, "chunk", 0, "images of a view that contrastive methods keep in memory at once, at least 3, for more passes; normalisation sees chunks then; 0 keeps batches")
			set.BoolVar(&o.show, "show", false, "train nothing: show what the state folder holds, finished or not")
			set.StringVar(&o.state, "state", "", "`folder` that keeps what is finished, to go on from; -out's folder \"state\" without it")
		},
		Check: func(env *example.Env) error {
			if _, err := example.Choose("-methods", o.methods, methodNames); err != nil {
				return err
			}
			switch {
			case o.chunk < 0 || o.chunk == 1 || o.chunk == 2:
				return fmt.Errorf("-chunk is %d, want 0 or at least 3", o.chunk)
			case o.steps < 0:
				return fmt.Errorf("-steps is %d, want 0 or more", o.steps)
			case env.Sweep && !o.quick && env.Scale == example.Small && o.steps == 0:
				return errors.New("a sweep without -steps, want a number that does not depend on the speed of a machine")
			case o.show && o.state == "" && env.Out == "":
				return errors.New("-show without -state or -out, want the folder of an earlier run")
			case o.quick && env.Scale != example.Small:
				return errors.New("-quick has a scale of its own, want it without -scale")
			case !o.quick && env.Data == "":
				return errors.New("no -data: want a folder with CIFAR-10 in its sub-folder cifar10, or -quick")
			}
			return nil
		},
		Split: &example.Split{Flag: "methods", Values: func(env *example.Env) ([]string, error) {
			p, err := choose(env, o)
			return p.methods, err
		}},
		New: func(env *example.Env) (example.Experiment, error) { return newExperiment(env, o) },
	}
}

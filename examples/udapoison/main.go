// Udapoison shows how little poisoned data breaks unsupervised domain adaptation: the
// accuracy of seven learners on three pairs of digits with and without poison in the
// source, a targeted attack with right labels, three cases in the plane where the same
// method succeeds, fails or does either, and what defences win back.
//
//	go run ./examples/udapoison                   # sub-sampled digits, half an hour on two cores
//	go run ./examples/udapoison -json             # every figure as JSON
//	go run ./examples/udapoison -mini             # a fraction of it, seconds
//	go run ./examples/udapoison -out DIR          # pictures in DIR/report.html
//	go run ./examples/udapoison -scale full       # the paper's lengths, days
//
// USPS and MNIST-M come from the folders usps and mnist-m of -data, laid out as
// tensor/dataset has them; without it MNIST is set against generated digits. In place of
// MNIST-M, the folder bsds-patches may hold a PNG file with windows of the photographs that
// MNIST-M was made with, those of the Berkeley Segmentation Data Set (BSDS500; Arbelaez et
// al., IEEE TPAMI 33(5), 2011, for research and education): a row sheet of 32x32 pixels, of
// which the digits are then made by the same recipe. It was tried with five random windows
// of each of the 200 training photographs.
package main

import (
	"flag"
	"fmt"
	"runtime"

	"github.com/redoubt-ml/redoubt/internal/example"
)

func main() { program().Main() }

// options are the program's own flags.
type options struct {
	mini     bool
	epochs   int
	learners string
	parts    string
}

func (o *options) choice() example.Parts { return example.Parts{Names: partNames, Text: &o.parts} }

func program() example.Program {
	var o options
	return example.Program{
		Name: "udapoison",
		About: "Poisons the source of unsupervised domain adaptation on digits and shows what is left\n" +
			"of the accuracy on the target, with a targeted attack, the theory's cases and defences.",
		SmallTakes: "half an hour on two cores",
		Seeds:      true,
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&o.mini, "mini", false, "use few images and few epochs, to see the program work")
			set.IntVar(&o.epochs, "epochs", 0, "epochs of the first pair's learners; 0 means as many as the scale has")
			set.StringVar(&o.learners, "learners", "", "learners of the table, separated by commas; none means all: "+joined(learnerNames))
			o.choice().Flag(set)
		},
		Check: func(env *example.Env) error {
			if err := example.CheckMini(env, o.mini); err != nil {
				return err
			}
			if o.epochs < 0 {
				return fmt.Errorf("-epochs is %d, want 0 or more", o.epochs)
			}
			if _, err := example.Choose("-learners", o.learners, learnerNames); err != nil {
				return err
			}
			return o.choice().Check(env)
		},
		Split: o.choice().Split(),
		New: func(env *example.Env) (example.Experiment, error) {
			return newExperiment(env, o, runtime.GOMAXPROCS(0))
		},
	}
}

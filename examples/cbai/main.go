// Cbai finds the best arm while an adversary replaces some of the rewards. It
// compares estimators, rules and stopping modes on five synthetic instances, on
// the kinase inhibitors of PKIS2 and on New Yorker caption contests, and holds its
// figures against recorded ones.
//
//	go run ./examples/cbai                  # synthetic instances
//	go run ./examples/cbai -data DIR        # and the two data sets in DIR (go doc ./bandit/env says where from)
//	go run ./examples/cbai -mini -out DIR   # fewer searches, seconds
//	go run ./examples/cbai -out DIR         # plots in DIR/report.html
package main

import (
	"flag"

	"github.com/redoubt-ml/redoubt/internal/example"
)

func main() { program().Main() }

func program() example.Program {
	mini := false
	return example.Program{
		Name: "cbai",
		About: "Finds the best arm under contaminated rewards, by robust and by classical rules,\n" +
			"and compares pulls and errors with recorded figures and bounds.",
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&mini, "mini", false, "search less often, to see the program work")
		},
		Check: func(env *example.Env) error { return example.CheckMini(env, mini) },
		New:   func(env *example.Env) (example.Experiment, error) { return newExperiment(env, mini) },
	}
}

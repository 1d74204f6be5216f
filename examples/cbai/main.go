// Cbai finds the best arm while an adversary replaces some of the rewards. It
// compares estimators, rules and stopping modes on five synthetic instances, on
// the kinase inhibitors of PKIS2 and on New Yorker caption contests, with an
// independent program's figures beside its own.
//
//	go run ./examples/cbai                  # synthetic instances
//	go run ./examples/cbai -data DIR        # and the two data sets in DIR
//	go run ./examples/cbai -out DIR         # plots in DIR/report.html
package main

import "github.com/redoubt-ml/redoubt/internal/example"

func main() { program().Main() }

func program() example.Program {
	return example.Program{
		Name: "cbai",
		About: "Finds the best arm under contaminated rewards, by robust and by classical rules,\n" +
			"and compares pulls and errors with reference figures and bounds.",
		New: func(env *example.Env) (example.Experiment, error) { return newExperiment(env) },
	}
}

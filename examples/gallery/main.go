// Gallery runs every example at its quick scale and sets the best of their tables,
// curves and pictures on one page.
//
//	go run ./examples/gallery -out DIR                 # DIR/report.html, minutes on two cores
//	go run ./examples/gallery -out DIR -data DATA      # with the data sets that DATA has
//	go run ./examples/gallery -examples cafe,minmax    # some examples, in the terminal
//	go run ./examples/gallery -pictures DIR            # a PNG file for each example, as in pictures/
//	go run ./examples/gallery -json                    # every figure of every example
//
// The examples are built and run as programs of their own. The page that each leaves
// behind as data is read, and the parts of it that are for the gallery are taken over.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/example"
)

func main() { program(entries, goCommand{}).Main() }

// options are the program's own flags.
type options struct {
	examples, pictures string
}

func program(all []entry, builder builder) example.Program {
	var o options
	var names []string
	for _, e := range all {
		names = append(names, e.name)
	}
	return example.Program{
		Name: "gallery",
		About: "Runs every example at its quick scale and sets the best of their tables, curves and\n" +
			"pictures on one page. Works inside the module, with the go command.",
		Flags: func(set *flag.FlagSet) {
			set.StringVar(&o.examples, "examples", "", "examples to run, separated by commas; none means all: "+strings.Join(names, ", "))
			set.StringVar(&o.pictures, "pictures", "", "`folder` for one picture of each example, NAME.png")
		},
		Check: func(*example.Env) error {
			_, err := example.Choose("-examples", o.examples, names)
			return err
		},
		Partial:  true,
		OneScale: true,
		NoSweeps: true,
		New: func(env *example.Env) (example.Experiment, error) {
			if o.pictures != "" {
				if err := os.MkdirAll(o.pictures, 0o755); err != nil {
					return nil, fmt.Errorf("-pictures: %w", err)
				}
			}
			chosen, err := example.Choose("-examples", o.examples, names)
			if err != nil {
				return nil, err
			}
			g := &gallery{env: env, builder: builder, pictures: o.pictures}
			for _, e := range all {
				for _, name := range chosen {
					if e.name == name {
						g.entries = append(g.entries, e)
						break
					}
				}
			}
			return g, nil
		},
	}
}

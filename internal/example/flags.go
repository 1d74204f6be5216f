package example

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/example/sweep"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// options are what the flags say.
type options struct {
	env   *Env
	set   *flag.FlagSet
	shard sweep.Shard // zero without -shard
	units sweep.Range // of a sweep
	split bool
	merge string   // the first file or folder with lines; empty for none
	more  []string // the others
	inputs
}

// shared are the flags of every program on which no figure depends, or which tell one
// unit of a sweep from another.
var shared = []string{"data", "out", "json", "seed", "seeds", "shard", "split", "merge"}

func (p Program) parse(args []string, stdout, stderr io.Writer) (*options, error) {
	env := &Env{stderr: stderr, terminal: isTerminal(stderr), said: map[string]bool{}}
	o := &options{env: env, inputs: inputs{}, set: flag.NewFlagSet(p.Name, flag.ContinueOnError)}
	set := o.set
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	var shard string
	scale := string(Small)
	p.declare(o, &scale, &shard)
	if p.Flags != nil {
		p.Flags(set)
	}
	for err := set.Parse(args); ; err = set.Parse(set.Args()[1:]) {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stdout, "%s\n\nUsage: go run ./examples/%s [flags]\n\n", p.About, p.Name)
			set.SetOutput(stdout)
			set.PrintDefaults()
		}
		if err != nil {
			return nil, explain(set, err)
		}
		if set.NArg() == 0 {
			break
		}
		o.more = append(o.more, set.Arg(0))
	}
	if len(o.more) > 0 && o.merge == "" {
		return nil, fmt.Errorf("unexpected argument %q; -help lists the flags", o.more[0])
	}
	scales := p.scales()
	if env.Scale = Scale(scale); !slices.Contains(scales, env.Scale) {
		return nil, fmt.Errorf("-scale is %q, want one of %q", scale, scales)
	}
	if o.merge != "" {
		if shard != "" || o.split {
			return nil, errors.New("-merge sums up what -shard and -split have written, want it without them")
		}
		return o, nil
	}
	if env.Seeds < 0 {
		return nil, fmt.Errorf("-seeds is %d, want 0 or more", env.Seeds)
	}
	if err := o.parseShard(shard); err != nil {
		return nil, err
	}
	if env.Data != "" {
		info, err := os.Stat(env.Data)
		if err != nil {
			return nil, fmt.Errorf("-data: %w", err)
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("-data: %s is not a folder", env.Data)
		}
	}
	env.Sweep = o.sweeps(p)
	if p.Check != nil {
		if err := p.Check(env); err != nil {
			return nil, err
		}
	}
	if env.Sweep {
		return o, o.findUnits(p)
	}
	return o, nil
}

// declare declares the flags that programs share.
func (p Program) declare(o *options, scale, shard *string) {
	set, env := o.set, o.env
	set.StringVar(&env.Data, "data", dataset.DirFromEnv(), "`folder` with data sets, laid out as go doc github.com/redoubt-ml/redoubt/tensor/dataset says;\n"+
		"also from the environment variable REDOUBT_DATA")
	set.Uint64Var(&env.Seed, "seed", 1, "seed of all random numbers")
	if !p.OneScale {
		small := cmp.Or(p.SmallTakes, "minutes on two cores")
		about := "small (" + small + ") or full (a larger experiment, hours)"
		if p.Medium {
			about = "small (" + small + "), medium (hours) or full (a larger experiment)"
		}
		set.StringVar(scale, "scale", string(Small), about)
	}
	if p.NoSweeps {
		set.StringVar(&env.Out, "out", "", "`folder` for report.html and pictures; nothing is written without it")
		set.BoolVar(&env.JSON, "json", false, "print one JSON object with every figure and nothing else")
		return
	}
	set.StringVar(&env.Out, "out", "", "`folder` for report.html and pictures, and for lines of JSON with -shard; nothing is written without it")
	set.BoolVar(&env.JSON, "json", false, "print one JSON object with every figure and nothing else; with -shard a line for each seed")
	seeds := "number of seeds, from -seed on, for intervals over seeds; 0 means one"
	if p.Seeds {
		seeds = "number of seeds, from -seed on; 0 means as many as the scale has, and one at a time with -shard"
	}
	set.IntVar(&env.Seeds, "seeds", 0, seeds)
	set.StringVar(shard, "shard", "", "run part `i/n` of the sweep over -seeds, i from 1 to n, and leave out what is finished in -out;\n"+
		sweep.FromEnvironment+" takes i and n from the task of a Slurm array or the pod of a Kubernetes Indexed Job")
	set.StringVar(&o.merge, "merge", "", "sum up what -shard has written: a `folder`, or files; more of them may follow")
	if p.Split != nil {
		set.BoolVar(&o.split, "split", false, "with -shard: run each of -"+p.Split.Flag+" by itself; what compares them is left out")
	}
}

// scales are those that the program has.
func (p Program) scales() []Scale {
	switch {
	case p.OneScale:
		return []Scale{Small}
	case p.Medium:
		return []Scale{Small, Medium, Full}
	}
	return []Scale{Small, Full}
}

// explain adds what a flag wants to the error about a value that it could not read.
func explain(set *flag.FlagSet, err error) error {
	text := err.Error()
	if !strings.HasSuffix(text, ": parse error") && !strings.HasSuffix(text, ": value out of range") {
		return err
	}
	text = text[:strings.LastIndex(text, ": ")]
	f := set.Lookup(text[strings.LastIndex(text, " -")+2:])
	if f == nil {
		return err
	}
	getter, _ := f.Value.(flag.Getter)
	if getter == nil {
		return err
	}
	switch getter.Get().(type) {
	case uint64:
		return fmt.Errorf("%s: want a whole number from 0 to %d", text, uint64(math.MaxUint64))
	case int:
		return fmt.Errorf("%s: want a whole number", text)
	case float64:
		return fmt.Errorf("%s: want a number", text)
	case bool:
		return fmt.Errorf("%s: want true or false", text)
	}
	return err
}

// findUnits works out the units of a sweep.
func (o *options) findUnits(p Program) (err error) {
	o.units = sweep.Range{First: o.env.Seed, Seeds: o.env.Seeds}
	if o.split {
		if o.units.Values, err = p.Split.Values(o.env); err != nil {
			return err
		}
	}
	return o.units.Validate()
}

// parseShard reads -shard and says what it goes with.
func (o *options) parseShard(text string) (err error) {
	switch {
	case text == "" && o.split:
		return errors.New("-split is for a sweep, want it with -shard")
	case text == "":
		return nil
	}
	if o.shard, err = sweep.ParseShard(text, os.LookupEnv); err != nil {
		return fmt.Errorf("-shard: %w", err)
	}
	switch {
	case o.env.Seeds < 1:
		return errors.New("-shard without -seeds, want the number of seeds of the sweep")
	case o.env.Out == "":
		return errors.New("-shard without -out, want a folder for lines of JSON that all shards share")
	}
	o.env.sharded = true
	return nil
}

// sweeps says whether the flags ask for a sweep.
func (o *options) sweeps(p Program) bool {
	return o.shard.Count > 0 || o.env.Seeds > 1 && !p.Seeds
}

// settings are the values of the flags that figures depend on.
func (o *options) settings(p Program) map[string]string {
	out := map[string]string{}
	o.set.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(shared, f.Name) && !slices.Contains(p.Places, f.Name) {
			out[f.Name] = f.Value.String()
		}
	})
	if o.split {
		delete(out, p.Split.Flag)
	}
	return out
}

// given are those of the settings that were written out as flags.
func (o *options) given(p Program) map[string]string {
	all, out := o.settings(p), map[string]string{}
	o.set.Visit(func(f *flag.Flag) {
		if v, ok := all[f.Name]; ok {
			out[f.Name] = v
		}
	})
	return out
}

// Split is a flag with a list of names of which each can be run by itself.
type Split struct {
	Flag string
	// Values are the names that the flags ask for.
	Values func(*Env) ([]string, error)
}

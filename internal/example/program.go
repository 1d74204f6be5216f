package example

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// Program is an example program.
type Program struct {
	Name  string // of its folder
	About string // what it does, in a sentence or two, for -help
	// Flags declares flags of the program's own; nil for none.
	Flags func(*flag.FlagSet)
	// SmallTakes is how long the small scale takes, for -help; empty for minutes on two
	// cores.
	SmallTakes string
	// Medium says that there is a scale between small and full.
	Medium bool
	// OneScale says that there is no -scale.
	OneScale bool
	// NoSweeps says that there is no -seeds, -shard, -split and -merge.
	NoSweeps bool
	// Seeds says that a single run of the program takes several seeds. For other
	// programs more than one seed is a sweep.
	Seeds bool
	// Split is the list of which a sweep may run each value by itself; nil for none.
	Split *Split
	// Right names the list in the figures that says which images are right, and Tries the
	// data that all seeds share where they are tries of one attack on one model: then a
	// sweep says too which share of the images is right for every seed.
	Right, Tries string
	// Places names flags of the program's own that say where something is and on which
	// no figure depends.
	Places []string
	// Check looks at the flags before anything runs; nil accepts them.
	Check func(*Env) error
	// Partial says that the page is made of what was reached, too, when Run returns an
	// error.
	Partial bool
	// New prepares an experiment. A sweep calls it for each of its units.
	New func(*Env) (Experiment, error)
}

// Exit codes, beside 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// Main runs the program with the arguments of the process and exits. An
// interrupt stops it within a step; a second one kills it.
func (p Program) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(p.Execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Execute runs the program and returns its exit code: 0, 1 after an error, 2
// after a mistake in the arguments, 130 when ctx was cancelled.
func (p Program) Execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := p.parse(args, stdout, stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return p.fail(stderr, exitUsage, err)
	}
	env := o.env
	if env.Out != "" {
		if err := checkFolder(env.Out); err != nil {
			return p.fail(stderr, exitFailed, err)
		}
	}
	kept := ""
	var res Result
	switch {
	case o.merge != "":
		res, err = p.merge(o)
	case env.Sweep:
		if env.Out != "" {
			kept = "finished units are kept in " + env.Out + ", the same command goes on"
		}
		res, err = p.sweep(ctx, o)
	default:
		res, err = p.once(ctx, env)
	}
	env.closeStage()
	if showErr := p.show(env, res, stdout); showErr != nil {
		return p.fail(stderr, exitFailed, errors.Join(err, showErr))
	}
	switch {
	case err != nil && ctx.Err() != nil:
		switch {
		case kept != "":
		case res.Figures == nil:
			kept = "there are no figures yet"
		default:
			kept = "the figures are those reached until then"
		}
		return p.fail(stderr, exitInterrupted, errors.New("interrupted; "+kept))
	case err != nil:
		return p.fail(stderr, exitFailed, err)
	}
	return 0
}

func (p Program) fail(stderr io.Writer, code int, err error) int {
	fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	return code
}

// show prints the result and writes its files. Without figures -json prints nothing, and
// tables without rows are left out.
func (p Program) show(env *Env, res Result, stdout io.Writer) error {
	if lines, ok := res.Figures.(jsonLines); ok && env.JSON {
		if _, err := stdout.Write(lines); err != nil {
			return err
		}
	} else if env.JSON && res.Figures != nil {
		text, err := json.MarshalIndent(res.Figures, "", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "%s\n", text); err != nil {
			return err
		}
	} else if !env.JSON {
		for _, t := range res.Tables {
			if t.Len() == 0 {
				continue
			}
			if _, err := fmt.Fprintf(stdout, "\n%s", t.Text()); err != nil {
				return err
			}
		}
		for i, n := range res.Notes {
			if i == 0 {
				fmt.Fprintln(stdout)
			}
			if _, err := fmt.Fprintln(stdout, n); err != nil {
				return err
			}
		}
	}
	if env.Out == "" {
		return nil
	}
	names, err := writeFiles(env.Out, res)
	if !env.JSON && len(names) > 0 {
		fmt.Fprintln(stdout)
		for _, n := range names {
			fmt.Fprintln(stdout, "wrote", n)
		}
	}
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

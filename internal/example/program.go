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
	"slices"
	"syscall"

	"golang.org/x/term"

	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Program is an example program.
type Program struct {
	Name  string // of its folder
	About string // what it does, in a sentence or two, for -help
	// Flags declares flags of the program's own; nil for none.
	Flags func(*flag.FlagSet)
	// Medium says that there is a scale between small and full.
	Medium bool
	// Check looks at the flags before anything runs; nil accepts them.
	Check func(*Env) error
	// Run does the work. When it returns an error, and when ctx is cancelled, the
	// result holds what was reached; it is shown all the same.
	Run func(ctx context.Context, env *Env) (Result, error)
}

// Result is what a program shows.
type Result struct {
	// Figures is printed by -json and holds every figure of the tables.
	Figures any
	Tables  []*report.Table
	// Notes are printed below the tables, a line each.
	Notes []string
	// Page becomes report.html and, as data for the gallery, report.json, and every
	// other file of Files is written beside them, when -out is given.
	Page  *report.Page
	Files map[string][]byte
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
	env, err := p.parse(args, stdout, stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return p.fail(stderr, exitUsage, err)
	}
	if env.Out != "" {
		if err := checkFolder(env.Out); err != nil {
			return p.fail(stderr, exitFailed, err)
		}
	}
	res, err := p.Run(ctx, env)
	env.closeStage()
	if showErr := p.show(env, res, stdout); showErr != nil {
		return p.fail(stderr, exitFailed, errors.Join(err, showErr))
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return p.fail(stderr, exitInterrupted, errors.New("interrupted; the figures are those reached until then"))
	case err != nil:
		return p.fail(stderr, exitFailed, err)
	}
	return 0
}

func (p Program) fail(stderr io.Writer, code int, err error) int {
	fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	return code
}

func (p Program) parse(args []string, stdout, stderr io.Writer) (*Env, error) {
	env := &Env{stderr: stderr, terminal: isTerminal(stderr)}
	set := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	scale := ""
	set.StringVar(&env.Data, "data", dataset.DirFromEnv(), "`folder` with data sets, also from the environment variable REDOUBT_DATA")
	set.Uint64Var(&env.Seed, "seed", 1, "seed of all random numbers")
	scales, about := []Scale{Small, Full}, "small (minutes on two cores) or full (a larger experiment, hours)"
	if p.Medium {
		scales, about = []Scale{Small, Medium, Full}, "small (minutes on two cores), medium (hours) or full (a larger experiment)"
	}
	set.StringVar(&scale, "scale", string(Small), about)
	set.StringVar(&env.Out, "out", "", "`folder` for report.html and pictures; nothing is written without it")
	set.BoolVar(&env.JSON, "json", false, "print one JSON object with every figure and nothing else")
	if p.Flags != nil {
		p.Flags(set)
	}
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stdout, "%s\n\nUsage: go run ./examples/%s [flags]\n\n", p.About, p.Name)
			set.SetOutput(stdout)
			set.PrintDefaults()
		}
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; -help lists the flags", set.Arg(0))
	}
	if env.Scale = Scale(scale); !slices.Contains(scales, env.Scale) {
		return nil, fmt.Errorf("-scale is %q, want one of %q", scale, scales)
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
	if p.Check != nil {
		return env, p.Check(env)
	}
	return env, nil
}

// show prints the result and writes its files.
func (p Program) show(env *Env, res Result, stdout io.Writer) error {
	if env.JSON {
		text, err := json.MarshalIndent(res.Figures, "", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "%s\n", text); err != nil {
			return err
		}
	} else {
		for _, t := range res.Tables {
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

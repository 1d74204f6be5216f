// Fetch downloads public data sets into a folder, laid out as the examples and
// dataset.Load find them.
//
//	go run ./examples/fetch -list                      # what there is to fetch
//	go run ./examples/fetch -out DIR cifar10 usps      # DIR/cifar10 and DIR/usps
//	go run ./examples/quickstart -data DIR             # and so on
//
// Sizes and checksums are verified. Files that are there are left alone, and a transfer
// that was cut off goes on where it was when the same command is given again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	c := command{stdout: os.Stdout, stderr: os.Stderr, terminal: term.IsTerminal(int(os.Stderr.Fd())), originals: dataset.Originals}
	os.Exit(c.execute(ctx, os.Args[1:]))
}

// command is the program with what it talks to.
type command struct {
	stdout, stderr io.Writer
	terminal       bool                               // stderr is one
	originals      func(name string) []dataset.Remote // files of a data set
}

// mistake is an error in the arguments.
type mistake struct{ error }

// execute runs the program and returns its exit code: 0, 1 after an error, 2 after a
// mistake in the arguments, 130 when ctx was cancelled.
func (c *command) execute(ctx context.Context, args []string) int {
	err := c.run(ctx, args)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(c.stderr, "fetch: interrupted; the same command goes on")
		return 130
	}
	fmt.Fprintln(c.stderr, "fetch:", err)
	if errors.As(err, &mistake{}) {
		return 2
	}
	return 1
}

func (c *command) run(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("fetch", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	out := set.String("out", "", "`folder` that the data sets go to, each in a sub-folder of its own")
	list := set.Bool("list", false, "list what can be fetched, and fetch nothing")
	var names []string
	for err := set.Parse(args); ; err = set.Parse(set.Args()[1:]) {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(c.stdout, "Downloads public data sets into a folder, laid out as the examples find them.\n\n"+
				"Usage: go run ./examples/fetch -out DIR [-list] NAME...\n\nNames: "+strings.Join(c.known(), ", ")+"\n\n")
			set.SetOutput(c.stdout)
			set.PrintDefaults()
			return err
		}
		if err != nil {
			return mistake{err}
		}
		if set.NArg() == 0 {
			break
		}
		names = append(names, set.Arg(0))
	}
	chosen := c.known()
	if len(names) > 0 {
		var err error
		if chosen, err = example.Choose("NAME", strings.Join(c.spell(names), ","), c.known()); err != nil {
			return mistake{err}
		}
	}
	switch {
	case *list:
		_, err := fmt.Fprint(c.stdout, c.table(chosen).Text())
		return err
	case len(names) == 0:
		return mistake{fmt.Errorf("no NAME, want some of %s; -list says how large they are", strings.Join(c.known(), ", "))}
	case *out == "":
		return mistake{errors.New("no -out, want a folder for the data sets")}
	}
	for _, name := range chosen {
		if err := c.fetch(ctx, *out, name); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.stdout, "%s has %s: name it with -data\n", *out, strings.Join(chosen, ", "))
	return err
}

// known are the data sets that have public files.
func (c *command) known() []string {
	return slices.DeleteFunc(dataset.Names(), func(name string) bool { return c.originals(name) == nil })
}

// spell replaces other spellings of data sets by those of known.
func (c *command) spell(names []string) []string {
	out := slices.Clone(names)
	for i, name := range out {
		if found, err := dataset.Find(name); err == nil {
			out[i] = found
		}
	}
	return out
}

// fetch downloads the files of a data set.
func (c *command) fetch(ctx context.Context, dir, name string) error {
	p := progress{command: c, set: name}
	defer p.end()
	return dataset.Download(ctx, dataset.DownloadOptions{Dir: dir, Name: name, Files: c.originals(name), OnProgress: p.at})
}

// table lists data sets with their files and sizes.
func (c *command) table(names []string) *report.Table {
	t := report.NewTable("", report.Left("name"), report.Left("file"), report.Right("size"), report.Left("from"))
	for _, name := range names {
		for _, f := range c.originals(name) {
			size := "not known"
			if f.Bytes > 0 {
				size = inBytes(f.Bytes)
			}
			t.AddRow(name, f.Name, size, strings.TrimSuffix(f.URLs[0], f.Name))
		}
	}
	return t
}

// inBytes writes a size, as in "9.9 MB" or "29 kB".
func inBytes(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

package example

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/report"
)

// work is an experiment of one function.
type work struct {
	env *Env
	run func(ctx context.Context, env *Env) (Result, error)
	res Result
}

func (w *work) Run(ctx context.Context) (err error) {
	w.res, err = w.run(ctx, w.env)
	return err
}

func (w *work) Result() Result { return w.res }

func (w *work) Page(context.Context) (*report.Page, error) { return report.NewPage("page"), nil }

// show reports the flags it got.
func show(_ context.Context, env *Env) (Result, error) {
	stage := env.Stage("work", 3)
	stage.Note("loss %d", 1)
	stage.Done(3)
	t := report.NewTable("", report.Left("name"), report.Right("value"))
	t.AddRow("seed", "7")
	return Result{
		Figures: map[string]any{"seed": env.Seed, "scale": env.Scale, "data": env.Data},
		Tables:  []*report.Table{t}, Notes: []string{"a note"}, File: "figures.json",
	}, nil
}

// trial is a program that does one thing, or reports the flags it got.
func trial(run func(ctx context.Context, env *Env) (Result, error)) Program {
	if run == nil {
		run = show
	}
	return Program{
		Name: "trial", About: "Tries things.",
		Flags: func(s *flag.FlagSet) {
			s.Int("depth", 1, "how deep")
			s.Float64("width", 1, "how wide")
		},
		Check: func(e *Env) error {
			if e.Seed == 13 {
				return errors.New("13 is not welcome")
			}
			return nil
		},
		New: func(env *Env) (Experiment, error) { return &work{env: env, run: run}, nil },
	}
}

func execute(p Program, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = p.Execute(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestTablesGoToStandardOutputAndProgressNowhere(t *testing.T) {
	code, out, errs := execute(trial(nil), "-seed", "7")
	require.Zero(t, code)
	require.Equal(t, "\n  name  value\n  ────  ─────\n  seed      7\n\na note\n", out)
	require.Empty(t, errs)
}

func TestJSONIsAloneOnStandardOutput(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := execute(trial(nil), "-json", "-seed=9", "-scale=full", "-data", dir, "-out", filepath.Join(dir, "a", "b"))
	require.Zero(t, code)
	require.Empty(t, errs)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, map[string]any{"seed": 9.0, "scale": "full", "data": dir}, got)
	require.FileExists(t, filepath.Join(dir, "a", "b", "report.html"))
	saved, err := os.ReadFile(filepath.Join(dir, "a", "b", "figures.json"))
	require.NoError(t, err)
	require.JSONEq(t, out, string(saved))
	files, err := os.ReadDir(filepath.Join(dir, "a", "b"))
	require.NoError(t, err)
	require.Len(t, files, 3, "no file may be left half-written")
}

func TestMistakesInArgumentsAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for want, args := range map[string][]string{
		"-scale is \"big\"":     {"-scale", "big"},
		"flag provided but not": {"-speed"},
		"13 is not welcome":     {"-seed", "13"},
		`invalid value "-1" for flag -seed: want a whole number from 0 to 18446744073709551615`: {"-seed", "-1"},
		`invalid value "2x" for flag -depth: want a whole number`:                               {"-depth", "2x"},
		`invalid value "99999999999999999999" for flag -seeds: want a whole number`:             {"-seeds", "99999999999999999999"},
		`invalid boolean value "x" for -json: want true or false`:                               {"-json=x"},
		`invalid value "x" for flag -width: want a number`:                                      {"-width", "x"},
		"unexpected argument \"x\"":                                                             {"x"},
		"no such file":                                                                          {"-data", file + "x"},
		"is not a folder":                                                                       {"-data", file},
	} {
		code, out, errs := execute(trial(nil), args...)
		require.Equal(t, exitUsage, code, want)
		require.Empty(t, out)
		require.Contains(t, errs, want)
		require.Contains(t, errs, "trial: ")
	}
}

func TestSomeProgramsHaveAMediumScale(t *testing.T) {
	p := trial(nil)
	code, _, errs := execute(p, "-scale", "medium")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, `-scale is "medium", want one of ["small" "full"]`)
	p.Medium = true
	code, out, _ := execute(p, "-scale", "medium", "-json")
	require.Zero(t, code)
	require.Contains(t, out, `"scale": "medium"`)
}

func TestHelpListsTheFlags(t *testing.T) {
	code, out, _ := execute(trial(nil), "-help")
	require.Zero(t, code)
	for _, want := range []string{"Tries things.", "go run ./examples/trial", "-depth", "-json", "-out folder", "-scale"} {
		require.Contains(t, out, want)
	}
}

func TestOutputFolderIsTriedBeforeTheWork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	ran := false
	code, _, errs := execute(trial(func(context.Context, *Env) (Result, error) {
		ran = true
		return Result{}, nil
	}), "-out", file)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "-out")
	require.False(t, ran)
}

func TestAFullDiskShowsTheTableAndLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	p := trial(func(context.Context, *Env) (Result, error) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, "report.html"), 0o700)) // cannot be replaced by a file
		tab := report.NewTable("", report.Left("kept"))
		tab.AddRow("this")
		return Result{Tables: []*report.Table{tab}}, nil
	})
	code, out, errs := execute(p, "-out", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "kept")
	require.Contains(t, errs, "report.html")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestAnInterruptedProgramShowsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := trial(func(ctx context.Context, _ *Env) (Result, error) {
		cancel()
		return Result{Figures: map[string]int{"half": 1}}, ctx.Err()
	})
	var out, errs bytes.Buffer
	require.Equal(t, exitInterrupted, p.Execute(ctx, []string{"-json"}, &out, &errs))
	require.JSONEq(t, `{"half":1}`, out.String())
	require.Contains(t, errs.String(), "interrupted")
}

func TestAFailedProgramShowsWhatItHasAndSaysWhy(t *testing.T) {
	p := trial(func(context.Context, *Env) (Result, error) {
		return Result{Figures: map[string]int{"half": 1}}, errors.New("ran out of luck")
	})
	code, out, errs := execute(p, "-json")
	require.Equal(t, exitFailed, code)
	require.JSONEq(t, `{"half":1}`, out)
	require.Contains(t, errs, "ran out of luck")
}

// A program that has not reached any figure prints no empty object.
func TestWithoutFiguresNothingIsPrinted(t *testing.T) {
	empty := report.NewTable("nothing yet", report.Left("name"))
	p := trial(func(context.Context, *Env) (Result, error) {
		return Result{Tables: []*report.Table{empty}}, errors.New("no model")
	})
	for _, args := range [][]string{{"-json"}, {}} {
		code, out, errs := execute(p, args...)
		require.Equal(t, exitFailed, code)
		require.Empty(t, out)
		require.Contains(t, errs, "no model")
	}
	p.New = func(*Env) (Experiment, error) { return nil, errors.New("no data") }
	code, out, errs := execute(p, "-json")
	require.Equal(t, exitFailed, code)
	require.Empty(t, out)
	require.Contains(t, errs, "no data")
	ctx, cancel := context.WithCancel(context.Background())
	p = trial(func(ctx context.Context, _ *Env) (Result, error) {
		cancel()
		return Result{}, ctx.Err()
	})
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitInterrupted, p.Execute(ctx, []string{"-json"}, &stdout, &stderr))
	require.Empty(t, stdout.String())
	require.Contains(t, stderr.String(), "interrupted; there are no figures yet")
}

func TestProgramsWithoutSweepsOrScalesSaySo(t *testing.T) {
	p := trial(nil)
	p.SmallTakes = "a blink"
	_, out, _ := execute(p, "-help")
	require.Contains(t, out, "small (a blink) or full")
	require.Contains(t, out, "-shard")
	p.NoSweeps, p.OneScale = true, true
	_, out, _ = execute(p, "-help")
	for _, name := range []string{"scale", "seeds", "shard", "split", "merge"} {
		require.NotContains(t, out, "-"+name)
		code, _, errs := execute(p, "-"+name, "1")
		require.Equal(t, exitUsage, code)
		require.Contains(t, errs, "flag provided but not defined: -"+name)
	}
	code, out, errs := execute(p, "-json")
	require.Zero(t, code, errs)
	require.Contains(t, out, `"scale": "small"`)
}

func TestStreamsOfRandomNumbersDiffer(t *testing.T) {
	a, b := &Env{Seed: 1}, &Env{Seed: 2}
	require.Equal(t, a.Rand("weights").Uint64(), a.Rand("weights").Uint64())
	require.NotEqual(t, a.Rand("weights").Uint64(), a.Rand("noise").Uint64())
	require.NotEqual(t, a.Rand("weights").Uint64(), b.Rand("weights").Uint64())
}

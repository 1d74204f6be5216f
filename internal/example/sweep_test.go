package example

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/example/sweep"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// TestMain lets tests run this very program as one that can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("REDOUBT_SLOW_TRIAL") != "" {
		slow().Main()
	}
	os.Exit(m.Run())
}

// slow is a program whose units take a few hundredths of a second.
func slow() Program {
	return trial(func(ctx context.Context, env *Env) (Result, error) {
		select {
		case <-ctx.Done():
			return Result{}, ctx.Err()
		case <-time.After(time.Duration(20+env.Seed%3*10) * time.Millisecond):
		}
		return figure(env.Rand("figure").Float64()), nil
	})
}

func figure(v float64) Result {
	t := report.NewTable("", report.Right("v"))
	t.AddRow(fmt.Sprint(v))
	return Result{Figures: map[string]float64{"v": v}, Tables: []*report.Table{t}}
}

// double is a program whose figure is twice its seed.
func double() Program {
	return trial(func(_ context.Context, env *Env) (Result, error) {
		if env.Seed == 66 {
			return Result{}, errors.New("no luck")
		}
		return figure(2 * float64(env.Seed)), nil
	})
}

// process starts the slow program.
func process(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "REDOUBT_SLOW_TRIAL=1")
	errs := new(bytes.Buffer)
	cmd.Stderr = errs
	require.NoError(t, cmd.Start())
	return cmd, errs
}

// files reads the files with lines of a folder.
func files(t *testing.T, dir string) map[string]string {
	names, err := filepath.Glob(filepath.Join(dir, "*"+sweep.Extension))
	require.NoError(t, err)
	out := map[string]string{}
	for _, n := range names {
		text, err := os.ReadFile(n)
		require.NoError(t, err)
		out[n] = string(text)
	}
	return out
}

// Two shards that share a folder are killed at random moments and started again: no unit
// is lost, none is made twice, and every file is whole at all times.
func TestKilledShardsLoseAndDoubleNothing(t *testing.T) {
	const units = 20
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var seen sync.Map
	look := func() {
		for name, text := range files(t, dir) {
			lines, err := sweep.Read(strings.NewReader(text), name)
			require.NoError(t, err)
			require.Len(t, lines, 1)
			before, ok := seen.LoadOrStore(name, text)
			require.True(t, !ok || before == text, "%s was made twice", name)
		}
	}
	args := func(i int) []string {
		return []string{"-seeds", fmt.Sprint(units), "-shard", fmt.Sprintf("%d/2", i), "-out", dir}
	}
	var wg sync.WaitGroup
	for i := 1; i <= 2; i++ {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 5 {
				cmd, _ := process(t, args(i)...)
				time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
				if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Error(err)
				}
				cmd.Wait()
				look()
			}
			cmd, errs := process(t, args(i)...)
			if err := cmd.Wait(); err != nil {
				t.Error(err, errs.String())
			}
		})
	}
	wg.Wait()
	look()
	require.Len(t, files(t, dir), units)

	code, out, errs := execute(slow(), "-merge", dir, "-json")
	require.Zero(t, code, errs)
	var got sweep.Merged
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, units, got.Units)
	require.Empty(t, got.Missing)
	sum := 0.0
	for s := range uint64(units) {
		sum += (&Env{Seed: s + 1}).Rand("figure").Float64()
	}
	require.InDelta(t, sum/units, *got.Figures[0].Mean, 1e-12)
	require.Equal(t, units, got.Figures[0].N)
}

// An interrupted shard stops at once, leaves whole files, and goes on where it was.
func TestInterruptedShardsKeepFinishedUnits(t *testing.T) {
	dir := t.TempDir()
	args := []string{"-seeds", "40", "-shard", "1/1", "-out", dir}
	cmd, errs := process(t, args...)
	require.Eventually(t, func() bool { return len(files(t, dir)) >= 2 }, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	require.Contains(t, errs.String(), "interrupted; finished units are kept in "+dir)
	require.NotContains(t, errs.String(), "failed", "what was not begun has not failed")
	kept := files(t, dir)
	require.Less(t, len(kept), 40)
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, all, len(kept), "nothing but whole files")
	for name, text := range kept {
		_, err := sweep.Read(strings.NewReader(text), name)
		require.NoError(t, err)
	}

	code, out, errors := execute(slow(), args...)
	require.Zero(t, code, errors)
	require.Equal(t, len(kept), strings.Count(out, "finished before"))
	after := files(t, dir)
	require.Len(t, after, 40)
	for name, text := range kept {
		require.Equal(t, text, after[name])
	}
}

func TestShardsWriteLinesThatMergeSumsUp(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SLURM_ARRAY_TASK_ID", "5")
	for name, v := range map[string]string{"MIN": "4", "MAX": "5", "STEP": "1", "COUNT": "2"} {
		t.Setenv("SLURM_ARRAY_TASK_"+name, v)
	}
	code, out, _ := execute(double(), "-seed", "3", "-seeds", "4", "-shard", "env", "-depth", "2", "-out", dir, "-json")
	require.Zero(t, code)
	lines, err := sweep.Read(strings.NewReader(out), "output")
	require.NoError(t, err)
	require.Equal(t, []sweep.Unit{{Seed: 4}, {Seed: 6}}, []sweep.Unit{lines[0].Unit, lines[1].Unit})
	require.Equal(t, map[string]string{"depth": "2", "scale": "small", "width": "1"}, lines[0].Settings)

	code, out, errs := execute(double(), "-merge", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "2 units missing, start the shards again: seed 3, seed 5")
	require.Regexp(t, `v +2 +10 `, out)

	code, _, errs = execute(double(), "-seed", "3", "-seeds", "4", "-shard", "1/2", "-depth", "2", "-out", dir)
	require.Zero(t, code, errs)
	paths := []string{filepath.Join(dir, "trial-seed-3.jsonl")}
	for i := uint64(4); i <= 6; i++ {
		paths = append(paths, filepath.Join(dir, sweep.Unit{Seed: i}.FileName("trial")))
	}
	page := filepath.Join(t.TempDir(), "page")
	code, out, errs = execute(double(), append(append([]string{"-merge"}, paths...), "-depth=2", "-out", page)...)
	require.Zero(t, code, errs)
	require.Regexp(t, `v +4 +9 +4.891 +13.11 +2.582\n`, out)
	require.Contains(t, out, "Settings: -depth=2 -scale=small")
	require.FileExists(t, filepath.Join(page, "report.html"))

	code, _, errs = execute(double(), "-merge", dir, "-depth", "1")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `trial-seed-3.jsonl line 1: -depth is "2", want "1"`)
	other := double()
	other.Name = "other"
	code, _, errs = execute(other, "-merge", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `program is "trial", want "other"`)
}

// A matrix does not drown the table.
func TestEntriesOfMatricesAreInJSONOnly(t *testing.T) {
	p := trial(func(context.Context, *Env) (Result, error) {
		return Result{Figures: map[string]any{"confusion": [][]int{{1, 2}, {3, 4}}, "v": []int{5}}}, nil
	})
	code, out, _ := execute(p, "-seeds", "2")
	require.Zero(t, code)
	require.NotContains(t, out, "confusion")
	require.Contains(t, out, "4 figures of matrices are in -json only.")
	require.Regexp(t, `v\[0\] +2 +5`, out)
	code, out, _ = execute(p, "-seeds", "2", "-json")
	require.Zero(t, code)
	require.Contains(t, out, `"confusion[1][0]"`)
}

func TestMergeNamesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "x.jsonl")
	for want, path := range map[string]string{"no such file": dir + "x", "has no files *.jsonl": dir} {
		code, out, errs := execute(double(), "-merge", path)
		require.Equal(t, exitFailed, code)
		require.Contains(t, errs, want)
		require.Empty(t, out)
	}
	require.NoError(t, os.WriteFile(empty, []byte("{\"program\":\"trial\""), 0o600))
	code, _, errs := execute(double(), "-merge", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "x.jsonl line 1: want one JSON object")
}

func TestSeveralSeedsAreSummedUpAtOnce(t *testing.T) {
	code, out, errs := execute(double(), "-seed", "3", "-seeds", "4")
	require.Zero(t, code, errs)
	require.Contains(t, out, "trial over 4 seeds")
	require.Regexp(t, `v +4 +9 +4.891 +13.11 +2.582\n`, out)
	p := double()
	p.Seeds = true
	code, out, _ = execute(p, "-seed", "3", "-seeds", "4", "-json")
	require.Zero(t, code)
	require.JSONEq(t, `{"v":6}`, out, "the program's own seeds are its own business")
}

// A unit that fails leaves the others alone.
func TestOneFailureIsOneUnit(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := execute(double(), "-seed", "65", "-seeds", "3", "-shard", "1/1", "-out", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "seed 66: no luck")
	require.Equal(t, 2, strings.Count(out, "finished"))
	require.Len(t, files(t, dir), 2)
}

func TestASweepKeepsToItsFolder(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := execute(double(), "-seeds", "2", "-shard", "1/1", "-out", dir)
	require.Zero(t, code, errs)
	code, _, errs = execute(double(), "-seeds", "2", "-shard", "1/1", "-out", dir, "-depth", "3")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `trial-seed-1.jsonl line 1: -depth is "1", want "3"; another sweep wants another -out`)
	require.NoError(t, os.Rename(filepath.Join(dir, "trial-seed-1.jsonl"), filepath.Join(dir, "trial-seed-3.jsonl")))
	code, _, errs = execute(double(), "-seeds", "3", "-shard", "3/3", "-out", dir)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "the first of seed 1, want one of seed 3")
}

// Each value of a list is run by itself, under a name of its own.
func TestListsAreSplit(t *testing.T) {
	names := ""
	p := trial(func(_ context.Context, env *Env) (Result, error) {
		return figure(float64(len(names)) + float64(env.Seed)/10), nil
	})
	p.Flags = func(s *flag.FlagSet) { s.StringVar(&names, "names", "", "") }
	p.Split = &Split{Flag: "names", Values: func(*Env) ([]string, error) { return Choose("-names", names, []string{"a", "bb", "c c"}) }}
	dir := t.TempDir()
	for i := 1; i <= 4; i++ {
		code, _, errs := execute(p, "-names", "", "-seeds", "2", "-split", "-shard", fmt.Sprintf("%d/4", i), "-out", dir)
		require.Zero(t, code, errs)
	}
	require.Len(t, files(t, dir), 6)
	code, out, errs := execute(p, "-merge", dir)
	require.Zero(t, code, errs)
	for name, mean := range map[string]string{"a": "1.15", "bb": "2.15", "c c": "3.15"} {
		require.Regexp(t, name+`: v +2 +`+mean, out)
	}
	code, _, errs = execute(p, "-names", "a,x", "-seeds", "2", "-split", "-shard", "1/1", "-out", dir)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, `-names has "x"`)
}

// Lines say what the data were, so that shards that found different ones do not mix.
func TestLinesHaveFingerprints(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	p := trial(func(_ context.Context, env *Env) (Result, error) {
		_, _, _, err := env.MNIST(true)
		return figure(1), errors.Join(err, env.UsesFile("model", model))
	})
	lines := map[string]string{}
	for _, content := range []string{"one", "two"} {
		require.NoError(t, os.WriteFile(model, []byte(content), 0o600))
		code, out, errs := execute(p, "-seeds", "1", "-shard", "1/1", "-out", t.TempDir(), "-json")
		require.Zero(t, code, errs)
		lines[content] = out
		var l sweep.Line
		require.NoError(t, json.Unmarshal([]byte(out), &l))
		require.Len(t, l.Data["mnist train"], 64)
		require.Len(t, l.Data["mnist test"], 64)
	}
	mixed := filepath.Join(t.TempDir(), "mixed")
	require.NoError(t, os.WriteFile(mixed, []byte(lines["one"]+lines["two"]), 0o600))
	code, _, errs := execute(p, "-merge", mixed)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "mixed line 2: data of model is")
}

// A folder of finished units is of one model and one data set.
func TestFinishedUnitsOfOtherFilesAreRefused(t *testing.T) {
	var model, surrogate string
	p := trial(func(_ context.Context, env *Env) (Result, error) {
		_, _, _, err := env.MNIST(true)
		for name, path := range map[string]string{"model": model, "surrogate": surrogate} {
			if path != "" {
				err = errors.Join(err, env.UsesFile(name, path))
			}
		}
		return figure(1), err
	})
	p.Flags = func(s *flag.FlagSet) {
		s.StringVar(&model, "model", "", "")
		s.StringVar(&surrogate, "surrogate", "", "")
	}
	p.Places = []string{"model", "surrogate"}
	dir := t.TempDir()
	at := map[string]string{}
	for _, name := range []string{"one", "two", "copy of one"} {
		at[name] = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(at[name], []byte(strings.TrimPrefix(name, "copy of ")), 0o600))
	}
	out := filepath.Join(dir, "out")
	run := func(args ...string) (int, string, string) {
		model, surrogate = "", ""
		return execute(p, append(args, "-seeds", "2", "-out", out)...)
	}
	code, _, errs := run("-model", at["one"])
	require.Zero(t, code, errs)
	code, text, errs := run("-model", at["copy of one"])
	require.Zero(t, code, errs)
	require.Regexp(t, "Data, by the start of their SHA-256: mnist test [0-9a-f]{12}, mnist train [0-9a-f]{12}, model 7692c3ad3540", text)
	for want, args := range map[string][]string{
		"line 1: SHA-256 of -model is 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed, want 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3; another sweep wants another -out": {"-model", at["two"]},
		"want none": nil,
		"SHA-256 of -surrogate is none, want 7692c3ad": {"-model", at["one"], "-surrogate", at["one"]},
		"-model: open": {"-model", at["one"] + "x"},
	} {
		code, _, errs := run(args...)
		require.Equal(t, exitFailed, code)
		require.Contains(t, errs, want)
	}

	data := filepath.Join(dir, "data")
	require.NoError(t, os.MkdirAll(filepath.Join(data, "cifar10"), 0o700))
	line := filepath.Join(out, "trial-seed-1.jsonl")
	text1, err := os.ReadFile(line)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(line, []byte(strings.Replace(string(text1), `"mnist test"`, `"cifar10 test"`, 1)), 0o600))
	batch := make([]byte, 3073)
	require.NoError(t, os.WriteFile(filepath.Join(data, "cifar10", "test_batch.bin"), batch, 0o600))
	code, _, errs = run("-model", at["one"], "-data", data)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "data of cifar10 test is")
}

// A smaller sweep in the folder of a larger one lacks nothing.
func TestSmallerSweepsMissNothing(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := execute(double(), "-seeds", "4", "-shard", "1/2", "-out", dir)
	require.Zero(t, code, errs)
	code, out, errs := execute(double(), "-seeds", "2", "-out", dir)
	require.Zero(t, code, errs)
	require.Contains(t, out, "trial over 2 seeds")
}

func TestMistakesInSweepsAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"-shard without -seeds":   {"-shard", "1/2", "-out", "x"},
		"-shard without -out":     {"-shard", "1/2", "-seeds", "2"},
		`-shard: "0/2", want i/n`: {"-shard", "0/2", "-seeds", "2", "-out", "x"},
		"-shard: neither SLURM":   {"-shard", "env", "-seeds", "2", "-out", "x"},
		`-shard: "2", want i/n`:   {"-shard", "2"},
		"-seeds is -1":            {"-seeds", "-1"},
		"2000000 seeds":           {"-seeds", "2000000"},
		"none above 184467":       {"-seeds", "2", "-seed", "18446744073709551615"},
		"want it without them":    {"-merge", "x", "-shard", "1/2"},
		"13 is not welcome":       {"-seed", "13", "-seeds", "2"},
	} {
		code, out, errs := execute(double(), args...)
		require.Equal(t, exitUsage, code, want)
		require.Empty(t, out)
		require.Contains(t, errs, want)
	}
}

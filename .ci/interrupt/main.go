// Command interrupt starts every example, stops it with Ctrl-C's signal at random times
// and looks for anything that was left half-written:
//
//	go run ./.ci/interrupt -times 5 -longest 15s
//
// An interrupted example must end within 10 seconds with an exit status that is not 0,
// leave no process behind for longer than 2, and leave whole files only.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// calls are the examples in the forms that begin to work at once.
var calls = []string{
	"quickstart -mini", "quickstart -mini -json", "quickstart -mini -seeds 3 -shard 1/2",
	"evaluate -n 30", "evaluate -n 30 -json",
	"minmax -mini", "minmax -mini -json",
	"weightpert -mini", "weightpert -mini -json",
	"udapoison -mini", "udapoison -mini -json",
	"cafe -mini", "cafe -mini -json",
	"cbai -mini", "cbai -mini -json",
	"advcl -quick", "advcl -quick -json",
	"gallery",
}

func main() {
	times := flag.Int("times", 3, "interruptions of each call")
	longest := flag.Duration("longest", 15*time.Second, "latest time of an interruption")
	seed := flag.Uint64("seed", 1, "seed of the times")
	flag.Parse()
	ok, err := run(*times, *longest, rand.New(rand.NewPCG(*seed, 0)))
	if err != nil {
		fmt.Println("interrupt:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(times int, longest time.Duration, rng *rand.Rand) (ok bool, err error) {
	folder, err := os.MkdirTemp("", "interrupt")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(folder)
	if text, err := exec.Command("go", "build", "-o", folder+"/", "./examples/...").CombinedOutput(); err != nil {
		return false, fmt.Errorf("%w: %s", err, text)
	}
	ok = true
	for _, call := range calls {
		for k := range times {
			after := time.Duration(rng.Float64() * float64(longest))
			if k == 0 {
				after = time.Duration(rng.Float64() * float64(time.Second))
			}
			words := strings.Fields(call)
			out := filepath.Join(folder, "out")
			c := exec.Command(filepath.Join(folder, words[0]), append(words[1:], "-out", out)...)
			did, faults, err := interrupt(c, after, out)
			if err != nil {
				return false, err
			}
			if len(faults) == 0 {
				fmt.Printf("%-40s %s\n", call, did)
			} else {
				ok = false
				fmt.Printf("%-40s %s: FAULTS: %s\n", call, did, strings.Join(faults, "; "))
			}
			if err := os.RemoveAll(out); err != nil {
				return false, err
			}
		}
	}
	return ok, nil
}

// interrupt runs the command, signals it after a while and says what happened and what
// is wrong with it.
func interrupt(c *exec.Cmd, after time.Duration, out string) (did string, faults []string, err error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal signals the group
	if err := c.Start(); err != nil {
		return "", nil, err
	}
	group := -c.Process.Pid
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	var ended error
	select {
	case ended = <-done:
		did = "ended before its interruption"
		if ended != nil {
			faults = append(faults, fmt.Sprintf("%v: %s", ended, stderr.String()))
		}
	case <-time.After(after):
		asked := time.Now()
		if err := syscall.Kill(group, syscall.SIGINT); err != nil {
			return "", nil, err
		}
		select {
		case ended = <-done:
		case <-time.After(10 * time.Second):
			faults = append(faults, "still running 10 s after the signal")
			syscall.Kill(group, syscall.SIGKILL)
			ended = <-done
		}
		did = fmt.Sprintf("interrupted after %.2f s, ended %.2f s later", after.Seconds(), time.Since(asked).Seconds())
		if ended == nil {
			faults = append(faults, "exit status 0")
		}
	}
	if !gone(group) {
		faults = append(faults, "processes are left")
		syscall.Kill(group, syscall.SIGKILL)
	}
	if text := stderr.String(); strings.Contains(text, "goroutine ") {
		faults = append(faults, "a panic: "+text)
	}
	if b := bytes.TrimSpace(stdout.Bytes()); len(b) > 0 && b[0] == '{' && !json.Valid(b) {
		faults = append(faults, "half an object of JSON on standard output")
	}
	files, wrong, err := inspect(out)
	return fmt.Sprintf("%s, %d files", did, files), append(faults, wrong...), err
}

// gone waits up to 2 seconds for a group of processes to end.
func gone(group int) bool {
	for range 20 {
		if errors.Is(syscall.Kill(group, 0), syscall.ESRCH) {
			return true
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// inspect looks at every file of a folder, which may be missing.
func inspect(folder string) (files int, faults []string, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		if err := whole(path); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", path, err))
		}
		return nil
	})
	return files, faults, err
}

// whole checks that a file is complete.
func whole(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	switch filepath.Ext(path) {
	case ".json":
		if !json.Valid(b) {
			return errors.New("no complete JSON")
		}
	case ".jsonl":
		if len(b) > 0 && b[len(b)-1] != '\n' {
			return errors.New("the last line has no end")
		}
		for line := range bytes.Lines(b) {
			if !json.Valid(line) {
				return errors.New("a line is no complete JSON")
			}
		}
	case ".png":
		_, err = png.Decode(bytes.NewReader(b))
		return err
	case ".html":
		if !bytes.HasSuffix(bytes.TrimSpace(b), []byte("</html>")) {
			return errors.New("no end")
		}
	case ".safetensors":
		_, err = safetensors.Read(bytes.NewReader(b))
		return err
	case "":
		// A folder's record of its settings, one line.
		if len(b) == 0 {
			return errors.New("empty")
		}
	default:
		return errors.New("left over")
	}
	return nil
}

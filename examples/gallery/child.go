package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// module is the module whose examples are shown.
const module = "github.com/redoubt-ml/redoubt"

// builder makes the program of an example, at a path if it has none yet, and returns
// where it is.
type builder func(ctx context.Context, name, path string) (string, error)

// buildExample builds with the go command. It works wherever the module can be imported
// from.
func buildExample(ctx context.Context, name, path string) (string, error) {
	if out, err := interruptible(ctx, "go", "list", "-m", module).CombinedOutput(); err != nil {
		return "", fmt.Errorf("run the gallery in a folder of the module %s: %w: %s", module, err, lastLine(out))
	}
	if out, err := interruptible(ctx, "go", "build", "-o", path, module+"/examples/"+name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, lastLine(out))
	}
	return path, nil
}

// patience is how long a program may take to stop.
const patience = 20 * time.Second

// interruptible is a command that is interrupted when ctx is cancelled, and killed if it
// does not stop then.
func interruptible(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return cmd.Process.Kill() // on systems without interrupts
		}
		return nil
	}
	cmd.WaitDelay = patience
	return cmd
}

// runExample runs a program with -json and -out and returns the figures that it prints.
func runExample(ctx context.Context, binary string, flags []string, out string) (json.RawMessage, error) {
	cmd := interruptible(ctx, binary, append([]string{"-json", "-out", out}, flags...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(stderr.Bytes()))
	}
	if !json.Valid(stdout.Bytes()) {
		return nil, fmt.Errorf("-json printed something else: %.100q", stdout.Bytes())
	}
	return bytes.TrimSpace(stdout.Bytes()), nil
}

// lastLine is where programs say what went wrong.
func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

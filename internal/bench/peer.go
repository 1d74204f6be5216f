package main

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed drivers
var drivers embed.FS

// peer is a library to compare with: a driver process, started when it is first
// needed, that answers one line to each line.
type peer struct {
	name    string
	install string // how to get what is missing
	// command builds the driver in dir and returns how to run it.
	command func(dir string) (*exec.Cmd, error)

	dir     string
	started bool
	err     error
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// ready starts the driver; the error of the first try stays.
func (p *peer) ready() error {
	if p.started {
		return p.err
	}
	p.started = true
	if err := p.begin(); err != nil {
		p.err = fmt.Errorf("%s is absent (%w); to install: %s", p.name, err, p.install)
	}
	return p.err
}

func (p *peer) begin() error {
	cmd, err := p.command(p.dir)
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.in, p.out = cmd, in, bufio.NewReader(out)
	// A driver whose library cannot be loaded ends before it answers.
	if _, err := p.ask("hello"); err != nil && !errors.As(err, new(refusal)) {
		// It may have been put to sleep on its way out.
		cmd.Process.Kill()
		cmd.Wait()
		p.cmd = nil
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}

// refusal is a driver's answer that it cannot do what was asked.
type refusal string

func (r refusal) Error() string { return string(r) }

// ask sends one line and returns the answer. The driver sleeps between
// questions, with all its threads.
func (p *peer) ask(line string) (string, error) {
	resume(p.cmd.Process)
	defer suspend(p.cmd.Process)
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return "", err
	}
	answer, err := p.out.ReadString('\n')
	if err != nil {
		return "", err
	}
	answer = strings.TrimSpace(answer)
	if strings.HasPrefix(answer, "error:") {
		return "", refusal(fmt.Sprintf("%s answers %q to %q", p.name, answer, line))
	}
	return answer, nil
}

func (p *peer) stop() {
	if p.cmd != nil && p.cmd.Process != nil {
		resume(p.cmd.Process)
		p.in.Close()
		p.cmd.Wait()
	}
}

// side measures the driver after the given set-up line. Of several lines,
// alternatives of the same work, the fastest counts.
func (p *peer) side(lines ...string) side { return p.checked(nil, lines...) }

// checked is side with a check of the driver's answer to its set-up.
func (p *peer) checked(check func(answer string) error, lines ...string) side {
	run := func(calls int) ([]float64, error) {
		answer, err := p.ask("run " + strconv.Itoa(calls))
		if err != nil {
			return nil, err
		}
		var times []float64
		for _, w := range strings.Fields(answer) {
			v, err := strconv.ParseFloat(w, 64)
			if err != nil {
				return nil, fmt.Errorf("%s answers %q, want seconds", p.name, answer)
			}
			times = append(times, v)
		}
		if len(times) != calls {
			return nil, fmt.Errorf("%s answers %d times, want %d", p.name, len(times), calls)
		}
		return times, nil
	}
	setup := func() (string, error) {
		if err := p.ready(); err != nil {
			return "", err
		}
		best, fastest := "", 0.0
		for _, line := range lines {
			answer, err := p.ask("setup " + line)
			if err != nil {
				return "", err
			}
			if check != nil {
				if err := check(answer); err != nil {
					return "", err
				}
			}
			if len(lines) == 1 {
				if check != nil {
					answer = ""
				}
				return strings.TrimPrefix(answer, "ok "), nil
			}
			times, err := run(3)
			if err != nil {
				return "", err
			}
			if t := min(times[1], times[2]); best == "" || t < fastest {
				best, fastest = line, t
			}
		}
		_, err := p.ask("setup " + best)
		return best[strings.LastIndexByte(best, ' ')+1:], err
	}
	return side{setup: setup, run: run}
}

// driver writes an embedded driver to dir.
func driver(dir, name string) (string, error) {
	src, err := drivers.ReadFile("drivers/" + name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, src, 0o644)
}

// compiled builds a C driver.
func compiled(name string, flags ...string) func(dir string) (*exec.Cmd, error) {
	return func(dir string) (*exec.Cmd, error) {
		src, err := driver(dir, name)
		if err != nil {
			return nil, err
		}
		gcc, err := exec.LookPath("gcc")
		if err != nil {
			return nil, err
		}
		bin := strings.TrimSuffix(src, ".c")
		out, err := exec.Command(gcc, append([]string{"-O2", src, "-o", bin}, flags...)...).CombinedOutput()
		if err != nil {
			first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
			return nil, fmt.Errorf("gcc: %w: %s", err, first)
		}
		cmd := exec.Command(bin)
		cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=active")
		return cmd, nil
	}
}

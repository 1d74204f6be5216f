package example

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Scale is the size of an experiment.
type Scale string

const (
	Small  Scale = "small"  // minutes on two cores, unless the program says otherwise
	Medium Scale = "medium" // hours, for programs that have it
	Full   Scale = "full"   // a larger experiment, the paper's where that is known
)

// Env is what the flags say, and the way to report progress.
type Env struct {
	Data string // folder with data sets; empty for none
	Seed uint64
	// Seeds is the number of seeds, from Seed on; 0 for as many as the program has.
	Seeds int
	Scale Scale
	Out   string // folder for files; empty for none
	JSON  bool
	// Sweep says that the experiment is one of a sweep on many machines: what it does
	// must not depend on the machine.
	Sweep bool

	stderr   io.Writer
	terminal bool
	sharded  bool            // by -shard
	said     map[string]bool // lines that a sweep writes once
	stage    *Stage
	uses     map[string]string // fingerprints of data in use; nil if nobody asks for them
}

// Rand returns a stream of random numbers of its own for each name.
func (e *Env) Rand(name string) *rand.Rand {
	return rand.New(rand.NewPCG(e.Seed, e.Stream(name)))
}

// Stream returns a number that depends on the name alone.
func (e *Env) Stream(name string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, name)
	return h.Sum64()
}

// Say writes a line to standard error when that is a terminal.
func (e *Env) Say(format string, args ...any) {
	e.closeStage()
	if e.terminal {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// Announce writes a line to standard error, whether or not that is a terminal: what a
// user must know before long work begins.
func (e *Env) Announce(format string, args ...any) {
	e.closeStage()
	if e.stderr != nil {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// Stage is a part of the work with a progress line of its own.
type Stage struct {
	mu   sync.Mutex
	bar  *progressbar.ProgressBar
	name string
}

// Stage opens a part of the work that takes the given number of steps, or an
// unknown number when that is negative, and closes the one before.
func (e *Env) Stage(name string, steps int) *Stage {
	e.closeStage()
	e.stage = &Stage{name: name}
	if e.terminal {
		e.stage.bar = progressbar.NewOptions(steps,
			progressbar.OptionSetWriter(e.stderr),
			progressbar.OptionSetDescription(fmt.Sprintf("%-34s", name)),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(),
		)
	}
	return e.stage
}

// Done says how many steps of the stage are done; it may be called from several
// goroutines.
func (s *Stage) Done(steps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		s.bar.Set(steps)
	}
}

// Note shows a text, such as a loss, beside the progress of the stage.
func (s *Stage) Note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		s.bar.Describe(fmt.Sprintf("%-34s", s.name+" "+fmt.Sprintf(format, args...)))
	}
}

func (e *Env) closeStage() {
	if e.stage == nil {
		return
	}
	e.stage.mu.Lock()
	defer e.stage.mu.Unlock()
	if e.stage.bar != nil {
		e.stage.bar.Finish()
		e.stage.bar = nil
	}
	e.stage = nil
}

package main

import (
	"os"
	"slices"
	"time"
)

// clockVariable tells drivers, and this process, which clock to use: "cpu" for
// the CPU time of the process, anything else for the wall clock.
const clockVariable = "BENCH_CLOCK"

var started = time.Now()

// now is the reading of the chosen clock in seconds.
func now() float64 {
	if os.Getenv(clockVariable) == "cpu" {
		return cpuSeconds()
	}
	return time.Since(started).Seconds()
}

// side is one of the two things that a row compares.
type side struct {
	// setup makes the side ready and may say something about how it is set
	// up, for the table.
	setup func() (note string, err error)
	// run makes the given number of calls and returns the seconds of each.
	run func(calls int) ([]float64, error)
}

// item is one measurement of a row: the same work on both sides.
type item struct {
	name         string
	ours, theirs side
}

// inProcess is a side that calls f in this process, after prepare.
func inProcess(prepare func() (f func())) side {
	var f func()
	return side{
		setup: func() (string, error) {
			f = prepare()
			return "", nil
		},
		run: func(calls int) ([]float64, error) {
			times := make([]float64, calls)
			for i := range times {
				start := now()
				f()
				times[i] = now() - start
			}
			return times, nil
		},
	}
}

// scaled is s with its seconds multiplied by factor, for sides that do
// different amounts of work.
func scaled(s side, factor float64) side {
	return side{setup: s.setup, run: func(calls int) ([]float64, error) {
		times, err := s.run(calls)
		for i := range times {
			times[i] *= factor
		}
		return times, err
	}}
}

const (
	// slow is how many seconds a call must take to be measured once a round.
	slow = 0.25
	// long is how many seconds a call must take for one to be enough to warm up.
	long = 5
	// roundSeconds is about how long one side of a round takes.
	roundSeconds = 0.08
	maxCalls     = 200
)

// clock is one side of an item with the number of calls that a round makes.
type clock struct {
	side
	calls int
}

// start warms a side up and chooses its number of calls.
func start(s side) (clock, string, error) {
	note, err := s.setup()
	if err != nil {
		return clock{}, "", err
	}
	times, err := s.run(1)
	if err != nil {
		return clock{}, "", err
	}
	if slices.Min(times) >= long {
		return clock{s, 1}, note, nil
	}
	times, err = s.run(2)
	if err != nil {
		return clock{}, "", err
	}
	one := slices.Min(times)
	c := clock{s, 1}
	if one < slow {
		c.calls = min(maxCalls, max(5, int(roundSeconds/one)))
	}
	return c, note, nil
}

// round is the median time of a call in one round. The first call of a round,
// which finds threads asleep and caches cold, does not count unless calls are
// slow.
func (c clock) round() (float64, error) {
	if c.calls == 1 {
		t, err := c.run(1)
		return median(t), err
	}
	t, err := c.run(c.calls + 1)
	if err != nil {
		return 0, err
	}
	return median(t[1:]), nil
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

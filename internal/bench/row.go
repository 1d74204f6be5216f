package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// row is one line of the table. Its ratio is the geometric mean over its
// items: of their time over ours where higher is better, of our time over
// theirs where lower is better.
type row struct {
	name      string
	peer      string
	threads   int
	higher    bool
	must, aim float64 // what developers want of the ratio; 0 for no target
	// items builds the measurements; it is not called for rows left out.
	items func() []item
	// value, in place of items, measures a quantity that has no peer.
	value func() (float64, error)
}

// result is what has been measured of a row.
type result struct {
	Name    string   `json:"name"`
	Peer    string   `json:"peer"`
	Threads int      `json:"threads"`
	Ratio   *float64 `json:"ratio"`
	Min     *float64 `json:"min"`
	Max     *float64 `json:"max"`
	Better  string   `json:"better"`
	Must    *float64 `json:"must,omitempty"` // with -targets
	Aim     *float64 `json:"aim,omitempty"`  // with -targets
	Rounds  int      `json:"rounds"`
	Missing string   `json:"missing,omitempty"`

	// Disturbed is how many of the rounds that count another program shared
	// the processor with: what they say is not to be relied on.
	Disturbed int `json:"disturbed,omitempty"`

	details []string
}

// meter measures rows.
type meter struct {
	rounds  int
	targets bool            // whether results have the rows' targets
	best    map[int]float64 // fastest peak loop seen, by number of threads
	verbose bool
}

// blank is a result without figures.
func (m *meter) blank(r *row) result {
	better := "lower"
	if r.higher {
		better = "higher"
	}
	res := result{Name: r.name, Peer: r.peer, Threads: r.threads, Better: better}
	if m.targets && r.must != 0 {
		res.Must, res.Aim = &r.must, &r.aim
	}
	return res
}

// measure runs a row's rounds.
func (m *meter) measure(r *row) result {
	res := m.blank(r)
	par.SetThreads(r.threads)
	defer par.SetThreads(0)
	var values []float64
	if r.value != nil {
		v, err := r.value()
		if err != nil {
			res.Missing = err.Error()
			return res
		}
		values = []float64{v}
	} else {
		items := r.items()
		logs := make([]float64, m.rounds)
		for _, it := range items {
			ratios, err := m.item(&res, r, it)
			if err != nil {
				res.Missing = err.Error()
				return res
			}
			for i, v := range ratios {
				logs[i] += math.Log(v) / float64(len(items))
			}
		}
		for _, l := range logs {
			values = append(values, math.Exp(l))
		}
	}
	mid, lo, hi := median(values), slices.Min(values), slices.Max(values)
	res.Ratio, res.Min, res.Max, res.Rounds = &mid, &lo, &hi, len(values)
	return res
}

// item measures one item and returns the ratio of each round.
func (m *meter) item(res *result, r *row, it item) ([]float64, error) {
	theirs, note, err := start(it.theirs)
	if err != nil {
		return nil, err
	}
	ours, _, err := start(it.ours)
	if err != nil {
		return nil, err
	}
	runtime.GC()
	var ratios, us, them []float64
	for attempt := 0; len(ratios) < m.rounds; attempt++ {
		before := speed(r.threads)
		a, err := ours.round()
		if err != nil {
			return nil, err
		}
		between := speed(r.threads)
		b, err := theirs.round()
		if err != nil {
			return nil, err
		}
		// CPU time does not run while another program has the processor.
		if calm := m.calm(r.threads, before, between, speed(r.threads)); !calm && os.Getenv(clockVariable) != "cpu" {
			if attempt < 2*m.rounds {
				continue
			}
			res.Disturbed++
		}
		us, them = append(us, a), append(them, b)
		if r.higher {
			ratios = append(ratios, b/a)
		} else {
			ratios = append(ratios, a/b)
		}
	}
	if m.verbose {
		res.details = append(res.details, fmt.Sprintf("%-44s %9.3f   ours %9.4f ms, theirs %9.4f ms  %s",
			it.name, median(ratios), 1e3*median(us), 1e3*median(them), note))
	}
	return ratios, nil
}

// calm says whether the processor gave its threads the same speed around a round's
// measurements, and one that no other program has a share of: clocks of processors
// change by a third with temperature, a program that shares one takes a half.
func (m *meter) calm(threads int, speeds ...float64) bool {
	low, high := slices.Min(speeds), slices.Max(speeds)
	m.best[threads] = max(m.best[threads], high)
	return low >= 0.9*high && low >= 0.6*m.best[threads]
}

// speed is the rate of multiply-adds on a number of threads, in numbers a second: the
// best of three short loops, so that waking the threads does not count.
func speed(threads int) float64 {
	const count = 4000
	each := count * max(1, kernel.PeakLoop(1))
	fastest := 0.0
	for range 3 {
		begin := time.Now()
		par.For(threads, 1, func(lo, hi int) {
			for range hi - lo {
				kernel.PeakLoop(count)
			}
		})
		fastest = max(fastest, float64(threads*each)/time.Since(begin).Seconds())
	}
	return fastest
}

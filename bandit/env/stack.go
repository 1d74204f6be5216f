package env

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/bandit"
)

// Instance is a set of arms.
type Instance struct {
	Name string // for tables
	Arms []Law  // the laws of their clean rewards, at least one
	// Streams names the random streams of the arms; nil names them by index. Arms
	// that move with their streams keep their rewards.
	Streams []uint64
}

// Means returns the means of the arms.
func (in Instance) Means() []float64 {
	mu := make([]float64, len(in.Arms))
	for i, l := range in.Arms {
		mu[i] = l.Mean()
	}
	return mu
}

// Best returns the arm of the largest mean, the lowest index among equals.
func (in Instance) Best() int {
	best := 0
	for i, l := range in.Arms {
		if l.Mean() > in.Arms[best].Mean() {
			best = i
		}
	}
	return best
}

// World is an Instance under a Contamination. It belongs to one goroutine.
type World struct {
	stacks []Stack
	c      Contamination
}

// New returns a world whose rewards depend on the seed alone, eps in [0, 1/2). It is
// an error if a law or the adversary is missing or has parameters out of range.
func New(in Instance, c Contamination, eps float64, seed uint64) (*World, error) {
	if !(eps >= 0 && eps < 0.5) {
		return nil, fmt.Errorf("bandit/env: eps is %v, want a number in [0, 1/2)", eps)
	}
	if len(in.Arms) == 0 || in.Streams != nil && len(in.Streams) != len(in.Arms) {
		return nil, fmt.Errorf("bandit/env: instance %s has %d arms and %d streams, want arms and as many streams, or none", in.Name, len(in.Arms), len(in.Streams))
	}
	for i, l := range in.Arms {
		if err := checkLaw(l); err != nil {
			return nil, fmt.Errorf("bandit/env: arm %d of instance %s: %w", i, in.Name, err)
		}
	}
	if err := checkContamination(c); err != nil {
		return nil, fmt.Errorf("bandit/env: %w", err)
	}
	w := &World{stacks: make([]Stack, len(in.Arms)), c: c}
	best := in.Best()
	for i, l := range in.Arms {
		id := uint64(i)
		if in.Streams != nil {
			id = in.Streams[i]
		}
		s := &w.stacks[i]
		s.Arm, s.Best, s.Law, s.Eps, s.mean = i, i == best, l, eps, l.Mean()
		s.clean.Seed(mix(seed, 3*id), mix(id, seed))
		s.flags.Seed(mix(seed, 3*id+1), mix(id, seed))
		s.noise.Seed(mix(seed, 3*id+2), mix(id, seed))
		s.cleanRand, s.flagsRand, s.Noise = rand.New(&s.clean), rand.New(&s.flags), rand.New(&s.noise)
	}
	return w, nil
}

// mix is the finaliser of SplitMix64 on a + golden·b: neighbouring seeds give
// unrelated streams.
func mix(a, b uint64) uint64 {
	z := a + 0x9e3779b97f4a7c15*(b+1)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Pull is a bandit.Pull.
func (w *World) Pull(_ context.Context, arm int, rewards []float64) error {
	if arm < 0 || arm >= len(w.stacks) {
		return fmt.Errorf("bandit/env: arm %d, want 0 to %d", arm, len(w.stacks)-1)
	}
	s := &w.stacks[arm]
	for k := range rewards {
		rewards[k] = w.c.Show(s)
		s.next()
	}
	return nil
}

var _ bandit.Pull = (*World)(nil).Pull

// Stack is one arm's stack of rewards, as its adversary sees it.
type Stack struct {
	Arm   int        // its number
	Best  bool       // the arm has the largest mean
	Law   Law        // of its clean rewards
	Eps   float64    // the share of entries that may be replaced
	J     int        // the entry about to be shown, from 0
	Noise *rand.Rand // the adversary's own

	mean                 float64
	clean, flags, noise  rand.PCG
	cleanRand, flagsRand *rand.Rand
	ahead                []entry // entries J, J+1, ... that were looked at
}

type entry struct {
	y       float64
	d       bool
	flagged bool // d is drawn
}

// Mean returns the mean of the clean rewards.
func (s *Stack) Mean() float64 { return s.mean }

// Clean returns the clean reward of entry J+k, k at least 0: the present one and
// any of the future. A malicious adversary may use the present one, a prescient
// one all.
func (s *Stack) Clean(k int) float64 { return s.entry(k).y }

// Flag says whether a coin that falls with probability Eps, independent of the clean
// rewards, contaminates entry J+k. A malicious adversary makes its own choice
// instead.
func (s *Stack) Flag(k int) bool {
	s.entry(k)
	// Flags come from a stream of their own, in the order of the entries.
	for i := range s.ahead[:k+1] {
		if e := &s.ahead[i]; !e.flagged {
			e.d, e.flagged = s.flagsRand.Float64() < s.Eps, true
		}
	}
	return s.ahead[k].d
}

func (s *Stack) entry(k int) entry {
	for len(s.ahead) <= k {
		s.ahead = append(s.ahead, entry{y: s.Law.Draw(s.cleanRand)})
	}
	return s.ahead[k]
}

// next moves on to the next entry.
func (s *Stack) next() {
	s.Flag(0)
	s.J++
	copy(s.ahead, s.ahead[1:])
	s.ahead = s.ahead[:len(s.ahead)-1]
}

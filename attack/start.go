package attack

import "math/rand/v2"

// start looks for a first success among random inputs, for attacks that only ask for
// answers. It is part of their trials.
type start[T float] struct {
	rng    *rand.Rand
	lo, hi float64
	tries  int
}

// draw fills x with uniform noise.
func (s *start[T]) draw(x []T) {
	for j := range x {
		x[j] = T(s.lo + (s.hi-s.lo)*s.rng.Float64())
	}
	s.tries--
}

// startTries is the number of random inputs that are tried.
const startTries = 100

func newStart[T float](th Threat, rng *rand.Rand) start[T] {
	lo, hi := th.box()
	return start[T]{rng: rng, lo: lo, hi: hi, tries: startTries}
}

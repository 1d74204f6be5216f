package attack

import "math/rand/v2"

// start looks for a first success, for attacks that only ask for answers. It is part of
// their trials.
type start[T float] struct {
	rng    *rand.Rand
	lo, hi float64
	from   []T // the input
	tried  int // points
	tries  int // points that are left to try
}

// noiseTries is the number of points of uniform noise that are tried first, and startTries
// that of all points.
const (
	noiseTries = 100
	startTries = 1000
)

// newStart looks for a success near from, with at most half of the questions, but 100 at
// least.
func newStart[T float](th Threat, rng *rand.Rand, from []T, queries int) start[T] {
	lo, hi := th.box()
	return start[T]{rng: rng, lo: lo, hi: hi, from: from, tries: max(noiseTries, min(startTries, queries/2))}
}

// draw fills x with noise: first uniform; then, as a model may have one answer to all of
// that, in turn one value for all, only the ends of the box, the input with a part of
// noise, and uniform again.
func (s *start[T]) draw(x []T) {
	kind := 0
	if s.tried++; s.tried > noiseTries {
		kind = s.tried % 4
	}
	u := 0.0
	if kind > 0 {
		u = s.rng.Float64()
	}
	for j := range x {
		noise := s.lo + (s.hi-s.lo)*s.rng.Float64()
		switch kind {
		case 0:
			x[j] = T(noise)
		case 1:
			x[j] = T(s.lo + (s.hi-s.lo)*u)
		case 2:
			x[j] = T(s.lo)
			if s.rng.Float64() < u {
				x[j] = T(s.hi)
			}
		case 3:
			o := float64(s.from[j])
			x[j] = T(o + u*(noise-o))
		}
	}
	s.tries--
}

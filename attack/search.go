package attack

import "math"

// search is the search for the weight c of the misclassification term that C&W
// and EAD make: after a success c falls, after a failure it rises.
//
// Carlini and Wagner, S&P 2017, section V.
type search struct {
	c, lo, hi float64
	left      int // searches to come, with the present one
}

func newSearch(first float64, n int) search { return search{c: first, hi: math.Inf(1), left: n} }

// next chooses c for the next search and says whether there is one.
func (s *search) next(success bool) bool {
	if success {
		s.hi = min(s.hi, s.c)
		s.c = (s.lo + s.hi) / 2
	} else {
		s.lo = max(s.lo, s.c)
		if math.IsInf(s.hi, 1) {
			s.c *= 10
		} else {
			s.c = (s.lo + s.hi) / 2
		}
	}
	s.left--
	return s.left > 0
}

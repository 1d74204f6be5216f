package bandit

import (
	"slices"
)

// GapBased is the gap-based rule G-CBAI: it always shrinks the overlap between
// the leader's interval and that of its strongest challenger.
//
// Leader l has the largest estimate, challenger u the largest upper end of the
// others, the lowest index among equals. It stops when U_u - L_l <= Tol, and
// otherwise takes the one with the wider interval, l if they are equal, to its next
// grid size. (Pulling both at every step, as LUCB does, would take the leader
// through a geometric grid once for each challenger and never end.) The overlap
// rule is that of UGapE (Gabillon et al., NeurIPS 2012); the idea to use it with
// robust intervals is that of Mukherjee et al., NeurIPS 2021.
//
// With Config.Top = m above 1, l is the arm with the lowest lower end among the m
// largest estimates and u the one with the highest upper end among the others
// (Kalyanakrishnan et al., ICML 2012).
//
// A step takes O(log K) by two heaps, or O(K log K) with m above 1, when the arms are
// sorted at each step.
type GapBased struct{}

var _ Rule = GapBased{}

// Name implements Rule.
func (GapBased) Name() string { return "G-CBAI" }

func (GapBased) check(*Config) error { return nil }

func (GapBased) severalArms()  {}
func (GapBased) upperBounded() {}

func (GapBased) start(d *Design) policy { return &gapPolicy{scoreboard: newScoreboard(d.cfg.Arms)} }

type gapPolicy struct{ scoreboard }

func (p *gapPolicy) next(s *Search) {
	l, u, answer := p.pair(s)
	lo, _, rl := s.ends(l)
	_, hi, ru := s.ends(u)
	switch {
	case hi-lo <= s.d.cfg.Tol:
		s.finish(Identified, answer())
	case s.futile(l, u):
		s.finish(NotIdentifiable, s.contenders())
	case ru > rl:
		s.askGrid(u)
	default:
		s.askGrid(l)
	}
}

// pair returns the leader and its challenger, and the answer they would give.
func (p *gapPolicy) pair(s *Search) (l, u int, answer func() []int) {
	if s.d.cfg.Top == 1 {
		l = p.est.top()
		return l, p.hi.except(l), func() []int { return []int{l} }
	}
	order := make([]int, len(s.arms))
	for i := range order {
		order[i] = i
	}
	s.sortByEstimate(order)
	top, rest := order[:s.d.cfg.Top], order[s.d.cfg.Top:]
	slices.Sort(top)
	slices.Sort(rest)
	l, u = top[0], rest[0]
	for _, i := range top {
		if a, _, _ := s.ends(i); a < first(s.ends(l)) {
			l = i
		}
	}
	for _, i := range rest {
		if _, a, _ := s.ends(i); a > second(s.ends(u)) {
			u = i
		}
	}
	return l, u, func() []int { return slices.Clone(top) }
}

func first(lo, _, _ float64) float64  { return lo }
func second(_, hi, _ float64) float64 { return hi }

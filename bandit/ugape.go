package bandit

// UGapE is the rule of Gabillon, Ghavamzadeh and Lazaric, NeurIPS 2012, with the
// intervals of any Estimator: the leader is the arm J of the smallest possible loss
// B_i = max over j != i of U_j - L_i, and of it and its challenger the one with the
// wider interval is pulled. It stops when B_J <= Tol.
type UGapE struct{}

var _ Rule = UGapE{}

// Name implements Rule.
func (UGapE) Name() string { return "UGapE" }

func (UGapE) check(*Config) error { return nil }

func (UGapE) start(d *Design) policy { return &ugapePolicy{newScoreboard(d.cfg.Arms)} }

type ugapePolicy struct{ scoreboard }

func (p *ugapePolicy) next(s *Search) {
	top := p.hi.top()
	high, next := second(s.ends(top)), second(s.ends(p.hi.except(top)))
	leader, loss := -1, 0.0
	for i := range s.arms {
		rival := high
		if i == top {
			rival = next
		}
		if b := rival - first(s.ends(i)); leader < 0 || b < loss {
			leader, loss = i, b
		}
	}
	u := p.hi.except(leader)
	_, _, rl := s.ends(leader)
	_, _, ru := s.ends(u)
	switch {
	case loss <= s.d.cfg.Tol:
		s.finish(Identified, []int{leader})
	case s.futile(leader, u):
		s.finish(NotIdentifiable, s.contenders())
	case ru > rl:
		s.askGrid(u)
	default:
		s.askGrid(leader)
	}
}

package bandit

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Pull draws len(rewards) rewards of an arm into rewards.
type Pull func(ctx context.Context, arm int, rewards []float64) error

// Search is one search for the best arm. It is asked which arm to pull (Next) and
// told what came of it (Observe) until it is Done; Run is that loop. Given the same
// rewards it asks the same questions. It belongs to one goroutine.
type Search struct {
	d       *Design
	arms    []armState
	policy  policy
	pulls   int
	queue   []Request
	served  int // requests of the queue that are done; the next may be done in part
	done    bool
	outcome Outcome
	set     []int
	log     []Event
	stock   [][]float64 // offline: rewards that were not asked for yet, by arm
	told    []Sample    // offline: of all rewards of an arm, where an estimator may refuse some
}

// armState is what a search knows of an arm.
type armState struct {
	n        int // rewards observed
	j        int // grid index, for rules that pull on the grid
	sample   Sample
	interval Interval
}

// Request is for N pulls of an arm.
type Request struct {
	Arm int `json:"arm"`
	N   int `json:"n"`
}

// New checks a configuration and returns a search at its beginning.
func New(cfg Config) (*Search, error) {
	d, err := NewDesign(cfg)
	if err != nil {
		return nil, err
	}
	return d.New(), nil
}

// Run searches for the best arm with rewards from pull.
func Run(ctx context.Context, cfg Config, pull Pull) (Result, error) {
	s, err := New(cfg)
	if err != nil {
		return Result{}, err
	}
	return s.Run(ctx, pull)
}

// New returns a search at its beginning.
func (d *Design) New() *Search {
	s := d.blank()
	s.advance()
	return s
}

// blank returns a search that has not asked for anything.
func (d *Design) blank() *Search {
	s := &Search{d: d, arms: make([]armState, d.cfg.Arms), policy: d.cfg.Rule.start(d)}
	for i := range s.arms {
		s.arms[i] = armState{sample: d.family.NewSample(), interval: unknown(0)}
	}
	if d.cfg.Offline {
		s.stock = make([][]float64, d.cfg.Arms)
		if _, all := s.arms[0].sample.(interface{ takesAnything() }); !all {
			s.told = make([]Sample, d.cfg.Arms)
			for i := range s.told {
				s.told[i] = d.family.NewSample()
			}
		}
	}
	return s
}

// Run pulls arms until the search is done, pull fails or ctx is cancelled. Then
// the result says how far it came, and the search can go on with another Run.
func (s *Search) Run(ctx context.Context, pull Pull) (Result, error) {
	if pull == nil {
		return s.Result(), errors.New("bandit: Run: pull is nil, want a function")
	}
	var buf []float64
	for !s.done {
		if err := ctx.Err(); err != nil {
			return s.Result(), err
		}
		arm, n := s.Next()
		if cap(buf) < n {
			buf = make([]float64, n+n/4)
		}
		if err := pull(ctx, arm, buf[:n]); err != nil {
			return s.Result(), fmt.Errorf("bandit: pulling arm %d: %w", arm, err)
		}
		if err := s.Observe(arm, buf[:n]); err != nil {
			return s.Result(), err
		}
	}
	return s.Result(), nil
}

// Done says whether the search has ended.
func (s *Search) Done() bool { return s.done }

// maxBatch is the most rewards that are asked for at once, so that a rule with
// large batches takes little memory and can be interrupted.
const maxBatch = 1 << 16

// Next returns the arm to pull and how often, at most 65,536 times, until Observe has
// been told; (-1, 0) when the search is done.
func (s *Search) Next() (arm, n int) {
	if s.done {
		return -1, 0
	}
	r := s.queue[s.served]
	if s.stock != nil {
		r.N -= len(s.stock[r.Arm])
	}
	return r.Arm, min(r.N, maxBatch)
}

// Pending returns what the rule has asked for and not been told, in order: what can be
// pulled at the same time. Elimination, Uniform, LUCB and the rules with phases ask for a
// round at a time, others for one arm, as do all that go by an Estimator until each arm
// has an interval. Next is the first of it. Without Config.Offline
// Observe takes the rewards in this order; with it in any, and those that wait are left out
// here. It is empty when the search is done.
func (s *Search) Pending() []Request {
	if s.done {
		return nil
	}
	var open []Request
	left, waiting := s.d.cfg.MaxPulls-s.pulls, make([]int, len(s.arms))
	for i := range waiting {
		waiting[i] = s.stocked(i)
	}
	for _, r := range s.queue[s.served:] {
		if left -= r.N; s.d.cfg.MaxPulls > 0 && left < 0 {
			break
		}
		told := min(r.N, waiting[r.Arm])
		waiting[r.Arm] -= told
		if r.N -= told; r.N > 0 {
			open = append(open, r)
		}
	}
	return open
}

// Observe takes the rewards of the pulls that Next asked for, in order. With
// Config.Offline it takes any number of rewards of any arm, and those not asked
// for wait until they are. On an error the search is unchanged.
func (s *Search) Observe(arm int, rewards []float64) error {
	if s.done {
		return errDone
	}
	if arm < 0 || arm >= len(s.arms) {
		return fmt.Errorf("bandit: Observe: arm %d, want 0 to %d", arm, len(s.arms)-1)
	}
	if s.stock == nil {
		if next, n := s.Next(); arm != next {
			return fmt.Errorf("bandit: Observe: arm %d, want arm %d as Next asked", arm, next)
		} else if len(rewards) != n {
			return fmt.Errorf("bandit: Observe: arm %d has %d rewards, want %d as Next asked", arm, len(rewards), n)
		}
	}
	copied := false
	for k, x := range rewards {
		if !math.IsNaN(x) {
			continue
		}
		if !s.d.cfg.CountNaN {
			return fmt.Errorf("bandit: Observe: reward NaN at pull %d of arm %d, want a number", s.arms[arm].n+s.stocked(arm)+k+1, arm)
		}
		if !copied {
			rewards, copied = append([]float64(nil), rewards...), true
		}
		rewards[k] = math.Inf(1)
	}
	if s.stock == nil {
		if err := s.take(rewards); err != nil {
			return err
		}
		s.advance()
		return nil
	}
	// A sample of all that was told says whether the rewards are fit for the estimator,
	// before any of them changes the search.
	if s.told != nil {
		if err := s.told[arm].Add(rewards); err != nil {
			return fmt.Errorf("bandit: Observe: arm %d: %w", arm, err)
		}
	}
	s.stock[arm] = append(s.stock[arm], rewards...)
	return s.drain()
}

// drain answers requests with rewards that wait, as far as they go.
func (s *Search) drain() error {
	for !s.done {
		r := s.queue[s.served]
		if len(s.stock[r.Arm]) < r.N {
			return nil
		}
		if err := s.take(s.stock[r.Arm][:r.N]); err != nil {
			return err
		}
		s.stock[r.Arm] = s.stock[r.Arm][r.N:]
		s.advance()
	}
	return nil
}

func (s *Search) stocked(arm int) int {
	if s.stock == nil {
		return 0
	}
	return len(s.stock[arm])
}

// take adds rewards of the request at the head of the queue.
func (s *Search) take(rewards []float64) error {
	r := &s.queue[s.served]
	a := &s.arms[r.Arm]
	if err := a.sample.Add(rewards); err != nil {
		return fmt.Errorf("bandit: Observe: arm %d, pulls %d to %d: %w", r.Arm, a.n+1, a.n+len(rewards), err)
	}
	a.n += len(rewards)
	s.pulls += len(rewards)
	if r.N -= len(rewards); r.N > 0 {
		return nil
	}
	s.served++
	s.policy.observed(s, r.Arm)
	if !s.d.cfg.NoLog {
		s.log = append(s.log, Event{Pulls: s.pulls, Arm: r.Arm, N: a.n, Est: a.interval.Est, Lo: a.interval.Lo, Hi: a.interval.Hi})
	}
	return nil
}

// advance brings the next request to the head of the queue, or ends the search.
func (s *Search) advance() {
	if s.served == len(s.queue) && !s.done {
		s.queue, s.served = s.queue[:0], 0
		if !s.policy.begin(s) {
			s.policy.next(s)
		}
		if len(s.queue) == 0 && !s.done {
			panic(fmt.Sprintf("bandit: rule %s neither asked nor stopped", s.d.cfg.Rule.Name()))
		}
	}
	if limit := s.d.cfg.MaxPulls; limit > 0 && !s.done && s.queue[s.served].N > limit-s.pulls {
		s.finish(BudgetExhausted, s.contenders())
	}
}

// ask queues n pulls of an arm.
func (s *Search) ask(arm, n int) { s.queue = append(s.queue, Request{arm, n}) }

// askGrid queues the pulls that take an arm to its next grid size.
func (s *Search) askGrid(arm int) {
	a := &s.arms[arm]
	s.ask(arm, s.d.setting.Grid.Size(a.j+1)-a.n)
}

// evaluate is what observed does for rules on the grid: the arm has reached its
// next grid size.
func (s *Search) evaluate(arm int) {
	a := &s.arms[arm]
	a.j++
	a.interval = a.sample.Interval(a.j)
}

// ends returns the ends of an arm's interval in the mode of the search.
func (s *Search) ends(arm int) (lo, hi, radius float64) {
	return s.arms[arm].interval.ends(s.d.cfg.Mode)
}

// finish ends the search. One that ran out of budget keeps its requests, for Resume with
// a larger one.
func (s *Search) finish(o Outcome, set []int) {
	s.done, s.outcome, s.set = true, o, set
	if o != BudgetExhausted {
		s.queue, s.served = nil, 0
	}
}

// contenders returns the arms that the rule has not dropped and whose upper end
// reaches the highest lower end of those (the Top highest, if several arms are sought).
func (s *Search) contenders() []int {
	var lows []float64
	for i := range s.arms {
		if s.policy.remains(i) {
			lows = append(lows, first(s.ends(i)))
		}
	}
	bar := nthLargest(lows, s.d.cfg.Top)
	var set []int
	for i := range s.arms {
		if s.policy.remains(i) && second(s.ends(i)) >= bar {
			set = append(set, i)
		}
	}
	return set
}

// futile says whether more data cannot bring a challenger u below a leader l:
// the statistics tend to points of their core intervals, and even the best of
// those leave the intervals overlapping by more than Tol.
func (s *Search) futile(l, u int) bool {
	if s.d.cfg.Mode != Certified || s.d.cfg.NoFutility {
		return false
	}
	_, hi := s.d.family.Spread(s.arms[u].interval.CoreLo)
	lo, _ := s.d.family.Spread(s.arms[l].interval.CoreHi)
	return hi-lo > s.d.cfg.Tol
}

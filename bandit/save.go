package bandit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// savedSearch is the file form of a search: JSON, with rewards as base64 of
// little-endian float64 values.
type savedSearch struct {
	Format  string          `json:"format"`
	Design  string          `json:"design"`
	Pulls   int             `json:"pulls"`
	Arms    []savedArm      `json:"arms"`
	Queue   []Request       `json:"queue,omitempty"`
	Policy  json.RawMessage `json:"policy"`
	Done    bool            `json:"done,omitempty"`
	Outcome int             `json:"outcome,omitempty"`
	Set     []int           `json:"set,omitempty"`
	Log     []savedEvent    `json:"log,omitempty"`
	Stock   [][]byte        `json:"stock,omitempty"`
}

type savedArm struct {
	N        int    `json:"n"`
	J        int    `json:"j,omitempty"`
	Sample   []byte `json:"sample"`
	Interval []byte `json:"interval"`
}

// savedEvent holds Est, Lo and Hi as bytes: they may be infinite.
type savedEvent struct {
	Pulls    int    `json:"pulls"`
	Arm      int    `json:"arm"`
	N        int    `json:"n"`
	Interval []byte `json:"interval"`
}

const saveFormat = "redoubt bandit search 2"

// Save writes the search, so that Resume goes on exactly as it would have.
func (s *Search) Save(w io.Writer) error {
	state, err := json.Marshal(s.policy)
	if err != nil {
		return fmt.Errorf("bandit: Save: %w", err)
	}
	saved := savedSearch{
		Format: saveFormat, Design: s.d.identity(), Pulls: s.pulls, Queue: s.queue[s.served:], Policy: state,
		Done: s.done, Outcome: int(s.outcome), Set: s.set, Arms: make([]savedArm, len(s.arms)),
	}
	for i, a := range s.arms {
		sample, err := a.sample.MarshalBinary()
		if err != nil {
			return fmt.Errorf("bandit: Save: arm %d: %w", i, err)
		}
		iv := a.interval
		saved.Arms[i] = savedArm{N: a.n, J: a.j, Sample: sample,
			Interval: packFloats([]float64{iv.Est, iv.Lo, iv.Hi, iv.CoreLo, iv.CoreHi, iv.Radius, iv.Core})}
	}
	for _, e := range s.log {
		saved.Log = append(saved.Log, savedEvent{e.Pulls, e.Arm, e.N, packFloats([]float64{e.Est, e.Lo, e.Hi})})
	}
	for _, x := range s.stock {
		saved.Stock = append(saved.Stock, packFloats(x))
	}
	if err := json.NewEncoder(w).Encode(saved); err != nil {
		return fmt.Errorf("bandit: Save: %w", err)
	}
	return nil
}

// Resume reads a search that Save wrote, for a configuration that means the same
// as the one it was saved with. MaxPulls may be another, except with SuccessiveHalving: a
// search that ended as BudgetExhausted goes on as it would have with the larger one from
// the beginning. The error says what does not fit.
func Resume(cfg Config, r io.Reader) (*Search, error) {
	d, err := NewDesign(cfg)
	if err != nil {
		return nil, err
	}
	return d.Resume(r)
}

// Resume reads a search that was saved by one of this design.
func (d *Design) Resume(r io.Reader) (*Search, error) {
	var saved savedSearch
	if err := json.NewDecoder(r).Decode(&saved); err != nil {
		return nil, fmt.Errorf("bandit: Resume: %w", err)
	}
	s, err := d.resume(&saved)
	if err != nil {
		return nil, fmt.Errorf("bandit: Resume: %w", err)
	}
	return s, nil
}

func (d *Design) resume(saved *savedSearch) (*Search, error) {
	if saved.Format != saveFormat {
		return nil, fmt.Errorf("format is %q, want %q", saved.Format, saveFormat)
	}
	if want := d.identity(); saved.Design != want {
		return nil, fmt.Errorf("saved with %q, want %q", saved.Design, want)
	}
	if len(saved.Arms) != d.cfg.Arms {
		return nil, fmt.Errorf("%d arms, want %d", len(saved.Arms), d.cfg.Arms)
	}
	s := d.blank()
	for i := range saved.Arms {
		if err := s.restoreArm(i, &saved.Arms[i]); err != nil {
			return nil, fmt.Errorf("arm %d: %w", i, err)
		}
	}
	if s.pulls != saved.Pulls {
		return nil, fmt.Errorf("the arms have %d pulls, want %d as the file says", s.pulls, saved.Pulls)
	}
	if err := json.Unmarshal(saved.Policy, s.policy); err != nil {
		return nil, fmt.Errorf("rule: %w", err)
	}
	for _, e := range saved.Log {
		x, rest, err := unpackFloats(e.Interval, 3)
		if err != nil || len(rest) > 0 || e.Arm < 0 || e.Arm >= d.cfg.Arms {
			return nil, fmt.Errorf("event log: bad event for arm %d", e.Arm)
		}
		s.log = append(s.log, Event{e.Pulls, e.Arm, e.N, x[0], x[1], x[2]})
	}
	if len(saved.Stock) != len(s.stock) {
		return nil, fmt.Errorf("unasked rewards of %d arms, want %d", len(saved.Stock), len(s.stock))
	}
	for i, b := range saved.Stock {
		_, x, err := unpackFloats(b, 0)
		if err == nil && s.told != nil {
			if err = s.told[i].UnmarshalBinary(saved.Arms[i].Sample); err == nil {
				err = s.told[i].Add(x)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("unasked rewards of arm %d: %w", i, err)
		}
		s.stock[i] = x
	}
	return s, s.restoreStanding(saved)
}

func (s *Search) restoreArm(i int, from *savedArm) error {
	a := &s.arms[i]
	if err := a.sample.UnmarshalBinary(from.Sample); err != nil {
		return err
	}
	x, rest, err := unpackFloats(from.Interval, 7)
	if err != nil || len(rest) > 0 {
		return errors.New("bad interval")
	}
	if a.sample.Len() != from.N {
		return fmt.Errorf("%d rewards, want %d", a.sample.Len(), from.N)
	}
	if grid := s.d.setting.Grid; from.J != 0 && (from.N < grid.N0 || from.J < 1 || from.J > grid.index(from.N) || grid.Size(from.J) > from.N) {
		return fmt.Errorf("%d rewards at grid index %d, want its size or more", from.N, from.J)
	}
	a.n, a.j = from.N, from.J
	a.interval = Interval{x[0], x[1], x[2], x[3], x[4], x[5], x[6]}
	if math.IsInf(a.interval.Est, 0) || a.interval.Lo > a.interval.Hi {
		return errors.New("bad interval")
	}
	s.pulls += a.n
	return nil
}

// restoreStanding takes up the open requests, or the answer.
func (s *Search) restoreStanding(saved *savedSearch) error {
	for i := range s.arms {
		if err := s.checkPlace(i, saved); err != nil {
			return fmt.Errorf("arm %d: %w", i, err)
		}
	}
	if !saved.open() {
		if o := Outcome(saved.Outcome); o < Identified || o > BudgetExhausted {
			return fmt.Errorf("outcome %d of a search that is done, want 1 to 3", saved.Outcome)
		}
		for _, i := range saved.Set {
			if i < 0 || i >= len(s.arms) {
				return fmt.Errorf("arm %d in the answer, want 0 to %d", i, len(s.arms)-1)
			}
		}
		s.finish(Outcome(saved.Outcome), saved.Set)
		return nil
	}
	if len(saved.Queue) == 0 {
		return errors.New("no open request in a search that can go on")
	}
	if err := s.policy.restore(s); err != nil {
		return fmt.Errorf("rule: %w", err)
	}
	pulls := s.pulls
	for _, q := range saved.Queue {
		if q.Arm < 0 || q.Arm >= len(s.arms) || q.N < 1 || q.N > math.MaxInt/8-pulls {
			return fmt.Errorf("open request for %d pulls of arm %d", q.N, q.Arm)
		}
		if a := s.arms[q.Arm]; s.policy.onGrid() && a.n+q.N != s.d.setting.Grid.Size(a.j+1) {
			return fmt.Errorf("open request for %d pulls of arm %d with %d, want %d", q.N, q.Arm, a.n, s.d.setting.Grid.Size(a.j+1)-a.n)
		}
		pulls += q.N
	}
	s.queue = saved.Queue
	s.advance()
	if s.stock != nil {
		return s.drain()
	}
	return nil
}

// open says whether there may be more pulls: the search is running, or lacks budget.
func (s *savedSearch) open() bool { return !s.Done || Outcome(s.Outcome) == BudgetExhausted }

// checkPlace checks that an arm has the rewards of its grid index, and more only if
// the request at the head of the queue is for the rest.
func (s *Search) checkPlace(i int, saved *savedSearch) error {
	a := &s.arms[i]
	if a.n == s.d.setting.Grid.Size(a.j) || a.j == 0 && !s.policy.onGrid() {
		return nil
	}
	if !saved.open() || len(saved.Queue) == 0 || saved.Queue[0].Arm != i {
		return fmt.Errorf("%d rewards at grid index %d, want its size", a.n, a.j)
	}
	return nil
}

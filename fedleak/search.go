package fedleak

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// search is a run of Matching.
type search struct {
	Matching
	m       *Model
	rounds  [][]int // rows of the tables, by round
	want    [][]*tensor.Tensor
	ids     []int       // sample of each row
	x       [][]float64 // per seed and party, [rows, H W C]: x[seed*parties+party]
	y       []float64   // label logits [rows, classes]
	given   []int       // label of each row; nil if they are variables
	train   bool        // normalisation uses the statistics of the batch, as the rounds did
	tape    *tensor.Tape
	parties int
}

// Run implements Attack. The recovery holds the samples of the rounds that were
// matched. When ctx is cancelled, or the objective or its gradient is no longer finite,
// it holds the best state so far, beside the error: the one with the least objective if
// one round is matched from one seed by terms that stay the same, and else the last one.
func (a Matching) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	s, err := a.start(ctx, m, o)
	if err != nil {
		return nil, err
	}
	if s.Method == LBFGS {
		err = s.lbfgs(ctx)
	} else {
		err = s.adam(ctx)
	}
	r := s.recovery(o)
	if err != nil {
		return r, err
	}
	if err := ctx.Err(); err != nil {
		return r, fmt.Errorf("fedleak: stopped: %w", err)
	}
	return r, nil
}

// start checks everything and makes the tables.
func (a Matching) start(ctx context.Context, m *Model, o Observations) (*search, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	list, err := batches(o)
	if err != nil {
		return nil, err
	}
	if err := checkFrozen(m, o); err != nil {
		return nil, err
	}
	a.Rounds, a.Seeds = defaultInt(a.Rounds, 1), defaultInt(a.Seeds, 1)
	a.Steps, a.LR, a.Scale = defaultInt(a.Steps, 300), defaultFloat(a.LR, 0.1), defaultFloat(a.Scale, 1)
	if a.Rounds > len(list) {
		return nil, fmt.Errorf("fedleak: %s: %d rounds to match, the observations have %d", a.Name(), a.Rounds, len(list))
	}
	if a.Labels != nil && len(a.Labels) != o.Setting().Samples {
		return nil, fmt.Errorf("fedleak: %s: %d labels for %d samples", a.Name(), len(a.Labels), o.Setting().Samples)
	}
	s := &search{Matching: a, m: m, tape: tensor.NewTape(), train: o.Setting().BatchStatistics, parties: len(m.Bottoms)}
	if s.train && a.BatchNorm > 0 {
		return nil, fmt.Errorf("fedleak: %s: BatchNorm is %v for rounds with batch statistics, want 0: their statistics are not those that the layers hold", a.Name(), a.BatchNorm)
	}
	row := make(map[int]int)
	for t := range a.Rounds {
		gs, err := fetch(ctx, m, o, t, m.Refs()...)
		if err != nil {
			return nil, err
		}
		s.want = append(s.want, inType(gs, m.dtype()))
		rows := make([]int, len(list[t]))
		for i, id := range list[t] {
			r, ok := row[id]
			if !ok {
				r = len(s.ids)
				row[id] = r
				s.ids = append(s.ids, id)
			}
			rows[i] = r
		}
		s.rounds = append(s.rounds, rows)
	}
	s.begin()
	if a.BatchNorm > 0 && len(s.at(0, 0, false).norms) == 0 {
		return nil, errors.New("fedleak: BatchNorm is above 0 for a model without normalisation layers")
	}
	s.tape.Reset()
	return s, s.label()
}

// begin draws the starting point.
func (s *search) begin() {
	for seed := range s.Seeds {
		for p, in := range s.m.Inputs {
			rng := stream(s.Seed, uint64(seed), uint64(p))
			x := make([]float64, len(s.ids)*in[0]*in[1]*in[2])
			for i := range x {
				switch s.Init {
				case UniformInit:
					x[i] = rng.Float64()
				case GrayInit:
					x[i] = 0.5 + 0.01*rng.NormFloat64()
				default:
					x[i] = rng.NormFloat64()
				}
			}
			s.x = append(s.x, x)
		}
	}
	s.y = make([]float64, len(s.ids)*s.m.Classes)
	rng := stream(s.Seed, 1<<32)
	for i := range s.y {
		s.y[i] = rng.NormFloat64()
	}
}

// label sets the labels that are known or read off.
func (s *search) label() error {
	if s.Labels != nil {
		s.given = make([]int, len(s.ids))
		for i, id := range s.ids {
			y := s.Labels[id]
			if y < 0 || y >= s.m.Classes {
				return fmt.Errorf("fedleak: %s: label %d of sample %d, want 0 to %d", s.Name(), y, id, s.m.Classes-1)
			}
			s.given[i] = y
		}
		return nil
	}
	if s.Rule != CountedLabels {
		return nil
	}
	if s.m.DoubleSoftmax {
		return fmt.Errorf("fedleak: %s: labels cannot be counted for a model with softmax taken twice", s.Name())
	}
	r, err := s.m.logitBias()
	if err != nil {
		return err
	}
	grey := make([]*tensor.Tensor, s.parties)
	for p, in := range s.m.Inputs {
		grey[p] = tensor.Full(s.m.dtype(), 0.5, 1, in[0], in[1], in[2])
	}
	mean := tensor.Softmax(s.m.Logits(s.pass(), grey)).Values()
	s.given = make([]int, len(s.ids))
	for i := range s.given {
		s.given[i] = -1
	}
	for t, rows := range s.rounds {
		bias := s.want[t][slices.Index(s.m.Refs(), r)].Values()
		left := make([]float64, len(bias))
		for c, g := range bias {
			left[c] = float64(len(rows)) * (mean[c] - g)
			if len(rows) == 1 {
				left[c] = -g // which is above 0 at the label alone
			}
		}
		for _, row := range rows {
			if y := s.given[row]; y >= 0 {
				left[y]--
			}
		}
		for _, row := range rows {
			if s.given[row] < 0 {
				y := slices.Index(left, slices.Max(left))
				s.given[row] = y
				left[y]--
			}
		}
	}
	return nil
}

// pass is one like those that made the observed gradients.
func (s *search) pass() *nn.Pass { return &nn.Pass{Train: s.train} }

// at puts the samples of a round on the tape.
func (s *search) at(seed, round int, second bool) *dummy {
	rows := s.rounds[round]
	xs := make([]*tensor.Tensor, s.parties)
	for p, in := range s.m.Inputs {
		size := in[0] * in[1] * in[2]
		xs[p] = fromValues(s.m.dtype(), rowsOf(s.x[seed*s.parties+p], rows, size).RawMatrix().Data, len(rows), in[0], in[1], in[2])
	}
	if s.given == nil {
		y := fromValues(s.m.dtype(), rowsOf(s.y, rows, s.m.Classes).RawMatrix().Data, len(rows), s.m.Classes)
		return s.m.guess(s.pass(), s.tape, xs, y, false, second)
	}
	y := make([]int, len(rows))
	for i, r := range rows {
		y[i] = s.given[r]
	}
	return s.m.guess(s.pass(), s.tape, xs, tensor.OneHot(s.m.dtype(), y, s.m.Classes), true, second)
}

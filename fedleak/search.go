package fedleak

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

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
	runs    int         // that move side by side
	x       [][]float64 // per run and party, [rows, H W C]: x[run*parties+party]
	y       []float64   // label logits [rows, classes]
	given   []int       // label of each row; nil if they are variables
	train   bool        // normalisation uses the statistics of the batch, as the rounds did
	tape    *tensor.Tape
	parties int
}

// Run implements Attack. The recovery holds the samples of the rounds that were
// matched. When ctx is cancelled, or the objective or its gradient is no longer finite,
// it holds the best state so far, beside the error: of a run the one with the least
// objective if one round is matched without Group by terms that stay the same, and else
// the last one.
func (a Matching) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	s, err := a.start(ctx, m, o)
	if err != nil {
		return nil, err
	}
	if s.runs == s.Seeds {
		err = s.minimize(ctx)
	} else {
		err = s.restart(ctx)
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

// minimize moves the tables to a minimum.
func (s *search) minimize(ctx context.Context) error {
	if s.Method == LBFGS {
		return s.lbfgs(ctx)
	}
	return s.adam(ctx)
}

// restart minimises from one seed after the other and keeps the least end.
func (s *search) restart(ctx context.Context) error {
	best := keeper{best: math.Inf(1)}
	var err error
	for seed := 0; seed < s.Seeds && err == nil && (seed == 0 || ctx.Err() == nil); seed++ {
		s.begin(seed)
		err = s.minimize(ctx)
		best.keep(s.end(), s.tables())
	}
	best.restore(s.tables())
	return err
}

// end is the objective over all rounds at the end of a run.
func (s *search) end() float64 {
	tv := s.TV
	if s.Fade {
		tv = 0
	}
	total := 0.0
	for round := range s.rounds {
		f, _ := s.value(0, round, tv)
		total += f
		s.tape.Reset()
	}
	return total
}

// tables lists what is looked for.
func (s *search) tables() [][]float64 { return append(slices.Clone(s.x), s.y) }

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
	a.Rounds, a.Seeds = defaultInt(a.Rounds, 1), defaultInt(a.Seeds, 1)
	a.Steps, a.LR, a.Scale = defaultInt(a.Steps, 300), defaultFloat(a.LR, 0.1), defaultFloat(a.Scale, 1)
	if a.Rounds > len(list)-a.First {
		return nil, fmt.Errorf("fedleak: %s: %d rounds to match from %d on, the observations have %d", a.Name(), a.Rounds, a.First, len(list))
	}
	if err := checkModel(m, o, a.First, a.First+a.Rounds); err != nil {
		return nil, err
	}
	if a.Labels != nil && len(a.Labels) != o.Setting().Samples {
		return nil, fmt.Errorf("fedleak: %s: %d labels for %d samples", a.Name(), len(a.Labels), o.Setting().Samples)
	}
	s := &search{Matching: a, m: m, tape: tensor.NewTape(), runs: 1, train: o.Setting().BatchStatistics, parties: len(m.Bottoms)}
	if s.train && a.BatchNorm > 0 {
		return nil, fmt.Errorf("fedleak: %s: BatchNorm is %v for rounds with batch statistics, want 0: their statistics are not those that the layers hold", a.Name(), a.BatchNorm)
	}
	if a.Group > 0 {
		s.runs = a.Seeds
	}
	row := make(map[int]int)
	for t := a.First; t < a.First+a.Rounds; t++ {
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
	s.begin(0)
	if a.BatchNorm > 0 && len(s.at(0, 0, false).norms) == 0 {
		return nil, errors.New("fedleak: BatchNorm is above 0 for a model without normalisation layers")
	}
	s.tape.Reset()
	return s, s.label()
}

// begin draws the starting point of the runs from a seed on.
func (s *search) begin(first int) {
	s.x = nil
	for seed := first; seed < first+s.runs; seed++ {
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
	rng := stream(s.Seed, 1<<32+uint64(first))
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
	bias := slices.Index(s.m.Refs(), r)
	if s.Rounds > 1 {
		return s.labelsOfRounds(bias)
	}
	s.given = make([]int, len(s.ids))
	left := make([]float64, s.m.Classes)
	for c, g := range s.want[0][bias].Values() {
		left[c] = -float64(len(s.given)) * g // for one sample above 0 at the label alone
	}
	if len(s.given) > 1 {
		for c, p := range s.probabilitiesOfGrey() {
			left[c] += float64(len(s.given)) * p
		}
	}
	for row := range s.given {
		s.given[row] = slices.Index(left, slices.Max(left))
		left[s.given[row]]--
	}
	return nil
}

// probabilitiesOfGrey are those of a batch of grey images, all the same.
func (s *search) probabilitiesOfGrey() []float64 {
	grey := make([]*tensor.Tensor, s.parties)
	for p, in := range s.m.Inputs {
		grey[p] = tensor.Full(s.m.dtype(), 0.5, len(s.ids), in[0], in[1], in[2])
	}
	return tensor.Softmax(s.m.Logits(s.pass(), grey)).Values()[:s.m.Classes]
}

// labelsOfRounds reads which sample has which label from the gradients of the logit bias,
// tensor number bias, of several rounds.
func (s *search) labelsOfRounds(bias int) error {
	if s.train {
		return fmt.Errorf("fedleak: %s: labels of %d rounds with batch statistics, which tie the samples of a batch together, want one round or another Rule", s.Name(), s.Rounds)
	}
	b := mat.NewDense(s.Rounds, s.m.Classes, nil)
	for t, gs := range s.want {
		b.SetRow(t, gs[bias].Values())
	}
	_, _, s.given = newSystem(s.rounds, len(s.ids), 1, nil).signs(b, false)
	open := 0
	for _, y := range s.given {
		if y < 0 {
			open++
		}
	}
	if open > 0 {
		return fmt.Errorf("fedleak: %s: the gradients of %d rounds leave %d of %d labels open, want more rounds, one round or another Rule", s.Name(), s.Rounds, open, len(s.given))
	}
	return nil
}

// pass is one like those that made the observed gradients.
func (s *search) pass() *nn.Pass { return &nn.Pass{Train: s.train} }

// at puts the samples of a round on the tape.
func (s *search) at(run, round int, second bool) *dummy {
	rows := s.rounds[round]
	xs := make([]*tensor.Tensor, s.parties)
	for p, in := range s.m.Inputs {
		size := in[0] * in[1] * in[2]
		xs[p] = fromValues(s.m.dtype(), rowsOf(s.x[run*s.parties+p], rows, size).RawMatrix().Data, len(rows), in[0], in[1], in[2])
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

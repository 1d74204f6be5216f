package fedleak

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Matching looks for samples whose gradients are like the observed ones, without
// taking the batches apart first: the family of attacks from DLG on. DLG, IDLG,
// InvertingGradients, SAPAGAttack and GradInversion return its members.
//
// It minimises, over the samples of the first Rounds rounds,
//
//	Distance(gradients) + TV * TotalVariation/entries + BatchNorm * statistics + Group * spread.
//
// Samples are tables by id, so that an id that comes in several rounds is one sample.
// Within one round nothing says which sample is which: see Match.
type Matching struct {
	Title    string   // the name; "" means that of the distance
	Distance Distance // nil means L2
	// Rounds is the number of rounds that are matched; 0 means 1.
	Rounds int
	// Scale multiplies the distance; 0 means 1.
	Scale float64
	// TV weighs the total variation per entry of a slice.
	TV float64
	// Xi is the total variation per slice below which it costs nothing.
	Xi float64
	// Fade lowers TV linearly to 0 over the steps.
	Fade bool
	// BatchNorm weighs the distances of means and variances from those that
	// normalisation layers hold, |μ(x) - μ|₂ + |σ²(x) - σ²|₂, ten times as much
	// for the first layer: Eq. (10) of Yin et al., CVPR 2021.
	BatchNorm float64
	// Group weighs the squared distance of each of Seeds runs from their mean:
	// group consistency, Eq. (11) of Yin et al., without their registration of
	// images, of which slices of a few pixels have no need.
	Group float64
	Seeds int // 0 means 1
	// Labels are known distributions' classes by id; nil leaves them to Rule.
	Labels []int
	Rule   LabelRule
	Method Method
	// Steps is the number of steps of Adam, or of evaluations of L-BFGS; 0 means
	// 300.
	Steps int
	// LR is the learning rate of Adam; 0 means 0.1.
	LR float64
	// Decay multiplies the learning rate by 0.1 after 3/8, 5/8 and 7/8 of the
	// steps.
	Decay bool
	// Box keeps pixels in [0, 1] at every step.
	Box  bool
	Init Init
	Seed uint64
	// Progress is told of each step of Adam with the objective; nil for none.
	Progress func(step int, objective float64)
}

// LabelRule says where the labels come from.
type LabelRule uint8

// Rules for labels.
const (
	// JointLabels are variables beside the pixels.
	JointLabels LabelRule = iota
	// CountedLabels are read from the gradient of the logit bias: the number of
	// samples of class c in a batch of K is K (mean p_c - g_c), with the model's
	// mean probabilities p on grey images. For K = 1 this is the rule of iDLG (Zhao,
	// Mopuri and Bilen, arXiv 2001.02610).
	CountedLabels
)

// Method is a way to minimise.
type Method uint8

// Methods of minimisation.
const (
	Adam     Method = iota // by rows
	SignAdam               // Adam on the signs of the gradient
	LBFGS                  // with strong Wolfe line searches, over all rounds at once
)

// Init is a distribution of starting points.
type Init uint8

// Starting points.
const (
	NormalInit  Init = iota // standard normal
	UniformInit             // uniform on [0, 1)
	GreyInit                // 0.5 with a deviation of 0.01
)

var _ Attack = Matching{}

// DLG is deep leakage from gradients: Zhu, Liu and Han, NeurIPS 2019.
func DLG() Matching { return Matching{Title: "DLG", Method: LBFGS} }

// IDLG is improved deep leakage: DLG with labels that are read off.
func IDLG() Matching { return Matching{Title: "iDLG", Method: LBFGS, Rule: CountedLabels} }

// InvertingGradients is the attack of Geiping et al., NeurIPS 2020: the cosine, total
// variation, Adam on signs in the box with a decaying rate, and labels that are known
// or read off.
func InvertingGradients() Matching {
	return Matching{Title: "cosine", Distance: Cosine{}, TV: 0.2, Method: SignAdam, Decay: true, Box: true, Rule: CountedLabels}
}

// SAPAGAttack is the self-adaptive attack of Wang et al., arXiv 2009.06228, from
// uniform starting points: far from the gradients its distance is flat.
func SAPAGAttack() Matching { return Matching{Title: "SAPAG", Distance: SAPAG{}, Init: UniformInit} }

// GradInversion is the attack of Yin et al., CVPR 2021, for a model with normalisation
// layers that is observed with their stored statistics.
func GradInversion() Matching {
	return Matching{Title: "GradInversion", Scale: 1e-4, TV: 1e-4, BatchNorm: 0.1, Group: 0.01, Seeds: 3, Box: true, Rule: CountedLabels}
}

// Name implements Attack.
func (a Matching) Name() string {
	if a.Title != "" {
		return a.Title
	}
	return a.distance().Name()
}

func (a Matching) distance() Distance {
	if a.Distance == nil {
		return L2{}
	}
	return a.Distance
}

// Check says what is wrong with the settings.
func (a Matching) Check() error {
	for _, v := range []struct {
		name  string
		value float64
	}{{"TV", a.TV}, {"Xi", a.Xi}, {"BatchNorm", a.BatchNorm}, {"Group", a.Group}, {"LR", a.LR}, {"Scale", a.Scale}} {
		if !(v.value >= 0) || math.IsInf(v.value, 0) {
			return fmt.Errorf("fedleak: %s: %s is %v, want 0 or more", a.Name(), v.name, v.value)
		}
	}
	if a.Steps < 0 || a.Rounds < 0 || a.Seeds < 0 {
		return fmt.Errorf("fedleak: %s: %d steps, %d rounds, %d seeds, want 0 or more", a.Name(), a.Steps, a.Rounds, a.Seeds)
	}
	return nil
}

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
	tape    *tensor.Tape
	parties int
}

// Run implements Attack. The recovery holds the samples of the rounds that were
// matched. When ctx is cancelled it is the state reached, beside the error.
func (a Matching) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	s, err := a.start(ctx, m, o)
	if err != nil {
		return nil, err
	}
	if s.Method == LBFGS {
		s.lbfgs(ctx)
	} else {
		s.adam(ctx)
	}
	r := s.recovery(o)
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
	s := &search{Matching: a, m: m, tape: tensor.NewTape(), parties: len(m.Bottoms)}
	row := make(map[int]int)
	for t := range a.Rounds {
		gs, err := fetch(ctx, m, o, t, m.Refs()...)
		if err != nil {
			return nil, err
		}
		s.want = append(s.want, gs)
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
				case GreyInit:
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
			s.given[i] = s.Labels[id]
		}
		return nil
	}
	if s.Rule != CountedLabels {
		return nil
	}
	r, err := s.m.logitBias()
	if err != nil {
		return err
	}
	grey := make([]*tensor.Tensor, s.parties)
	for p, in := range s.m.Inputs {
		grey[p] = tensor.Full(s.m.dtype(), 0.5, 1, in[0], in[1], in[2])
	}
	mean := tensor.Softmax(s.m.Logits(&nn.Pass{}, grey)).Values()
	s.given = make([]int, len(s.ids))
	for i := range s.given {
		s.given[i] = -1
	}
	for t, rows := range s.rounds {
		bias := s.want[t][slices.Index(s.m.Refs(), r)].Values()
		left := make([]float64, len(bias))
		for c, g := range bias {
			left[c] = float64(len(rows)) * (mean[c] - g)
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
		return s.m.guess(s.tape, xs, y, false, second)
	}
	y := make([]int, len(rows))
	for i, r := range rows {
		y[i] = s.given[r]
	}
	return s.m.guess(s.tape, xs, tensor.OneHot(s.m.dtype(), y, s.m.Classes), true, second)
}

// value returns the objective of one seed in one round, and its gradients by the
// slices of each party and the labels.
func (s *search) value(seed, round int, tv float64) (float64, []*tensor.Tensor) {
	d := s.at(seed, round, true)
	f := tensor.MulScalar(s.distance().Between(d.grads, s.want[round]), s.Scale)
	if tv > 0 {
		for _, x := range d.xs {
			v := TotalVariation(x)
			if v.Item() >= s.Xi*float64(x.Dim(0)) {
				f = tensor.Add(f, tensor.MulScalar(v, tv/float64(x.Len())))
			}
		}
	}
	if s.BatchNorm > 0 {
		f = tensor.Add(f, s.statistics(d))
	}
	if s.Group > 0 && s.Seeds > 1 {
		for p, x := range d.xs {
			f = tensor.Add(f, tensor.MulScalar(tensor.Sum(tensor.Square(tensor.Sub(x, s.mean(p, round, x.Shape())))), s.Group))
		}
	}
	wrt := d.xs
	if d.labels != nil {
		wrt = append(slices.Clone(wrt), d.labels)
	}
	return f.Item(), tensor.Grad(f, wrt...)
}

// statistics is the term of normalisation layers, which come in the order of parties
// and layers.
func (s *search) statistics(d *dummy) *tensor.Tensor {
	per := len(d.norms) / s.parties
	return sumOf(make([]*tensor.Tensor, len(d.norms)), func(i int) *tensor.Tensor {
		n := d.norms[i]
		weight := s.BatchNorm
		if i%per == 0 {
			weight *= 10
		}
		e := tensor.Add(distance2(n.mean, n.wantMean), distance2(n.variance, n.wantVar))
		return tensor.MulScalar(e, weight)
	})
}

// distance2 is the Euclidean distance, with a gradient where it vanishes.
func distance2(a, b *tensor.Tensor) *tensor.Tensor {
	return tensor.Sqrt(tensor.AddScalar(tensor.Sum(tensor.Square(tensor.Sub(a, b))), 1e-12))
}

// mean is the mean of a round's slices over the seeds.
func (s *search) mean(party, round int, shape []int) *tensor.Tensor {
	size := len(s.x[party]) / len(s.ids)
	sum := make([]float64, len(s.rounds[round])*size)
	for seed := range s.Seeds {
		for i, v := range rowsOf(s.x[seed*s.parties+party], s.rounds[round], size).RawMatrix().Data {
			sum[i] += v / float64(s.Seeds)
		}
	}
	return fromValues(s.m.dtype(), sum, shape...)
}

// adam goes through the rounds in turn.
func (s *search) adam(ctx context.Context) {
	adams := make([]*RowAdam, len(s.x))
	for i := range adams {
		adams[i] = &RowAdam{}
	}
	labels := &RowAdam{}
	for t := range s.Steps {
		if ctx.Err() != nil {
			return
		}
		lr := s.LR
		if s.Decay {
			for _, mark := range []int{3, 5, 7} {
				if 8*t >= mark*s.Steps {
					lr *= 0.1
				}
			}
		}
		tv := s.TV
		if s.Fade {
			tv *= 1 - float64(t)/float64(s.Steps)
		}
		round := t % s.Rounds
		total := 0.0
		for seed := range s.Seeds {
			f, gs := s.value(seed, round, tv)
			total += f
			for i, g := range gs {
				v := g.Values()
				if s.Method == SignAdam {
					for j, u := range v {
						v[j] = sign(u)
					}
				}
				table, opt := s.y, labels
				if i < s.parties {
					table, opt = s.x[seed*s.parties+i], adams[seed*s.parties+i]
				}
				opt.LR = lr
				opt.Step(table, len(s.ids), s.rounds[round], v)
				if s.Box && i < s.parties {
					clip(table)
				}
			}
			s.tape.Reset()
		}
		if s.Progress != nil {
			s.Progress(t, total/float64(s.Seeds))
		}
	}
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// lbfgs minimises the sum over all rounds, from each seed by itself.
func (s *search) lbfgs(ctx context.Context) {
	for seed := range s.Seeds {
		tables := append(slices.Clone(s.x[seed*s.parties:(seed+1)*s.parties]), s.y)
		load := func(x []float64) {
			for _, t := range tables {
				x = x[copy(t, x):]
			}
		}
		at := func(x, grad []float64) float64 {
			load(x)
			total := 0.0
			clear(grad)
			for round, rows := range s.rounds {
				f, gs := s.value(seed, round, s.TV)
				total += f
				from := 0
				for i, t := range tables {
					if i < len(gs) {
						width := len(t) / len(s.ids)
						v := gs[i].Values()
						for j, r := range rows {
							for k := range width {
								grad[from+r*width+k] += v[j*width+k]
							}
						}
					}
					from += len(t)
				}
				s.tape.Reset()
			}
			return total
		}
		x := slices.Concat(tables...)
		load(minimize(ctx, x, s.Steps, -1, at))
	}
}

// recovery returns the mean over the seeds.
func (s *search) recovery(o Observations) *Recovery {
	n := o.Setting().Samples
	r := newRecovery(s.Name(), s.m, n)
	r.Rounds = s.Rounds
	r.Labels = make([]int, n)
	for i := range r.Labels {
		r.Labels[i] = -1
	}
	for p := range r.Parties {
		size := len(s.x[p]) / len(s.ids)
		for row, id := range s.ids {
			x := make([]float64, size)
			for seed := range s.Seeds {
				for j, v := range s.x[seed*s.parties+p][row*size : (row+1)*size] {
					x[j] += v / float64(s.Seeds)
				}
			}
			clip(x)
			setRow(r.Parties[p].X, id, x)
			r.Parties[p].Status[id] = Recovered
		}
	}
	for row, id := range s.ids {
		if s.given != nil {
			r.Labels[id] = s.given[row]
			continue
		}
		y := s.y[row*s.m.Classes : (row+1)*s.m.Classes]
		r.Labels[id] = slices.Index(y, slices.Max(y))
	}
	return r
}

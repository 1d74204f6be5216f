package defense

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// AMPGD is generalised adversarial training: against several attack sets at once,
// each example weighs its K attacks by how much they hurt,
//
//	min_θ E max_{w, δ_i} sum_i w_i L(θ, x + δ_i, y) - gamma/2 ‖w - 1/K‖².
//
// The attacks and the weights climb together, R steps for each training step. With
// another Rule than MinMax it is the scheme that the rule stands for: NewAVG and
// NewMAX.
//
// Algorithm 2 and Eq. (11) of Wang et al., NeurIPS 2021. The paper leaves open
// whether weights belong to examples, how clean examples are mixed in and how steps
// are scaled; the fields say what is done here.
type AMPGD struct {
	// Threats are the attack sets, each a ball; at least two, one for Average.
	Threats []attack.Threat
	// Rule weighs the attacks of an example by their cross-entropies; nil means
	// MinMax with Beta 1/50 and Gamma 4, the paper's.
	Rule minmax.Rule
	// Steps is the number R of inner steps; 0 means 20.
	Steps int
	// StepSizes are the sizes of a step in each threat's norm; nil means 2.5
	// Eps/Steps. For Raw they multiply the gradient; nil means 1/6.
	StepSizes []float64
	// Raw steps along the weighted gradient itself. By default a step goes along
	// its direction, which without DPAR does not depend on the weights: the sign for L∞, length
	// 1 for L2, the signs of the 5 to 20 largest entries for L1 (Maini, Wong and
	// Kolter, ICML 2020), L1 length 1 for L0.
	Raw bool
	// NoRandomStart starts from the examples instead of random points of the sets.
	NoRandomStart bool
	// Clean is the weight of the loss of the clean examples beside that of the
	// attacked ones, with DPAR's regulariser, which have 1; both are divided by
	// 1 + Clean. 0 trains on attacked examples alone. The paper names a ratio of 1.
	Clean float64
	// Global keeps one set of weights for all examples and carries it from batch
	// to batch, moved by mean losses once for each training step. By default every
	// example begins at 1/K.
	Global bool
	// GlobalStart are the weights, one of 0 or more for each threat, that Global begins
	// with; nil means the Rule's. A training that goes on from a checkpoint needs those
	// that OnWeights heard in the step before, unless this very value made that step.
	GlobalStart []float64
	// DPAR is the weight lambda of the diversity-promoting regulariser log det(GᵀG),
	// where G holds the input gradients of an example's attacks, scaled to length
	// 1: attacks climb, and the network descends, sum_i w_i L_i + lambda log det(GᵀG),
	// with second derivatives. 0 leaves it out; the earlier version of the paper has
	// 0.1.
	DPAR float64
	// RampSteps is the number of training steps over which radii and step sizes
	// grow linearly from 0; 0 attacks in full from the first step.
	RampSteps int
	// Seed selects the starts of the whole training.
	Seed uint64
	// OnWeights is called in each training step with the weights of the examples
	// of the batch, n rows of K, or one row if they are global; nil for none.
	OnWeights func(step int, weights [][]float64)

	global     []float64 // weights that training step globalStep begins with
	globalStep int
}

// NewAVG returns training on the mean loss of all attacks.
//
// Tramèr and Boneh, NeurIPS 2019, "avg" strategy; Eq. (8) of Wang et al.
func NewAVG(threats ...attack.Threat) *AMPGD {
	return &AMPGD{Threats: threats, Rule: minmax.Average{}}
}

// NewMAX returns training on the attack that hurts each example most.
//
// Tramèr and Boneh, NeurIPS 2019, "max" strategy; Eq. (9) of Wang et al.
func NewMAX(threats ...attack.Threat) *AMPGD {
	return &AMPGD{Threats: threats, Rule: minmax.Worst{}}
}

// settings are those of one training step, with defaults filled in.
func (a *AMPGD) settings(step int) (AMPGD, error) {
	s := *a
	if s.Rule == nil {
		s.Rule = minmax.MinMax{Beta: 1. / 50, Gamma: 4}
	}
	if s.Steps == 0 {
		s.Steps = 20
	}
	switch {
	case s.Steps < 0:
		return s, fmt.Errorf("%d steps, want 0 or more", s.Steps)
	case s.RampSteps < 0:
		return s, fmt.Errorf("RampSteps is %d, want 0 or more", s.RampSteps)
	case !(s.Clean >= 0) || math.IsInf(s.Clean, 0):
		return s, fmt.Errorf("weight Clean is %v, want a finite number from 0 on", s.Clean)
	case !(s.DPAR >= 0) || math.IsInf(s.DPAR, 0):
		return s, fmt.Errorf("DPAR is %v, want a finite number from 0 on", s.DPAR)
	}
	if s.Raw && s.StepSizes == nil {
		s.StepSizes = slices.Repeat([]float64{1. / 6}, len(s.Threats))
	}
	sets, err := scaled(s.Threats, s.StepSizes, s.Steps, step, s.RampSteps)
	if err != nil {
		return s, err
	}
	s.Threats, s.StepSizes = sets.threats, sets.sizes
	return s, nil
}

// sets are threats with the sizes of steps in them.
type sets struct {
	threats []attack.Threat
	sizes   []float64
}

// scaled checks threats and step sizes and returns them as a training step is due.
func scaled(threats []attack.Threat, sizes []float64, steps, step, ramp int) (sets, error) {
	if len(threats) == 0 {
		return sets{}, errors.New("no threats")
	}
	if sizes != nil && len(sizes) != len(threats) {
		return sets{}, fmt.Errorf("%d step sizes for %d threats", len(sizes), len(threats))
	}
	out := sets{threats: slices.Clone(threats)}
	part := 1.0
	if step < ramp {
		part = float64(step+1) / float64(ramp+1)
	}
	for i := range out.threats {
		th := &out.threats[i]
		if err := th.Check(); err != nil {
			return sets{}, fmt.Errorf("threat %d: %w", i, err)
		}
		size := 2.5 * th.Eps / float64(steps)
		if sizes != nil {
			size = sizes[i]
		}
		if !(size >= 0) || math.IsInf(size, 0) {
			return sets{}, fmt.Errorf("step size of threat %d is %v, want a finite number from 0 on", i, size)
		}
		if th.Norm != attack.L0 {
			th.Eps *= part
		}
		out.sizes = append(out.sizes, part*size)
	}
	return out, nil
}

// Loss is the weighted cross-entropy of the attacked examples, for nn.Trainer. The
// attacks see the network in evaluation mode. Copies without weight are left out of
// the training pass.
func (a *AMPGD) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	loss, err := a.loss(ctx, p, net, b)
	if err != nil {
		return nil, fmt.Errorf("defense: AMPGD: %w", err)
	}
	return loss, nil
}

func (a *AMPGD) loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	s, err := a.settings(b.Step)
	if err != nil {
		return nil, err
	}
	start, err := s.start(b.Step)
	if err != nil {
		return nil, err
	}
	copies, weights, err := s.attackAll(ctx, nn.Classifier{Net: net, Stats: p.Stats}, b, start)
	if err != nil {
		return nil, err
	}
	if a.OnWeights != nil {
		rows := weights
		if s.Global {
			rows = weights[:1]
		}
		heard := make([][]float64, len(rows))
		for i, row := range rows {
			heard[i] = slices.Clone(row)
		}
		a.OnWeights(b.Step, heard)
	}
	total := weighted(p, net, copies, weights, b.Y)
	if s.DPAR > 0 {
		total = tensor.Add(total, tensor.MulScalar(tensor.Mean(diversity(net, p, b.X.Tape(), copies, b.Y)), s.DPAR))
	}
	if s.Clean > 0 {
		clean := tensor.Mean(tensor.CrossEntropy(net.Forward(p, b.X), b.Y))
		total = tensor.MulScalar(tensor.Add(total, tensor.MulScalar(clean, s.Clean)), 1/(1+s.Clean))
	}
	if s.Global {
		a.global, a.globalStep = weights[0], b.Step+1
	}
	return total, nil
}

// start returns the weights that a training step begins with.
func (a *AMPGD) start(step int) ([]float64, error) {
	k := len(a.Threats)
	first, err := a.Rule.Start(k)
	if err != nil || !a.Global {
		return first, err
	}
	w := a.GlobalStart
	if step > 0 && a.globalStep == step {
		w = a.global
	}
	switch {
	case w == nil && step == 0:
		return first, nil
	case w == nil:
		return nil, fmt.Errorf("step %d without the global weights of the step before, want them in GlobalStart", step)
	case len(w) != k:
		return nil, fmt.Errorf("%d global weights for %d threats", len(w), k)
	}
	for i, v := range w {
		if !(v >= 0) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("global weight of threat %d is %v, want a finite number from 0 on", i, v)
		}
	}
	return w, nil
}

// weighted is the mean over the examples of sum_i w_i L(x_i). A batch in which nothing
// has weight, as a clipping rule can leave it, gives 0, with a gradient of 0.
func weighted(p *nn.Pass, net nn.Layer, copies []*tensor.Tensor, weights [][]float64, y []int) *tensor.Tensor {
	var parts []*tensor.Tensor
	var labels []int
	var w []float64
	for k, x := range copies {
		var rows []int
		for i, row := range weights {
			if row[k] > 0 {
				rows, labels, w = append(rows, i), append(labels, y[i]), append(w, row[k]/float64(len(y)))
			}
		}
		if len(rows) > 0 {
			parts = append(parts, tensor.Gather(x, rows))
		}
	}
	if len(parts) == 0 {
		parts, labels, w = []*tensor.Tensor{tensor.Gather(copies[0], []int{0})}, y[:1], []float64{0}
	}
	x := tensor.Concat(0, parts...)
	ce := tensor.CrossEntropy(net.Forward(p, x), labels)
	each := tensor.Zeros(ce.DType(), len(w))
	each.CopyFrom(tensor.FromFloat64(w))
	return tensor.Dot(ce, each)
}

// attackAll attacks a batch under every threat, several threads sharing its examples.
// It returns the attacked batch for each threat and the weights of each example.
func (a *AMPGD) attackAll(ctx context.Context, m attack.Model, b nn.Batch, start []float64) ([]*tensor.Tensor, [][]float64, error) {
	if err := checkBatch(m, b, a.Threats); err != nil {
		return nil, nil, err
	}
	x := b.X.Detach().Clone()
	n := len(b.Y)
	copies := make([]*tensor.Tensor, len(a.Threats))
	for i := range copies {
		copies[i] = x.Clone()
	}
	weights, losses := make([][]float64, n), make([][]float64, n)
	err := inChunks(ctx, n, func(tape *tensor.Tape, lo, hi int) error {
		in := &inner{AMPGD: a, model: m, tape: tape, x: tensor.Slice(x, 0, lo, hi).Clone(), y: b.Y[lo:hi], first: lo, step: b.Step}
		if err := in.climb(ctx, start); err != nil {
			return err
		}
		for i := range hi - lo {
			weights[lo+i], losses[lo+i] = in.weights[i], in.losses[i]
			for k, c := range in.copies {
				copyRow(copies[k], lo+i, c, i)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if a.Global {
		w := slices.Clone(start)
		a.Rule.Update(w, meanRows(losses), 1)
		for i := range weights {
			weights[i] = w
		}
	}
	return copies, weights, nil
}

func meanRows(rows [][]float64) []float64 {
	mean := make([]float64, len(rows[0]))
	for _, row := range rows {
		for i, v := range row {
			mean[i] += v / float64(len(rows))
		}
	}
	return mean
}

// WeightLog records the weights of a training, for OnWeights. Its methods can be called
// from several goroutines.
type WeightLog struct {
	mu    sync.Mutex
	steps []int
	rows  [][]minmax.Spread
}

// Add records the weights of one training step.
func (l *WeightLog) Add(step int, weights [][]float64) {
	spreads := make([]minmax.Spread, len(weights[0]))
	for k := range spreads {
		v := make([]float64, len(weights))
		for i, row := range weights {
			v[i] = row[k]
		}
		spreads[k] = minmax.NewSpread(v)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps, l.rows = append(l.steps, step), append(l.rows, spreads)
}

// Steps returns the training steps that were recorded.
func (l *WeightLog) Steps() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.steps)
}

// Spread returns how the weights of a threat were distributed over the examples of
// the i-th recorded step, from 0. It panics unless there are such a step and threat.
func (l *WeightLog) Spread(i, threat int) minmax.Spread {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i < 0 || i >= len(l.rows) || threat < 0 || threat >= len(l.rows[i]) {
		panic(fmt.Sprintf("defense: WeightLog.Spread: threat %d of record %d, want one of %d records", threat, i, len(l.rows)))
	}
	return l.rows[i][threat]
}

// Mean returns the mean weight of each threat over the recorded steps from the i-th
// on, from 0; nil if there are none. It panics if from is negative.
func (l *WeightLog) Mean(from int) []float64 {
	if from < 0 {
		panic(fmt.Sprintf("defense: WeightLog.Mean: from record %d, want 0 or more", from))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var mean []float64
	for _, row := range l.rows[min(from, len(l.rows)):] {
		if mean == nil {
			mean = make([]float64, len(row))
		}
		for k, s := range row {
			mean[k] += s.Mean / float64(len(l.rows)-from)
		}
	}
	return mean
}

package minmax

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// APGDA is the alternating projected gradient descent and ascent attack. With
// another Rule than MinMax it is the heuristic that the rule stands for, at the
// same cost.
//
// Algorithm 1 of Wang et al., NeurIPS 2021.
type APGDA struct {
	// Threat is the norm and radius of the ball around each centre. The box is the
	// domains', so Lo and Hi stay 0.
	Threat attack.Threat
	// Rule moves the weights; nil means PaperMinMax. MinMax and Worst are refused for
	// a single domain, where there is nothing to weigh.
	Rule Rule
	// Steps is the number of iterations T; 0 means 50.
	Steps int
	// StepSize is alpha: a step is alpha times the gradient, which is tied to the
	// scale of the losses, or with Normalize alpha in the threat's norm. (The
	// public implementation's flags alpha and beta are reciprocals of step sizes.)
	// 0 means 1/4; with Normalize 2.5 Eps/Steps; with StepControl 2 Eps.
	StepSize float64
	// Normalize takes the direction of the gradient instead of the gradient: its
	// sign for L∞, divided by its L1 length for L1 and L0, and by its Euclidean
	// length for L2.
	Normalize bool
	// StepControl adds momentum and halves the step size, from 2 Eps on, when the
	// rule's Value stalls, going on from the best point, as Auto-PGD does; where
	// weights have moved since, the gradient there is asked for anew. It implies
	// Normalize and returns the best point of each row, judged anew as for KeepBest.
	// Not for L0.
	//
	// Croce and Hein, ICML 2020, Algorithm 1.
	StepControl bool
	// Approximate scales and clips instead of projecting exactly.
	Approximate bool
	// Start says where points begin; 0 means as the domains say.
	Start Start
	// KeepBest returns, for each row, the point that fooled most domains, the one
	// of the smallest worst loss among equals, instead of the last one. The point is
	// then judged anew, with other random numbers and one more forward pass: where
	// transformations or models are random, a lucky draw is not a success.
	KeepBest bool
	// Restarts is the number of runs from different starts, of which KeepBest's
	// measure chooses, and whose choice is judged anew as there; 0 means 1. Where
	// Start is ZeroStart, runs after the first begin as with UniformStart.
	Restarts int
	// Residuals computes the stationarity of every iterate, at the cost of two
	// projections an iteration and one more backward pass at the end:
	// ‖v - proj_X(v - ∇)‖² + ‖w - proj_P(w + F - gamma (w - 1/K))‖², without the
	// second part for rules whose weights do not play.
	Residuals bool
	// Seed selects starts and the draws of random transformations; every row has a
	// stream of its own.
	Seed uint64
	// BatchSize is the number of rows that are worked on together; 0 means as many
	// as show a model up to 32 inputs at once, and at least 1: a row of a Group is
	// Size inputs, and one of Situations as many as there are transformations.
	// Results depend on it only as far as the models' arithmetic does.
	BatchSize int
	// OnProgress is called with the number of rows done, restarts counted apart,
	// and the number in all, nil for none. Calls do not overlap.
	OnProgress func(done, total int)
}

// Result is the outcome of an attack on N rows in K domains.
type Result struct {
	// Point holds the points that were found, [N, ...]: adversarial inputs for
	// Situations, perturbations for Group.
	Point *tensor.Tensor `json:"-"`
	// Weights and Losses are those of Point, N rows of K. Rows that an interrupted
	// attack has not reached are nil.
	Weights [][]float64 `json:"weights"`
	Losses  [][]float64 `json:"losses"`
	// Fooled says in which domains each row won; nil where there is no winning. Rows
	// that an interrupted attack has not reached are nil.
	Fooled [][]bool `json:"fooled,omitempty"`
	// History holds the weights of all iterations.
	History *History `json:"-"`
	// Residual is the stationarity of each row's last iterate, and MeanResidual its
	// mean over the rows by iteration; nil unless asked for.
	Residual     []float64 `json:"residual,omitempty"`
	MeanResidual []float64 `json:"mean_residual,omitempty"`
	// Warnings say what keeps the method's guarantee from holding.
	Warnings []attack.Warning `json:"warnings,omitempty"`
}

// Kinds of warnings.
const (
	// LargeWeightStep: beta gamma is 1 or more, where weights can oscillate, or 2
	// or more, where they do not settle.
	LargeWeightStep attack.WarningKind = "large weight step"
	// NotConvex: the set of allowed points is not convex.
	NotConvex attack.WarningKind = "set not convex"
)

// MeanWeights returns the mean weight of each domain over the rows that were
// reached.
func (r Result) MeanWeights() []float64 { return meanRows(r.Weights) }

func meanRows(rows [][]float64) []float64 {
	var mean []float64
	n := 0.0
	for _, row := range rows {
		if row == nil {
			continue
		}
		if mean == nil {
			mean = make([]float64, len(row))
		}
		for i, v := range row {
			mean[i] += v
		}
		n++
	}
	for i := range mean {
		mean[i] /= n
	}
	return mean
}

// settings are an attack's with defaults for d filled in.
func (a *APGDA) settings(d Domains) APGDA {
	s := *a
	if s.Rule == nil {
		s.Rule = PaperMinMax
	}
	s.Normalize = s.Normalize || s.StepControl
	if s.Steps == 0 {
		s.Steps = 50
	}
	if s.StepSize == 0 {
		switch {
		case s.StepControl:
			s.StepSize = 2 * s.Threat.Eps
		case s.Normalize:
			s.StepSize = 2.5 * s.Threat.Eps / float64(s.Steps)
		default:
			s.StepSize = 0.25
		}
	}
	if s.Restarts == 0 {
		s.Restarts = 1
	}
	if s.BatchSize == 0 {
		s.BatchSize = rowsFor(d, 32)
	}
	return s
}

// check returns an error that names what is wrong with the settings or the domains.
func (a *APGDA) check(d Domains) error {
	if d == nil {
		return errors.New("minmax: no domains")
	}
	if err := (attack.Threat{Norm: a.Threat.Norm, Eps: a.Threat.Eps}).Check(); err != nil {
		return fmt.Errorf("minmax: %w", err)
	}
	if err := d.Check(); err != nil {
		return err
	}
	switch {
	case a.Threat.Lo != 0 || a.Threat.Hi != 0:
		return fmt.Errorf("minmax: box [%v, %v] in the threat, want none: the domains have one", a.Threat.Lo, a.Threat.Hi)
	case a.Threat.Norm == attack.L0 && a.Threat.Eps != math.Trunc(a.Threat.Eps):
		return fmt.Errorf("minmax: eps is %v under l0, want a whole number", a.Threat.Eps)
	case a.Threat.Norm == attack.L0 && a.StepControl:
		return errors.New("minmax: step control under l0, want linf, l2 or l1")
	case a.Steps < 0:
		return fmt.Errorf("minmax: %d steps, want 0 or more", a.Steps)
	case !(a.StepSize >= 0) || math.IsInf(a.StepSize, 0):
		return fmt.Errorf("minmax: step size is %v, want a finite number from 0 on", a.StepSize)
	case a.Start < DomainStart || a.Start > UniformStart:
		return fmt.Errorf("minmax: unknown start %d", int(a.Start))
	case a.Restarts < 0:
		return fmt.Errorf("minmax: %d restarts, want 0 or more", a.Restarts)
	case a.BatchSize < 0:
		return fmt.Errorf("minmax: batch size is %d, want 0 or more", a.BatchSize)
	}
	return checkBoxes(d)
}

// checkBoxes returns an error unless every centre lies in its box.
func checkBoxes(d Domains) error {
	centre := d.Center()
	n := centre.Dim(0)
	size := centre.Len() / n
	c, lo, hi := make([]float64, size), make([]float64, size), make([]float64, size)
	for row := range n {
		readRow(c, centre, row)
		d.Box(row, lo, hi)
		for i, v := range c {
			if !(lo[i] <= v && v <= hi[i]) {
				return fmt.Errorf("minmax: value %d of the centre of row %d is %v, outside of its box [%v, %v]", i, row, v, lo[i], hi[i])
			}
		}
	}
	return nil
}

// warnings says what keeps the iterates from settling, or from a guarantee that they
// do.
func (a *APGDA) warnings() []attack.Warning {
	var out []attack.Warning
	if r, ok := a.Rule.(player); ok {
		beta, gamma := r.plays()
		switch p := beta * gamma; {
		case p >= 2:
			out = append(out, attack.Warning{Kind: LargeWeightStep, Text: fmt.Sprintf("beta gamma is %.4g, 2 or more: the weights oscillate and do not settle", p)})
		case p >= 1:
			out = append(out, attack.Warning{Kind: LargeWeightStep, Text: fmt.Sprintf("beta gamma is %.4g, 1 or more: convergence is not guaranteed", p)})
		}
	}
	if a.Threat.Norm == attack.L0 {
		out = append(out, attack.Warning{Kind: NotConvex, Text: "an L0 ball is not convex: convergence is not guaranteed"})
	}
	return out
}

// Run attacks all rows of the domains. It changes none of the domains' tensors. When
// ctx is cancelled the error is ctx's and the result holds the rows that have finished a
// run; if restarts or the last judgement were to come, what they are said to have done
// is what they were chosen by.
func (a *APGDA) Run(ctx context.Context, d Domains) (Result, error) {
	if err := a.check(d); err != nil {
		return Result{}, err
	}
	s := a.settings(d)
	names := d.Names()
	start, err := s.Rule.Start(len(names))
	if err != nil {
		return Result{}, err
	}
	centre := ask.OffTape(d.Center())
	n := centre.Dim(0)
	res := Result{
		Point: centre.Clone(), Weights: make([][]float64, n), Losses: make([][]float64, n),
		History: newHistory(names, s.Steps, n), Warnings: s.warnings(),
	}
	if s.Residuals {
		res.Residual = make([]float64, n)
	}
	curves := newCurves(s.Steps, n)
	err = ask.Batches(ctx, "minmax", n, s.BatchSize, s.Restarts, s.OnProgress, func(ctx context.Context, tape *tensor.Tape, lo, hi, restart int) error {
		rows := ask.Range(lo, hi)
		g := &game{APGDA: &s, domains: d, names: names, tape: tape, rows: rows, restart: restart, start: start, res: &res, curves: curves}
		return g.play(ctx, tensor.Gather(centre, rows))
	})
	if s.Residuals {
		res.MeanResidual = curves.mean()
	}
	for _, won := range curves.fooled {
		if won != nil {
			res.Fooled = curves.fooled
			break
		}
	}
	return res, err
}

// curves collects what rows leave behind besides the result.
type curves struct {
	residual [][]float64 // by row and iteration, of the restart that was kept
	fooled   [][]bool
}

func newCurves(steps, n int) *curves {
	return &curves{residual: make([][]float64, n), fooled: make([][]bool, n)}
}

func (c *curves) mean() []float64 { return meanRows(c.residual) }

// better says whether one outcome of a row beats another: more domains fooled, or as
// many and a smaller worst loss.
func better(fooled, than []bool, losses, thanLosses []float64) bool {
	if a, b := count(fooled), count(than); a != b {
		return a > b
	}
	return slices.Max(losses) < slices.Max(thanLosses)
}

func count(won []bool) int {
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	return n
}

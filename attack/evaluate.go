package attack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Estimate is a share of right answers with its exact 95 % confidence interval.
//
// Clopper and Pearson, Biometrika 1934.
type Estimate struct {
	Right int     `json:"right"` // right answers
	Total int     `json:"total"` // answers
	Value float64 `json:"value"` // Right/Total
	Lo    float64 `json:"lo"`    // lower end of the interval
	Hi    float64 `json:"hi"`    // upper end of the interval
}

// NewEstimate returns the estimate for right out of total answers, with
// 0 <= right <= total and total at least 1.
func NewEstimate(right, total int) Estimate {
	if right < 0 || right > total || total < 1 {
		panic(fmt.Sprintf("attack: NewEstimate: %d right of %d", right, total))
	}
	e := Estimate{Right: right, Total: total, Value: float64(right) / float64(total), Hi: 1}
	k, n := float64(right), float64(total)
	if right > 0 {
		e.Lo = distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile(0.025)
	}
	if right < total {
		e.Hi = distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile(0.975)
	}
	return e
}

// String shows the estimate in percent, as in "98.2 % [97.3, 98.9]".
func (e Estimate) String() string {
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*e.Value, 100*e.Lo, 100*e.Hi)
}

// Outcome says how a model fared under one attack.
type Outcome struct {
	Name string `json:"name"` // of the attack
	// Settings describes the attack in full, if it has a String method.
	Settings  string   `json:"settings,omitempty"`
	Accuracy  Estimate `json:"accuracy"`  // of inputs that are right by themselves and under the attack
	Right     []bool   `json:"-"`         // right by itself and under the attack, for each input
	Queries   int      `json:"queries"`   // forward passes, over all inputs
	Gradients int      `json:"gradients"` // backward passes, over all inputs
	Seconds   float64  `json:"seconds"`
	Result    Result   `json:"-"` // what the attack found
}

// Report says how a model fared on a set of inputs.
type Report struct {
	Clean   Estimate  `json:"clean"`   // accuracy on the inputs as they are
	Attacks []Outcome `json:"attacks"` // in the order of the call
	// CleanRight says for each input whether it is right by itself.
	CleanRight []bool `json:"-"`
	// Worst counts the inputs that stay right under every attack.
	Worst Estimate `json:"worst"`
	// Right says so for each input.
	Right []bool `json:"-"`
	// Warnings say why the figures may mean less than they seem to.
	Warnings []Warning `json:"warnings,omitempty"`
}

// predictBatch is the number of inputs in a forward pass that needs no gradient.
const predictBatch = 128

// Predict returns the model's answers to x [N, ...], worked out in batches on
// several threads.
func Predict(ctx context.Context, m Model, x *tensor.Tensor) ([]int, error) {
	if err := checkBatch(m, x); err != nil {
		return nil, err
	}
	if err := checkPixels(x, "a finite number", finite); err != nil {
		return nil, err
	}
	x = ask.OffTape(x)
	y := make([]int, x.Dim(0))
	err := inBatches(ctx, len(y), predictBatch, nil, func(ctx context.Context, tape *tensor.Tape, lo, hi int) error {
		tape.Reset()
		logits, err := query(ctx, m, tape.Const(tensor.Slice(x, 0, lo, hi)), Rows{Index: ask.Range(lo, hi)})
		if err != nil {
			return err
		}
		copy(y[lo:hi], tensor.ArgMax(logits))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return y, nil
}

// Evaluate measures the accuracy of a model on inputs x [N, ...] with labels y:
// clean, under each of the attacks, and under the worst of them for each input. An
// input that is wrong by itself counts as wrong under every attack, whatever an
// attack with targets makes of it, and one that an attack has moved is wrong if the model,
// asked again, is: a model that answers at random has not lost by one of its answers.
// Of such a model, which is known by its answers to the first inputs or by adversaries
// that do not stand, the report warns. On an error, or when ctx is cancelled, it holds
// what was finished.
func Evaluate(ctx context.Context, m Model, x *tensor.Tensor, y []int, attacks ...Attack) (Report, error) {
	var rep Report
	for i, a := range attacks {
		if a == nil {
			return rep, fmt.Errorf("attack: attack %d of %d is nil", i, len(attacks))
		}
	}
	if err := checkBatch(m, x); err != nil {
		return rep, err
	}
	if err := checkLabels(x, y); err != nil {
		return rep, err
	}
	answers, err := Predict(ctx, m, x)
	if err != nil {
		return rep, err
	}
	clean := make([]bool, len(y))
	for i, a := range answers {
		clean[i] = a == y[i]
	}
	rep.CleanRight, rep.Right = clean, slices.Clone(clean)
	rep.Clean = count(clean)
	rep.Worst = rep.Clean
	chance, err := atRandom(ctx, m, x, y)
	if err != nil {
		return rep, err
	}
	if chance {
		rep.warn("the model answers the same inputs differently: attacks that climb make all their steps then; what others find first, or nearest, may be a lucky draw, and they leave more inputs right than they should")
	}
	for _, a := range attacks {
		start := time.Now()
		res, err := a.Run(ctx, m, x, y)
		if err != nil {
			return rep, fmt.Errorf("attack: %s: %w", a.Name(), err)
		}
		if len(res.Label) != len(y) {
			return rep, fmt.Errorf("attack: %s: returned %d labels for %d inputs", a.Name(), len(res.Label), len(y))
		}
		ar := Outcome{Name: a.Name(), Seconds: time.Since(start).Seconds(), Right: make([]bool, len(y)), Result: res}
		if s, ok := a.(fmt.Stringer); ok {
			ar.Settings = s.String()
		}
		again, err := askAgain(ctx, m, res, y, false)
		if err != nil {
			return rep, fmt.Errorf("attack: %s: %w", a.Name(), err)
		}
		claimed, stood := 0, 0
		for i := range y {
			ar.Right[i] = clean[i] && !again[i]
			rep.Right[i] = rep.Right[i] && ar.Right[i]
			if res.Label[i] != y[i] {
				claimed++
			}
			if again[i] {
				stood++
			}
		}
		if float64(claimed-stood) > slackShare*float64(len(y)) && len(rep.Warnings) == 0 {
			rep.warn("asked again, the model is right on %d of the %d inputs that %s has seen it get wrong: it answers at random, and attacks that end at a lucky draw leave more inputs right than they should", claimed-stood, claimed, a.Name())
		}
		ar.Queries, ar.Gradients = total(res.Queries), total(res.Gradients)
		ar.Accuracy = count(ar.Right)
		rep.Attacks = append(rep.Attacks, ar)
		rep.Worst = count(rep.Right)
	}
	return rep, nil
}

// warn says that the model answers at random.
func (rep *Report) warn(format string, args ...any) {
	rep.Warnings = append(rep.Warnings, Warning{RandomizedModel, fmt.Sprintf(format, args...)})
}

// askAgain says which inputs the model, asked once more, gets wrong among those of which
// an attack says so, or among all.
func askAgain(ctx context.Context, m Model, res Result, y []int, all bool) ([]bool, error) {
	wrong := make([]bool, len(y))
	var claimed []int
	for i, l := range res.Label {
		if all || l != y[i] {
			claimed = append(claimed, i)
		}
	}
	if len(claimed) == 0 {
		return wrong, nil
	}
	answers, err := Predict(ctx, m, tensor.Gather(res.X, claimed))
	if err != nil {
		return nil, err
	}
	for k, i := range claimed {
		wrong[i] = answers[k] != y[i]
	}
	return wrong, nil
}

func total(counts []int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func count(right []bool) Estimate {
	n := 0
	for _, r := range right {
		if r {
			n++
		}
	}
	return NewEstimate(n, len(right))
}

// EpsCurve returns the accuracy under PGD at each of the given radii, with the
// other settings those of p, which has no Targets. An input that falls at one
// radius, also when the model is asked again, counts as fallen at all larger ones, which
// include it; eps is in ascending order, and may begin at 0. A model that answers at
// random is attacked at each radius on all inputs, as each would fall sometime by the
// answers alone, and one answer to what the attack has found counts.
func EpsCurve(ctx context.Context, m Model, x *tensor.Tensor, y []int, p PGD, eps []float64) ([]Estimate, error) {
	if p.Targets != nil {
		return nil, errors.New("attack: EpsCurve: attack with targets, want none")
	}
	if err := checkBatch(m, x); err != nil {
		return nil, err
	}
	if err := checkLabels(x, y); err != nil {
		return nil, err
	}
	right := make([]bool, len(y))
	all := ask.Range(0, len(y))
	left := all
	chance, err := atRandom(ctx, m, x, y)
	if err != nil {
		return nil, err
	}
	var out []Estimate
	for k, e := range eps {
		if k > 0 && !(e >= eps[k-1]) {
			return out, fmt.Errorf("attack: EpsCurve: radius %v after %v, want ascending order", e, eps[k-1])
		}
		if len(left) > 0 {
			p.Threat.Eps, p.ids = e, left
			rows := rowsOf(left, y, nil)
			rest := tensor.Gather(x, left)
			res, err := p.ascent(rest).run(ctx, m, rest, rows.Y)
			if err != nil {
				return out, err
			}
			wrong, err := askAgain(ctx, m, res, rows.Y, chance)
			if err != nil {
				return out, err
			}
			left = nil
			for i, k := range rows.Index {
				if right[k] = !wrong[i]; right[k] {
					left = append(left, k)
				}
			}
			if chance {
				left = all
			}
		}
		out = append(out, count(right))
	}
	return out, nil
}

// LossCurve returns the mean objective over the inputs before each step of p and
// after the last one. Unlike in Run, every input makes every step.
func LossCurve(ctx context.Context, m Model, x *tensor.Tensor, y []int, p PGD) ([]float64, error) {
	a := p.ascent(x)
	if err := a.check(m, x, y); err != nil {
		return nil, err
	}
	x = ask.OffTape(x)
	values := make([][]float64, a.steps+1) // by step and input
	for s := range values {
		values[s] = make([]float64, len(y))
	}
	err := inBatches(ctx, len(y), or(a.batch, defaultBatch), a.progress, func(ctx context.Context, tape *tensor.Tape, lo, hi int) error {
		_, err := a.follow(ctx, m, tape, x, rowsOf(ask.Range(lo, hi), y, a.targets), func(step int, v *tensor.Tensor) {
			copy(values[step][lo:hi], v.Values())
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(values))
	for s, v := range values {
		out[s] = stat.Mean(v, nil)
	}
	return out, nil
}

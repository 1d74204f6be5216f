package attack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Estimate is a share of right answers with its exact 95 % confidence interval.
//
// Clopper and Pearson, Biometrika 1934.
type Estimate struct {
	Right int     `json:"right"`
	Total int     `json:"total"`
	Value float64 `json:"value"` // Right/Total
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
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

// AttackReport says how a model fared under one attack.
type AttackReport struct {
	Name      string   `json:"name"`
	Accuracy  Estimate `json:"accuracy"`
	Right     []bool   `json:"-"` // still right under the attack, for each input
	Queries   int      `json:"queries"`
	Gradients int      `json:"gradients"`
	Seconds   float64  `json:"seconds"`
	Result    Result   `json:"-"`
}

// Report says how a model fared on a set of inputs.
type Report struct {
	Clean   Estimate       `json:"clean"`
	Attacks []AttackReport `json:"attacks"`
	// Worst counts the inputs that stay right under every attack.
	Worst Estimate `json:"worst"`
	// Right says so for each input.
	Right []bool `json:"-"`
}

// Predict returns the model's answers to x [N, ...], worked out in batches on
// several threads.
func Predict(ctx context.Context, m Model, x *tensor.Tensor) ([]int, error) {
	y := make([]int, x.Dim(0))
	if err := checkInputs(m, x, y, nil, Threat{Lo: -1e308, Hi: 1e308}); err != nil {
		return nil, err
	}
	x = offTape(x)
	const size = 128
	batches := (len(y) + size - 1) / size
	errs := make([]error, batches)
	par.For(batches, 1, func(lo, hi int) {
		tape := tensor.NewTape()
		for b := lo; b < hi; b++ {
			if errs[b] = ctx.Err(); errs[b] != nil {
				return
			}
			tape.Reset()
			from, to := b*size, min(len(y), (b+1)*size)
			index := make([]int, to-from)
			for i := range index {
				index[i] = from + i
			}
			logits, err := query(m, tape.Const(tensor.Slice(x, 0, from, to)), Rows{Y: make([]int, to-from), Index: index})
			if err != nil {
				errs[b] = err
				return
			}
			copy(y[from:to], tensor.ArgMax(logits))
		}
	})
	return y, errors.Join(errs...)
}

// Evaluate measures the accuracy of a model on inputs x [N, ...] with labels y:
// clean, under each of the attacks, and under the worst of them for each input.
// On an error, or when ctx is cancelled, the report holds what was finished.
func Evaluate(ctx context.Context, m Model, x *tensor.Tensor, y []int, attacks ...Attack) (Report, error) {
	var rep Report
	if err := checkInputs(m, x, y, nil, Threat{Lo: -1e308, Hi: 1e308}); err != nil {
		return rep, err
	}
	answers, err := Predict(ctx, m, x)
	if err != nil {
		return rep, err
	}
	rep.Right = make([]bool, len(y))
	for i, a := range answers {
		rep.Right[i] = a == y[i]
	}
	rep.Clean = count(rep.Right)
	rep.Worst = rep.Clean
	for _, a := range attacks {
		start := time.Now()
		res, err := a.Run(ctx, m, x, y)
		if err != nil {
			return rep, fmt.Errorf("%s: %w", a.Name(), err)
		}
		ar := AttackReport{Name: a.Name(), Seconds: time.Since(start).Seconds(), Right: make([]bool, len(y)), Result: res}
		for i := range y {
			ar.Right[i] = res.Label[i] == y[i]
			rep.Right[i] = rep.Right[i] && ar.Right[i]
			ar.Queries += res.Queries[i]
			ar.Gradients += res.Gradients[i]
		}
		ar.Accuracy = count(ar.Right)
		rep.Attacks = append(rep.Attacks, ar)
		rep.Worst = count(rep.Right)
	}
	return rep, nil
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
// other settings those of p. An input that falls at one radius counts as fallen
// at all larger ones, which include it; eps is in ascending order.
func EpsCurve(ctx context.Context, m Model, x *tensor.Tensor, y []int, p PGD, eps []float64) ([]Estimate, error) {
	right := make([]bool, len(y))
	for i := range right {
		right[i] = true
	}
	var out []Estimate
	for k, e := range eps {
		if k > 0 && e < eps[k-1] {
			return out, fmt.Errorf("attack: EpsCurve: radius %v after %v, want ascending order", e, eps[k-1])
		}
		p.Threat.Eps = e
		res, err := p.Run(ctx, m, x, y)
		if err != nil {
			return out, err
		}
		for i := range right {
			right[i] = right[i] && res.Label[i] == y[i]
		}
		out = append(out, count(right))
	}
	return out, nil
}

// LossCurve returns the mean objective over the inputs before each step of p and
// after the last one. Unlike Run, every input makes every step.
func LossCurve(ctx context.Context, m Model, x *tensor.Tensor, y []int, p PGD) ([]float64, error) {
	a := p.ascent(x)
	if err := a.check(m, x, y); err != nil {
		return nil, err
	}
	x = offTape(x)
	rows := Rows{Y: y, Target: p.Targets, Index: make([]int, len(y))}
	for i := range rows.Index {
		rows.Index[i] = i
	}
	xa := x.Clone()
	if a.random {
		a.threat.Sample(func(i int) *rand.Rand { return rand.New(rand.NewPCG(a.seed, uint64(i))) }, xa, x)
	}
	var out []float64
	tape := tensor.NewTape()
	for {
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("attack: stopped: %w", err)
		}
		tape.Reset()
		w := tape.Watch(xa)
		logits, err := query(m, w, rows)
		if err != nil {
			return out, err
		}
		values := a.objective.Values(logits, rows)
		out = append(out, tensor.Mean(values).Item())
		if len(out) > a.steps {
			return out, nil
		}
		a.threat.Step(xa, inputGradient(values, w), x, a.stepSize)
	}
}

package weightpert

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// RadiusOptions says how a certified radius is sought.
type RadiusOptions struct {
	Start    float64 // the first size that is tried; 0 means 1e-3
	Max      float64 // no size above it is tried; 0 means 1e6
	Halvings int     // of the interval between certified and not; 0 means 40
}

func (o *RadiusOptions) fill() error {
	if o.Start == 0 {
		o.Start = 1e-3
	}
	if o.Max == 0 {
		o.Max = 1e6
	}
	if o.Halvings == 0 {
		o.Halvings = 40
	}
	switch {
	case !(o.Start > 0 && o.Start <= math.MaxFloat64):
		return fmt.Errorf("start is %v, want above 0 and finite", o.Start)
	case !(o.Max >= o.Start && o.Max <= math.MaxFloat64):
		return fmt.Errorf("largest size is %v, want finite and at least the start, %v", o.Max, o.Start)
	case o.Halvings < 1:
		return fmt.Errorf("%d halvings, want at least 1", o.Halvings)
	}
	return nil
}

// CertifiedRadius returns the largest size of the budget that the method has
// actually certified for x with label y: it doubles or halves a first size until
// one is certified and a larger one is not, and bisects between them. It is 0 for
// an example that the network gets wrong. Since bounds need not shrink as the box
// grows, a larger size may be certified too. When ctx is cancelled it returns what it
// has and ctx's error.
func CertifiedRadius(ctx context.Context, n *Network, m Method, budget Budget, x []float64, y int, o RadiusOptions) (float64, error) {
	fail := func(err error) (float64, error) { return 0, fmt.Errorf("weightpert: CertifiedRadius: %w", err) }
	if m == nil || budget == nil {
		return fail(errors.New("no method or no budget"))
	}
	if err := o.fill(); err != nil {
		return fail(err)
	}
	if err := n.checkInput(x, y); err != nil {
		return fail(err)
	}
	logits := n.Logits(x)
	certified := func(eps float64) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("weightpert: CertifiedRadius: stopped: %w", err)
		}
		b, err := budget(n, eps)
		if err != nil {
			return false, err
		}
		out, err := Margins(m, n, b, x, y)
		if err != nil {
			return false, err
		}
		return holds(least(out, y), logits), nil
	}
	good, err := certified(0)
	if err != nil || !good {
		return 0, err
	}
	const smallest = 1e-12 // relative to the start
	lo, hi := 0.0, o.Start
	for {
		ok, err := certified(hi)
		if err != nil {
			return lo, err
		}
		if !ok {
			break
		}
		lo = hi
		if hi == o.Max {
			return lo, nil
		}
		hi = min(2*hi, o.Max)
	}
	for step := 0; step < o.Halvings && hi > smallest*o.Start; step++ {
		mid := (lo + hi) / 2
		ok, err := certified(mid)
		if err != nil {
			return lo, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// SingleLayerRadius returns the largest eps up to which the norm bound keeps the label
// of x when only the given layer moves by eps in every weight, from its closed form:
// the least quotient of a margin, less the room that a certificate leaves, and its
// bound for eps 1, made smaller by what rounding takes until Product with T2 certifies
// it. It is 0 for an example that the network gets wrong, and +Inf if the layer has no
// influence: its inputs are 0, or the gain behind it is.
func SingleLayerRadius(n *Network, layer int, x []float64, y int) (float64, error) {
	b, err := Absolute(layer)(n, 1)
	if err != nil {
		return 0, err
	}
	if err := n.checkInput(x, y); err != nil {
		return 0, fmt.Errorf("weightpert: SingleLayerRadius: %w", err)
	}
	p, err := prepare(n, b)
	if err != nil {
		return 0, err
	}
	if err := p.assume("SingleLayerRadius", true, false); err != nil {
		return 0, err
	}
	w, g := p.newSums(), p.gains()
	w.c.run(x, nil)
	w.overClean()
	logits, clean := n.Logits(x), make([]float64, n.Classes())
	w.c.margins(clean, y)
	if !holds(least(clean, y), logits) {
		return 0, nil
	}
	r := math.Inf(1)
	for j, m := range clean {
		if j != y {
			if drop := w.t2(g, y, j); drop > 0 {
				r = min(r, (m-room(logits))/drop)
			}
		}
	}
	if math.IsInf(r, 1) {
		return r, nil
	}
	for shorter := 4 * unit; shorter < 1; shorter *= 4 {
		try := r * (1 - shorter)
		if b, err = Absolute(layer)(n, try); err != nil {
			return 0, err
		}
		out, err := Margins(Product{Form: T2}, n, b, x, y)
		if err != nil {
			return 0, err
		}
		if holds(least(out, y), logits) {
			return try, nil
		}
	}
	return 0, nil
}

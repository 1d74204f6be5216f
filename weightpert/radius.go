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
// grows, a larger size may be certified too.
func CertifiedRadius(n *Network, m Method, budget Budget, x []float64, y int, o RadiusOptions) (float64, error) {
	fail := func(err error) (float64, error) { return 0, fmt.Errorf("weightpert: CertifiedRadius: %w", err) }
	if n == nil || budget == nil {
		return fail(errors.New("no network or no budget"))
	}
	if err := o.fill(); err != nil {
		return fail(err)
	}
	if err := n.checkInput(x, y); err != nil {
		return fail(err)
	}
	logits := n.Logits(x)
	certified := func(eps float64) (bool, error) {
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
			return 0, err
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
			return 0, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// SingleLayerRadius returns, in closed form, the largest eps up to which the norm
// bound keeps the label of x when only the given layer moves by eps in every
// weight: the least quotient of a margin and its bound for eps 1. It is 0 for an
// example that the network gets wrong, and +Inf if the layer has no influence.
func SingleLayerRadius(n *Network, layer int, x []float64, y int) (float64, error) {
	b, err := Absolute(layer)(n, 1)
	if err != nil {
		return 0, err
	}
	moved, err := Margins(Product{Form: T2}, n, b, x, y)
	if err != nil {
		return 0, err
	}
	clean, err := Margins(IBP{}, n, NewBox(n), x, y)
	if err != nil {
		return 0, err
	}
	if !holds(least(clean, y), n.Logits(x)) {
		return 0, nil
	}
	r := math.Inf(1)
	for j, m := range clean {
		if j == y {
			continue
		}
		if drop := m - moved[j]; drop > 0 {
			r = min(r, m/drop*(1-8*unit))
		}
	}
	return r, nil
}

// Sensitivity says how much one layer matters.
type Sensitivity struct {
	Layer int `json:"layer"`
	// Certificate is that of a box in which only this layer moves.
	Certificate Certificate `json:"certificate"`
	// Norm is the mean closed-form radius of the norm bound over the examples.
	Norm float64 `json:"mean_norm_radius"`
}

// Sensitivities certifies the examples with one layer moving at a time. budget
// makes the budget for a layer, as Absolute does.
func Sensitivities(ctx context.Context, m Method, n *Network, budget func(layers ...int) Budget, eps float64, x [][]float64, y []int) ([]Sensitivity, error) {
	var out []Sensitivity
	for i := range n.layers {
		b, err := budget(i)(n, eps)
		if err != nil {
			return out, err
		}
		c, err := Certify(ctx, m, n, b, x, y)
		if err != nil {
			return out, err
		}
		s := Sensitivity{Layer: i, Certificate: c}
		s.Norm, err = meanRadius(ctx, n, i, x, y)
		if err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, nil
}

func meanRadius(ctx context.Context, n *Network, layer int, x [][]float64, y []int) (float64, error) {
	radii, errs := make([]float64, len(x)), make([]error, len(x))
	err := overSamples(ctx, len(x), func() func(int) {
		return func(k int) { radii[k], errs[k] = SingleLayerRadius(n, layer, x[k], y[k]) }
	})
	if err = errors.Join(append(errs, err)...); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, r := range radii {
		sum += r
	}
	return sum / float64(len(x)), nil
}

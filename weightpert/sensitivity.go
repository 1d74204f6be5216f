package weightpert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Sensitivity says how much one layer matters.
type Sensitivity struct {
	Layer int
	// Certificate is that of a box in which only this layer moves.
	Certificate Certificate
	// Norm is the median of SingleLayerRadius over the examples, the lower one of two
	// in the middle; +Inf if most examples do not depend on the layer.
	Norm float64
}

// MarshalJSON writes an infinite radius as null.
func (s Sensitivity) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Layer       int         `json:"layer"`
		Certificate Certificate `json:"certificate"`
		Norm        *float64    `json:"median_norm_radius"`
	}{s.Layer, s.Certificate, finiteOrNil(s.Norm)})
}

// finiteOrNil returns nil for what JSON has no number for.
func finiteOrNil(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Sensitivities certifies the examples with one layer moving at a time. budget
// makes the budget for a layer, as Absolute does.
func Sensitivities(ctx context.Context, m Method, n *Network, budget func(layers ...int) Budget, eps float64, x [][]float64, y []int) ([]Sensitivity, error) {
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("weightpert: Sensitivities: %w", err)
	}
	if budget == nil {
		return nil, errors.New("weightpert: Sensitivities: no budget")
	}
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
		s.Norm, err = medianRadius(ctx, n, i, x, y)
		if err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, nil
}

func medianRadius(ctx context.Context, n *Network, layer int, x [][]float64, y []int) (float64, error) {
	radii, errs := make([]float64, len(x)), make([]error, len(x))
	err := overSamples(ctx, len(x), func() func(int) {
		return func(k int) { radii[k], errs[k] = SingleLayerRadius(n, layer, x[k], y[k]) }
	})
	if err = errors.Join(append(errs, err)...); err != nil {
		return 0, err
	}
	slices.Sort(radii)
	return radii[(len(radii)-1)/2], nil
}

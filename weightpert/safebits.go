package weightpert

import (
	"context"
	"fmt"
)

// SafeBits returns, for each layer rounded alone, the least number of bits with which
// every rounding keeps the prediction of at least the given share of the examples
// that the method certifies when no weight moves; 0 where not even 8 bits do, and for
// every layer if there are no such examples. It asks the method for one number of bits
// after the other, so a smaller number may be safe without the method being able to say
// so.
func SafeBits(ctx context.Context, m Method, n *Network, perRow bool, share float64, x [][]float64, y []int) ([]int, error) {
	if !(share > 0 && share <= 1) {
		return nil, fmt.Errorf("weightpert: SafeBits: share is %v, want above 0 and at most 1", share)
	}
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("weightpert: SafeBits: %w", err)
	}
	clean, err := Certify(ctx, m, n, NewBox(n), x, y)
	if err != nil {
		return nil, err
	}
	out := make([]int, n.Depth())
	if clean.Count == 0 {
		return out, nil
	}
	for i := range out {
		for bits := 8; bits >= 2; bits-- {
			all, err := Quantizer{Bits: bits, PerRow: perRow}.Rounding(n)
			if err != nil {
				return nil, err
			}
			b := NewBox(n)
			b.layers[i] = all.layers[i]
			c, err := Certify(ctx, m, n, b, x, y)
			if err != nil {
				return nil, err
			}
			if float64(c.Count) < share*float64(clean.Count) {
				break
			}
			out[i] = bits
		}
	}
	return out, nil
}

package weightpert

import (
	"context"
	"fmt"
	"math"
)

// Ramp is the ramp loss of a margin m: 1 for m <= 0, 0 for m >= scale and linear
// between. It panics unless scale is above 0.
func Ramp(m, scale float64) float64 {
	if !(scale > 0) {
		panic(fmt.Sprintf("weightpert: Ramp: scale is %v, want above 0", scale))
	}
	return min(max(1-m/scale, 0), 1)
}

// RobustRamp returns the mean over the examples of the ramp loss of their certified
// margins. Since the loss does not increase with the margin, it is an upper bound of
// the mean of the worst ramp loss over the box, and so of the share of examples that
// some weights of the box get wrong.
func RobustRamp(ctx context.Context, m Method, n *Network, b *Box, x [][]float64, y []int, scale float64) (float64, error) {
	if !(scale > 0 && scale <= math.MaxFloat64) {
		return 0, fmt.Errorf("weightpert: RobustRamp: scale is %v, want above 0 and finite", scale)
	}
	c, err := Certify(ctx, m, n, b, x, y)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, v := range c.Margin {
		sum += Ramp(v, scale)
	}
	return sum / float64(len(x)), nil
}

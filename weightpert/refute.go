package weightpert

import (
	"context"
	"fmt"
)

// Verdict says what is known of an example while the weights move in a box.
type Verdict uint8

// Verdicts.
const (
	// Open: no weights of the box were found that get the example wrong, but there may
	// be some.
	Open Verdict = iota
	// Broken: weights of the box were found that get the example wrong.
	Broken
	// Robust: no weights of the box get the example wrong.
	Robust
)

var verdictNames = []string{"open", "broken", "robust"}

// String returns the name in lower case.
func (v Verdict) String() string {
	if int(v) >= len(verdictNames) {
		return fmt.Sprintf("Verdict(%d)", uint8(v))
	}
	return verdictNames[v]
}

// Refute says why an example is not certified: it looks for weights of the box that
// get x wrong, and returns the smallest margin that it found, with its weights, and what
// that means. Broken has weights to show, of a margin of 0 or less; Robust is a
// certificate of IBP; anything else is Open, and proves nothing.
//
// When only the last two layers move and the activation between them is monotone and
// not negative, LastTwo has the smallest margin and IBP is exact: Open is left for
// margins so near 0 that rounding could turn them. Otherwise SamplePGD looks. The
// entries of a convolution that FromNN laid out move apart: weights that get x wrong
// refute the certificate, but need not be those of any convolution.
func Refute(ctx context.Context, n *Network, b *Box, attack SamplePGD, x []float64, y int) (Worst, Verdict, error) {
	w, err := attack.Run(ctx, n, b, x, y)
	if err != nil {
		return w, Open, err
	}
	for j := range n.Classes() {
		if j == y {
			continue
		}
		exact, err := LastTwo(n, b, x, y, j)
		if err != nil {
			break // other layers move, or the activation has no exact answer
		}
		if exact.Margin < w.Margin {
			w = exact
		}
	}
	if w.Margin <= 0 {
		return w, Broken, nil
	}
	if low, err := Margins(IBP{}, n, b, x, y); err == nil && holds(least(low, y), n.Logits(x)) {
		return w, Robust, nil
	}
	return w, Open, nil
}

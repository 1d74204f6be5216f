package weightpert

import "context"

// Refute says why an example is not certified: it looks for weights of the box that
// get x wrong, and reports whether the smallest margin that it found, with its
// weights, is 0 or less. When only the last two layers move the answer is final, in
// both directions; otherwise SamplePGD looks, and finding nothing proves nothing. The
// entries of a convolution that FromNN laid out move apart: weights that get x wrong
// refute the certificate, but need not be those of any convolution.
func Refute(ctx context.Context, n *Network, b *Box, attack SamplePGD, x []float64, y int) (w Worst, broken bool, err error) {
	w, err = attack.Run(ctx, n, b, x, y)
	if err != nil {
		return w, false, err
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
	return w, w.Margin <= 0, nil
}

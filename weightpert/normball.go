package weightpert

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// FrobeniusBound returns lower bounds of the margins f_y(x) - f_j(x) when one layer
// changes by a matrix of at most eps in the Frobenius norm:
//
//	|f̂_ij - f_ij| <= eps ‖z‖₂ ‖W_i - W_j‖₂ ∏ ‖W_k‖₂,
//
// and √2 eps ‖z‖₂ for the last layer, which is attained. ‖·‖₂ of a matrix is its
// spectral norm, here from above: each call takes those of the later hidden layers anew,
// by dense singular value decompositions. Activations must be 1-Lipschitz. The result
// for y itself is 0.
//
// Of a convolution that FromNN laid out eps is the change of its filters, all of them
// together, as for PGD with the ball L2. A filter meets z at every place, so ‖z‖₂ is
// then the root of the sum of ‖·‖₂² over all windows of z.
//
// Proof. The layer's pre-activations move by Δz, of at most ‖Δ‖_F ‖z‖₂ in the 2-norm,
// and those of a convolution at each place by at most ‖Δ‖_F times the norm of the
// window there. ρ does not enlarge the 2-norm of a change, and each later layer does by
// at most ‖W_k‖₂; the last inner product gives ‖W_i - W_j‖₂ by Cauchy and Schwarz. In
// the last layer two of the changes are subtracted, which makes at most √2 times their
// 2-norm, with equality for Δ_i = -Δ_j along z.
func FrobeniusBound(n *Network, layer int, eps float64, x []float64, y int) ([]float64, error) {
	return normBound("FrobeniusBound", n, RowBall{layer, eps, 2}, x, y, (*Layer).windows,
		(*Matrix).spectralAbove, func(d []float64) float64 { return normAbove(d, 2) }, math.Sqrt2*(1+4*unit))
}

// windows returns the 2-norm, rounded up, of all that weights of the layer meet in
// inputs of the given moduli: of the inputs themselves, or of the windows at every
// place where the matrix is a convolution laid out.
func (l *Layer) windows(mod []float64) float64 {
	if l.filter == nil {
		return normAbove(mod, 2)
	}
	var all []float64
	for r := 0; r < l.Weight.Rows; r += len(l.filter) {
		from, to := l.Weight.span(r)
		for k := from; k < to; k++ {
			all = append(all, mod[l.Weight.column(k, from)])
		}
	}
	return normAbove(all, 2)
}

// RowBallBound returns lower bounds of the margins f_y(x) - f_j(x) when one layer
// changes in a RowBall:
//
//	|f̂_ij - f_ij| <= eps ‖z‖_q ‖W_i - W_j‖₁ ∏ ‖W_k‖∞,
//
// and 2 eps ‖z‖_q for the last layer, with 1/p + 1/q = 1. Activations must be
// 1-Lipschitz. The result for y itself is 0.
//
// Proof. By Hölder's inequality each pre-activation of the layer moves by at most
// eps ‖z‖_q. From there the proof is that of the single-layer bound: ρ keeps the
// sup-norm of a change, a clean layer multiplies it by at most ‖W_k‖∞, and the last
// inner product by ‖W_i - W_j‖₁. In the last layer rows i and j move apart.
func RowBallBound(n *Network, ball RowBall, x []float64, y int) ([]float64, error) {
	return normBound("RowBallBound", n, ball, x, y,
		func(_ *Layer, mod []float64) float64 { return normAbove(mod, dualOrder(ball.P)) },
		func(m *Matrix) float64 { return m.rowSum(m.Val) }, func(d []float64) float64 { return normAbove(d, 1) }, 2)
}

func normBound(name string, n *Network, ball RowBall, x []float64, y int, met func(*Layer, []float64) float64, gain func(*Matrix) float64, pair func([]float64) float64, top float64) ([]float64, error) {
	if _, err := ball.check(n); err != nil {
		return nil, fmt.Errorf("weightpert: %s: %w", name, err)
	}
	if err := n.checkInput(x, y); err != nil {
		return nil, fmt.Errorf("weightpert: %s: %w", name, err)
	}
	p, err := prepare(n, NewBox(n))
	if err != nil {
		return nil, err
	}
	if err := p.assume(name, true, false); err != nil {
		return nil, err
	}
	c := p.newClean()
	c.run(x, nil)
	last := len(n.layers) - 1
	drop := mulUp(ball.Eps, met(&n.layers[ball.Layer], c.mod[ball.Layer]))
	for k := ball.Layer + 1; k < last; k++ {
		drop = mulUp(drop, gain(&n.layers[k].Weight))
	}
	w := &p.top.Weight
	out := make([]float64, n.Classes())
	c.margins(out, y)
	diff := make([]float64, w.Cols)
	for j := range out {
		if j == y {
			continue
		}
		eta := mulUp(drop, top)
		if ball.Layer < last {
			for c := range diff {
				diff[c] = math.Abs(w.Val[y*w.Cols+c]-w.Val[j*w.Cols+c]) * (1 + 4*unit)
			}
			eta = mulUp(drop, pair(diff))
		}
		out[j] = minus(out[j], orInf(eta))
	}
	return out, nil
}

// spectralAbove returns the spectral norm, with room for the rounding of its
// computation.
func (m *Matrix) spectralAbove() float64 {
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(m.Rows, m.Cols, m.spread(m.Val)), mat.SVDNone) {
		return math.Inf(1)
	}
	return svd.Values(nil)[0] * (1 + 1e-10)
}

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
// spectral norm, here from above. Activations must be 1-Lipschitz. The result for y
// itself is 0.
func FrobeniusBound(n *Network, layer int, eps float64, x []float64, y int) ([]float64, error) {
	return normBound("FrobeniusBound", n, RowBall{layer, eps, 2}, x, y, func(z []float64) float64 { return norm(z, 2) },
		(*Matrix).spectralAbove, func(d []float64) float64 { return norm(d, 2) }, math.Sqrt2)
}

// RowBallBound returns lower bounds of the margins f_y(x) - f_j(x) when one layer
// changes in a RowBall:
//
//	|f̂_ij - f_ij| <= eps ‖z‖_q ‖W_i - W_j‖₁ ∏ ‖W_k‖∞,
//
// and 2 eps ‖z‖_q for the last layer, with 1/p + 1/q = 1. Activations must be
// 1-Lipschitz. The result for y itself is 0.
func RowBallBound(n *Network, ball RowBall, x []float64, y int) ([]float64, error) {
	return normBound("RowBallBound", n, ball, x, y, func(z []float64) float64 { return norm(z, dualOrder(ball.P)) },
		func(m *Matrix) float64 { return m.rowSum(m.Val) }, sumAbs, 2)
}

func normBound(name string, n *Network, ball RowBall, x []float64, y int, input func([]float64) float64, gain func(*Matrix) float64, pair func([]float64) float64, top float64) ([]float64, error) {
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
	r := p.newReach()
	p.propagate(r, x)
	mod := make([]float64, len(r.act[ball.Layer].lo))
	for k := range mod {
		mod[k] = max(math.Abs(r.act[ball.Layer].lo[k]), math.Abs(r.act[ball.Layer].hi[k]))
	}
	last := len(n.layers) - 1
	drop := ball.Eps * input(mod)
	terms := len(mod)
	for k := ball.Layer + 1; k < last; k++ {
		drop *= gain(&n.layers[k].Weight)
		terms += n.layers[k].Weight.longest()
	}
	w := &n.layers[last].Weight
	up := 1 + gamma(4*(terms+w.Cols+8))
	out := make([]float64, n.Classes())
	p.mergedMargins(out, r, y)
	diff := make([]float64, w.Cols)
	for j := range out {
		if j == y {
			continue
		}
		eta := drop * top
		if ball.Layer < last {
			for c := range diff {
				diff[c] = w.Val[y*w.Cols+c] - w.Val[j*w.Cols+c]
			}
			eta = drop * pair(diff)
		}
		out[j] = minus(out[j], orInf(eta*up))
	}
	return out, nil
}

// spectralAbove returns the spectral norm, with room for the rounding of its
// computation.
func (m *Matrix) spectralAbove() float64 {
	d := m.dense()
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(d.Rows, d.Cols, d.Val), mat.SVDNone) {
		return math.Inf(1)
	}
	return svd.Values(nil)[0] * (1 + 1e-10)
}

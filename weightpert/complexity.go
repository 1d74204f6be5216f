package weightpert

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// GeneralizationBound is an upper bound of the probability that some weights within
// Eps of the network's get a fresh example wrong, and what it is made of.
type GeneralizationBound struct {
	Eps       float64 `json:"eps"`
	Scale     float64 `json:"scale"`     // of the margin
	Empirical float64 `json:"empirical"` // mean robust ramp loss of the examples
	// Network is the term of the network's own complexity and Perturbation the
	// one that grows with eps.
	Network      float64 `json:"network"`
	Perturbation float64 `json:"perturbation"`
	Confidence   float64 `json:"confidence"`
	Total        float64 `json:"total"`
}

// Vacuous says that the bound is 1 or more and so says nothing.
func (g GeneralizationBound) Vacuous() bool { return !(g.Total < 1) }

// String returns the bound with its terms, and the word vacuous where it is.
func (g GeneralizationBound) String() string {
	s := fmt.Sprintf("%.4g = %.4g + %.4g + %.4g + %.4g", g.Total, g.Empirical, g.Network, g.Perturbation, g.Confidence)
	if g.Vacuous() {
		s += " (vacuous)"
	}
	return s
}

// Generalization bounds, with probability 1-delta over the draw of the n examples
// and for all networks with norms ‖W_m‖∞ <= s_m and ‖W_m‖₁ <= b_m, here those of the
// given one,
//
//	P[some Ŵ within eps errs] <= mean φ(M(f(x),y) - q(x))
//	    + (2/g) [2K H + (Ψ/n) Σ_k ‖X_k‖₂] + 3 √(ln(2/delta)/(2n)),
//	H = ∏ s_m max_k ‖X_k‖₂ min(2^{L-1} √(2 ln 2d), 2 √(L+1+ln d)) / n,
//	Ψ = Σ_m eps σ_m ∏_{k<m} (b_k + eps d_k), σ_L = 2, σ_m = 2 s_L ∏_{m<k<L} s_k,
//
// for networks of ReLU without biases, with φ the Ramp of scale g, X_k column k of
// the examples, and q that of LinearDrop. q dominates every change of a
// margin and is linear in |x|, with coefficients of at most Ψ; symmetrisation,
// contraction and peeling of layers give the rest. The first form of H peels one
// layer at a time, the second all of them under a logarithm (Golowich, Rakhlin and
// Shamir, Size-independent sample complexity of neural networks, COLT 2018, the
// theorem for networks with bounded rows). On images the bound is vacuous; it is
// the order of networks that it gets right. A bound that says something is
// CertifiedShare, from examples that training has not seen.
func Generalization(ctx context.Context, n *Network, eps float64, x [][]float64, y []int, scale, delta float64) (GeneralizationBound, error) {
	fail := func(err error) (GeneralizationBound, error) {
		return GeneralizationBound{}, fmt.Errorf("weightpert: Generalization: %w", err)
	}
	switch {
	case !(scale > 0 && scale <= math.MaxFloat64):
		return fail(fmt.Errorf("scale is %v, want above 0 and finite", scale))
	case !(delta > 0 && delta < 1):
		return fail(fmt.Errorf("delta is %v, want between 0 and 1", delta))
	}
	q, err := LinearDrop(n, eps)
	if err != nil {
		return fail(err)
	}
	if err := n.checkSet(x, y); err != nil {
		return fail(err)
	}
	g := GeneralizationBound{Eps: eps, Scale: scale}
	norms := make([]float64, n.Inputs())
	for i, v := range x {
		if err := ctx.Err(); err != nil {
			return fail(fmt.Errorf("stopped: %w", err))
		}
		f := n.Logits(v)
		drop := 0.0
		for k, a := range v {
			norms[k] += a * a
			drop += q[k] * math.Abs(a)
		}
		m := math.Inf(1)
		for j, s := range f {
			if j != y[i] {
				m = min(m, f[y[i]]-s)
			}
		}
		g.Empirical += Ramp(m-drop, scale)
	}
	count := float64(len(x))
	g.Empirical /= count
	largest, sum := 0.0, 0.0
	for _, v := range norms {
		v = math.Sqrt(v)
		largest, sum = max(largest, v), sum+v
	}
	product := 1.0
	for i := range n.layers {
		product *= n.layers[i].Weight.rowSum(n.layers[i].Weight.Val)
	}
	h := min(
		math.Exp2(float64(n.Depth()-1))*MaxColumnRademacher(product, largest, n.Inputs(), len(x)),
		DepthRademacher(product, largest, n.Depth(), n.Inputs(), len(x)))
	g.Network = 2 / scale * 2 * float64(n.Classes()) * h
	g.Perturbation = 2 / scale * psi(n, eps) / count * sum
	g.Confidence = 3 * math.Sqrt(math.Log(2/delta)/(2*count))
	g.Total = orInf(g.Empirical + g.Network + g.Perturbation + g.Confidence)
	return g, nil
}

// MaxColumnRademacher bounds the Rademacher complexity of linear functions with
// coefficients in the l1-ball of the given radius on n examples of d values, by
// Massart's lemma on the 2d vertices: radius · column √(2 ln 2d) / n, where column is
// the largest 2-norm of a column of the examples.
func MaxColumnRademacher(radius, column float64, d, n int) float64 {
	return radius * column * math.Sqrt(2*math.Log(2*float64(d))) / float64(n)
}

// DepthRademacher bounds the Rademacher complexity of networks of ReLU with depth
// layers, without biases, of which the product of the largest row sums ‖W_m‖∞ is at
// most product, on n examples of d values: 2 product · column √(depth+1+ln d) / n,
// where column is the largest 2-norm of a column of the examples (Golowich, Rakhlin
// and Shamir, COLT 2018).
func DepthRademacher(product, column float64, depth, d, n int) float64 {
	return 2 * product * column * math.Sqrt(float64(depth)+1+math.Log(float64(d))) / float64(n)
}

// AbsRademacher bounds the Rademacher complexity of the functions c·|x| with
// |c_k| <= bound on the examples: bound Σ_k ‖X_k‖₂ / n.
func AbsRademacher(bound float64, x [][]float64) float64 {
	sum := 0.0
	for k := range x[0] {
		s := 0.0
		for _, v := range x {
			s += v[k] * v[k]
		}
		sum += math.Sqrt(s)
	}
	return bound * sum / float64(len(x))
}

// plainReLU returns an error unless all activations are ReLU and there are no
// biases.
func plainReLU(n *Network, eps float64) error {
	if n == nil {
		return errors.New("no network")
	}
	if !(eps >= 0 && eps <= math.MaxFloat64) {
		return fmt.Errorf("eps is %v, want a finite number of 0 or more", eps)
	}
	for i, l := range n.layers {
		if l.Bias != nil {
			return fmt.Errorf("layer %d has biases, want none: the bound is of linear maps of |x|", i)
		}
		if i < len(n.layers)-1 && l.Act != ReLU {
			return fmt.Errorf("layer %d has activation %v, want ReLU: the bound needs |ρ(a)| <= |a|", i, l.Act)
		}
	}
	return nil
}

// LinearDrop returns coefficients q such that no margin at any x moves by more than
// q·|x| when all weights move by eps:
//
//	q = Σ_m eps S_m 1ᵀ ∏_{k<m} (|W_k| + eps 11ᵀ), S_L = 2,
//	S_m = max_ij ‖W_i - W_j‖₁ ∏_{m<k<L} ‖W_k‖∞.
//
// It takes networks of ReLU without biases.
func LinearDrop(n *Network, eps float64) ([]float64, error) {
	if err := plainReLU(n, eps); err != nil {
		return nil, err
	}
	last := len(n.layers) - 1
	gain := 0.0
	for _, v := range pairNorms(&n.layers[last].Weight) {
		gain = max(gain, v)
	}
	q := make([]float64, n.Inputs())
	for m := last; m >= 0; m-- {
		s := 2.0
		if m < last {
			s = gain
			gain *= n.layers[m].Weight.rowSum(n.layers[m].Weight.Val)
		}
		v := make([]float64, n.layers[m].Weight.Cols)
		for k := range v {
			v[k] = eps * s
		}
		for k := m - 1; k >= 0; k-- {
			w := &n.layers[k].Weight
			next := make([]float64, w.Cols)
			w.absTransposed(next, w.Val, v)
			all := eps * sumAbs(v)
			for c := range next {
				next[c] += all
			}
			v = next
		}
		for k := range q {
			q[k] += v[k]
		}
	}
	return q, nil
}

// psi bounds the coefficients of LinearDrop over all networks of the same norms.
func psi(n *Network, eps float64) float64 {
	last := len(n.layers) - 1
	prefix := make([]float64, last+1)
	p := 1.0
	for k := range n.layers {
		w := &n.layers[k].Weight
		prefix[k] = p
		p *= w.columnSum(w.Val) + eps*float64(w.Rows)
	}
	sum, gain := 0.0, 2*n.layers[last].Weight.rowSum(n.layers[last].Weight.Val)
	for m := last; m >= 0; m-- {
		if m == last {
			sum += eps * 2 * prefix[m]
			continue
		}
		sum += eps * gain * prefix[m]
		gain *= n.layers[m].Weight.rowSum(n.layers[m].Weight.Val)
	}
	return sum
}

package weightpert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// GeneralizationBound is an upper bound of the probability that some weights within
// Eps of the network's get a fresh example wrong, and what it is made of.
type GeneralizationBound struct {
	Eps       float64
	Scale     float64 // of the margin: the one given, rounded up to the grid
	Empirical float64 // mean robust ramp loss of the examples
	// Network is the term of the network's own complexity and Perturbation the
	// one that grows with eps. An overflow makes them +Inf.
	Network      float64
	Perturbation float64
	Confidence   float64
	Total        float64
}

// MarshalJSON writes the terms and whether the bound is vacuous; a term that
// overflowed is null.
func (g GeneralizationBound) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Eps          float64  `json:"eps"`
		Scale        float64  `json:"scale"`
		Empirical    *float64 `json:"empirical"`
		Network      *float64 `json:"network"`
		Perturbation *float64 `json:"perturbation"`
		Confidence   *float64 `json:"confidence"`
		Total        *float64 `json:"total"`
		Vacuous      bool     `json:"vacuous"`
	}{g.Eps, g.Scale, finiteOrNil(g.Empirical), finiteOrNil(g.Network), finiteOrNil(g.Perturbation), finiteOrNil(g.Confidence), finiteOrNil(g.Total), g.Vacuous()})
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

// Generalization bounds, with probability 1-delta over the draw of the n examples and
// for every network of the given one's form at once, however it was trained on them,
//
//	P[some Ŵ within eps errs] <= mean φ(M(f(x),y) - q(x))
//	    + (2/g) [2K H + (Ψ/n) Σ_k ‖X_k‖₂] + 3 √(ln(2/δ)/(2n)),
//	H = ∏ s_m max_k ‖X_k‖₂ min(2^{L-1} √(2 ln 2d), 2 √(L+1+ln d)) / n,
//	Ψ = Σ_m eps σ_m ∏_{k<m} (b_k + eps d_k), σ_L = 2, σ_m = 2 s_L ∏_{m<k<L} s_k,
//
// for networks of ReLU without biases, with φ the Ramp of scale g, X_k column k of
// the examples, and q that of LinearDrop. q dominates every change of a
// margin and is linear in |x|, with coefficients of at most Ψ; symmetrisation,
// contraction and peeling of layers give the rest. The first form of H peels one
// layer at a time, the second all of them under a logarithm (Golowich, Rakhlin and
// Shamir, Size-independent sample complexity of neural networks, COLT 2018, the
// theorem for networks with bounded rows).
//
// So far this is a theorem for a scale g and a class ‖W_m‖∞ <= s_m, ‖W_m‖₁ <= b_m that
// are chosen before the examples are drawn. Norms of a trained network are not, nor need
// its scale be: s_m, b_m and g are its norms and the given scale rounded up to the grid
// 2^(k/64), k any whole number, and the theorem holds for all points of the grid together
// when each has a share of delta,
//
//	δ = delta ∏ 1/(i(i+1)),  i = 2k+1 for k >= 0, -2k for k < 0,
//
// the product over the L values s_m, the L values b_m and g: these shares add up to
// delta. eps and the form of the network, unlike the scale, must not be chosen by the
// examples.
//
// On images the bound is vacuous; it is the order of networks that it gets right. Every
// term is rounded up. A bound that says something is CertifiedShare, from examples that
// training has not seen.
func Generalization(ctx context.Context, n *Network, eps float64, x [][]float64, y []int, scale, delta float64) (GeneralizationBound, error) {
	fail := func(err error) (GeneralizationBound, error) {
		return GeneralizationBound{}, fmt.Errorf("weightpert: Generalization: %w", err)
	}
	switch {
	case !(scale > 0 && scale <= 1e300):
		return fail(fmt.Errorf("scale is %v, want above 0 and at most 1e300", scale))
	case !(delta > 0 && delta < 1):
		return fail(fmt.Errorf("delta is %v, want between 0 and 1", delta))
	}
	if err := plainReLU(n, eps); err != nil {
		return fail(err)
	}
	if err := n.checkSet(x, y); err != nil {
		return fail(err)
	}
	class, price := n.norms().onGrid()
	scale, more := onGrid(scale)
	g, err := class.bound(ctx, n, eps, x, y, scale, (math.Log(2/delta)+price+more)*(1+8*unit))
	if err != nil {
		return fail(err)
	}
	return g, nil
}

// bound is that of Generalization for a scale and a class that the network is in and
// that were chosen before the examples, at a delta with the given ln(2/delta).
func (c normClass) bound(ctx context.Context, n *Network, eps float64, x [][]float64, y []int, scale, logDelta float64) (GeneralizationBound, error) {
	q, err := LinearDrop(n, eps)
	if err != nil {
		return GeneralizationBound{}, err
	}
	g := GeneralizationBound{Eps: eps, Scale: scale}
	p, err := prepare(n, NewBox(n))
	if err != nil {
		return GeneralizationBound{}, err
	}
	clean, low := p.newClean(), make([]float64, n.Classes())
	for i, v := range x {
		if err := ctx.Err(); err != nil {
			return GeneralizationBound{}, fmt.Errorf("stopped: %w", err)
		}
		drop := 0.0
		for k, a := range v {
			drop += q[k] * math.Abs(a)
		}
		clean.run(v, nil)
		clean.margins(low, y[i])
		g.Empirical += Ramp(minus(least(low, y[i]), drop*(1+gamma(len(v)))+tiny), scale)
	}
	count := float64(len(x))
	g.Empirical = min(1, g.Empirical/count*(1+gamma(len(x))))
	largest, sum := columnNorms(x)
	product := 1.0
	for _, s := range c.rows {
		product = mulUp(product, s)
	}
	peeled, err := MaxColumnRademacher(product, largest, n.Inputs(), len(x))
	if err != nil {
		return GeneralizationBound{}, err
	}
	logged, err := DepthRademacher(product, largest, n.Depth(), n.Inputs(), len(x))
	if err != nil {
		return GeneralizationBound{}, err
	}
	const up = 1 + 16*unit
	g.Network = orInf(4 / scale * float64(n.Classes()) * min(math.Exp2(float64(n.Depth()-1))*peeled, logged) * up)
	g.Perturbation = orInf(mulUp(2/scale*up, mulUp(c.psi(eps)/count*up, sum)))
	g.Confidence = 3 * math.Sqrt(logDelta/(2*count)) * up
	g.Total = orInf((g.Empirical + g.Network + g.Perturbation + g.Confidence) * up)
	return g, nil
}

// normClass is a class of networks of one form, by bounds of the norms of each layer.
type normClass struct {
	rows, columns []float64 // of ‖W_m‖∞ and ‖W_m‖₁
	units         []float64 // d_m, of outputs
}

// norms returns the smallest class that the network is in.
func (n *Network) norms() normClass {
	var c normClass
	for i := range n.layers {
		w := &n.layers[i].Weight
		c.rows, c.columns = append(c.rows, w.rowSum(w.Val)), append(c.columns, w.columnSum(w.Val))
		c.units = append(c.units, float64(w.Rows))
	}
	return c
}

// onGrid returns the smallest class of the grid that holds c, and the logarithm of 1
// over its share of delta.
func (c normClass) onGrid() (up normClass, price float64) {
	round := func(norms []float64) (out []float64) {
		for _, v := range norms {
			point, more := onGrid(v)
			out, price = append(out, point), price+more
		}
		return out
	}
	return normClass{rows: round(c.rows), columns: round(c.columns), units: c.units}, price
}

// gridSteps is the number of grid points from a number to its double.
const gridSteps = 64

// gridPoint is point k of the grid, 0 and +Inf at its ends.
func gridPoint(k int) float64 { return math.Exp2(float64(k) / gridSteps) }

// onGrid returns the first point of the grid that v >= 0 does not exceed, and the
// logarithm of 1 over its share of delta.
func onGrid(v float64) (point, price float64) {
	const beyond = 1100 // 2 to it is +Inf, and to minus it 0
	k := int(math.Ceil(gridSteps*min(max(math.Log2(v), -beyond), beyond))) - 1
	for gridPoint(k) < v {
		k++
	}
	return gridPoint(k), gridPrice(k)
}

// gridPrice is the logarithm of 1 over the share of delta that point k has: 1/(i(i+1))
// with i counting the points 0, -1, 1, -2, 2 and so on from 1. The shares add up to 1.
func gridPrice(k int) float64 {
	i := float64(-2 * k)
	if k >= 0 {
		i = float64(2*k + 1)
	}
	return math.Log(i) + math.Log(i+1)
}

// columnNorms returns the largest 2-norm of a column of the examples and the sum of
// all, rounded up.
func columnNorms(x [][]float64) (largest, sum float64) {
	column := make([]float64, len(x))
	for k := range x[0] {
		for i, v := range x {
			column[i] = v[k]
		}
		s := normAbove(column, 2)
		largest, sum = max(largest, s), sum+s
	}
	return largest, sum * (1 + gamma(len(x[0])))
}

// MaxColumnRademacher bounds the Rademacher complexity of linear functions with
// coefficients in the l1-ball of the given radius on n examples of d values, by
// Massart's lemma on the 2d vertices: radius · column √(2 ln 2d) / n, where column is
// the largest 2-norm of a column of the examples, rounded up. It returns an error for
// n or d below 1 and for a negative radius or column.
func MaxColumnRademacher(radius, column float64, d, n int) (float64, error) {
	if err := checkComplexity(radius, column, d, n); err != nil {
		return 0, fmt.Errorf("weightpert: MaxColumnRademacher: %w", err)
	}
	return mulUp(radius, column) * math.Sqrt(2*math.Log(2*float64(d))) / float64(n) * (1 + 16*unit), nil
}

// DepthRademacher bounds the Rademacher complexity of networks of ReLU with depth
// layers, without biases, of which the product of the largest row sums ‖W_m‖∞ is at
// most product, on n examples of d values: 2 product · column √(depth+1+ln d) / n,
// where column is the largest 2-norm of a column of the examples (Golowich, Rakhlin
// and Shamir, COLT 2018), rounded up. It returns an error for n, d or depth below 1
// and for a negative product or column.
func DepthRademacher(product, column float64, depth, d, n int) (float64, error) {
	err := checkComplexity(product, column, d, n)
	if err == nil && depth < 1 {
		err = fmt.Errorf("depth is %d, want at least 1", depth)
	}
	if err != nil {
		return 0, fmt.Errorf("weightpert: DepthRademacher: %w", err)
	}
	return 2 * mulUp(product, column) * math.Sqrt(float64(depth)+1+math.Log(float64(d))) / float64(n) * (1 + 16*unit), nil
}

func checkComplexity(radius, column float64, d, n int) error {
	switch {
	case !(radius >= 0):
		return fmt.Errorf("size of the class is %v, want 0 or more", radius)
	case !(column >= 0):
		return fmt.Errorf("norm of a column is %v, want 0 or more", column)
	case d < 1 || n < 1:
		return fmt.Errorf("%d examples of %d values, want at least 1 of each", n, d)
	}
	return nil
}

// AbsRademacher bounds the Rademacher complexity of the functions c·|x| with
// |c_k| <= bound on the examples: bound Σ_k ‖X_k‖₂ / n, rounded up. It returns an
// error for a negative bound, and for examples that are none, empty, of different
// lengths or not finite.
func AbsRademacher(bound float64, x [][]float64) (float64, error) {
	fail := func(err error) (float64, error) { return 0, fmt.Errorf("weightpert: AbsRademacher: %w", err) }
	switch {
	case !(bound >= 0):
		return fail(fmt.Errorf("bound is %v, want 0 or more", bound))
	case len(x) == 0 || len(x[0]) == 0:
		return fail(errors.New("0 examples or values, want at least 1"))
	}
	for i, v := range x {
		if len(v) != len(x[0]) {
			return fail(fmt.Errorf("example %d has %d values, example 0 has %d, want the same", i, len(v), len(x[0])))
		}
		if err := finite("value", v); err != nil {
			return fail(fmt.Errorf("example %d: %w", i, err))
		}
	}
	_, sum := columnNorms(x)
	return mulUp(bound, sum) / float64(len(x)) * (1 + 4*unit), nil
}

// plainReLU returns an error unless all activations are ReLU and there are no
// biases.
func plainReLU(n *Network, eps float64) error {
	if err := n.check(); err != nil {
		return err
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
// The coefficients are rounded up. It takes networks of ReLU without biases.
func LinearDrop(n *Network, eps float64) ([]float64, error) {
	if err := plainReLU(n, eps); err != nil {
		return nil, fmt.Errorf("weightpert: LinearDrop: %w", err)
	}
	last := len(n.layers) - 1
	gain := 0.0
	top := &n.layers[last].Weight
	for _, v := range pairNorms(&Matrix{Rows: top.Rows, Cols: top.Cols, Val: top.spread(top.Val)}, nil) {
		gain = max(gain, v)
	}
	q := make([]float64, n.Inputs())
	for m := last; m >= 0; m-- {
		s := 2.0
		if m < last {
			s = gain
			gain = mulUp(gain, n.layers[m].Weight.rowSum(n.layers[m].Weight.Val))
		}
		v := make([]float64, n.layers[m].Weight.Cols)
		for k := range v {
			v[k] = mulUp(eps, s)
		}
		for k := m - 1; k >= 0; k-- {
			w := &n.layers[k].Weight
			next := make([]float64, w.Cols)
			w.absTransposed(next, w.Val, v)
			all := mulUp(eps, sumAbs(v)*(1+gamma(len(v))))
			for c := range next {
				next[c] = (next[c] + all) * (1 + 2*unit)
			}
			v = next
		}
		for k := range q {
			q[k] = (q[k] + v[k]) * (1 + 2*unit)
		}
	}
	return q, nil
}

// psi bounds the coefficients of LinearDrop over all networks of the class; it is
// rounded up.
func (c normClass) psi(eps float64) float64 {
	last := len(c.rows) - 1
	prefix := make([]float64, last+1)
	p := 1.0
	for k := range prefix {
		prefix[k] = p
		p = mulUp(p, (c.columns[k]+mulUp(eps, c.units[k]))*(1+2*unit))
	}
	sum, gain := 0.0, 2*c.rows[last]
	for m := last; m >= 0; m-- {
		s := 2.0
		if m < last {
			s = gain
			gain = mulUp(gain, c.rows[m])
		}
		sum = (sum + mulUp(eps, mulUp(s, prefix[m]))) * (1 + 2*unit)
	}
	return sum
}

package weightpert

import (
	"fmt"
	"math"
)

// Product is the bound by norms: the clean margin less the change that the layers'
// operator norms allow. T1 sums the layers' contributions over enlarged
// activations and clean gains, T2 over clean activations and enlarged gains; the
// zero Product takes the smaller one. With one moving layer T2 is the single-layer
// bound
//
//	|f̂_ij - f_ij| <= eps ‖z‖₁ ‖W_i - W_j‖₁ ∏ ‖W_k‖∞,
//
// where ‖·‖∞ is the largest ROW sum; in the last layer it is 2 eps ‖z‖₁, which is
// attained. Form reported for Tsai et al., NeurIPS 2021; the proofs of the general
// forms are in the package comment. All need 1-Lipschitz activations, T1 also ones
// that are monotone and not negative.
type Product struct {
	Form Form // the zero value is Smaller
}

// Form selects a form of the Product bound.
type Form uint8

// Forms of the Product bound.
const (
	Smaller Form = iota // the smaller of T1 and T2; T2 where T1 does not hold
	T1                  // perturbed prefix, clean suffix
	T2                  // clean prefix, perturbed suffix
)

// Name returns "product", "T1" or "T2".
func (m Product) Name() string {
	switch m.Form {
	case Smaller:
		return "product"
	case T1:
		return "T1"
	case T2:
		return "T2"
	}
	return fmt.Sprintf("Product(%d)", uint8(m.Form))
}

func (m Product) prepare(n *Network, b *Box) (bounder, error) {
	if m.Form > T2 {
		return nil, fmt.Errorf("weightpert: unknown form %d of the product bound, want %d to %d", m.Form, Smaller, T2)
	}
	p, err := prepare(n, b)
	if err != nil {
		return nil, err
	}
	if err := p.assume(m.Name(), true, m.Form == T1); err != nil {
		return nil, err
	}
	form := m.Form
	if form == Smaller && p.assume(m.Name(), true, true) != nil {
		form = T2
	}
	g := p.gains()
	return func() margins {
		w := p.newSums()
		return func(out, x []float64, y int) {
			w.c.run(x, nil)
			w.c.margins(out, y)
			w.overClean()
			if form != T2 {
				w.overEnvelope()
			}
			for j := range out {
				if j == y {
					continue
				}
				eta := math.Inf(1)
				if form != T2 {
					eta = w.t1(g, y, j)
				}
				if form != T1 {
					eta = min(eta, w.t2(g, y, j))
				}
				out[j] = minus(out[j], orInf(eta))
			}
		}
	}, nil
}

// gains are what the layers do to a change of their input: products of operator
// norms, over inputs that can change, rounded up.
type gains struct {
	clean, moved []float64 // clean[m] = ∏ ‖W_k‖∞ over hidden layers k > m; moved with the box
	pair         []float64 // ‖W_i - W_j‖₁ of the last layer, K by K
	lastRadius   []float64 // sum of the radii of each row of the last layer
	up           float64   // factor that covers rounding
}

func (p *prepared) gains() *gains {
	last := len(p.layers) - 1
	g := &gains{clean: make([]float64, last), moved: make([]float64, last)}
	g.up = 1 + gamma(2*len(p.layers))
	c, m := 1.0, 1.0
	for i := last - 1; i >= 0; i-- {
		g.clean[i], g.moved[i] = c, m
		c = mulUp(c, p.gain(i, false))
		m = mulUp(m, p.gain(i, true))
	}
	l := p.top
	k, cols := l.Weight.Rows, l.Weight.Cols
	g.pair = pairNorms(&l.Weight, p.still[last])
	g.lastRadius = make([]float64, k)
	if l.radius != nil {
		for i := range k {
			for c, r := range l.radius[i*cols : (i+1)*cols] {
				if !p.still[last][c] {
					g.lastRadius[i] += r
				}
			}
			g.lastRadius[i] *= 1 + gamma(cols)
		}
	}
	return g
}

// pairNorms returns ‖W_i - W_j‖₁, rounded up, for all pairs of rows of a dense
// matrix, the columns of still inputs left out; nil means none are still.
func pairNorms(w *Matrix, still []bool) []float64 {
	k, cols := w.Rows, w.Cols
	out := make([]float64, k*k)
	for i := range k {
		for j := range i {
			s := 0.0
			for c := range cols {
				if still != nil && still[c] {
					continue
				}
				s += math.Abs(w.Val[i*cols+c] - w.Val[j*cols+c])
			}
			s *= 1 + gamma(cols)
			out[i*k+j], out[j*k+i] = s, s
		}
	}
	return out
}

// sums holds, for one example, how far each layer can shift its pre-activations.
type sums struct {
	p      *prepared
	c      *clean
	b      []float64
	env    [][]float64 // inputs of each layer in the envelope of T1
	shift1 []float64   // over enlarged inputs
	shift2 []float64   // over clean inputs
	last1  []float64   // radius of each logit over enlarged inputs
	last2  []float64
}

func (p *prepared) newSums() *sums {
	depth, k := len(p.layers), p.net.Classes()
	w := &sums{p: p, c: p.newClean(), b: make([]float64, p.width), shift1: make([]float64, depth), shift2: make([]float64, depth), last1: make([]float64, k), last2: make([]float64, k)}
	for i := range p.layers {
		w.env = append(w.env, make([]float64, p.layers[i].Weight.Cols))
	}
	return w
}

// shifts returns the radius of each pre-activation of layer i for inputs of the
// given moduli, in out, and the largest of them, rounded up.
func (p *prepared) shifts(out []float64, i int, mod []float64) float64 {
	l := &p.layers[i]
	if l.radius == nil {
		clear(out)
		return 0
	}
	if l.even >= 0 && l.Weight.Col == nil {
		s := mulUp(l.even, sumAbs(mod)*(1+gamma(len(mod))))
		for r := range out {
			out[r] = s
		}
	} else {
		l.Weight.times(out, l.radius, nil, mod)
		g, u := 1+gamma(l.longest), under(l.longest)
		for r := range out {
			out[r] = out[r]*g + u
		}
	}
	largest := 0.0
	for r := range out {
		if l.biasRadius != nil {
			out[r] = (out[r] + l.biasRadius[r]) * (1 + 4*unit)
		}
		largest = max(largest, out[r])
	}
	return largest
}

// overClean fills shift2 and last2 from the clean activations.
func (w *sums) overClean() {
	last := len(w.p.layers) - 1
	for i := range last {
		w.shift2[i] = w.p.shifts(w.b[:w.p.layers[i].Weight.Rows], i, w.c.mod[i])
	}
	w.p.shifts(w.last2, last, w.c.mod[last])
}

// overEnvelope fills shift1 and last1 from the envelope
//
//	z*₁ = ρ(W₁x + r₁), z*_m = ρ(max(W_m, 0) z*_{m-1} + r_m),
//
// with r_m the radius of the pre-activations over inputs z*.
func (w *sums) overEnvelope() {
	p := w.p
	last := len(p.layers) - 1
	copy(w.env[0], w.c.mod[0])
	for i := range last {
		l, z := &p.layers[i], w.env[i]
		radius := w.b[:l.Weight.Rows]
		w.shift1[i] = p.shifts(radius, i, z)
		next := w.env[i+1]
		if i > 0 {
			w.envelope(next, i, z)
		}
		for r := range next {
			a := w.c.pre[0]
			v := next[r]
			if i == 0 {
				v = a.at[r] + a.err[r]
				v += 2 * unit * math.Abs(v)
			} else if l.Bias != nil {
				v += l.Bias[r]
				v += unit * (math.Abs(v) + math.Abs(l.Bias[r]))
			}
			v += radius[r]
			v += 2*unit*(math.Abs(v)+radius[r]) + tiny
			_, next[r] = l.Act.enclose(v, v)
		}
	}
	p.shifts(w.last1, last, w.env[last])
}

// envelope bounds the product of layer i's weights with inputs from 0 to z from above:
// that of the positive weights, and of all of them where the input cannot change.
func (w *sums) envelope(out []float64, i int, z []float64) {
	l, clean := &w.p.layers[i], w.c.act[i]
	g := gamma(l.longest)
	for r := range out {
		from, to := l.Weight.span(r)
		sum, size := 0.0, 0.0
		for k := from; k < to; k++ {
			c := l.Weight.column(k, from)
			v := l.Weight.Val[k]
			switch {
			case v > 0:
				sum += v * z[c]
				size += v * z[c]
			case w.p.still[i][c]:
				low := max(0, clean.at[c]-clean.err[c]*(1+4*unit))
				sum += v * low
				size -= v * low
			}
		}
		out[r] = sum + g*size + tiny
	}
}

func (w *sums) t1(g *gains, y, j int) float64 {
	k := w.p.net.Classes()
	eta := w.last1[y] + w.last1[j]
	for i := range len(w.p.layers) - 1 {
		eta += mulUp(mulUp(w.shift1[i], g.pair[y*k+j]), g.clean[i])
	}
	return eta * g.up
}

func (w *sums) t2(g *gains, y, j int) float64 {
	k := w.p.net.Classes()
	eta := w.last2[y] + w.last2[j]
	pair := (g.pair[y*k+j] + g.lastRadius[y] + g.lastRadius[j]) * (1 + 4*unit)
	for i := range len(w.p.layers) - 1 {
		eta += mulUp(mulUp(w.shift2[i], pair), g.moved[i])
	}
	return eta * g.up
}

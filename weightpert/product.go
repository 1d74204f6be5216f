package weightpert

import "math"

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
	Form Form
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
	return [...]string{Smaller: "product", T1: "T1", T2: "T2"}[m.Form]
}

func (m Product) prepare(n *Network, b *Box) (bounder, error) {
	p, err := prepare(n, b)
	if err != nil {
		return nil, err
	}
	clean, err := prepare(n, NewBox(n))
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
		r := clean.newReach()
		w := &sums{p: p, r: r, a: make([]float64, p.width), b: make([]float64, p.width), shift1: make([]float64, len(p.layers)), shift2: make([]float64, len(p.layers))}
		return func(out, x []float64, y int) {
			clean.propagate(r, x)
			clean.mergedMargins(out, r, y)
			w.clean()
			if form != T2 {
				w.enlarged()
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
// norms, rounded up.
type gains struct {
	clean, moved []float64 // clean[m] = ∏ ‖W_k‖∞ over hidden layers k > m; moved with the box
	pair         []float64 // ‖W_i - W_j‖₁ of the last layer, K by K
	lastRadius   []float64 // sum of the radii of each row of the last layer
	up           float64   // factor that covers rounding
}

func (p *prepared) gains() *gains {
	last := len(p.layers) - 1
	g := &gains{clean: make([]float64, last), moved: make([]float64, last)}
	terms := 0
	for i := range p.layers {
		terms += p.layers[i].longest + 8
	}
	g.up = 1 + gamma(2*terms)
	c, m := 1.0, 1.0
	for i := last - 1; i >= 0; i-- {
		g.clean[i], g.moved[i] = c, m
		l := &p.layers[i]
		c *= l.Weight.rowSum(l.Weight.Val)
		m *= l.reachSum()
	}
	l := &p.layers[last]
	k, cols := l.Weight.Rows, l.Weight.Cols
	g.pair = pairNorms(&l.Weight)
	g.lastRadius = make([]float64, k)
	if l.radius != nil {
		for i := range k {
			g.lastRadius[i] = sumAbs(l.radius[i*cols : (i+1)*cols])
		}
	}
	return g
}

// pairNorms returns ‖W_i - W_j‖₁ for all pairs of rows of a dense matrix.
func pairNorms(w *Matrix) []float64 {
	k, cols := w.Rows, w.Cols
	out := make([]float64, k*k)
	for i := range k {
		for j := range i {
			s := 0.0
			for c := range cols {
				s += math.Abs(w.Val[i*cols+c] - w.Val[j*cols+c])
			}
			out[i*k+j], out[j*k+i] = s, s
		}
	}
	return out
}

// reachSum returns the largest row sum of any weights of the layer's box.
func (l *boxedLayer) reachSum() float64 {
	if l.radius == nil {
		return l.Weight.rowSum(l.Weight.Val)
	}
	largest := 0.0
	for r := range l.Weight.Rows {
		from, to := l.Weight.span(r)
		largest = max(largest, sumAbs(l.Weight.Val[from:to])+sumAbs(l.radius[from:to]))
	}
	return largest
}

// sums holds, for one example, how far each layer can shift its pre-activations.
type sums struct {
	p      *prepared
	r      *reach // of the clean network
	a, b   []float64
	shift1 []float64 // over enlarged inputs
	shift2 []float64 // over clean inputs
	last1  []float64 // radius of each logit over enlarged inputs
	last2  []float64
}

// shifts returns the radius of each pre-activation of layer i for inputs of the
// given moduli, in out, and the largest of them.
func (p *prepared) shifts(out []float64, i int, mod []float64) float64 {
	l := &p.layers[i]
	if l.radius == nil {
		clear(out)
		return 0
	}
	if l.even >= 0 && l.Weight.Col == nil {
		s := l.even * sumAbs(mod)
		for r := range out {
			out[r] = s
		}
	} else {
		l.Weight.times(out, l.radius, nil, mod)
	}
	largest := 0.0
	for r := range out {
		if l.biasRadius != nil {
			out[r] += l.biasRadius[r]
		}
		largest = max(largest, out[r])
	}
	return largest
}

// clean fills shift2 and last2 from the clean activations.
func (w *sums) clean() {
	last := len(w.p.layers) - 1
	for i := range w.p.layers {
		in := w.r.act[i]
		mod := w.a[:len(in.lo)]
		for k := range mod {
			mod[k] = max(math.Abs(in.lo[k]), math.Abs(in.hi[k]))
		}
		if i == last {
			w.last2 = append(w.last2[:0], make([]float64, w.p.net.Classes())...)
			w.p.shifts(w.last2, i, mod)
			return
		}
		w.shift2[i] = w.p.shifts(w.b[:w.p.layers[i].Weight.Rows], i, mod)
	}
}

// enlarged fills shift1 and last1 from the envelope
//
//	z*₁ = ρ(W₁x + r₁), z*_m = ρ(max(W_m, 0) z*_{m-1} + r_m),
//
// with r_m the radius of the pre-activations over inputs z*.
func (w *sums) enlarged() {
	p := w.p
	last := len(p.layers) - 1
	z := make([]float64, 0, p.width)
	for _, v := range w.r.act[0].lo {
		z = append(z, math.Abs(v))
	}
	for i := range p.layers {
		l := &p.layers[i]
		if i == last {
			w.last1 = append(w.last1[:0], make([]float64, p.net.Classes())...)
			p.shifts(w.last1, i, z)
			return
		}
		radius := w.b[:l.Weight.Rows]
		w.shift1[i] = p.shifts(radius, i, z)
		next := w.a[:l.Weight.Rows]
		g := gamma(l.longest + 2)
		for r := range next {
			if i == 0 {
				next[r] = w.r.pre[0].hi[r]
			} else {
				from, to := l.Weight.span(r)
				sum := 0.0
				for k := from; k < to; k++ {
					if v := l.Weight.Val[k]; v > 0 {
						sum += v * z[l.Weight.column(k, from)]
					}
				}
				mag := sum
				if l.Bias != nil {
					sum += l.Bias[r]
					mag += math.Abs(l.Bias[r])
				}
				next[r] = sum + g*mag
			}
			next[r] += radius[r]*(1+2*g) + 2*unit*math.Abs(next[r])
			_, next[r] = l.Act.enclose(next[r], next[r])
		}
		z = append(z[:0], next...)
	}
}

func (w *sums) t1(g *gains, y, j int) float64 {
	k := w.p.net.Classes()
	eta := w.last1[y] + w.last1[j]
	for i := range len(w.p.layers) - 1 {
		eta += w.shift1[i] * g.pair[y*k+j] * g.clean[i]
	}
	return eta * g.up
}

func (w *sums) t2(g *gains, y, j int) float64 {
	k := w.p.net.Classes()
	eta := w.last2[y] + w.last2[j]
	pair := g.pair[y*k+j] + g.lastRadius[y] + g.lastRadius[j]
	for i := range len(w.p.layers) - 1 {
		eta += w.shift2[i] * pair * g.moved[i]
	}
	return eta * g.up
}

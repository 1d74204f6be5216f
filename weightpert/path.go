package weightpert

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/floats"
)

// Path is the bound that follows each path through the network instead of
// multiplying norms: with s_{L-1} = |W_i - W_j|, s_{m-1} = |W_m|ᵀ s_m, the radii
// E_m of the weights and upper activations u_m from interval propagation,
//
//	|f̂_ij - f_ij| <= (E_i + E_j)·u_{L-1} + Σ_m s_m·(E_m u_{m-1}).
//
// It is never above T1 and needs 1-Lipschitz, monotone activations.
type Path struct {
	// Envelope takes the enlarged activations of T1 for u_m in place of those of
	// interval propagation: looser, and for activations that are not negative.
	Envelope bool
}

// Name returns "path" or "path-T1".
func (m Path) Name() string {
	if m.Envelope {
		return "path-T1"
	}
	return "path"
}

func (m Path) prepare(n *Network, b *Box) (bounder, error) {
	p, err := prepare(n, b)
	if err != nil {
		return nil, err
	}
	if err := p.assume(m.Name(), true, m.Envelope); err != nil {
		return nil, err
	}
	paths := p.paths()
	terms := 4 * len(p.layers)
	for i := range p.layers {
		terms += p.layers[i].Weight.Cols
	}
	up := 1 + gamma(terms)
	return func() margins {
		w := p.newSums()
		last := len(p.layers) - 1
		upper := p.intervalModuli()
		return func(out, x []float64, y int) {
			mod, size := w.env, []float64(nil)
			if !m.Envelope {
				mod, size = upper(x)
			}
			w.c.run(x, size)
			w.c.margins(out, y)
			if m.Envelope {
				w.overEnvelope()
			}
			radius := w.last1
			p.shifts(radius, last, mod[last])
			for j := range out {
				if j == y {
					continue
				}
				eta := radius[y] + radius[j]
				for i, t := range paths(y, j) {
					eta += t.bias
					if t.weight != nil {
						eta += floats.Dot(t.weight, mod[i])
					}
				}
				out[j] = minus(out[j], orInf(eta*up+tiny))
			}
		}
	}, nil
}

// intervalModuli returns a function that bounds the moduli of every layer's inputs by
// interval propagation, and the sums of moduli of the products in layer 0; what
// overflows is +Inf.
func (p *prepared) intervalModuli() func(x []float64) (mod [][]float64, size []float64) {
	r := p.newReach()
	mod := make([][]float64, len(p.layers))
	for i := range mod {
		mod[i] = make([]float64, p.layers[i].Weight.Cols)
	}
	return func(x []float64) ([][]float64, []float64) {
		p.propagate(r, x)
		for i := range mod {
			lo, hi := r.act[i].lo, r.act[i].hi
			for k := range mod[i] {
				mod[i][k] = max(math.Abs(lo[k]), math.Abs(hi[k]))
				if !r.finite {
					mod[i][k] = math.Inf(1)
				}
			}
		}
		return mod, r.size[0]
	}
}

// path is what a layer's radii can do to a margin: weight·|z| + bias for inputs z,
// rounded up.
type path struct {
	weight []float64 // nil for a layer that does not move
	bias   float64
}

// paths returns a function that gives the paths of the hidden layers for a pair of
// classes. It works them out when it is first asked for them, and may be called by
// several goroutines.
func (p *prepared) paths() func(i, j int) []path {
	k := p.top.Weight.Rows
	pairs := make([]struct {
		once  sync.Once
		paths []path
	}, k*(k-1)/2)
	return func(i, j int) []path {
		i, j = max(i, j), min(i, j)
		pair := &pairs[i*(i-1)/2+j]
		pair.once.Do(func() { pair.paths = p.pathsOf(i, j) })
		return pair.paths
	}
}

// pathsOf returns the paths of the hidden layers for the margin between two classes.
func (p *prepared) pathsOf(i, j int) []path {
	w := &p.top.Weight
	s := make([]float64, w.Cols)
	for c := range s {
		s[c] = math.Abs(w.Val[i*w.Cols+c]-w.Val[j*w.Cols+c]) * (1 + 4*unit)
	}
	out := make([]path, len(p.layers)-1)
	for m := len(out) - 1; m >= 0; m-- {
		l := &p.layers[m]
		if l.radius != nil {
			out[m].weight = make([]float64, l.Weight.Cols)
			l.Weight.absTransposed(out[m].weight, l.radius, s)
			if l.biasRadius != nil {
				out[m].bias = floats.Dot(s, l.biasRadius)*(1+gamma(len(s))) + under(len(s))
			}
		}
		next := make([]float64, l.Weight.Cols)
		l.Weight.absTransposed(next, l.Weight.Val, s)
		s = next
	}
	return out
}

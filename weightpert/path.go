package weightpert

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// Path is the bound that follows each path through the network instead of
// multiplying norms: with s_{L-1} = |W_i - W_j|, s_{m-1} = |W_m|ᵀ s_m, the radii
// E_m of the weights and upper activations u_m from interval propagation,
//
//	|f̂_ij - f_ij| <= (E_i + E_j)·u_{L-1} + Σ_m s_m·(E_m u_{m-1}).
//
// It is never above T1 and needs 1-Lipschitz, monotone activations.
type Path struct{}

// Name returns "path".
func (Path) Name() string { return "path" }

func (Path) prepare(n *Network, b *Box) (bounder, error) {
	p, err := prepare(n, b)
	if err != nil {
		return nil, err
	}
	clean, err := prepare(n, NewBox(n))
	if err != nil {
		return nil, err
	}
	if err := p.assume("path", true, false); err != nil {
		return nil, err
	}
	paths := p.paths()
	up := p.gains().up
	return func() margins {
		r, c := p.newReach(), clean.newReach()
		radius := make([]float64, p.net.Classes())
		mod := make([][]float64, len(p.layers))
		for i := range mod {
			mod[i] = make([]float64, p.layers[i].Weight.Cols)
		}
		return func(out, x []float64, y int) {
			clean.propagate(c, x)
			clean.mergedMargins(out, c, y)
			p.propagate(r, x)
			if !r.finite {
				p.mergedMargins(out, r, y)
				return
			}
			for i := range mod {
				for k := range mod[i] {
					mod[i][k] = max(math.Abs(r.act[i].lo[k]), math.Abs(r.act[i].hi[k]))
				}
			}
			p.shifts(radius, len(p.layers)-1, mod[len(mod)-1])
			for j := range out {
				if j == y {
					continue
				}
				eta := radius[y] + radius[j]
				for i, t := range paths[y*len(out)+j] {
					eta += t.bias
					if t.weight != nil {
						eta += floats.Dot(t.weight, mod[i])
					}
				}
				out[j] = minus(out[j], eta*up)
			}
		}
	}, nil
}

// path is what a layer's radii can do to a margin: weight·|z| + bias for inputs z.
type path struct {
	weight []float64 // nil for a layer that does not move
	bias   float64
}

// paths returns, for each pair of classes, the paths of the hidden layers.
func (p *prepared) paths() [][]path {
	last := len(p.layers) - 1
	w := &p.layers[last].Weight
	k := w.Rows
	out := make([][]path, k*k)
	for i := range k {
		for j := range i {
			s := make([]float64, w.Cols)
			for c := range s {
				s[c] = math.Abs(w.Val[i*w.Cols+c] - w.Val[j*w.Cols+c])
			}
			ps := make([]path, last)
			for m := last - 1; m >= 0; m-- {
				l := &p.layers[m]
				if l.radius != nil {
					ps[m].weight = make([]float64, l.Weight.Cols)
					l.Weight.absTransposed(ps[m].weight, l.radius, s)
					if l.biasRadius != nil {
						for r, v := range s {
							ps[m].bias += v * l.biasRadius[r]
						}
					}
				}
				next := make([]float64, l.Weight.Cols)
				l.Weight.absTransposed(next, l.Weight.Val, s)
				s = next
			}
			out[i*k+j], out[j*k+i] = ps, ps
		}
	}
	return out
}

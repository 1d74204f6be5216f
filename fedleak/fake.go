package fedleak

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/tensor"
)

// FakeGradients is the defence of CAFE's paper: of each tensor only the order of the
// entries is uploaded. The largest entry is replaced by the largest of a vector of
// normal draws, the second by its second, and so on; of Pool such vectors the one
// nearest to the sorted gradient is taken.
//
// Jin, Chen, Hsu, Yu and Chen, NeurIPS 2021, Algorithm 5. The zero value draws at the
// gradient's own scale. Give it by its address.
type FakeGradients struct {
	// Sigma is the standard deviation of the draws; 0 means the root mean square of
	// the tensor's entries in each round, or 1 if they all vanish. With a fixed
	// value the learning rate has to fit it.
	Sigma float64
	// Pool is the number of vectors; 0 means 10. Long vectors are all much alike.
	Pool int
	// Threshold is the largest distance from the sorted gradient that is accepted
	// before the pool is drawn anew; 0 accepts any. After Tries pools the best
	// vector is taken.
	Threshold float64
	Tries     int // 0 means 3
	// Clamp is a variant found in the field that keeps g where it is within
	// [-ψ, ψ] for ψ > 0: most entries pass unchanged, so that it protects little.
	// It is here to be compared with.
	Clamp bool

	mu    sync.Mutex
	pools map[poolKey][][]float64 // the first pool of each tensor, which all rounds share
}

var _ Defense = (*FakeGradients)(nil)

type poolKey struct {
	seed                 uint64
	party, client        int
	tensor, size, redraw int
}

// Name implements Defense.
func (d *FakeGradients) Name() string {
	if d.Clamp {
		return "clamped fakes"
	}
	return "fake gradients"
}

// Check implements Defense.
func (d *FakeGradients) Check() error {
	switch {
	case !(d.Sigma >= 0) || math.IsInf(d.Sigma, 0):
		return fmt.Errorf("fedleak: FakeGradients: Sigma is %v, want 0 or more", d.Sigma)
	case d.Pool < 0 || d.Tries < 0:
		return fmt.Errorf("fedleak: FakeGradients: pool of %d, %d tries, want 0 or more", d.Pool, d.Tries)
	case !(d.Threshold >= 0):
		return fmt.Errorf("fedleak: FakeGradients: Threshold is %v, want 0 or more", d.Threshold)
	}
	return nil
}

// Apply implements Defense.
func (d *FakeGradients) Apply(u Upload, gradients []*tensor.Tensor) error {
	for i, g := range gradients {
		v := g.Values()
		if len(v) == 0 {
			continue
		}
		order := descending(v)
		sorted := make([]float64, len(v))
		for l, at := range order {
			sorted[l] = v[at]
		}
		psi, scale := d.choose(u, i, sorted)
		fake := make([]float64, len(v))
		for l, at := range order {
			fake[at] = d.replace(v[at], scale*psi[l])
		}
		each(g, func(j int, _ float64) float64 { return fake[j] })
	}
	return nil
}

// replace returns what is uploaded for the value g, of which the fake is psi.
func (d *FakeGradients) replace(g, psi float64) float64 {
	if d.Clamp {
		return math.Min(psi, math.Max(g, -psi))
	}
	return psi
}

// descending returns the positions of v from the largest value on; equal ones keep
// their order.
func descending(v []float64) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v[b], v[a]) })
	return order
}

// choose returns the vector of unit draws nearest to the sorted gradient, and its
// scale.
func (d *FakeGradients) choose(u Upload, tensor int, sorted []float64) (psi []float64, scale float64) {
	scale = d.Sigma
	if scale == 0 {
		s := 0.0
		for _, v := range sorted {
			s += v * v
		}
		if scale = math.Sqrt(s / float64(len(sorted))); scale == 0 {
			scale = 1
		}
	}
	best := math.Inf(1)
	for try := range max(1, defaultInt(d.Tries, 3)) {
		for _, p := range d.pool(u, tensor, len(sorted), try) {
			if e := distanceTo(sorted, p, scale); e < best {
				best, psi = e, p
			}
		}
		if d.Threshold == 0 || best <= d.Threshold {
			break
		}
	}
	return psi, scale
}

// distanceTo is the Euclidean distance between g and scale times p.
func distanceTo(g, p []float64, scale float64) float64 {
	s := 0.0
	for i, v := range g {
		e := v - scale*p[i]
		s += e * e
	}
	return math.Sqrt(s)
}

// pool returns sorted vectors of unit normal draws. The first pool serves all rounds;
// later ones belong to a round and are not kept.
func (d *FakeGradients) pool(u Upload, tensor, size, redraw int) [][]float64 {
	key := poolKey{u.Seed, u.Party, u.Client, tensor, size, redraw}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.pools[key]; ok {
		return p
	}
	place := []uint64{uint64(u.Party), uint64(u.Client), uint64(tensor), uint64(redraw)}
	if redraw > 0 {
		place = append(place, uint64(u.Round))
	}
	rng := stream(u.Seed, place...)
	p := make([][]float64, defaultInt(d.Pool, 10))
	for i := range p {
		p[i] = make([]float64, size)
		for j := range p[i] {
			p[i][j] = rng.NormFloat64()
		}
		slices.SortFunc(p[i], func(a, b float64) int { return cmp.Compare(b, a) })
	}
	if redraw == 0 {
		if d.pools == nil {
			d.pools = make(map[poolKey][][]float64)
		}
		d.pools[key] = p
	}
	return p
}

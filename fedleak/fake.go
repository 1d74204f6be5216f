package fedleak

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/tensor"
)

// FakeGradients is the defence of CAFE's paper: of each tensor only the order of the
// entries is uploaded. The largest entry is replaced by the largest of a vector of
// normal draws, the second by its second, and so on; of Pool such vectors the one
// nearest to the sorted gradient is taken.
//
// Jin, Chen, Hsu, Yu and Chen, NeurIPS 2021, as descriptions and ports of their defence
// agree on it. The scale of the zero value, the gradient's own, and the size of its pool
// are this package's. Give it by its address.
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
	seed          uint64
	party, client int
	tensor, size  int
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

// Apply implements Defense. A gradient that is not finite has no order and stays as it
// is, for the server to refuse.
func (d *FakeGradients) Apply(u Upload, g *tensor.Tensor) {
	if g.Len() == 0 || !tensor.AllFinite(g) {
		return
	}
	ranked := descending(g)
	psi, scale := d.choose(u, ranked)
	fake := make([]float64, len(ranked))
	for l, e := range ranked {
		fake[e.at] = d.replace(e.value, scale*psi[l])
	}
	each(g, func(i int, _ float64) float64 { return fake[i] })
}

// replace returns what is uploaded for the value g, of which the fake is psi.
func (d *FakeGradients) replace(g, psi float64) float64 {
	if d.Clamp {
		return math.Min(psi, math.Max(g, -psi))
	}
	return psi
}

// entry is an element of a tensor.
type entry struct {
	value float64
	at    int
}

// descending returns the entries of t from the largest value on; of equal ones the
// first comes first.
func descending(t *tensor.Tensor) []entry {
	v := t.Values()
	out := make([]entry, len(v))
	for i, x := range v {
		out[i] = entry{x, i}
	}
	slices.SortFunc(out, func(a, b entry) int {
		switch {
		case a.value > b.value:
			return -1
		case a.value < b.value:
			return 1
		}
		return a.at - b.at
	})
	return out
}

// choose returns the vector of unit draws nearest to the sorted gradient, and its
// scale.
func (d *FakeGradients) choose(u Upload, ranked []entry) (psi []float64, scale float64) {
	scale = d.Sigma
	if scale == 0 {
		s := 0.0
		for _, e := range ranked {
			s += e.value * e.value
		}
		if scale = math.Sqrt(s / float64(len(ranked))); scale == 0 {
			scale = 1
		}
	}
	best := math.Inf(1)
	for try := range max(1, defaultInt(d.Tries, 3)) {
		for _, p := range d.pool(u, len(ranked), try) {
			if e := distanceTo(ranked, p, scale); e < best {
				best, psi = e, p
			}
		}
		if d.Threshold == 0 || best <= d.Threshold {
			break
		}
	}
	return psi, scale
}

// distanceTo is the Euclidean distance between the ranked values and scale times p.
func distanceTo(ranked []entry, p []float64, scale float64) float64 {
	s := 0.0
	for i, r := range ranked {
		e := r.value - scale*p[i]
		s += e * e
	}
	return math.Sqrt(s)
}

// pool returns sorted vectors of unit normal draws. The first pool serves all rounds;
// later ones belong to a round and are not kept.
func (d *FakeGradients) pool(u Upload, size, redraw int) [][]float64 {
	key := poolKey{u.Seed, u.Party, u.Client, u.Tensor, size}
	if redraw > 0 {
		return d.draw(u.random(uint64(size), uint64(redraw), uint64(u.Round)), size)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.pools[key]; ok {
		return p
	}
	p := d.draw(u.random(uint64(size)), size)
	if d.pools == nil {
		d.pools = make(map[poolKey][][]float64)
	}
	d.pools[key] = p
	return p
}

// draw makes a pool.
func (d *FakeGradients) draw(rng *rand.Rand, size int) [][]float64 {
	p := make([][]float64, defaultInt(d.Pool, 10))
	for i := range p {
		p[i] = make([]float64, size)
		for j := range p[i] {
			p[i][j] = rng.NormFloat64()
		}
		slices.Sort(p[i])
		slices.Reverse(p[i])
	}
	return p
}

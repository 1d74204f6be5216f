package poison

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

var _, _ Builder = RandomFlips{}, Noise{}

// RandomFlips adds copies of random source images under random wrong labels: what an
// attacker without knowledge of the target can do.
type RandomFlips struct {
	Budget Budget
	// ReplaceOriginals takes the images themselves out of the source.
	ReplaceOriginals bool
	Seed             uint64 // of the images and their labels
}

// Name returns "random flips".
func (RandomFlips) Name() string { return "random flips" }

// Build chooses source images without replacement.
func (f RandomFlips) Build(source, target *dataset.Set) (*Poison, error) {
	n, err := f.Budget.count(source, target, f.ReplaceOriginals)
	if err != nil {
		return nil, err
	}
	if n > source.Len() {
		return nil, fmt.Errorf("poison: %d flips, want at most the %d source images", n, source.Len())
	}
	rng := rand.New(rand.NewPCG(f.Seed, 0xf11b))
	idx := rng.Perm(source.Len())[:n]
	x, y := source.Batch(idx)
	p := &Poison{Set: empty(source, f.Name()), True: y, Source: idx, Linf: make([]float64, n), L2: make([]float64, n)}
	p.Set.Floats = x.Float32s()
	for _, c := range y {
		p.Set.Labels = append(p.Set.Labels, (c+1+rng.IntN(source.Classes-1))%source.Classes)
	}
	if f.ReplaceOriginals {
		p.Removed = slices.Sorted(slices.Values(idx))
	}
	return p, nil
}

// Noise adds images of independent uniform pixels under random labels.
type Noise struct {
	Budget Budget
	Seed   uint64 // of the images and their labels
}

// Name returns "noise".
func (Noise) Name() string { return "noise" }

// Build draws the images. Their distances are 0, as they are made of no image; True
// is their label.
func (f Noise) Build(source, target *dataset.Set) (*Poison, error) {
	n, err := f.Budget.count(source, target, false)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(f.Seed, 0x4015e))
	p := &Poison{Set: empty(source, f.Name()), Linf: make([]float64, n), L2: make([]float64, n)}
	p.Set.Floats = make([]float32, n*source.H*source.W*source.C)
	for i := range p.Set.Floats {
		p.Set.Floats[i] = rng.Float32()
	}
	for range n {
		p.Set.Labels = append(p.Set.Labels, rng.IntN(source.Classes))
	}
	p.True = slices.Clone(p.Set.Labels)
	return p, nil
}

// count is countOf for sets that are fit to be poisoned.
func (b Budget) count(source, target *dataset.Set, replace bool) (int, error) {
	if err := check(source, target); err != nil {
		return 0, err
	}
	return b.countOf(source.Len(), target.Len(), replace)
}

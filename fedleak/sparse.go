package fedleak

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Sparse uploads only the entries of largest modulus of each tensor, and 0 for the
// others (Aji and Heafield, EMNLP 2017, without their memory of what was left out).
type Sparse struct {
	// Keep is the share of entries that are uploaded, in (0, 1]; at least one is.
	Keep float64
}

var _ Defense = Sparse{}

// Name implements Defense.
func (d Sparse) Name() string { return "sparsification" }

// Check implements Defense.
func (d Sparse) Check() error {
	if !(d.Keep > 0 && d.Keep <= 1) {
		return fmt.Errorf("fedleak: Sparse: Keep is %v, want in (0, 1]", d.Keep)
	}
	return nil
}

// Apply implements Defense.
func (d Sparse) Apply(_ Upload, gradients []*tensor.Tensor) error {
	for _, g := range gradients {
		v := g.Values()
		if len(v) == 0 {
			continue
		}
		order := make([]int, len(v))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(v[b]), math.Abs(v[a])) })
		kept := max(1, int(d.Keep*float64(len(v))))
		drop := make([]bool, len(v))
		for _, i := range order[kept:] {
			drop[i] = true
		}
		each(g, func(i int, v float64) float64 {
			if drop[i] {
				return 0
			}
			return v
		})
	}
	return nil
}

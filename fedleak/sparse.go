package fedleak

import (
	"fmt"

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

// Apply implements Defense. A gradient that is not finite stays as it is, for the server
// to refuse.
func (d Sparse) Apply(_ Upload, g *tensor.Tensor) {
	if g.Len() == 0 || !tensor.AllFinite(g) {
		return
	}
	ranked := descending(tensor.Abs(g))
	drop := make([]bool, len(ranked))
	for _, e := range ranked[max(1, int(d.Keep*float64(len(ranked)))):] {
		drop[e.at] = true
	}
	each(g, func(i int, v float64) float64 {
		if drop[i] {
			return 0
		}
		return v
	})
}

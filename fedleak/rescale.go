package fedleak

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Rescale undoes what a defence such as FakeGradients does to the scale of features,
// by one factor for each party. It is not for noise, which leaves the scale as it is but
// widens what is estimated, so that features would be made too small.
type Rescale struct {
	// Public holds slices of other samples of the kind, one tensor [n, H, W, C] per
	// party, n at least 1: features are scaled to their median norm. Nil uses only the range of
	// the data, for parties whose first layer is dense: the 98.5 % quantile of the
	// estimates of pixels is put at 1.
	Public []*tensor.Tensor
}

// check says what is wrong with the public slices for a model.
func (r *Rescale) check(m *Model) error {
	if r == nil || r.Public == nil {
		return nil
	}
	if len(r.Public) != len(m.Inputs) {
		return fmt.Errorf("fedleak: Rescale: public slices of %d parties, want %d", len(r.Public), len(m.Inputs))
	}
	for p, x := range r.Public {
		in := m.Inputs[p]
		if x == nil || x.Rank() != 4 || x.Dim(0) < 1 || !slices.Equal(x.Shape()[1:], in[:]) {
			var shape []int
			if x != nil {
				shape = x.Shape()
			}
			return fmt.Errorf("fedleak: Rescale: public slices of party %d are %v, want [n %d %d %d] with n at least 1", p, shape, in[0], in[1], in[2])
		}
		if !tensor.AllFinite(x) {
			return fmt.Errorf("fedleak: Rescale: public slices of party %d hold a NaN or infinite value, want finite ones", p)
		}
	}
	return nil
}

// brightest is the quantile that a range prior puts at 1.
const brightest = 0.985

// rescale applies the factor to features that are not yet bounded.
func (w *work) rescale(p int, f *features) error {
	l := w.layers[p]
	var want, got float64
	n, d1 := f.h.Dims()
	if pub := w.Rescale.Public; pub != nil {
		var known, found []float64
		h := toDense(tensor.Flatten(l.before.Forward(&nn.Pass{}, pub[p].To(w.m.dtype()))))
		for i := range pub[p].Dim(0) {
			known = append(known, mat.Norm(h.RowView(i), 2))
		}
		for i := range n {
			if f.determined[i] {
				found = append(found, mat.Norm(f.h.RowView(i), 2))
			}
		}
		if len(found) == 0 {
			return nil
		}
		want, got = median(known), median(found)
	} else {
		if !passesThrough(l.before, w.m.dtype(), w.m.Inputs[p]) {
			return fmt.Errorf("fedleak: Rescale: party %d has layers before its first dense one, and there are no public slices", p)
		}
		var found []float64
		for i := range n {
			if f.determined[i] {
				found = append(found, f.h.RawRowView(i)...)
			}
		}
		if len(found) == 0 {
			return nil
		}
		slices.Sort(found)
		want, got = 1, found[int(brightest*float64(len(found)-1))]
	}
	if !(got > 0) || d1 == 0 {
		return nil
	}
	f.h.Scale(want/got, f.h)
	return nil
}

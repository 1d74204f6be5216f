package fedleak

import (
	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Truth returns what Steps I and II look for at a party, to measure attacks by: the
// gradient of each sample's loss over k at the output of the first dense layer, v
// [N, d2], and the inputs of that layer, h [N, d1]. No attack sees it.
func (f *Federation) Truth(party, k int) (v, h *mat.Dense, err error) {
	l, err := f.Model.firstDense(party)
	if err != nil {
		return nil, nil, err
	}
	n := len(f.Labels)
	v = mat.NewDense(n, l.dense.Bias.Len(), nil)
	h = mat.NewDense(n, l.dense.Weight.Dim(0), nil)
	for i := range n {
		row := f.mean([]int{i}, nil, []Ref{l.bias})[0].Values()
		for j := range row {
			row[j] /= float64(k)
		}
		v.SetRow(i, row)
		h.SetRow(i, l.before.Forward(&nn.Pass{}, tensor.Slice(f.X[party], 0, i, i+1)).Values())
	}
	return v, h, nil
}

package advcl

import (
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// diagonals take anchors out of the comparison with themselves. They are made once for
// each number of anchors: batches of a training have one or two sizes.
type diagonals map[diagonalForm]*tensor.Tensor

type diagonalForm struct {
	dtype tensor.DType
	n     int
}

// of returns what is added to the similarities of n anchors: 0 for two of them, and the
// logarithm of 0 where an anchor meets itself. A nil map keeps nothing.
func (d diagonals) of(dtype tensor.DType, n int) *tensor.Tensor {
	form := diagonalForm{dtype, n}
	if kept := d[form]; kept != nil {
		return kept
	}
	out := tensor.Zeros(dtype, n, n)
	for a := range n {
		out.Set(math.Inf(-1), a, a)
	}
	if d != nil {
		d[form] = out
	}
	return out
}

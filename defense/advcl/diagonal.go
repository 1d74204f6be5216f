package advcl

import (
	"math"
	"sync"

	"github.com/redoubt-ml/redoubt/tensor"
)

// diagonal takes anchors out of the comparison with themselves.
type diagonal struct {
	own  *tensor.Tensor // [n, n], 1 where an anchor meets itself
	none *tensor.Tensor // [n, n], the logarithm of 0
}

// diagonals keeps those of the sizes used last, so that a training step makes none:
// a method alternates between at most a few.
var diagonals struct {
	sync.Mutex
	kept []diagonal
}

func diagonalOf(dtype tensor.DType, n int) diagonal {
	const most = 4
	diagonals.Lock()
	defer diagonals.Unlock()
	for _, d := range diagonals.kept {
		if d.own.Dim(0) == n && d.own.DType() == dtype {
			return d
		}
	}
	d := diagonal{tensor.Zeros(dtype, n, n), tensor.Full(dtype, math.Inf(-1), n, n)}
	for a := range n {
		d.own.Set(1, a, a)
	}
	if len(diagonals.kept) == most {
		diagonals.kept = append(diagonals.kept[:0], diagonals.kept[1:]...)
	}
	diagonals.kept = append(diagonals.kept, d)
	return d
}

package attack

import (
	"math"

	"github.com/redoubt-ml/redoubt/internal/quickselect"
)

// The steps of APGD under L1: Croce and Hein, ICML 2021, section 3.

// startSparse begins a stage of n steps: the first ones change as many coordinates as
// the start does, but where the ball itself is all there is a fifth of them.
func (t *apgd[T]) startSparse(n int) {
	t.step = t.threat.Eps
	t.every = max(1, int(0.04*float64(n)))
	t.sparsity, t.nonzero = 0.2, float64(len(t.x0))
	if len(t.stages) > 1 {
		t.nonzero = t.changed(t.x)
		t.sparsity = t.nonzero / float64(len(t.x0)) / 1.5
	}
}

// sparseCheckpoint makes steps long again where fewer coordinates than before do, and
// shorter otherwise.
func (t *apgd[T]) sparseCheckpoint() {
	now := t.changed(t.best)
	fewer := now/t.nonzero < 0.95
	t.sparsity = now / float64(len(t.x0)) / 1.5
	if fewer {
		t.step = t.threat.Eps
		t.goToBest()
	} else {
		t.step /= 1.5
	}
	t.step = min(t.threat.Eps, max(t.threat.Eps/10, t.step))
	t.nonzero = now
}

// changed is the number of coordinates in which x differs from the input.
func (t *apgd[T]) changed(x []T) float64 {
	n := 0.0
	for i, v := range x {
		if v != t.x0[i] {
			n++
		}
	}
	return n
}

// sparseMove adds a step of L1 length step along the signs of the largest
// coordinates of the gradient.
func (t *apgd[T]) sparseMove() {
	copy(t.old, t.x)
	d := len(t.g)
	mag := make([]float64, d)
	for i, v := range t.g {
		mag[i] = math.Abs(float64(v))
	}
	least := quickselect.Kth(append([]float64(nil), mag...), min(d-1, max(0, int((1-t.sparsity)*float64(d)))))
	n := 0
	for _, v := range mag {
		if v >= least && v > 0 {
			n++
		}
	}
	s := t.step / (float64(n) + 1e-10)
	for i, v := range mag {
		if v >= least && v > 0 {
			t.x[i] += T(math.Copysign(s, float64(t.g[i])))
		}
	}
	t.project(t.x)
}

package weightpert

import (
	"math"
	"math/rand/v2"
)

// ball is the budget of a change of one layer's weights in the Frobenius norm.
type ball struct {
	layer int
	eps   float64
}

// place puts the weights at their own values, or at a random point of the ball around
// them.
func (b *ball) place(at, val []float64, rng *rand.Rand) {
	copy(at, val)
	if rng == nil || len(at) == 0 {
		return
	}
	d := make([]float64, len(at))
	for k := range d {
		d[k] = rng.NormFloat64()
	}
	scale := b.eps * math.Pow(rng.Float64(), 1/float64(len(d))) / norm(d, 2)
	for k := range at {
		at[k] += d[k] * scale
	}
	b.project(at, val)
}

// descend goes by step radii against the gradient, which is the product of delta, one
// value for each row, and the inputs in.
func (b *ball) descend(w *Matrix, val, delta, in []float64, step float64) {
	grad := make([]float64, len(val))
	for r, g := range delta {
		from, to := w.span(r)
		for k := from; k < to; k++ {
			grad[k] = g * in[w.column(k, from)]
		}
	}
	size := norm(grad, 2)
	if size == 0 {
		return
	}
	for k, g := range grad {
		w.Val[k] -= g / size * step * b.eps
	}
	b.project(w.Val, val)
}

// project pulls weights back into the ball. The rounding of the weights themselves can
// leave the result just outside; then it goes in further, and in the end back to val.
func (b *ball) project(at, val []float64) {
	d := make([]float64, len(at))
	for margin := 2 * gamma(len(d)); margin < 1; margin *= 10 {
		for k := range d {
			d[k] = at[k] - val[k]
		}
		size := normAbove(d, 2)
		if size <= b.eps {
			return
		}
		for k := range at {
			at[k] = val[k] + d[k]*(b.eps/size*(1-margin))
		}
	}
	copy(at, val)
}

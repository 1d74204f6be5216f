package tensor

import (
	"math"
	"math/rand/v2"
)

// Normal returns a tensor of independent draws from a normal distribution.
func Normal(rng *rand.Rand, dtype DType, mean, stddev float64, dims ...int) *Tensor {
	return drawn(dtype, "Normal", dims, func() float64 { return mean + stddev*rng.NormFloat64() })
}

// Uniform returns a tensor of independent draws from the uniform distribution on
// [lo, hi). What would round to hi is the number before it.
func Uniform(rng *rand.Rand, dtype DType, lo, hi float64, dims ...int) *Tensor {
	most := before(dtype, hi)
	if most < lo {
		most = max(lo, hi)
	}
	return drawn(dtype, "Uniform", dims, func() float64 { return min(lo+(hi-lo)*rng.Float64(), most) })
}

// before is the largest number of the type below v.
func before(dtype DType, v float64) float64 {
	if dtype == Float64 {
		return math.Nextafter(v, math.Inf(-1))
	}
	f := float32(v)
	if float64(f) >= v {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return float64(f)
}

// Bernoulli returns a tensor of independent draws that are 1 with probability p
// and 0 otherwise.
func Bernoulli(rng *rand.Rand, dtype DType, p float64, dims ...int) *Tensor {
	return drawn(dtype, "Bernoulli", dims, func() float64 {
		if rng.Float64() < p {
			return 1
		}
		return 0
	})
}

func drawn(dtype DType, op string, dims []int, draw func() float64) *Tensor {
	x := newHeap(dtype, makeShape(op, dims))
	for i := range x.f32 {
		x.f32[i] = float32(draw())
	}
	for i := range x.f64 {
		x.f64[i] = draw()
	}
	return x
}

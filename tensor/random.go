package tensor

import "math/rand/v2"

// Normal returns a tensor of independent draws from a normal distribution.
func Normal(rng *rand.Rand, dtype DType, mean, stddev float64, dims ...int) *Tensor {
	return drawn(dtype, "Normal", dims, func() float64 { return mean + stddev*rng.NormFloat64() })
}

// Uniform returns a tensor of independent draws from the uniform distribution on
// [lo, hi).
func Uniform(rng *rand.Rand, dtype DType, lo, hi float64, dims ...int) *Tensor {
	return drawn(dtype, "Uniform", dims, func() float64 { return lo + (hi-lo)*rng.Float64() })
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

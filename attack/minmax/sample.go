package minmax

import (
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
)

// inBall fills v with a point drawn uniformly from a ball; for L0 it puts values
// that are uniform in [-1, 1] at places chosen uniformly.
func inBall(b Ball, rng *rand.Rand, v []float64) {
	size := 0.0
	switch b.Norm {
	case attack.Linf:
		for i := range v {
			v[i] = b.Eps * (2*rng.Float64() - 1)
		}
		return
	case attack.L0:
		clear(v)
		for _, i := range rng.Perm(len(v))[:int(min(b.Eps, float64(len(v))))] {
			v[i] = 2*rng.Float64() - 1
		}
		return
	case attack.L2:
		for i := range v {
			v[i] = rng.NormFloat64()
			size += v[i] * v[i]
		}
		size = math.Sqrt(size) / math.Pow(rng.Float64(), 1/float64(len(v)))
	case attack.L1:
		size = rng.ExpFloat64() // the share of the ball's inside
		for i := range v {
			v[i] = rng.ExpFloat64()
			size += v[i]
			if rng.IntN(2) == 0 {
				v[i] = -v[i]
			}
		}
	}
	for i := range v {
		v[i] *= b.Eps / size
	}
}

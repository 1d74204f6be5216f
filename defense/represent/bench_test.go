package represent

import (
	"testing"

	"github.com/redoubt-ml/redoubt/tensor"
)

// BenchmarkTSNEIteration reports the time of one iteration on 2,000 inputs.
func BenchmarkTSNEIteration(b *testing.B) {
	x := tensor.Normal(rng(1), tensor.Float64, 0, 1, 2000, 30)
	m := &layout{n: 2000, p: affinities(x, 30), y: make([]float64, 4000), grad: make([]float64, 4000), z: make([]float64, 2000)}
	for i := range m.y {
		m.y[i] = rng(uint64(i)).NormFloat64()
	}
	for b.Loop() {
		m.gradient(1)
	}
}

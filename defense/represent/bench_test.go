package represent

import "testing"

// BenchmarkTSNEIteration reports the time of one iteration on 2,000 inputs.
func BenchmarkTSNEIteration(b *testing.B) {
	m := newTestLayout(2000)
	for b.Loop() {
		m.gradient(1)
	}
}

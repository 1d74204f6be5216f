package corrupt

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkTypes reports the time for an image of 32x32x3 at the strongest severity.
func BenchmarkTypes(b *testing.B) {
	for _, typ := range Types() {
		b.Run(typ.String(), func(b *testing.B) {
			img, r := flat(32, 32, 0.3, 0.5, 0.7), rand.New(rand.NewPCG(1, 1))
			for b.Loop() {
				Corruption{Type: typ, Severity: MaxSeverity}.Augment(r, img)
			}
		})
	}
}

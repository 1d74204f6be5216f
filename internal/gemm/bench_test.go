package gemm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redoubt-ml/redoubt/internal/kernel"
)

// peak measures the multiply-add rate of one core, in GFLOP/s.
func peak() float64 {
	best := 0.0
	for range 5 {
		start := time.Now()
		flops := 20000 * kernel.PeakLoop(20000)
		best = max(best, float64(flops)/time.Since(start).Seconds()/1e9)
	}
	return best
}

func BenchmarkGemm(b *testing.B) {
	top := peak()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range []struct {
		ta, tb  bool
		m, n, k int
	}{
		{false, false, 64, 64, 64}, {false, false, 256, 256, 256}, {false, false, 512, 512, 512}, {false, false, 1024, 1024, 1024},
		{false, true, 512, 512, 512}, {true, false, 512, 512, 512},
		{false, false, 128, 256, 784}, {true, false, 784, 256, 128}, {false, true, 128, 784, 256},
		{false, false, 128, 10, 256}, {false, false, 128, 576, 1024}, {true, false, 576, 1024, 128}, {false, false, 64, 800, 12544}, {true, false, 64, 576, 12544},
	} {
		x, y, z := random[float32](rng, s.m*s.k), random[float32](rng, s.k*s.n), make([]float32, s.m*s.n)
		lda, ldb := s.k, s.n
		if s.ta {
			lda = s.m
		}
		if s.tb {
			ldb = s.k
		}
		form := map[bool]string{false: "N", true: "T"}
		b.Run(fmt.Sprintf("%s%s_%dx%dx%d", form[s.ta], form[s.tb], s.m, s.n, s.k), func(b *testing.B) {
			for b.Loop() {
				Gemm(s.ta, s.tb, s.m, s.n, s.k, x, lda, y, ldb, z, s.n, Epilogue[float32]{})
			}
			rate := 2 * float64(s.m*s.n*s.k) * float64(b.N) / b.Elapsed().Seconds() / 1e9
			b.ReportMetric(rate, "GFLOP/s")
			if top > 0 {
				b.ReportMetric(rate/top, "of-peak")
			}
		})
	}
}

package conv

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

func BenchmarkConv(b *testing.B) {
	top := peak()
	rng := rand.New(rand.NewPCG(1, 1))
	square := func(n, size, c, k, r, stride, pad int) Geometry {
		return Geometry{N: n, H: size, W: size, C: c, K: k, R: r, S: r, StrideH: stride, StrideW: stride, PadT: pad, PadL: pad, PadB: pad, PadR: pad}
	}
	for _, g := range []Geometry{
		square(128, 28, 1, 16, 4, 2, 1), square(128, 14, 16, 32, 4, 2, 1),
		square(128, 28, 1, 32, 5, 1, 2), square(128, 14, 32, 64, 5, 1, 2),
		square(32, 32, 3, 64, 3, 1, 1),
		square(16, 32, 64, 64, 3, 1, 1), square(16, 16, 128, 128, 3, 1, 1),
		square(16, 8, 256, 256, 3, 1, 1), square(32, 4, 512, 512, 3, 1, 1),
		square(16, 32, 64, 128, 3, 2, 1), square(16, 8, 256, 512, 3, 2, 1), square(16, 32, 64, 128, 1, 2, 0),
	} {
		if err := g.Complete(); err != nil {
			b.Fatal(err)
		}
		x, w := random[float32](rng, g.N*g.H*g.W*g.C), random[float32](rng, g.R*g.S*g.C*g.K)
		y := random[float32](rng, g.N*g.OH*g.OW*g.K)
		dx, dw, out := make([]float32, len(x)), make([]float32, len(w)), make([]float32, len(y))
		for _, pass := range []struct {
			name string
			run  func()
		}{
			{"F", func() { Forward(out, x, w, g, nil, false) }},
			{"BD", func() { BackwardData(dx, y, w, g) }},
			{"BW", func() { BackwardFilter(dw, x, y, g) }},
		} {
			b.Run(fmt.Sprintf("%dx%dx%d_%dx%ds%d_%d/%s", g.N, g.H, g.C, g.R, g.S, g.StrideH, g.K, pass.name), func(b *testing.B) {
				for b.Loop() {
					pass.run()
				}
				rate := 2 * float64(len(y)*g.R*g.S*g.C) * float64(b.N) / b.Elapsed().Seconds() / 1e9
				b.ReportMetric(rate, "GFLOP/s")
				if top > 0 {
					b.ReportMetric(rate/top, "of-peak")
				}
			})
		}
	}
}

package conv

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// poolOver returns a random pooling of the maps of g.
func poolOver(rng *rand.Rand, g Geometry) kernel.Window {
	w := kernel.Window{H: g.OH, W: g.OW, C: g.K, KH: 1 + rng.IntN(min(3, g.OH)), KW: 1 + rng.IntN(min(3, g.OW)), SH: 1 + rng.IntN(3), SW: 1 + rng.IntN(3)}
	w.PT, w.PL = rng.IntN(w.KH), rng.IntN(w.KW)
	w.OH, w.OW = (w.H+w.PT-w.KH)/w.SH+1, (w.W+w.PL-w.KW)/w.SW+1
	return w
}

func testPooled[T kernel.Float](t *testing.T, rng *rand.Rand, g Geometry, tolerance float64) {
	p := poolOver(rng, g)
	maps, size := g.OH*g.OW*g.K, p.OH*p.OW*p.C
	x, w, bias := random[T](rng, g.N*g.H*g.W*g.C), random[T](rng, g.R*g.S*g.C*g.K), random[T](rng, g.K)
	relu := rng.IntN(2) == 0
	full, want, wantIdx := make([]T, g.N*maps), make([]T, g.N*size), make([]int32, g.N*size)
	Forward(full, x, w, g, bias, relu)
	for n := range g.N {
		kernel.MaxPool(want[n*size:(n+1)*size], wantIdx[n*size:(n+1)*size], full[n*maps:(n+1)*maps], p)
	}
	y, idx := make([]T, len(want)), make([]int32, len(want))
	ForwardMaxPool(y, idx, x, w, g, bias, relu, p)
	for i := range y {
		scale := tolerance * (1 + math.Sqrt(float64(g.R*g.S*g.C)))
		require.InDelta(t, want[i], y[i], scale, "%+v pooled by %+v, value %d", g, p, i)
		require.InDelta(t, want[i], full[i/size*maps+int(idx[i])], scale, "%+v pooled by %+v, index %d is %d, want %d", g, p, i, idx[i], wantIdx[i])
	}
}

func TestPooledConvolutionsMatchTwoSteps(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 1))
		for range 60 {
			testPooled[float32](t, rng, randomGeometry(rng), 1e-5)
		}
		for _, g := range networkShapes {
			require.NoError(t, g.Complete())
			testPooled[float32](t, rng, g, 1e-5)
		}
	})
	rng := rand.New(rand.NewPCG(11, 2))
	for range 30 {
		testPooled[float64](t, rng, randomGeometry(rng), 1e-13)
	}
}

func TestPooledConvolutionsOfNothing(t *testing.T) {
	g := Geometry{H: 4, W: 4, C: 2, K: 3, R: 3, S: 3, StrideH: 1, StrideW: 1}
	require.NoError(t, g.Complete())
	p := kernel.Window{H: 2, W: 2, C: 3, KH: 2, KW: 2, SH: 2, SW: 2, OH: 1, OW: 1}
	ForwardMaxPool(nil, nil, nil, make([]float32, 54), g, nil, false, p)
	require.Panics(t, func() {
		ForwardMaxPool(make([]float32, 3), nil, nil, make([]float32, 54), g, nil, false, p)
	})
}

func TestPooledConvolutionsKeepBitsAndAllocateNothing(t *testing.T) {
	old := par.Threads()
	defer par.SetThreads(old)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, g := range networkShapes {
		g.N += 20
		require.NoError(t, g.Complete())
		p := poolOver(rng, g)
		x, w := random[float32](rng, g.N*g.H*g.W*g.C), random[float32](rng, g.R*g.S*g.C*g.K)
		run := func(threads int) []float32 {
			par.SetThreads(threads)
			y, idx := make([]float32, g.N*p.OH*p.OW*p.C), make([]int32, g.N*p.OH*p.OW*p.C)
			step := func() { ForwardMaxPool(y, idx, x, w, g, nil, true, p) }
			for range 20 {
				step()
			}
			require.Less(t, testing.AllocsPerRun(10, step), 1.0, "%d threads, %+v", threads, g)
			return y
		}
		require.Equal(t, run(1), run(2), "%+v", g)
	}
}

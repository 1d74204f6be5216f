package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-ml/redoubt/internal/cpu"
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// visit calls f with the offsets in y, x and w of every product that makes up
// the convolution.
func visit(g Geometry, f func(y, x, w int)) {
	for n := range g.N {
		for oh := range g.OH {
			for ow := range g.OW {
				for k := range g.K {
					for r := range g.R {
						for s := range g.S {
							for c := range g.C {
								h, q := oh*g.StrideH-g.PadT+r, ow*g.StrideW-g.PadL+s
								if h < 0 || h >= g.H || q < 0 || q >= g.W {
									continue
								}
								f(((n*g.OH+oh)*g.OW+ow)*g.K+k, ((n*g.H+h)*g.W+q)*g.C+c, ((r*g.S+s)*g.C+c)*g.K+k)
							}
						}
					}
				}
			}
		}
	}
}

func random[T kernel.Float](rng *rand.Rand, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = T(rng.NormFloat64())
	}
	return s
}

// near checks got against the exact sums, with a tolerance in units of the
// rounding error of the largest sum of magnitudes.
func near[T kernel.Float](t *testing.T, what string, g Geometry, want, size []float64, got []T) {
	t.Helper()
	eps := 1e-6
	if _, ok := any(got).([]float64); ok {
		eps = 1e-14
	}
	for i := range want {
		if d := math.Abs(want[i] - float64(got[i])); !(d <= eps*(1+size[i])) {
			t.Fatalf("%s of %+v: element %d is %v, want %v", what, g, i, got[i], want[i])
		}
	}
}

func testGeometry[T kernel.Float](t *testing.T, rng *rand.Rand, g Geometry) {
	require.NoError(t, g.Complete())
	nx, nw, ny := g.N*g.H*g.W*g.C, g.R*g.S*g.C*g.K, g.N*g.OH*g.OW*g.K
	x, w, dy, bias := random[T](rng, nx), random[T](rng, nw), random[T](rng, ny), random[T](rng, g.K)
	type sums struct{ value, size []float64 }
	make2 := func(n int) sums { return sums{make([]float64, n), make([]float64, n)} }
	y, dx, dw := make2(ny), make2(nx), make2(nw)
	add := func(s sums, i int, v float64) { s.value[i] += v; s.size[i] += math.Abs(v) }
	visit(g, func(iy, ix, iw int) {
		add(y, iy, float64(x[ix])*float64(w[iw]))
		add(dx, ix, float64(dy[iy])*float64(w[iw]))
		add(dw, iw, float64(dy[iy])*float64(x[ix]))
	})
	nan := T(math.NaN())
	out := make([]T, max(nx, nw, ny)+1)
	for _, relu := range []bool{false, true} {
		for _, b := range [][]T{nil, bias} {
			want := make([]float64, ny)
			for i := range want {
				want[i] = y.value[i]
				if b != nil {
					want[i] += float64(b[i%g.K])
				}
				if relu {
					want[i] = max(want[i], 0)
				}
			}
			kernel.Fill(out, nan)
			Forward(out[:ny], x, w, g, b, relu)
			near(t, fmt.Sprintf("Forward (relu %v)", relu), g, want, y.size, out[:ny])
			require.True(t, out[ny] != out[ny], "Forward wrote past its output")
		}
	}
	kernel.Fill(out, nan)
	BackwardData(out[:nx], dy, w, g)
	near(t, "BackwardData", g, dx.value, dx.size, out[:nx])
	require.True(t, out[nx] != out[nx], "BackwardData wrote past its output")
	kernel.Fill(out, nan)
	BackwardFilter(out[:nw], x, dy, g)
	near(t, "BackwardFilter", g, dw.value, dw.size, out[:nw])
	require.True(t, out[nw] != out[nw], "BackwardFilter wrote past its output")
}

func levels(t *testing.T, f func(t *testing.T)) {
	for _, l := range []cpu.Level{cpu.Generic, cpu.NEON, cpu.AVX2, cpu.AVX512} {
		restore := cpu.Force(l)
		if cpu.Active() == l {
			t.Run(l.String(), f)
		}
		restore()
	}
}

func randomGeometry(rng *rand.Rand) Geometry {
	pick := func(v ...int) int { return v[rng.IntN(len(v))] }
	for {
		g := Geometry{
			N: 1 + rng.IntN(5), H: 1 + rng.IntN(12), W: 1 + rng.IntN(18),
			C: pick(1, 2, 3, 4, 5, 8, 15, 16, 17, 33), K: pick(1, 2, 3, 8, 10, 16, 17, 31, 32, 33, 48, 70),
			R: 1 + rng.IntN(5), S: 1 + rng.IntN(5), StrideH: pick(1, 1, 2, 3), StrideW: pick(1, 1, 2, 3),
			PadT: rng.IntN(3), PadL: rng.IntN(3), PadB: rng.IntN(3), PadR: rng.IntN(3),
		}
		if rng.IntN(2) == 0 {
			g.S, g.StrideW = g.R, g.StrideH
		}
		if g.Complete() == nil && g.N*g.OH*g.OW*g.K*g.R*g.S*g.C < 600_000 {
			return g
		}
	}
}

func TestRandomGeometriesMatchTheDefinition(t *testing.T) {
	const seed = 7
	levels(t, func(t *testing.T) {
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 1))
		for range 60 {
			testGeometry[float32](t, rng, randomGeometry(rng))
		}
	})
	rng := rand.New(rand.NewPCG(seed, 2))
	for range 40 {
		testGeometry[float64](t, rng, randomGeometry(rng))
	}
}

// networkShapes are small batches of the layers that this package is tuned for.
var networkShapes = []Geometry{
	{N: 2, H: 28, W: 28, C: 1, K: 16, R: 4, S: 4, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{N: 3, H: 14, W: 14, C: 16, K: 32, R: 4, S: 4, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{N: 2, H: 28, W: 28, C: 1, K: 32, R: 5, S: 5, StrideH: 1, StrideW: 1, PadT: 2, PadL: 2, PadB: 2, PadR: 2},
	{N: 1, H: 14, W: 14, C: 32, K: 64, R: 5, S: 5, StrideH: 1, StrideW: 1, PadT: 2, PadL: 2, PadB: 2, PadR: 2},
	{N: 20, H: 4, W: 4, C: 24, K: 40, R: 3, S: 3, StrideH: 1, StrideW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{N: 3, H: 8, W: 8, C: 32, K: 64, R: 3, S: 3, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{N: 3, H: 8, W: 8, C: 32, K: 64, R: 1, S: 1, StrideH: 2, StrideW: 2},
	{N: 2, H: 16, W: 16, C: 16, K: 32, R: 3, S: 3, StrideH: 1, StrideW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{N: 2, H: 12, W: 12, C: 3, K: 64, R: 3, S: 3, StrideH: 1, StrideW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{N: 17, H: 2, W: 2, C: 20, K: 33, R: 3, S: 3, StrideH: 1, StrideW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{N: 2, H: 6, W: 6, C: 8, K: 8, R: 2, S: 2, StrideH: 3, StrideW: 3},
	{N: 2, H: 9, W: 30, C: 6, K: 5, R: 3, S: 7, StrideH: 1, StrideW: 1, PadT: 3, PadL: 9, PadB: 3, PadR: 9},
}

func TestNetworkShapesMatchTheDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 3))
		for _, g := range networkShapes {
			testGeometry[float32](t, rng, g)
		}
	})
}

func TestEmptyBatch(t *testing.T) {
	g := Geometry{H: 4, W: 4, C: 2, K: 3, R: 3, S: 3, StrideH: 1, StrideW: 1}
	require.NoError(t, g.Complete())
	w := make([]float32, 54)
	Forward(nil, nil, w, g, nil, false)
	BackwardData(nil, nil, w, g)
	w[5] = 1
	BackwardFilter(w, nil, nil, g)
	assert.Equal(t, make([]float32, 54), w, "the gradient of an empty batch is zero")
}

func TestThreadsDoNotChangeBits(t *testing.T) {
	old := par.Threads()
	defer par.SetThreads(old)
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 5))
		for _, g := range networkShapes {
			require.NoError(t, g.Complete())
			g.N += 20
			x, w, dy := random[float32](rng, g.N*g.H*g.W*g.C), random[float32](rng, g.R*g.S*g.C*g.K), random[float32](rng, g.N*g.OH*g.OW*g.K)
			run := func(threads int) (y, dx, dw []float32) {
				par.SetThreads(threads)
				y, dx, dw = make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(w))
				Forward(y, x, w, g, nil, false)
				BackwardData(dx, dy, w, g)
				BackwardFilter(dw, x, dy, g)
				return y, dx, dw
			}
			y1, dx1, dw1 := run(1)
			for _, threads := range []int{2, 16} {
				y, dx, dw := run(threads)
				require.Equal(t, y1, y, "Forward of %+v, %d threads", g, threads)
				require.Equal(t, dx1, dx, "BackwardData of %+v, %d threads", g, threads)
				require.Equal(t, dw1, dw, "BackwardFilter of %+v, %d threads", g, threads)
			}
		}
	})
}

func TestCompleteRejectsImpossibleShapes(t *testing.T) {
	good := Geometry{N: 1, H: 5, W: 5, C: 1, K: 1, R: 3, S: 3, StrideH: 1, StrideW: 1}
	for what, spoil := range map[string]func(*Geometry){
		"stride":    func(g *Geometry) { g.StrideW = 0 },
		"pad":       func(g *Geometry) { g.PadT = -1 },
		"channels":  func(g *Geometry) { g.C = 0 },
		"filter":    func(g *Geometry) { g.R = 6 },
		"batch":     func(g *Geometry) { g.N = -1 },
		"wide":      func(g *Geometry) { g.S = 9; g.PadL = 3 },
		"no filter": func(g *Geometry) { g.K = 0 },
	} {
		g := good
		spoil(&g)
		assert.ErrorContains(t, g.Complete(), "conv: ", what)
	}
	require.NoError(t, good.Complete())
	assert.Panics(t, func() { Forward(make([]float32, 8), make([]float32, 25), make([]float32, 9), good, nil, false) })
}

func TestRepeatedConvolutionsAllocateNothing(t *testing.T) {
	old := par.Threads()
	defer par.SetThreads(old)
	for _, threads := range []int{1, 2} {
		par.SetThreads(threads)
		for _, g := range networkShapes {
			require.NoError(t, g.Complete())
			x, w, y := make([]float32, g.N*g.H*g.W*g.C), make([]float32, g.R*g.S*g.C*g.K), make([]float32, g.N*g.OH*g.OW*g.K)
			step := func() {
				Forward(y, x, w, g, nil, true)
				BackwardData(x, y, w, g)
				BackwardFilter(w, x, y, g)
			}
			for range 20 {
				step()
			}
			assert.Less(t, testing.AllocsPerRun(10, step), 1.0, "%d threads, %+v", threads, g)
		}
	}
}

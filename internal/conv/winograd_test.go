package conv

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/stretchr/testify/require"
)

// passes runs the three passes of g on the given operands.
func passes[T float32 | float64](g Geometry, x, w, dy []T, bias []T, relu bool) [3][]T {
	out := [3][]T{make([]T, g.N*g.OH*g.OW*g.K), make([]T, len(x)), make([]T, len(w))}
	Forward(out[0], x, w, g, bias, relu)
	BackwardData(out[1], dy, w, g)
	BackwardFilter(out[2], x, dy, g)
	return out
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, u := range v {
		out[i] = float64(u)
	}
	return out
}

// distance is the root mean square of a - b over that of b.
func distance(a []float32, b []float64) float64 {
	var d, s float64
	for i, v := range b {
		d += (float64(a[i]) - v) * (float64(a[i]) - v)
		s += v * v
	}
	return math.Sqrt(d / s)
}

func winogradGeometries(t *testing.T) (all []Geometry) {
	for _, g := range []Geometry{
		{N: 4, H: 8, W: 8, C: 64, K: 96, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		{N: 2, H: 11, W: 14, C: 64, K: 64, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		{N: 3, H: 13, W: 10, C: 96, K: 64},
		{N: 4, H: 9, W: 8, C: 64, K: 64, PadT: 2, PadL: 0, PadB: 1, PadR: 2},
		{N: 4, H: 8, W: 9, C: 288, K: 64, PadT: 0, PadL: 2, PadB: 2, PadR: 3},
		{N: 17, H: 4, W: 4, C: 96, K: 32, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		{N: 3, H: 16, W: 7, C: 32, K: 32, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		{N: 16, H: 3, W: 3, C: 64, K: 64, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		{N: 8, H: 2, W: 8, C: 32, K: 64, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		{N: 4, H: 14, W: 13, C: 32, K: 64, R: 5, PadT: 2, PadL: 2, PadB: 2, PadR: 2},
		{N: 3, H: 9, W: 8, C: 64, K: 32, R: 5, PadT: 4, PadL: 0, PadB: 1, PadR: 3},
		{N: 2, H: 11, W: 12, C: 96, K: 96, R: 5},
		// The filter's gradient in two parts of two blocks, and in two shared blocks.
		{N: 33, H: 16, W: 16, C: 32, K: 32, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		{N: 17, H: 16, W: 16, C: 96, K: 96, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
		// Lines of more squares than a block has.
		{N: 1, H: 4, W: 640, C: 32, K: 32, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	} {
		if g.R == 0 {
			g.R = 3
		}
		g.S, g.StrideH, g.StrideW, g.Winograd = g.R, 1, 1, true
		require.NoError(t, g.Complete())
		require.True(t, g.winograd(), "%+v", g)
		require.GreaterOrEqual(t, g.N*winogradForms[g.R].squares(g.OH, g.OW), winogradFew, "%+v", g)
		all = append(all, g)
	}
	return all
}

// Windows of flat ground give equal results in the forward pass of networks that pool
// them, whatever its place, so that the first of them wins.
func TestFlatGroundStaysFlat(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(45, 45))
		for _, g := range []Geometry{
			{N: 2, H: 14, W: 14, C: 32, K: 64, R: 5, S: 5, StrideH: 1, StrideW: 1, Winograd: true},
			{N: 2, H: 14, W: 14, C: 32, K: 64, R: 3, S: 3, StrideH: 1, StrideW: 1, Winograd: true},
		} {
			require.NoError(t, g.Complete())
			x, w := make([]float32, g.N*g.H*g.W*g.C), random[float32](rng, g.R*g.S*g.C*g.K)
			for i := range x {
				x[i] = 0.3
			}
			y := make([]float32, g.N*g.OH*g.OW*g.K)
			Forward(y, x, w, g, nil, false)
			for i := g.K; i < len(y); i += g.K {
				require.Equal(t, y[:g.K], y[i:i+g.K])
			}
		}
	})
}

// Winograd's rounding errors are four to thirteen times those of the direct passes.
func TestWinogradIsTheConvolution(t *testing.T) {
	type operands struct {
		g              Geometry
		x, w, dy, bias []float32
		want           [3][]float64
		plain          [3]float64 // errors of the direct passes
	}
	var all []operands
	rng := rand.New(rand.NewPCG(41, 41))
	for _, g := range winogradGeometries(t) {
		o := operands{g: g,
			x: random[float32](rng, g.N*g.H*g.W*g.C), w: random[float32](rng, g.R*g.S*g.C*g.K),
			dy: random[float32](rng, g.N*g.OH*g.OW*g.K), bias: random[float32](rng, g.K)}
		o.want = passes(g, wide(o.x), wide(o.w), wide(o.dy), wide(o.bias), g.C == g.K)
		g.Winograd = false
		for i, d := range passes(g, o.x, o.w, o.dy, o.bias, g.C == g.K) {
			o.plain[i] = distance(d, o.want[i])
		}
		all = append(all, o)
	}
	levels(t, func(t *testing.T) {
		for _, o := range all {
			for i, got := range passes(o.g, o.x, o.w, o.dy, o.bias, o.g.C == o.g.K) {
				e := distance(got, o.want[i])
				require.Less(t, e, min(16*o.plain[i], 1e-5), "pass %d of %+v", i, o.g)
				t.Logf("pass %d of %+v: error %.2g, direct %.2g", i, o.g, e, o.plain[i])
			}
		}
	})
}

// Many squares of few channels, whose parts have products of their own; blocks that
// threads share; few squares of many channels, whose panels they share; and maps that end
// within a square.
func TestWinogradThreadsDoNotChangeBits(t *testing.T) {
	defer par.SetThreads(0)
	levels(t, func(t *testing.T) {
		for _, g := range []Geometry{
			{N: 33, H: 16, W: 16, C: 32, K: 32, R: 3, S: 3},
			{N: 5, H: 16, W: 16, C: 96, K: 96, R: 3, S: 3},
			{N: 5, H: 7, W: 6, C: 96, K: 256, R: 3, S: 3},
			{N: 11, H: 14, W: 14, C: 32, K: 32, R: 5, S: 5},
		} {
			rng := rand.New(rand.NewPCG(42, 42))
			pad := g.R / 2
			g.StrideH, g.StrideW, g.PadT, g.PadL, g.PadB, g.PadR, g.Winograd = 1, 1, pad, pad, pad, pad, true
			require.NoError(t, g.Complete())
			require.True(t, g.winograd())
			x, w, dy := random[float32](rng, g.N*g.H*g.W*g.C), random[float32](rng, g.R*g.S*g.C*g.K), random[float32](rng, g.N*g.OH*g.OW*g.K)
			bias := random[float32](rng, g.K)
			par.SetThreads(1)
			want := passes(g, x, w, dy, bias, true)
			for _, n := range []int{2, 5, 16} {
				par.SetThreads(n)
				require.Equal(t, want, passes(g, x, w, dy, bias, true), "%d threads, %+v", n, g)
			}
		}
	})
}

func TestWinogradPropagatesNaN(t *testing.T) {
	g := winogradGeometries(t)[0]
	rng := rand.New(rand.NewPCG(43, 43))
	x, w, dy := random[float32](rng, g.N*g.H*g.W*g.C), random[float32](rng, 9*g.C*g.K), random[float32](rng, g.N*g.OH*g.OW*g.K)
	x[(3*g.W+3)*g.C] = float32(math.NaN())
	y := passes(g, x, w, dy, nil, false)
	// Output pixel (3, 3) of the first image sees the damaged one.
	require.True(t, math.IsNaN(float64(y[0][(3*g.OW+3)*g.K])))
	require.True(t, math.IsNaN(float64(y[2][0])))
}

// Squares that mostly lie outside the map and too few channels run directly, and so does
// the gradient of filters for few images, while results of images do not depend on how
// many there are.
func TestWinogradRunsWhereItGains(t *testing.T) {
	square := func(n, size, c, k int) Geometry {
		g := Geometry{N: n, H: size, W: size, C: c, K: k, R: 3, S: 3, StrideH: 1, StrideW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 1, Winograd: true}
		require.NoError(t, g.Complete())
		return g
	}
	for _, g := range []Geometry{square(1, 5, 64, 64), square(1, 2, 64, 64), square(8, 16, 16, 32), square(8, 16, 32, 48)} {
		require.False(t, g.winograd(), "%+v", g)
	}
	rng := rand.New(rand.NewPCG(44, 44))
	many := square(20, 4, 64, 64)
	x, w, dy := random[float32](rng, many.N*16*many.C), random[float32](rng, 9*many.C*many.K), random[float32](rng, many.N*16*many.K)
	all := passes(many, x, w, dy, nil, false)
	one := square(1, 4, 64, 64)
	got := passes(one, x[:16*one.C], w, dy[:16*one.K], nil, false)
	require.Equal(t, all[0][:16*one.K], got[0])
	require.Equal(t, all[1][:16*one.C], got[1])
	direct := one
	direct.Winograd = false
	require.Equal(t, passes(direct, x[:16*one.C], w, dy[:16*one.K], nil, false)[2], got[2])
}

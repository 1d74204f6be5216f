package minmax_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	. "github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Worked out by hand: mu is 0.2, 9, -0.0667, -6, 0.0275 and 0.
func TestSimplexGoldens(t *testing.T) {
	for _, c := range []struct{ in, want []float64 }{
		{[]float64{0.5, 0.2, -0.1, 0.9}, []float64{0.3, 0, 0, 0.7}},
		{[]float64{10, 0, 0}, []float64{1, 0, 0}},
		{[]float64{0.3, 0.3, 0.2}, []float64{0.366666666667, 0.366666666667, 0.266666666667}},
		{[]float64{-5, -6, -7.5}, []float64{1, 0, 0}},
		{[]float64{0.61, 0.2, 0.1, 0.2}, []float64{0.5825, 0.1725, 0.0725, 0.1725}},
		{[]float64{0.25, 0.25, 0.25, 0.25}, []float64{0.25, 0.25, 0.25, 0.25}},
		{[]float64{-3}, []float64{1}},
	} {
		got := slices.Clone(c.in)
		ProjectSimplex(got)
		require.InDeltaSlice(t, c.want, got, 1e-9)
	}
}

func TestSimplexProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		b := make([]float64, 1+r.IntN(12))
		for i := range b {
			b[i] = r.NormFloat64() * math.Exp(4*r.NormFloat64())
		}
		w := slices.Clone(b)
		ProjectSimplex(w)
		sum := 0.0
		for i, v := range w {
			require.GreaterOrEqual(t, v, 0.0)
			sum += v
			for j := range w {
				if b[i] >= b[j] {
					require.GreaterOrEqual(t, v, w[j], "the order is kept")
				}
			}
		}
		require.InDelta(t, 1, sum, 1e-12)
		again, moved := slices.Clone(w), slices.Clone(b)
		ProjectSimplex(again)
		require.InDeltaSlice(t, w, again, 1e-12)
		for i := range moved {
			moved[i] += 1e6
		}
		ProjectSimplex(moved)
		require.InDeltaSlice(t, w, moved, 1e-8, "a common shift changes nothing")
		// The nearest point: every other point of the simplex is seen at an obtuse
		// angle.
		z := make([]float64, len(b))
		for i := range z {
			z[i] = r.ExpFloat64()
		}
		total := 0.0
		for _, v := range z {
			total += v
		}
		angle := 0.0
		for i := range z {
			angle += (b[i] - w[i]) * (z[i]/total - w[i])
		}
		require.LessOrEqual(t, angle, 1e-9*(1+slices.Max(b)-slices.Min(b)))
	}
}

var (
	goldenX0 = []float64{0.1, 0.9, 0.5, 0, 1, 0.3}
	goldenA  = []float64{0.6, 0.4, -0.7, -0.3, -0.25, 0.05}
)

func goldenBox() (lo, hi []float64) {
	for _, v := range goldenX0 {
		lo, hi = append(lo, -v), append(hi, 1-v)
	}
	return lo, hi
}

// Worked out independently; lambda is 0.2167, 0.4, 0.9526 and 3.1473 where there is
// one.
func TestProjectionGoldens(t *testing.T) {
	lo, hi := goldenBox()
	for _, c := range []struct {
		norm attack.Norm
		eps  float64
		want []float64
	}{
		{attack.Linf, 0.2, []float64{0.2, 0.1, -0.2, 0, -0.2, 0.05}},
		{attack.L1, 1, []float64{0.383333333333, 0.1, -0.483333333333, 0, -0.033333333333, 0}},
		{attack.L1, 0.5, []float64{0.2, 0, -0.3, 0, 0, 0}},
		{attack.L1, 2, []float64{0.6, 0.1, -0.5, 0, -0.25, 0.05}},
		{attack.L2, 0.5, []float64{0.307288511839, 0.1, -0.358503263812, 0, -0.128036879933, 0.025607375987}},
		{attack.L2, 0.25, []float64{0.144672846651, 0.096448564434, -0.16878498776, 0, -0.060280352771, 0.012056070554}},
		{attack.L2, 2, []float64{0.6, 0.1, -0.5, 0, -0.25, 0.05}},
		{attack.L0, 1, []float64{0, 0, -0.5, 0, 0, 0}},
		{attack.L0, 2, []float64{0.6, 0, -0.5, 0, 0, 0}},
		{attack.L0, 3, []float64{0.6, 0.1, -0.5, 0, 0, 0}},
	} {
		got := slices.Clone(goldenA)
		Ball{Norm: c.norm, Eps: c.eps}.Project(got, lo, hi)
		require.InDeltaSlice(t, c.want, got, 1e-9, "%v %v", c.norm, c.eps)
	}
	// The nearest point under L2 0.5; both ways to scale and clip end farther off.
	exact, scaled, clipped := slices.Clone(goldenA), slices.Clone(goldenA), slices.Clone(goldenA)
	Ball{Norm: attack.L2, Eps: 0.5}.Project(exact, lo, hi)
	require.InDelta(t, 0.397770038891, squared(exact, goldenA), 1e-9)
	Ball{Norm: attack.L2, Eps: 0.5, Approximate: true}.Project(scaled, lo, hi)
	require.Greater(t, squared(scaled, goldenA), 0.4436)
	require.LessOrEqual(t, length(attack.L2, scaled), 0.5)
	Ball{Norm: attack.Linf, Eps: 9}.Project(clipped, lo, hi)
	scale := 0.5 / length(attack.L2, clipped)
	for i := range clipped {
		clipped[i] *= scale
	}
	require.InDelta(t, 0.430280987872, squared(clipped, goldenA), 1e-9)
	// What counts under L0 is what a coordinate gains within the box, 0.17 and 0.25
	// here, not its size.
	got := []float64{0.9, -0.5}
	Ball{Norm: attack.L0, Eps: 1}.Project(got, []float64{-1, -0.5}, []float64{0.1, 1})
	require.Equal(t, []float64{0, -0.5}, got)
	ties := []float64{0.5, -0.5, 0.5, 0.5}
	Ball{Norm: attack.L0, Eps: 2}.Project(ties, nil, nil)
	require.Equal(t, []float64{0.5, -0.5, 0, 0}, ties, "exactly eps values, the first of equals")
}

func squared(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += (v - b[i]) * (v - b[i])
	}
	return s
}

func length(n attack.Norm, v []float64) float64 {
	s := 0.0
	for _, e := range v {
		switch n {
		case attack.Linf:
			s = max(s, math.Abs(e))
		case attack.L2:
			s += e * e
		case attack.L1:
			s += math.Abs(e)
		case attack.L0:
			if e != 0 {
				s++
			}
		}
	}
	if n == attack.L2 {
		return math.Sqrt(s)
	}
	return s
}

// task is a random projection, with bounds that are often 0 or met.
func task(r *rand.Rand, n attack.Norm, d int) (ball Ball, a, lo, hi []float64) {
	a, lo, hi = make([]float64, d), make([]float64, d), make([]float64, d)
	for i := range a {
		a[i] = r.NormFloat64()
		if r.IntN(8) == 0 {
			a[i] = math.Round(a[i])
		}
		lo[i], hi[i] = -r.Float64(), r.Float64()
		if r.IntN(6) == 0 {
			lo[i] = 0
		}
		if r.IntN(6) == 0 {
			hi[i] = math.Inf(1)
		}
	}
	eps := length(n, a) * r.Float64()
	if n == attack.L0 {
		eps = float64(r.IntN(d + 1))
	}
	return Ball{Norm: n, Eps: eps}, a, lo, hi
}

var norms = []attack.Norm{attack.Linf, attack.L2, attack.L1, attack.L0}

func TestProjectionProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range norms {
		for range 300 {
			ball, a, lo, hi := task(r, n, 1+r.IntN(200))
			p := slices.Clone(a)
			ball.Project(p, lo, hi)
			require.LessOrEqual(t, length(n, p), ball.Eps*(1+1e-15))
			for i, v := range p {
				require.True(t, v >= lo[i] && v <= hi[i])
			}
			again := slices.Clone(p)
			ball.Project(again, lo, hi)
			require.InDeltaSlice(t, p, again, 1e-12, "idempotent")
			if n == attack.L0 {
				continue
			}
			b := slices.Clone(a)
			for i := range b {
				b[i] += r.NormFloat64()
			}
			q := slices.Clone(b)
			ball.Project(q, lo, hi)
			require.LessOrEqual(t, squared(p, q), squared(a, b)*(1+1e-12), "a projection onto a convex set brings no points apart")
			angle := 0.0
			for i, v := range p {
				angle += (a[i] - v) * (q[i] - v)
			}
			require.LessOrEqual(t, angle, 1e-9, "every other point is at an obtuse angle")
		}
	}
}

// Without bounds the projections are those onto the plain balls.
func TestProjectionWithoutBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 100 {
		ball, a, _, _ := task(r, attack.L2, 1+r.IntN(50))
		p := slices.Clone(a)
		ball.Project(p, nil, nil)
		for i, v := range p {
			require.InDelta(t, a[i]*ball.Eps/length(attack.L2, a), v, 1e-9)
		}
		// The L1 ball is the simplex, scaled, with signs.
		ball.Norm, ball.Eps = attack.L1, length(attack.L1, a)*r.Float64()
		p = slices.Clone(a)
		ball.Project(p, nil, nil)
		w := make([]float64, len(a))
		for i, v := range a {
			w[i] = math.Abs(v) / ball.Eps
		}
		ProjectSimplex(w)
		for i, v := range p {
			require.InDelta(t, math.Copysign(w[i]*ball.Eps, a[i]), v, 1e-9)
		}
		infinite := make([]float64, len(a))
		for i := range infinite {
			infinite[i] = math.Inf(1)
		}
		below := slices.Clone(infinite)
		for i := range below {
			below[i] = math.Inf(-1)
		}
		q := slices.Clone(a)
		ball.Project(q, below, infinite)
		require.Equal(t, p, q)
	}
}

func TestL0ProjectionIsTheBestOfAllSupports(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		d := 1 + r.IntN(10)
		ball, a, lo, hi := task(r, attack.L0, d)
		p := slices.Clone(a)
		ball.Project(p, lo, hi)
		least := math.Inf(1)
		for support := range uint(1) << d {
			if bits.OnesCount(support) > int(ball.Eps) {
				continue
			}
			z := make([]float64, d)
			for i := range z {
				if support>>i&1 == 1 {
					z[i] = min(hi[i], max(lo[i], a[i]))
				}
			}
			least = min(least, squared(a, z))
		}
		require.InDelta(t, least, squared(a, p), 1e-12)
	}
}

func TestNothingIsAllowedAtRadiusZero(t *testing.T) {
	lo, hi := goldenBox()
	for _, n := range norms {
		got := slices.Clone(goldenA)
		Ball{Norm: n}.Project(got, lo, hi)
		require.Equal(t, make([]float64, 6), got, "%v", n)
	}
}

func TestProjectionRefusesWhatIsNoSet(t *testing.T) {
	for _, c := range []struct {
		ball   Ball
		lo, hi []float64
		want   string
	}{
		{Ball{Norm: 4, Eps: 1}, nil, nil, "Norm(4)"},
		{Ball{Eps: -1}, nil, nil, "eps -1"},
		{Ball{Norm: attack.L1, Eps: math.NaN()}, nil, nil, "eps NaN"},
		{Ball{Eps: 1}, []float64{-1}, nil, "1 lower"},
		{Ball{Eps: 1}, []float64{-1, 0.5}, nil, "lower bound 1 is 0.5"},
		{Ball{Eps: 1}, nil, []float64{-0.5, 1}, "upper bound 0 is -0.5"},
	} {
		func() {
			defer func() { require.Contains(t, recover(), c.want) }()
			c.ball.Project([]float64{1, 2}, c.lo, c.hi)
		}()
	}
}

// Over the common box of pixels this is the projection of attack.Threat.
func TestProjectionAgreesWithThreat(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, n := range norms {
		for range 50 {
			d := 1 + r.IntN(80)
			x0 := tensor.Uniform(r, tensor.Float64, 0, 1, 1, d)
			ball, a, lo, hi := task(r, n, d)
			x := x0.Clone()
			for i, v := range x0.Float64s() {
				lo[i], hi[i] = -v, 1-v
				x.Float64s()[i] += a[i]
			}
			ball.Project(a, lo, hi)
			attack.Threat{Norm: n, Eps: ball.Eps}.Project(x, x0)
			for i, v := range x.Float64s() {
				require.InDelta(t, v, x0.Float64s()[i]+a[i], 1e-9, "%v", n)
			}
		}
	}
}

func FuzzProject(f *testing.F) {
	f.Add(uint64(1), 5, 0, 0.5)
	f.Add(uint64(2), 100, 2, 3.0)
	f.Fuzz(func(t *testing.T, seed uint64, d, norm int, scale float64) {
		if d < 1 || d > 300 || norm < 0 || norm > 3 || !(scale > 1e-100 && scale < 1e100) {
			t.Skip()
		}
		n := attack.Norm(norm)
		ball, a, lo, hi := task(rand.New(rand.NewPCG(seed, 0)), n, d)
		for i := range a {
			a[i] *= scale
		}
		if n != attack.L0 {
			ball.Eps *= math.Sqrt(scale)
		}
		p := slices.Clone(a)
		ball.Project(p, lo, hi)
		if !(length(n, p) <= ball.Eps*(1+1e-14)) {
			t.Fatalf("norm %v, want at most %v", length(n, p), ball.Eps)
		}
		for i, v := range p {
			if !(v >= lo[i] && v <= hi[i]) {
				t.Fatalf("value %d is %v, want %v to %v", i, v, lo[i], hi[i])
			}
		}
	})
}

func BenchmarkProject(b *testing.B) {
	r := rand.New(rand.NewPCG(6, 6))
	for _, n := range norms {
		ball, a, lo, hi := task(r, n, 784)
		if ball.Eps = 5; n == attack.L0 {
			ball.Eps = 30
		}
		p := make([]float64, len(a))
		b.Run(n.String(), func(b *testing.B) {
			for range b.N {
				copy(p, a)
				ball.Project(p, lo, hi)
			}
		})
	}
}

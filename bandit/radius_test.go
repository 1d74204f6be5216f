package bandit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContaminatedCount(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 5: 4, 10: 5, 20: 7, 50: 11, 100: 17, 200: 26, 500: 49, 1000: 83, 5000: 321} {
		require.Equal(t, want, Contaminated(n, .05, 10), "n = %d", n)
	}
	for n, want := range map[int]int{10: 4, 50: 12, 100: 20, 1000: 131} {
		require.Equal(t, want, Contaminated(n, .1, 5), "n = %d", n)
	}
	previous := 0
	for n := 1; n < 3000; n++ {
		m := Contaminated(n, .07, 6)
		require.GreaterOrEqual(t, m, previous)
		require.Equal(t, m, contaminatedFrom(previous, n, .07, 6), "a scan from the last value finds the same")
		previous = m
		require.Zero(t, Contaminated(n, 0, 6))
	}
}

func TestGridAndFirstFiniteRadius(t *testing.T) {
	g := &Grid{Eta: 1.1, N0: 10}
	for k, want := range []int{10, 11, 13, 15, 17, 19, 21, 24, 27, 30, 33, 37, 41, 46, 51, 57, 63} {
		require.Equal(t, want, g.Size(k+1))
		require.Equal(t, k+1, g.index(want))
	}
	every := &Grid{Eta: 1, N0: 1}
	for j := 1; j < 50; j++ {
		require.Equal(t, j, every.Size(j))
		require.Equal(t, j, every.index(j))
	}
	first := 1
	for math.IsInf(trimmedRadius(first, Contaminated(first, .05, 10), 10, Oblivious), 1) {
		first++
	}
	require.Equal(t, 11, first)
}

var radii = []struct {
	j, n                       int
	eps                        float64
	m                          int
	tmObl, tmMal, hmObl, hmMal float64
	hg, threshold, med, alt    float64
}{
	{20, 85, 0, 0, .546729, .546729, .526643, .526643, .526643, 0, .751068, math.Inf(1)},
	{20, 85, .02, 11, 1.178713, 1.546326, .691992, .712153, .609190, 1.489375, 1.117495, math.Inf(1)},
	{20, 85, .05, 17, 1.647437, 2.239440, .905230, .968710, .710473, 1.103240, 1.489148, math.Inf(1)},
	{20, 85, .10, 25, 2.704268, 3.681342, 1.347740, 1.525876, .909434, 1.103240, math.Inf(1), math.Inf(1)},
	{40, 596, 0, 0, .217444, .217444, .210255, .210255, .210255, 0, .272997, .673465},
	{40, 596, .02, 34, .424333, .575051, .301032, .340408, .258635, 1.103240, .358491, .705911},
	{40, 596, .05, 61, .595095, .856404, .423481, .519115, .319239, .817215, .441564, .758720},
	{40, 596, .10, 101, .905695, 1.339420, .645020, .844717, .423257, .605345, .583279, .860451},
	{60, 4037, 0, 0, .085920, .085920, .083236, .083236, .083236, 0, .106333, .267219},
	{60, 4037, .02, 133, .196061, .284597, .156873, .205323, .120438, .817215, .150853, .293824},
	{60, 4037, .05, 281, .315331, .490515, .258059, .371562, .168650, .605345, .204859, .336268},
	{60, 4037, .10, 511, .524200, .833363, .437234, .663357, .252873, .332151, .298761, .414936},
}

func TestRadii(t *testing.T) {
	require.InDelta(t, 11.787482, Level(20, 2, 10, .1), 1e-6)
	require.InDelta(t, 12.703773, Level(20, 5, 10, .1), 1e-6)
	require.InDelta(t, 13.984707, Level(60, 2, 10, .1), 1e-6)
	for _, c := range radii {
		obl, mal := setting(10, .1, c.eps, Oblivious, 1.1), setting(10, .1, c.eps, Malicious, 1.1)
		require.Equal(t, c.n, obl.Grid.Size(c.j))
		require.Equal(t, c.m, Contaminated(c.n, c.eps, Level(c.j, 5, 10, .1)))
		check := func(want float64, e Estimator, s Setting) {
			t.Helper()
			got := prepare(t, e, s).Radius(c.j)
			if math.IsInf(want, 1) {
				require.True(t, math.IsInf(got, 1), "%s: %v", e.Name(), got)
				return
			}
			require.InDelta(t, want, got, 1.01e-6, "%s at %d, eps %v, %v", e.Name(), c.j, s.Eps, s.Adversary)
		}
		check(c.tmObl, TrimmedMean{1}, obl)
		check(c.tmMal, TrimmedMean{1}, mal)
		check(c.hmObl, Huber{1}, obl)
		check(c.hmMal, Huber{1}, mal)
		check(c.hg, GaussianHuber{1}, obl)
		check(c.med, Median{1}, obl)
		check(c.alt, AltschulerMedian{1}, obl)
		require.Equal(t, 4*prepare(t, Huber{1}, obl).Radius(c.j), prepare(t, Huber{4}, obl).Radius(c.j))
		if c.eps > 0 {
			threshold, _ := gaussianThreshold(c.n, Level(c.j, 2, 10, .1), c.eps, Oblivious)
			require.InDelta(t, c.threshold, threshold, 1e-6)
		}
	}
}

func TestHuberConstants(t *testing.T) {
	for _, c := range []struct {
		eps  float64
		a    Adversary
		b, r float64
	}{
		{.02, Oblivious, 2.854786266, .064868598}, {.05, Oblivious, 2.581675190, .154974145},
		{.10, Oblivious, 2.409169247, .312875099}, {.05, Malicious, 2.428795865, .282829839},
	} {
		require.InDelta(t, c.b, Huber{1}.Threshold(c.eps, c.a), 1e-8)
		require.InDelta(t, c.r, Huber{1}.Bias(c.eps, c.a), 1e-8)
		require.InDelta(t, 2*c.r, Huber{2}.Bias(c.eps, c.a), 1e-8)
	}
}

// Biases: the table of limits, and the least bias of any method from the mirrored
// two-point laws {0, x} and {0, -x} below each of them.
func TestBiases(t *testing.T) {
	for _, c := range []struct{ eps, low, hmObl, hmMal, tmObl, tmMal, gObl, gMal float64 }{
		{.01, .030902, .034015, .06368, .034150, .063900, .012660, .025069},
		{.02, .057982, .064869, .120305, .065232, .120741, .025581, .050154},
		{.05, .133780, .154974, .282830, .156550, .283315, .066012, .125661},
		{.10, .256932, .312875, .562572, .318729, .559242, .139710, .253347},
		{.20, .524074, .715278, 1.26975, .745656, 1.222940, .318639, .524401},
	} {
		q := c.eps / (1 - c.eps)
		require.InDelta(t, c.low, q*math.Sqrt(2*math.Log((1-q)/q)/(1-2*q)), 1e-6)
		bias := func(a Adversary) float64 {
			b, err := TrimmedMean{1}.Bias(c.eps, a)
			require.NoError(t, err)
			return b
		}
		require.InDelta(t, c.hmObl, Huber{1}.Bias(c.eps, Oblivious), 1e-6)
		require.InDelta(t, c.hmMal, Huber{1}.Bias(c.eps, Malicious), 1e-5)
		require.InDelta(t, c.tmObl, bias(Oblivious), 1e-6)
		require.InDelta(t, c.tmMal, bias(Malicious), 1e-6)
		require.InDelta(t, c.gObl, GaussianBias(1, c.eps, Oblivious), 1e-6)
		require.InDelta(t, c.gMal, GaussianBias(1, c.eps, Malicious), 1e-6)
		require.Less(t, c.low, Huber{1}.Bias(c.eps, Oblivious))
	}
	require.Zero(t, Huber{1}.Bias(0, Oblivious))
	require.False(t, math.IsNaN(Huber{1}.Bias(5e-324, Oblivious)))
}

func TestRadiiAreMonotone(t *testing.T) {
	families := []Estimator{TrimmedMean{1}, Huber{1}, Median{1}, SignMedian{1}}
	for _, e := range families {
		for _, a := range []Adversary{Oblivious, Malicious} {
			f := prepare(t, e, setting(10, .1, .05, a, 1.1))
			step := 1
			if e == (TrimmedMean{1}) || e == (Median{1}) {
				step = 5 // m moves in whole numbers
			}
			for j := 20; j < 55; j++ {
				require.LessOrEqual(t, f.Radius(j+step), f.Radius(j), "%s %v %d", e.Name(), a, j)
			}
			r := f.Radius(40)
			require.Less(t, r, prepare(t, e, setting(10, .1, .06, a, 1.1)).Radius(40))
			require.Less(t, r, prepare(t, e, setting(20, .1, .05, a, 1.1)).Radius(40))
			require.Less(t, r, prepare(t, e, setting(10, .05, .05, a, 1.1)).Radius(40))
		}
	}
	// r tends to b: within .02 of it at a million.
	f := prepare(t, Huber{1}, setting(10, .1, .05, Oblivious, 1.1))
	g := &Grid{Eta: 1.1, N0: 10}
	j := g.index(1000000)
	r := moment(subGaussianMoment).chernoffRadius(g.Size(j), Level(j, 2, 10, .1), Huber{1}.Threshold(.05, Oblivious), .05, Oblivious)
	require.Less(t, r-Huber{1}.Bias(.05, Oblivious), .02)
	require.Greater(t, r, Huber{1}.Bias(.05, Oblivious))
	lo, hi := f.Spread(3)
	require.InDelta(t, Huber{1}.Bias(.05, Oblivious), (hi-lo)/2, 1e-12)
	// At one threshold the malicious radius is the larger.
	for _, n := range []int{100, 1000, 10000} {
		obl := moment(subGaussianMoment).chernoffRadius(n, 10, 2.6, .05, Oblivious)
		require.GreaterOrEqual(t, moment(subGaussianMoment).chernoffRadius(n, 10, 2.6, .05, Malicious), obl)
	}
}

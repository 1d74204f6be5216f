package bandit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The numbers in this file without a derivation beside them come from an
// independent program for the same formulas.

func setting(arms int, delta, eps float64, a Adversary, eta float64) Setting {
	n0 := 10
	if eta == 1 {
		n0 = 1
	}
	return Setting{Arms: arms, Delta: delta, Eps: eps, Adversary: a, Grid: &Grid{Eta: eta, N0: n0}}
}

func prepare(t testing.TB, e Estimator, s Setting) Family {
	t.Helper()
	f, err := e.Prepare(s)
	require.NoError(t, err)
	return f
}

func trimmed(x []float64, k int) float64 {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	sum := 0.0
	for _, v := range sorted[k : len(sorted)-k] {
		sum += v
	}
	return sum / float64(len(x)-2*k)
}

func TestPointEstimates(t *testing.T) {
	x := []float64{3, -1, 4, 1, -5, 9, 2, -6, 5, 3, 100, -200}
	slices.Sort(x)
	for k, want := range []float64{-7.083333333333333, 1.5, 1.5, 2} {
		f := &trimmedFamily{sigma: 1}
		f.rows.row = func(int, trimmedRow) trimmedRow { return trimmedRow{m: k, r: 1} }
		s := f.NewSample()
		require.NoError(t, s.Add(x))
		require.InDelta(t, want, s.Interval(1).Est, 1e-12)
	}
	require.Equal(t, 2.5, medianOf(x))
	for b, want := range map[float64]float64{1: 2.3333333333, math.Sqrt(2 * math.Log(19)): 2.1146597911, 10: 1.5, 1e9: -7.0833333333} {
		require.InDelta(t, want, huberRoot(x, b), 1e-9)
	}
	require.InDelta(t, -7.083333333333333, huberRoot(x, math.Inf(1)), 1e-12)
}

// huberRoot against plain bisection of the definition, on samples with ties,
// outliers, infinities and flat stretches.
func TestHuberRootAgainstBisection(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for trial := range 3000 {
		n := 1 + rng.IntN(40)
		b := math.Exp(2 * rng.NormFloat64())
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
			switch rng.IntN(12) {
			case 0:
				x[i] = math.Round(x[i])
			case 1:
				x[i] *= 1e300
			case 2:
				x[i] = math.Inf(rng.IntN(2)*2 - 1)
			}
		}
		slices.Sort(x)
		if math.Abs(medianOf(x)) > 1e6 {
			continue // most of the sample is outliers
		}
		force := func(at float64) float64 {
			sum := 0.0
			for _, v := range x {
				sum += max(-b, min(v-at, b))
			}
			return sum
		}
		root := huberRoot(x, b)
		slack := 1e-9 * (1 + math.Abs(root))
		require.GreaterOrEqual(t, force(root-slack), -1e-9, "trial %d", trial)
		require.LessOrEqual(t, force(root+slack), 1e-9, "trial %d", trial)
	}
}

// Without contamination the robust means are the sample mean, bit for bit.
func TestCleanMeansAreSampleMeans(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	s := setting(10, .1, 0, Oblivious, 1.1)
	x := make([]float64, s.Grid.Size(30))
	sum := 0.0
	for i := range x {
		x[i] = rng.NormFloat64()
		sum += x[i]
	}
	for _, e := range []Estimator{TrimmedMean{1}, Huber{1}, GaussianHuber{1}, Mean{1}} {
		f := prepare(t, e, s)
		sample := f.NewSample()
		require.NoError(t, sample.Add(x))
		require.Equal(t, sum/float64(len(x)), sample.Interval(30).Est, e.Name())
		events := 2
		if e == (TrimmedMean{1}) {
			events = 5
		}
		require.Equal(t, math.Sqrt(2*Level(30, events, 10, .1)/float64(len(x))), f.Radius(30), e.Name())
	}
}

// Whatever m of n values an adversary replaces, the trimmed mean stays between the
// means of clean values with 2 m dropped at one end (malicious), with equality for
// outliers at infinity; the clipped mean moves by at most 4 m B/n.
func TestBreakdown(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 500 {
		n := 20 + rng.IntN(60)
		m := 1 + rng.IntN(n/6)
		clean := make([]float64, n)
		for i := range clean {
			clean[i] = rng.NormFloat64()
		}
		dirty := slices.Clone(clean)
		rng.Shuffle(n, func(i, j int) { dirty[i], dirty[j] = dirty[j], dirty[i] })
		for i := range m {
			dirty[i] = math.Copysign(1e300, rng.NormFloat64())
		}
		f := &trimmedFamily{sigma: 1}
		f.rows.row = func(int, trimmedRow) trimmedRow { return trimmedRow{m: m, r: 1} }
		s := f.NewSample()
		for _, v := range dirty { // one at a time: the running sum
			require.NoError(t, s.Add([]float64{v}))
			if s.Len() > 2*m {
				s.Interval(1)
			}
		}
		est := s.Interval(1).Est
		sorted := slices.Clone(clean)
		slices.Sort(sorted)
		mean := func(x []float64) float64 {
			sum := 0.0
			for _, v := range x {
				sum += v
			}
			return sum / float64(len(x))
		}
		low, high := mean(sorted[:n-2*m]), mean(sorted[2*m:])
		require.GreaterOrEqual(t, est, low-1e-9)
		require.LessOrEqual(t, est, high+1e-9)

		const b = 2.5
		slices.Sort(dirty)
		before, after := huberRoot(sorted, b), huberRoot(dirty, b)
		unclipped := func(x []float64, at float64) int {
			k := 0
			for _, v := range x {
				if math.Abs(v-at) < b {
					k++
				}
			}
			return k
		}
		if 2*unclipped(sorted, before) >= n && 2*unclipped(dirty, after) >= n {
			require.LessOrEqual(t, math.Abs(after-before), 4*float64(m)*b/float64(n)+1e-9)
		}
		if up := math.Abs(mean(dirty)); up > 0 { // as many up as down cancel
			require.Greater(t, up, 1e297, "the plain mean is carried away")
		}

		// All outliers at +inf: the m lowest untouched values and the outliers go.
		dirty = slices.Clone(clean)
		rng.Shuffle(n, func(i, j int) { dirty[i], dirty[j] = dirty[j], dirty[i] })
		rest := slices.Clone(dirty[m:])
		for i := range m {
			dirty[i] = math.Inf(1)
		}
		slices.Sort(rest)
		require.InDelta(t, mean(rest[m:]), trimmed(dirty, m), 1e-9)
		s = f.NewSample()
		require.NoError(t, s.Add(dirty))
		require.InDelta(t, mean(rest[m:]), s.Interval(1).Est, 1e-9)
	}
}

func TestBoundedKL(t *testing.T) {
	f := prepare(t, BoundedKL{}, setting(10, .1, .05, Oblivious, 1.1)).(*boundedFamily)
	mal := prepare(t, BoundedKL{}, setting(10, .1, .05, Malicious, 1.1)).(*boundedFamily)
	for _, c := range []struct{ p, level, l, u, lo, hi float64 }{
		{.3, .02, .21444826, .39608773, .17310343, .41693445},
		{.5, .01, .42964141, .57035859, .39962253, .60037747},
		{0, .05, 0, .04877058, 0, .05133745},
		{1, .05, .95122942, 1, .94866255, 1},
	} {
		l, u := klLower(c.p, c.level), klUpper(c.p, c.level)
		require.InDelta(t, c.l, l, 1e-8)
		require.InDelta(t, c.u, u, 1e-8)
		lo, hi := f.correct(l, u)
		require.InDelta(t, c.lo, lo, 1e-8)
		require.InDelta(t, c.hi, hi, 1e-8)
		lo, hi = mal.correct(l, u)
		require.InDelta(t, max(0, c.l-.05), lo, 1e-8)
		require.InDelta(t, min(1, c.u+.05), hi, 1e-8)
	}
	s := f.NewSample()
	require.NoError(t, s.Add([]float64{math.Inf(1), -1e300, .5, .5, .5, .5, .5, .5, .5, .5}))
	require.Equal(t, .5, s.Interval(1).Est)
}

// Samples taken one reward at a time and in one batch, saved in between, agree.
func TestSamplesDoNotDependOnBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 9))
	for _, e := range allEstimators {
		f := prepare(t, e, setting(5, .1, epsFor(e), Oblivious, 1))
		x := make([]float64, 300)
		for i := range x {
			if x[i] = rng.NormFloat64(); rng.Float64() < .05 {
				x[i] = 30
			}
		}
		one, all := f.NewSample(), f.NewSample()
		for k, v := range x {
			require.NoError(t, one.Add([]float64{v}))
			one.Interval(k + 1)
			if k == 150 {
				saved, err := one.MarshalBinary()
				require.NoError(t, err)
				one = f.NewSample()
				require.NoError(t, one.UnmarshalBinary(saved))
			}
		}
		require.NoError(t, all.Add(x))
		require.Equal(t, len(x), one.Len())
		a, b := one.Interval(len(x)), all.Interval(len(x))
		require.InDelta(t, a.Est, b.Est, 1e-9, e.Name())
		require.InDelta(t, a.Lo, b.Lo, 1e-9, e.Name())
		require.InDelta(t, a.CoreHi, b.CoreHi, 1e-9, e.Name())
	}
}

// epsFor is a contamination that an estimator takes.
func epsFor(e Estimator) float64 {
	switch e.(type) {
	case Mean, MedianOfMeans, Catoni:
		return 0
	}
	return .05
}

var allEstimators = []Estimator{Mean{1}, TrimmedMean{1}, Huber{1}, GaussianHuber{1}, Median{1}, SignMedian{1}, AltschulerMedian{1}, SymmetricMedian{}, BoundedKL{}, MedianOfMeans{1}, Catoni{1}}

// The estimators that are not robust keep their word on clean heavy-tailed data
// and break under a share of outliers.
func TestHeavyTailedMeans(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 2))
	const n, reps = 2000, 300
	s := setting(2, .1, 0, Oblivious, 1)
	for _, e := range []Estimator{MedianOfMeans{1}, Catoni{1}} {
		f := prepare(t, e, s)
		bad, carried := 0, 0
		for range reps {
			clean, dirty := f.NewSample(), f.NewSample()
			x := make([]float64, n)
			for i := range x {
				// Pareto of index 3, mean and variance made 0 and 1.
				x[i] = (math.Pow(rng.Float64(), -1.0/3) - 1.5) / math.Sqrt(0.75)
			}
			require.NoError(t, clean.Add(x))
			for i := range x {
				if rng.Float64() < .1 {
					x[i] = 1e6
				}
			}
			require.NoError(t, dirty.Add(x))
			if iv := clean.Interval(n); iv.Lo > 0 || iv.Hi < 0 {
				bad++
			}
			if iv := dirty.Interval(n); iv.Lo > 0 || iv.Hi < 0 {
				carried++
			}
		}
		require.LessOrEqual(t, bad, 3, e.Name())
		require.Equal(t, reps, carried, "%s is carried away by a share of outliers", e.Name())
	}
	// Three blocks, of means 2, 200 and 5; seven values in three blocks of 2, 2 and 3.
	require.Equal(t, 5.0, medianOfMeans([]float64{1, 2, 3, 100, 200, 300, 4, 5, 6}, .3, 1))
	require.Equal(t, 6.0, medianOfMeans([]float64{1, 3, 50, 60, 5, 6, 7}, .3, 1))
	x := []float64{-1, 0, 4, 5}
	root := catoniRoot(x, 1, 2)
	alpha := math.Sqrt(2/(4*(1+2/(4-2.0)))) / 2
	sum := 0.0
	for _, v := range x {
		sum += catoniPsi(alpha * (v - root))
	}
	require.InDelta(t, 0, sum, 1e-12)
	require.InDelta(t, math.Log(1+2+2), catoniPsi(2), 1e-12)
	require.InDelta(t, 2*math.Log(1e150)-math.Ln2, catoniPsi(1e150), 1e-9)
	require.False(t, math.IsInf(catoniPsi(1e300), 0))
}

// With half of the rewards infinite, no estimator says anything.
func TestMostlyInfiniteSaysNothing(t *testing.T) {
	for _, e := range []Estimator{Huber{1}, GaussianHuber{1}, TrimmedMean{1}, Median{1}, SignMedian{1}, SymmetricMedian{}} {
		s := setting(2, .1, .05, Oblivious, 1.1)
		f := prepare(t, e, s)
		for _, sign := range []int{1, -1} {
			for _, share := range []int{2, 3} { // two of three, three of four
				sample := f.NewSample()
				x := make([]float64, s.Grid.Size(60))
				for i := range x {
					if i%(share+1) > 0 {
						x[i] = math.Inf(sign)
					}
				}
				require.NoError(t, sample.Add(x))
				iv := sample.Interval(60)
				require.True(t, math.IsInf(iv.Lo, -1) && math.IsInf(iv.Hi, 1), "%s %+v", e.Name(), iv)
			}
		}
	}
}

// Before an interval says anything the estimate is already that of its estimator, and the
// median only where this is not defined.
func TestEstimatesBeforeTheFirstInterval(t *testing.T) {
	x := []float64{5, 0, .03, .24, .2, .26, .06, 1.5, .1, .4}
	const median = .22
	sorted := slices.Sorted(slices.Values(x))
	_, threshold := gaussianHuberBias(.05, Oblivious)
	for _, c := range []struct {
		e    Estimator
		want float64
	}{
		{Huber{1}, huberRoot(sorted, Huber{1}.Threshold(.05, Oblivious))},
		{GaussianHuber{1}, huberRoot(sorted, threshold)},
		{TrimmedMean{1}, median}, // it would drop all ten
		{MedianOfMeans{1}, median},
		{Catoni{1}, median},
	} {
		f := prepare(t, c.e, setting(2, 1e-9, epsFor(c.e), Oblivious, 1.1))
		s := f.NewSample()
		require.NoError(t, s.Add(x))
		iv := s.Interval(1)
		require.True(t, math.IsInf(iv.Radius, 1), c.e.Name())
		require.Equal(t, c.want, iv.Est, c.e.Name())
	}
	for _, b := range []float64{threshold, Huber{1}.Threshold(.05, Oblivious)} {
		require.Greater(t, math.Abs(huberRoot(sorted, b)-median), .01)
	}
}

package bandit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func logBinomial(n, k int, p float64) float64 {
	return logChoose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
}

// The Chernoff radius against exact probabilities: two-point laws of mean 0, every
// outlier at +B, summed over the numbers of outliers and of high values.
func TestChernoffRadiusByExactSums(t *testing.T) {
	const n = 50
	miss := func(x, p, r, b, eps float64) float64 {
		lowValue, highValue := -x*p, x*(1-p)
		clip := func(v float64) float64 { return max(-b, min(v-r, b)) }
		total := 0.0
		for out := range n + 1 {
			for high := range n - out + 1 {
				sum := float64(out)*b + float64(high)*clip(highValue) + float64(n-out-high)*clip(lowValue)
				if sum >= 0 {
					total += math.Exp(logBinomial(n, out, eps) + logBinomial(n-out, high, p))
				}
			}
		}
		return total
	}
	for _, c := range []struct {
		eps  float64
		r    [3]float64
		miss [3]float64
		loud float64
	}{
		{.05, [3]float64{.409695, .615547, .841916}, [3]float64{5.33e-2, 5.16e-3, 1.16e-4}, 5.5e-3},
		{.10, [3]float64{.627257, .903066, 1.242534}, [3]float64{4.36e-2, 2.14e-3, 2.84e-5}, 3.1e-3},
	} {
		b := Huber{1}.Threshold(c.eps, Oblivious)
		for k, l := range []float64{1, 3, 6} {
			r := moment(subGaussianMoment).chernoffRadius(n, l, b, c.eps, Oblivious)
			require.InDelta(t, c.r[k], r, 1e-6)
			worst, short := 0.0, 0.0
			for _, law := range []struct{ x, p float64 }{{2, .5}, {1.657, .1}, {1.657, .9}} {
				worst = max(worst, miss(law.x, law.p, r, b, c.eps))
				short = max(short, miss(law.x, law.p, 0.7*r, b, c.eps))
			}
			require.LessOrEqual(t, worst, math.Exp(-l))
			require.InEpsilon(t, c.miss[k], worst, 0.02)
			if l == 6 {
				require.InEpsilon(t, c.loud, short, 0.02)
				require.Greater(t, short, math.Exp(-l), "a radius too small is found out")
			}
		}
	}
}

// A malicious adversary who destroys every low value of a two-point law of mean 0
// must break the oblivious radius and not the malicious one.
func TestMaliciousRadiusIsNeeded(t *testing.T) {
	x := make([]float64, 20000)
	for i := range x {
		x[i] = 0.127898375
		if i >= 19000 {
			x[i] = 1e6
		}
	}
	for _, c := range []struct {
		a      Adversary
		est, r float64
	}{{Oblivious, .263776, .193714}, {Malicious, .255730, .315813}} {
		b := Huber{1}.Threshold(.05, c.a)
		require.InDelta(t, c.est, huberRoot(x, b), 1e-6)
		require.InDelta(t, c.r, moment(subGaussianMoment).chernoffRadius(len(x), 10, b, .05, c.a), 1e-6)
	}
}

// A nominal 5 % must not be missed by more than that; it is missed far less often,
// and a radius cut by half is found out.
func TestCoverage(t *testing.T) {
	reps := 1000
	if testing.Short() {
		reps = 300
	}
	rng := rand.New(rand.NewPCG(11, 4))
	draws := map[string]func() float64{
		"Gaussian": rng.NormFloat64,
		"two-point": func() float64 { // mean 0, sub-Gaussian scale 1
			const q = 0.05
			x := math.Sqrt(2 * math.Log((1-q)/q) / (1 - 2*q))
			if rng.Float64() < q {
				return x * (1 - q)
			}
			return -x * q
		},
	}
	halved := 0
	for name, draw := range draws {
		for _, eps := range []float64{.02, .05, .1} {
			for _, n := range []int{60, 200, 1000} {
				l2, l3, l5 := math.Log(2/.05), math.Log(3/.05), math.Log(5/.05)
				type interval struct {
					name string
					est  func([]float64) float64
					r    float64
				}
				b := Huber{1}.Threshold(eps, Oblivious)
				m := Contaminated(n, eps, l5)
				family := []interval{
					{"TM", func(x []float64) float64 { return trimmed(x, m) }, trimmedRadius(n, m, l5, Oblivious)},
					{"HM", func(x []float64) float64 { return huberRoot(x, b) }, moment(subGaussianMoment).chernoffRadius(n, l2, b, eps, Oblivious)},
				}
				if name == "Gaussian" {
					hb, hr := gaussianThreshold(n, l2, eps, Oblivious)
					family = append(family,
						interval{"HG", func(x []float64) float64 { return huberRoot(x, hb) }, hr},
						interval{"MED", medianOf, medianRadius(n, Contaminated(n, eps, l3), l3, Oblivious)})
				}
				misses, half := make([]int, len(family)), make([]int, len(family))
				x := make([]float64, n)
				for range reps {
					for i := range x {
						if x[i] = draw(); rng.Float64() < eps {
							x[i] = 50
						}
					}
					slices.Sort(x)
					for k, f := range family {
						if math.IsInf(f.r, 1) {
							continue
						}
						e := math.Abs(f.est(x))
						if e > f.r {
							misses[k]++
						}
						if e > f.r/2 {
							half[k]++
						}
					}
				}
				for k, f := range family {
					require.LessOrEqual(t, float64(misses[k])/float64(reps), .05, "%s on %s, eps %v, n %d", f.name, name, eps, n)
					if f.name == "HM" && float64(half[k])/float64(reps) > .05 {
						halved++
					}
				}
			}
		}
	}
	require.Greater(t, halved, 8, "a radius cut by half misses too often in most cells")
}

// Population bias when all outliers sit at +inf: a quantile grid of N(0, 1) stands
// for endless data. Each is below its floor.
func TestPopulationBias(t *testing.T) {
	const n = 400000
	for _, c := range []struct{ eps, trim, median, huber, mal float64 }{
		{.02, .050281, .025581, .058514, .089764}, {.05, .113399, .066012, .137259, .194998}, {.10, .213069, .139710, .272400, .349952},
	} {
		out := int(math.Round(c.eps * n))
		x := make([]float64, n)
		for i := range n - out {
			x[i] = normalQuantile((float64(i) + 0.5) / float64(n-out))
		}
		for i := n - out; i < n; i++ {
			x[i] = math.Inf(1)
		}
		require.InDelta(t, c.trim, trimmed(x, out), 2e-4)
		require.InDelta(t, c.median, medianOf(x), 2e-4)
		require.InDelta(t, c.huber, huberRoot(x, Huber{1}.Threshold(c.eps, Oblivious)), 2e-4)
		require.Less(t, c.huber, Huber{1}.Bias(c.eps, Oblivious))
		tm, err := TrimmedMean{1}.Bias(c.eps, Oblivious)
		require.NoError(t, err)
		require.Less(t, c.trim, tm)
		// Malicious: the lowest eps of the clean values are the ones replaced.
		for i := range n {
			x[i] = normalQuantile((float64(i) + 0.5) / n)
		}
		copy(x, x[out:])
		for i := n - out; i < n; i++ {
			x[i] = math.Inf(1)
		}
		require.InDelta(t, c.mal, trimmed(x, out), 2e-4)
		tm, err = TrimmedMean{1}.Bias(c.eps, Malicious)
		require.NoError(t, err)
		require.Less(t, c.mal, tm)
	}
}

// The interval of SymmetricMedian needs no scale and holds for Gaussian and Laplace
// arms under both kinds of adversary.
func TestSymmetricMedianCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	for _, a := range []Adversary{Oblivious, Malicious} {
		s := setting(2, .1, .05, a, 1)
		f := prepare(t, SymmetricMedian{}, s)
		for _, scale := range []float64{1e-3, 1, 1e4} {
			misses, width := 0, 0.0
			const n, reps = 20000, 20
			for range reps {
				x := make([]float64, n)
				for i := range x {
					x[i] = 7 + scale*rng.ExpFloat64()*float64(1-2*rng.IntN(2))
				}
				slices.Sort(x)
				for i := range x {
					if a == Malicious && i < n/20 || a == Oblivious && rng.Float64() < .05 {
						x[i] = 1e9
					}
				}
				sample := f.NewSample()
				require.NoError(t, sample.Add(x))
				iv := sample.Interval(n)
				if iv.Lo > 7 || iv.Hi < 7 {
					misses++
				}
				width += iv.Radius / reps
			}
			require.Zero(t, misses)
			require.Less(t, width, scale/5)
		}
	}
}

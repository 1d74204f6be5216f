package bandit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKLEps(t *testing.T) {
	for _, c := range []struct{ d, eps, kl, c float64 }{
		{1, 1e-4, .49727333, 18.789228}, {1, .01, .41525508, 4.852834}, {1, .02, .36392584, 3.762006},
		{1, .05, .25577028, 2.586819}, {1, .1, .14035626, 1.865169}, {.5, .05, .04595658, 1.460300},
		{2, .1, .66383003, 3.969477}, {.75, .02, .19922088, 2.634349}, {.13, .05, 0, 1}, {.14, .05, 1.840e-5, 1.006152},
	} {
		kl, cut := KLEps(c.d, c.eps)
		require.InDelta(t, c.kl, kl, 1e-8)
		require.InDelta(t, c.c, cut, 1e-6)
		mirrored, _ := KLEps(-c.d, c.eps)
		require.Equal(t, kl, mirrored)
	}
	for _, d := range []float64{.01, .3, 1, 5} {
		kl, cut := KLEps(d, 0)
		require.Equal(t, d*d/2, kl)
		require.True(t, math.IsInf(cut, 1))
		previous := kl
		for eps := .001; eps < .5; eps += .007 {
			kl, _ := KLEps(d, eps)
			require.LessOrEqual(t, kl, previous, "more contamination, less evidence")
			require.Equal(t, d <= 2*GaussianBias(1, eps, Oblivious), kl == 0)
			previous = kl
		}
	}
	require.InDelta(t, 1.757779662, binaryKL(.1, .9), 1e-9)
}

// The likelihood ratio's expectation under the worst contamination of the null is
// 1, by numerical integration, for both kinds of adversary; and the growth under the
// worst contamination of the alternative is KL_eps.
func TestLeastFavourablePair(t *testing.T) {
	integrate := func(f func(x float64) float64) float64 {
		const h = 1e-4
		sum := 0.0
		for x := -9.0; x <= 12; x += h {
			sum += h * f(x)
		}
		return sum
	}
	for _, c := range []struct{ d, eps float64 }{{.5, .05}, {1, .02}, {2, .1}, {.4, .001}} {
		for _, a := range []Adversary{Oblivious, Malicious} {
			lnC := clipLevel(c.d, c.eps, a)
			clip := func(x float64) float64 { return max(-lnC, min(c.d*x-c.d*c.d/2, lnC)) }
			e := integrate(func(x float64) float64 { return normalDensity(x) * math.Exp(clip(x)) })
			if a == Malicious {
				require.InDelta(t, 1, e+c.eps*(math.Exp(lnC)-math.Exp(-lnC)), 1e-6)
				continue
			}
			require.InDelta(t, 1, (1-c.eps)*e+c.eps*math.Exp(lnC), 1e-6)
			kl, _ := KLEps(c.d, c.eps)
			speed := integrate(func(x float64) float64 { return normalDensity(x-c.d) * clip(x) })
			require.InDelta(t, kl, (1-c.eps)*speed-c.eps*lnC, 1e-6)
			require.InDelta(t, kl, growth(component{tilt: c.d, clip: lnC}, c.d, c.eps), 1e-9)
		}
	}
}

// The norm of the sub-Gaussian factor bounds its expectation under two-point laws,
// Gaussians of smaller variance and any shift to a lower mean, with the worst
// outliers. Without the lower clip's term it would not.
func TestSubGaussianNorm(t *testing.T) {
	expectation := func(l, a, x, p, shift, eps float64, malicious bool) float64 {
		g := func(y float64) float64 { return math.Exp(max(-a, min(l*y-l*l/2, a))) }
		e := p*g(x*(1-p)-shift) + (1-p)*g(-x*p-shift)
		if !malicious {
			return (1-eps)*e + eps*math.Exp(a)
		}
		// The malicious choice is at most a move of eps from the least to the most.
		return e + eps*(math.Exp(a)-math.Exp(-a))
	}
	rng := rand.New(rand.NewPCG(4, 4))
	closest := 0.0
	for range 20000 {
		l, a, eps := 2.5*rng.Float64()+.01, 4*rng.Float64()+.01, .3*rng.Float64()
		p := rng.Float64()
		variance := 1.0 / 4 // of a coin of spread 1, as a sub-Gaussian scale
		if p != .5 {
			variance = (1 - 2*p) / (2 * math.Log((1-p)/p)) // Kearns and Saul
		}
		x := 1 / math.Sqrt(variance)
		shift := max(0, rng.NormFloat64())
		for _, adversary := range []Adversary{Oblivious, Malicious} {
			ratio := expectation(l, a, x, p, shift, eps, adversary == Malicious) / math.Exp(subGaussianNorm(l, a, eps, adversary))
			require.LessOrEqual(t, ratio, 1+1e-12)
			closest = max(closest, ratio)
		}
	}
	require.Greater(t, closest, .97, "the bound is not far from tight")
}

func TestLowerBounds(t *testing.T) {
	i1 := []float64{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for eps, want := range map[float64]float64{0: 35.156, .02: 48.300, .05: 68.725} {
		require.InDelta(t, want, LowerBound(i1, 1, eps, .1), 6e-4)
		require.InDelta(t, want, LowerBound([]float64{0, 0, 3, 0, 0, 0, 0, 0, 0, 0}, 3, eps, .1), 6e-4)
	}
	require.InDelta(t, 22.739, LowerBound([]float64{2, 1.25, .5, .25, 0}, 1, .02, .1), 6e-4)
	require.InDelta(t, 13.240, LowerBound([]float64{2, 0, 0, 0, 0}, 1, .10, .1), 6e-4)
	require.True(t, math.IsInf(LowerBound([]float64{.1, 0}, 1, .05, .1), 1))
	require.True(t, math.IsInf(LowerBound([]float64{1, 1}, 1, 0, .1), 1))
}

func TestUpperBoundAndIdentifiability(t *testing.T) {
	i1 := []float64{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, c := range []struct {
		est  Estimator
		mode Mode
		want int
	}{{Huber{1}, Certified, 48860}, {Huber{1}, AssumeIdentifiable, 15540}, {GaussianHuber{1}, Certified, 12830}} {
		d, err := NewDesign(Config{Arms: 10, Delta: .1, Eps: .05, Estimator: c.est, Mode: c.mode})
		require.NoError(t, err)
		got, err := d.UpperBound(i1)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
		require.True(t, d.Identifiable(i1))
		close := []float64{.6, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		require.Equal(t, c.mode == AssumeIdentifiable || c.est == GaussianHuber{1}, d.Identifiable(close))
		_, err = d.UpperBound([]float64{.01, 0})
		require.ErrorContains(t, err, "gap")
	}
	d, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: .05, Estimator: BoundedKL{}})
	require.NoError(t, err)
	_, err = d.UpperBound([]float64{1, 0})
	require.Error(t, err)
}

func TestOptimalWeights(t *testing.T) {
	for _, c := range []struct {
		means []float64
		time  float64
		w     []float64
	}{
		{[]float64{1, 0}, 8, []float64{.5, .5}},
		{[]float64{1, .5, .5}, 46.627417, []float64{.414214, .292893, .292893}},
		{[]float64{1, .75, .5, .25}, 140.903013, []float64{.456935, .451523, .064832, .026709}},
		{[]float64{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 32, []float64{.25, .083333, .083333, .083333, .083333, .083333, .083333, .083333, .083333, .083333}},
		{[]float64{2, 1.25, .5, .25, 0}, 16.493839, nil},
	} {
		w, time := OptimalWeights(c.means, 1)
		require.InDelta(t, c.time, time, 1e-6*c.time)
		if c.w != nil {
			require.InDeltaSlice(t, c.w, w, 1e-6)
		}
		_, scaled := OptimalWeights(c.means, 2)
		require.InDelta(t, 4*time, scaled, 1e-9*time)
	}
	w, time := OptimalWeights([]float64{1, 1}, 1)
	require.True(t, math.IsInf(time, 1))
	require.Equal(t, []float64{.5, .5}, w)
}

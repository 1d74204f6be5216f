package bandit

import (
	"fmt"
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
		require.Panics(t, func() { d.Identifiable(i1[:9]) })
		_, err = d.UpperBound(i1[:9])
		require.ErrorContains(t, err, "means has 9 arms, want 10")
		close := []float64{.6, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		require.Equal(t, c.mode == AssumeIdentifiable || c.est == GaussianHuber{1}, d.Identifiable(close))
		_, err = d.UpperBound([]float64{.01, 0, 0, 0, 0, 0, 0, 0, 0, 0})
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

// With several best arms the bounds go by the gap between the last of them and the
// next, whatever the gaps on either side.
func TestBoundsOfSeveralBestArms(t *testing.T) {
	require.Equal(t, []float64{3, 1, 1, 4}, gaps([]float64{5, 3, 2, -1}, 2))
	require.Equal(t, []float64{2, 2, 3, 6}, gaps([]float64{5, 3, 2, -1}, 1))
	require.Equal(t, []float64{1, 0, 1, 0}, gaps([]float64{2, 1, 0, 1}, 2))
	d, err := NewDesign(Config{Arms: 4, Delta: .1, Eps: .05, Estimator: GaussianHuber{1}, Top: 2})
	require.NoError(t, err)
	require.True(t, d.Identifiable([]float64{2, 2, 0, 0}))
	require.False(t, d.Identifiable([]float64{2, 1, 1, 0}))
	_, err = d.UpperBound([]float64{2, 1, 1, 0})
	require.ErrorContains(t, err, "gap 0")
	upper, err := d.UpperBound([]float64{2, 2, 0, .5})
	require.NoError(t, err)
	n := func(gap float64) int {
		j := 1
		for d.Radius(j) >= gap/4 {
			j++
		}
		return d.Grid().Size(j)
	}
	require.Equal(t, 3*n(1.5)+n(2), upper)
	rng := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		s := d.New()
		for !s.Done() {
			arm, n := s.Next()
			x := make([]float64, n)
			for i := range x {
				if x[i] = []float64{2, 2, 0, .5}[arm] + rng.NormFloat64(); rng.Float64() < .05 {
					x[i] = -1e3
				}
			}
			require.NoError(t, s.Observe(arm, x))
		}
		require.Equal(t, []int{0, 1}, s.Result().Set)
		require.LessOrEqual(t, s.Result().Pulls, upper)
	}
}

func TestSubGaussianBias(t *testing.T) {
	for eps, want := range map[float64]float64{0: 0, .01: .030902, .02: .057982, .05: .133780, .10: .256932, .20: .524074, 1. / 3: 1} {
		require.InDelta(t, want, SubGaussianBias(1, eps), 1e-6)
		require.InDelta(t, 3*want, SubGaussianBias(3, eps), 3e-6)
	}
	previous := 0.0
	for eps := 1e-9; eps < .4999; eps += 1e-3 {
		b := SubGaussianBias(1, eps)
		require.Greater(t, b, previous)
		require.Less(t, b, Huber{1}.Bias(eps, Oblivious))
		require.Greater(t, b, GaussianBias(1, eps, Oblivious))
		previous = b
	}
}

// Arguments that mean nothing are named in a panic.
func TestBadArguments(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	two := []float64{1, 0}
	d, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: .05, Estimator: Huber{1}})
	require.NoError(t, err)
	for _, c := range []struct {
		want string
		call func()
	}{
		{"LowerBound: means has 0 arms", func() { LowerBound(nil, 1, .05, .1) }},
		{"LowerBound: means has 1 arms", func() { LowerBound(two[:1], 1, .05, .1) }},
		{"LowerBound: means[1] is NaN", func() { LowerBound([]float64{0, nan}, 1, .05, .1) }},
		{"LowerBound: means[0] is +Inf", func() { LowerBound([]float64{inf, 0}, 1, .05, .1) }},
		{"LowerBound: sigma is 0", func() { LowerBound(two, 0, .05, .1) }},
		{"LowerBound: sigma is -1", func() { LowerBound(two, -1, .05, .1) }},
		{"LowerBound: sigma is NaN", func() { LowerBound(two, nan, .05, .1) }},
		{"LowerBound: eps is NaN", func() { LowerBound(two, 1, nan, .1) }},
		{"LowerBound: eps is -0.1", func() { LowerBound(two, 1, -.1, .1) }},
		{"LowerBound: eps is 0.5", func() { LowerBound(two, 1, .5, .1) }},
		{"LowerBound: delta is 2", func() { LowerBound(two, 1, .05, 2) }},
		{"LowerBound: delta is 0", func() { LowerBound(two, 1, .05, 0) }},
		{"LowerBound: delta is NaN", func() { LowerBound(two, 1, .05, nan) }},
		{"KLEps: d is NaN", func() { KLEps(nan, .1) }},
		{"KLEps: d is +Inf", func() { KLEps(inf, .1) }},
		{"KLEps: eps is 0.6", func() { KLEps(1, .6) }},
		{"KLEps: eps is NaN", func() { KLEps(1, nan) }},
		{"Huber.Bias: eps is 0.6", func() { Huber{1}.Bias(.6, Oblivious) }},
		{"Huber.Bias: Sigma is 0", func() { Huber{}.Bias(.1, Oblivious) }},
		{"Huber.Threshold: eps is -1", func() { Huber{1}.Threshold(-1, Malicious) }},
		{"Huber.Threshold: Sigma is NaN", func() { Huber{nan}.Threshold(.1, Malicious) }},
		{"GaussianBias: sigma is -1", func() { GaussianBias(-1, .1, Oblivious) }},
		{"GaussianBias: eps is 0.7", func() { GaussianBias(1, .7, Malicious) }},
		{"SubGaussianBias: eps is 0.5", func() { SubGaussianBias(1, .5) }},
		{"SubGaussianBias: sigma is +Inf", func() { SubGaussianBias(inf, .1) }},
		{"Contaminated: n is -1", func() { Contaminated(-1, .1, 1) }},
		{"Contaminated: eps is 1", func() { Contaminated(5, 1, 1) }},
		{"Contaminated: l is NaN", func() { Contaminated(5, .1, nan) }},
		{"Level: j is 0", func() { Level(0, 1, 2, .1) }},
		{"Level: c is 0", func() { Level(1, 0, 2, .1) }},
		{"Level: arms is 0", func() { Level(1, 1, 0, .1) }},
		{"Level: delta is 1", func() { Level(1, 1, 2, 1) }},
		{"Grid.Size: j is -1", func() { d.Grid().Size(-1) }},
		{"Grid.Size: Eta is 0", func() { (&Grid{N0: 1}).Size(1) }},
		{"Grid.Size: N0 is 0", func() { (&Grid{Eta: 1}).Size(1) }},
		{"Design.Radius: j is 0", func() { d.Radius(0) }},
		{"OptimalWeights: means has 1 arms", func() { OptimalWeights(two[:1], 1) }},
		{"OptimalWeights: means[1] is NaN", func() { OptimalWeights([]float64{0, nan}, 1) }},
		{"OptimalWeights: sigma is 0", func() { OptimalWeights(two, 0) }},
		{"Identifiable: means has 3 arms, want 2", func() { d.Identifiable(make([]float64, 3)) }},
		{"Identifiable: means[0] is NaN", func() { d.Identifiable([]float64{nan, 0}) }},
	} {
		func() {
			defer func() { require.Contains(t, fmt.Sprint(recover()), "bandit: "+c.want) }()
			c.call()
		}()
	}
	for _, c := range []struct {
		e     TrimmedMean
		eps   float64
		want  string
		given Adversary
	}{{TrimmedMean{1}, .6, "Eps is 0.6", 0}, {TrimmedMean{1}, nan, "Eps is NaN", 0}, {TrimmedMean{0}, .1, "Sigma is 0", 0}, {TrimmedMean{1}, .3, "less than 1/4", Malicious}} {
		_, err := c.e.Bias(c.eps, c.given)
		require.ErrorContains(t, err, c.want)
	}
	_, err = d.UpperBound([]float64{nan, 0})
	require.ErrorContains(t, err, "means[0] is NaN")
	require.Zero(t, LowerBound(two, 1, .05, .7))
}

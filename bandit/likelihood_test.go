package bandit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// twoPoint draws from the law of mean 0 and sub-Gaussian scale 1 whose rare value
// has probability q.
func twoPoint(rng *rand.Rand, q float64) float64 {
	x := math.Sqrt(2 * math.Log((1-q)/q) / (1 - 2*q))
	if rng.Float64() < q {
		return x * (1 - q)
	}
	return -x * q
}

// Ville's inequality: while the mean is at most m, evidence that it is above m ever
// reaches 1/alpha with probability at most alpha, whatever replaces the rewards. With
// the contamination taken for less than it is, it does so far more often.
func TestEvidenceIsHardToForge(t *testing.T) {
	const alpha, horizon = .1, 250
	reps := 400
	if testing.Short() {
		reps = 100
	}
	rng := rand.New(rand.NewPCG(12, 1))
	for _, c := range []struct {
		name      string
		gaussian  bool
		adversary Adversary
		told      float64
		draw      func() float64
	}{
		{"Gaussian", true, Oblivious, .08, rng.NormFloat64},
		{"Gaussian, chosen", true, Malicious, .08, rng.NormFloat64},
		{"sub-Gaussian", false, Oblivious, .08, func() float64 { return twoPoint(rng, .1) }},
		{"sub-Gaussian, chosen", false, Malicious, .08, func() float64 { return twoPoint(rng, .9) }},
		{"told too little", true, Oblivious, .001, rng.NormFloat64},
	} {
		bias := GaussianBias(1, c.told, c.adversary)
		if !c.gaussian {
			bias = Huber{1}.Bias(c.told, c.adversary)
		}
		mix := mixture(bias, c.told, c.adversary, c.gaussian)
		require.NotEmpty(t, mix)
		crossed := 0
		for range reps {
			var e evidence
			var x ordered
			s := &huberSample{}
			for n := 1; n <= horizon; n++ {
				v := c.draw()
				// The malicious adversary takes the lowest rewards, the other any.
				if c.adversary == Malicious && v < -1.4 || c.adversary != Malicious && rng.Float64() < .08 {
					v = math.Inf(1)
				}
				x.insert(v)
				if n%5 > 0 {
					continue
				}
				s.ordered = x
				e.rebuild(s, 1)
				if e.log(mix, 0, 1) >= math.Log(1/alpha) {
					crossed++
					break
				}
			}
		}
		share := float64(crossed) / float64(reps)
		if c.told < .08 {
			require.Greater(t, share, .5, c.name)
			continue
		}
		require.LessOrEqual(t, share, alpha, c.name)
	}
}

// score by prefix sums and searches against the definition, on samples with
// outliers and infinities, far centres and both sides.
func TestScoreAgainstItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 7))
	for range 300 {
		const sigma = 2
		n := 1 + rng.IntN(60)
		s := &huberSample{}
		for range n {
			v := 5 + sigma*rng.NormFloat64()
			switch rng.IntN(15) {
			case 0:
				v = math.Inf(1 - 2*rng.IntN(2))
			case 1:
				v = 1e9 * rng.NormFloat64()
			}
			s.insert(v)
		}
		var e evidence
		e.rebuild(s, sigma)
		for range 20 {
			c := component{tilt: .1 + rng.Float64(), clip: .1 + 2*rng.Float64(), norm: .1 * rng.Float64()}
			m := 5 + 3*rng.NormFloat64()
			if rng.IntN(5) == 0 {
				m = 1e8 * rng.NormFloat64()
			}
			for _, side := range []float64{1, -1} {
				want := 0.0
				for _, v := range s.x {
					want += max(-c.clip, min(c.tilt*side*(v-m)/sigma-c.tilt*c.tilt/2, c.clip)) - c.norm
				}
				require.InDelta(t, want, e.score(&c, m, side), 1e-6*(1+math.Abs(want)))
			}
		}
	}
	// At eps = 0 from the sum alone.
	mean := &meanSample{}
	require.NoError(t, mean.Add([]float64{1, 4, -2}))
	var e evidence
	e.rebuild(mean, 2)
	c := component{tilt: .7, clip: math.Inf(1)}
	require.InDelta(t, .7*(3-3*.5)/2-3*.7*.7/2, e.score(&c, .5, 1), 1e-12)
	require.InDelta(t, -.7*(3-3*.5)/2-3*.7*.7/2, e.score(&c, .5, -1), 1e-12)
}

// The proof that two monotone functions add up to a threshold everywhere, against
// a fine grid.
func TestProofAgainstAGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 3))
	yes, no := 0, 0
	for range 400 {
		steps := func() (at, height []float64) {
			for range 4 {
				at, height = append(at, 4*rng.Float64()), append(height, 3*rng.Float64())
			}
			slices.Sort(at)
			return at, height
		}
		a, ha := steps()
		b, hb := steps()
		logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-8*x)) }
		floor := math.Log(constantShare)
		above := func(m float64) float64 {
			sum := floor
			for k := range a {
				sum += ha[k] * logistic(a[k]-m)
			}
			return sum + 20*logistic(-1-m)
		}
		below := func(m float64) float64 {
			sum := floor
			for k := range b {
				sum += hb[k] * logistic(m-b[k])
			}
			return sum + 20*logistic(m-5)
		}
		const threshold = 1.5
		least := math.Inf(1)
		for m := -4.0; m < 8; m += 1e-3 {
			least = min(least, above(m)+below(m))
		}
		p := proof{above: above, below: below, threshold: threshold}
		switch holds := p.everywhere(1, 3, 1); {
		case holds:
			yes++
			require.GreaterOrEqual(t, least, threshold-1e-9)
		case least > threshold+.02:
			t.Fatalf("no proof of %v >= %v", least, threshold)
		default:
			no++
			require.Less(t, above(p.failed)+below(p.failed), threshold+.02)
		}
	}
	require.Greater(t, yes, 50)
	require.Greater(t, no, 50)
}

// Every component keeps to the condition of its norm, grows, and grows no slower
// than what a finer grid finds; the evidence lasts to the documented eps and ends in
// an error of NewDesign.
func TestMixtureReachesItsCeiling(t *testing.T) {
	for _, a := range []Adversary{Oblivious, Malicious} {
		for _, eps := range []float64{.001, .05, .1, .2, .24, .26, .28, .31} {
			for _, c := range mixture(Huber{1}.Bias(eps, a), eps, a, false) {
				require.GreaterOrEqual(t, c.clip, c.tilt*c.tilt/2)
			}
			if a == Malicious && eps > .25 {
				continue
			}
			x := 2*Huber{1}.Bias(eps, a) + .5
			l, u := subGaussianTilt(x, eps, a)
			got := growth(component{tilt: l, clip: u, norm: subGaussianNorm(l, u, eps, a)}, x, eps)
			require.Positive(t, got, "%v %v", a, eps)
			for l := .01; l < 2*x+1; l *= 1.07 {
				for u := l * l / 2; u < l*l/2+6*l; u += .05 * l {
					require.LessOrEqual(t, growth(component{tilt: l, clip: u, norm: subGaussianNorm(l, u, eps, a)}, x, eps), got+1e-7)
				}
			}
		}
	}
	for _, c := range []struct {
		a        Adversary
		last, no float64
	}{{Oblivious, .32, .33}, {Prescient, .32, .33}, {Malicious, .26, .27}} {
		cfg := Config{Arms: 2, Delta: .1, Eps: c.last, Adversary: c.a, Estimator: Huber{1}, Rule: Likelihood{}}
		_, err := NewDesign(cfg)
		require.NoError(t, err)
		cfg.Eps = c.no
		_, err = NewDesign(cfg)
		require.ErrorContains(t, err, fmt.Sprintf("Likelihood: Eps is %v with Estimator HM, want at most .32, or .26", c.no))
		cfg.Eps, cfg.Estimator = .45, GaussianHuber{1}
		_, err = NewDesign(cfg)
		require.NoError(t, err)
	}
}

// The product of two independent variables with P(>= x) = 1/x passes the threshold
// as often as promised; the threshold of one process would be passed far more often.
func TestEvidenceThreshold(t *testing.T) {
	require.InDelta(t, math.Log(90), evidenceThreshold(.1/9, Oblivious), 1e-12)
	rng := rand.New(rand.NewPCG(3, 5))
	for _, alpha := range []float64{.9, .1, 1e-3, 1e-12} {
		for _, a := range []Adversary{Prescient, Malicious} {
			l := evidenceThreshold(alpha, a)
			require.InEpsilon(t, alpha, (1+l)*math.Exp(-l), 1e-9)
		}
	}
	const n = 100000
	apart, one := 0, 0
	for range n {
		z := rng.ExpFloat64() + rng.ExpFloat64()
		if z >= evidenceThreshold(.02, Prescient) {
			apart++
		}
		if z >= evidenceThreshold(.02, Oblivious) {
			one++
		}
	}
	require.InDelta(t, .02, float64(apart)/n, 4*math.Sqrt(.02/n))
	require.Greater(t, float64(one)/n, .06)
}

func TestSearchFromAGuess(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 3000 {
		x := make([]float64, rng.IntN(40))
		for i := range x {
			x[i] = float64(rng.IntN(20))
		}
		slices.Sort(x)
		v := float64(rng.IntN(24)-2) + float64(rng.IntN(2))/2
		want, _ := slices.BinarySearch(x, v)
		require.Equal(t, want, searchFrom(x, rng.IntN(50), v), "%v in %v", v, x)
	}
}

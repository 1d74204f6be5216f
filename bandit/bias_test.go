package bandit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bias of every estimator is what its radius tends to: what is left at n = 10^10
// is less than 1 % of it.
func TestBiasIsTheLimitOfTheRadius(t *testing.T) {
	for _, e := range []Estimator{Huber{2}, GaussianHuber{2}, TrimmedMean{2}, Median{2}, SignMedian{2}, AltschulerMedian{2}} {
		for _, a := range []Adversary{Oblivious, Malicious} {
			for _, eps := range []float64{.02, .1, .2, .3, .4, .45} {
				if _, trimmed := e.(TrimmedMean); trimmed && a == Malicious && eps >= .25 {
					continue
				}
				d, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: eps, Adversary: a, Estimator: e, Eta: 4})
				require.NoError(t, err, "%s %v %v", e.Name(), a, eps)
				r := d.Radius(16)
				require.GreaterOrEqual(t, r, d.Bias()*(1-1e-9), "%s %v %v", e.Name(), a, eps)
				require.InEpsilon(t, d.Bias(), r, .01, "%s %v %v", e.Name(), a, eps)
			}
		}
	}
	for _, e := range []Estimator{Mean{2}, MedianOfMeans{2}, Catoni{2}, Huber{2}, GaussianHuber{2}, TrimmedMean{2}, Median{2}, SignMedian{2}, AltschulerMedian{2}} {
		d, err := NewDesign(Config{Arms: 2, Delta: .1, Estimator: e, Eta: 4})
		require.NoError(t, err)
		require.InDelta(t, d.Bias(), d.Radius(16), .01)
	}
	for _, a := range []Adversary{Oblivious, Malicious} {
		for _, eps := range []float64{0, .02, .1, .2, .3, .4, .45} {
			d, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: eps, Adversary: a, Estimator: BoundedKL{}, Eta: 4})
			require.NoError(t, err)
			sample := d.family.NewSample().(*boundedSample)
			sample.n, sample.sum = float64(d.Grid().Size(16)), float64(d.Grid().Size(16))/2
			require.InDelta(t, d.Bias(), sample.Interval(16).Radius, .01*d.Bias()+1e-3)
		}
	}
}

// The limit of GaussianHuber's radius at a few values, and that it is an error where
// there is none.
func TestGaussianHuberBias(t *testing.T) {
	for _, c := range []struct {
		eps      float64
		obl, mal float64
	}{{.05, .0661225, .1260439}, {.2, .3245065, .5564961}, {.4, 1.306153, 2.004298}} {
		obl, _ := gaussianHuberBias(c.eps, Oblivious)
		mal, _ := gaussianHuberBias(c.eps, Malicious)
		require.InDelta(t, c.obl, obl, 1e-5)
		require.InDelta(t, c.mal, mal, 2e-5)
	}
	for eps := .001; eps < .5; eps += .009 {
		for _, a := range []Adversary{Oblivious, Malicious} {
			bias, _ := gaussianHuberBias(eps, a)
			require.GreaterOrEqual(t, bias, GaussianBias(1, eps, a))
			_, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: eps, Adversary: a, Estimator: GaussianHuber{1}})
			if math.IsInf(bias, 1) {
				require.ErrorContains(t, err, "GaussianHuber: Eps")
			} else {
				require.NoError(t, err)
			}
		}
	}
}

// Biases and roots scale with Sigma down to units in which rewards are tiny.
func TestSmallUnits(t *testing.T) {
	x := make([]float64, 1000)
	for i := 550; i < len(x); i++ {
		x[i] = 3
	}
	threshold := Huber{1}.Threshold(.05, Oblivious)
	root := huberRoot(x, threshold)
	for _, unit := range []float64{1e-9, 1e-16, 1e-30, 1e9} {
		for _, e := range []struct{ one, small Estimator }{{Huber{1}, Huber{unit}}, {GaussianHuber{1}, GaussianHuber{unit}},
			{TrimmedMean{1}, TrimmedMean{unit}}, {SignMedian{1}, SignMedian{unit}}} {
			d, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: .05, Estimator: e.one})
			require.NoError(t, err)
			small, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: .05, Estimator: e.small})
			require.NoError(t, err)
			require.InEpsilon(t, d.Bias(), small.Bias()/unit, 1e-12, "%s in units of %v", e.one.Name(), unit)
		}
		scaled := make([]float64, len(x))
		for i := range x {
			scaled[i] = x[i] * unit
		}
		require.InEpsilon(t, root, huberRoot(scaled, threshold*unit)/unit, 1e-12, "units of %v", unit)
	}
}

// Where Huber has no finite radius within 2^40 pulls, that is an error, and below it there
// is one.
func TestHuberNeedsARadius(t *testing.T) {
	for _, c := range []struct {
		a    Adversary
		last float64
	}{{Oblivious, .494}, {Malicious, .490}} {
		d, err := NewDesign(Config{Arms: 2, Delta: .1, Eps: c.last, Adversary: c.a, Estimator: Huber{1}, Eta: 4})
		require.NoError(t, err)
		j := 1
		for d.Grid().Size(j) < 1<<40 {
			j++
		}
		require.False(t, math.IsInf(d.Radius(j), 1), "%v", c.a)
		_, err = NewDesign(Config{Arms: 2, Delta: .1, Eps: c.last + .001, Adversary: c.a, Estimator: Huber{1}})
		require.ErrorContains(t, err, "Huber: Eps is")
	}
}

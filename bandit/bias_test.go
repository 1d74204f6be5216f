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

package bandit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

// outlier evaluates an estimator on 199 rewards around 1 and one of 1,000,000.
func outlier(e bandit.Estimator) bandit.Interval {
	s := bandit.Setting{Arms: 2, Delta: 0.1, Grid: &bandit.Grid{Eta: 2, N0: 200}}
	family, err := e.Prepare(s)
	if err != nil {
		panic(err)
	}
	sample := family.NewSample()
	rewards := make([]float64, 200)
	for i := range rewards {
		rewards[i] = 1 + math.Sin(float64(i))
	}
	rewards[100] = 1e6
	if err := sample.Add(rewards); err != nil {
		panic(err)
	}
	return sample.Interval(1)
}

// An outlier pulls Catoni's estimate by the logarithm of its distance, and the mean by all
// of it.
func ExampleCatoni() {
	fmt.Println(outlier(bandit.Mean{Sigma: 1}).Est > 1000, outlier(bandit.Catoni{Sigma: 1}).Est < 2)
	// Output: true true
}

// One block of rewards is lost to the outlier, the others vote for the mean.
func ExampleMedianOfMeans() {
	fmt.Printf("%.1f\n", outlier(bandit.MedianOfMeans{Sigma: 1}).Est)
	// Output: 1.0
}

// For clean rewards the estimator clips nothing and is the mean. Where a twentieth of the
// rewards is contaminated it clips at 2.6 deviations and keeps a bias of 0.15.
func ExampleHuber() {
	h := bandit.Huber{Sigma: 1}
	fmt.Printf("%.2f %.2f\n", h.Threshold(0, bandit.Oblivious), h.Bias(0, bandit.Oblivious))
	fmt.Printf("%.2f %.2f\n", h.Threshold(0.05, bandit.Oblivious), h.Bias(0.05, bandit.Oblivious))
	// Output:
	// +Inf 0.00
	// 2.58 0.15
}

// For Gaussian rewards the floor of the intervals is less than half of Huber's, and near
// the least that any estimator has.
func ExampleGaussianHuber() {
	d, err := bandit.NewDesign(bandit.Config{Arms: 5, Delta: 0.1, Eps: 0.05, Estimator: bandit.GaussianHuber{Sigma: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f %.3f %.3f\n", d.Bias(), bandit.GaussianBias(1, 0.05, bandit.Oblivious), bandit.Huber{Sigma: 1}.Bias(0.05, bandit.Oblivious))
	// Output: 0.066 0.066 0.155
}

// A malicious adversary can be borne up to a quarter of the rewards.
func ExampleTrimmedMean() {
	t := bandit.TrimmedMean{Sigma: 1}
	b, err := t.Bias(0.1, bandit.Malicious)
	fmt.Printf("%.2f %v\n", b, err)
	_, err = t.Bias(0.3, bandit.Malicious)
	fmt.Println(err)
	// Output:
	// 0.56 <nil>
	// bandit: TrimmedMean: Eps is 0.3, want less than 1/4 against a malicious adversary
}

// The skewed arm has the larger mean and the smaller median: the median answers wrongly,
// however many rewards it sees.
func ExampleMedian() {
	b := env.I4()
	answer := func(e bandit.Estimator) int {
		w, err := env.New(b.Instance, env.None{}, 0, 1)
		if err != nil {
			panic(err)
		}
		res, err := bandit.Run(context.Background(), bandit.Config{Arms: len(b.Arms), Delta: 0.1, Estimator: e}, w.Pull)
		if err != nil {
			panic(err)
		}
		return res.Arm
	}
	fmt.Println("best", b.Best(), "mean", answer(bandit.Mean{Sigma: b.Sigma}), "median", answer(bandit.Median{Sigma: b.Sigma}))
	// Output: best 0 mean 0 median 1
}

// The radius of a sign test is smaller than one that counts the outliers first.
func ExampleSignMedian() {
	sign := search(bandit.Config{Eps: 0.05, Estimator: bandit.SignMedian{Sigma: 1}})
	count := search(bandit.Config{Eps: 0.05, Estimator: bandit.Median{Sigma: 1}})
	fmt.Println(sign.Arm, count.Arm, sign.Pulls < count.Pulls)
	// Output: 1 1 true
}

// Published constants for the median, which take more pulls than those derived here.
func ExampleAltschulerMedian() {
	published := search(bandit.Config{Eps: 0.05, Estimator: bandit.AltschulerMedian{Sigma: 1}})
	here := search(bandit.Config{Eps: 0.05, Estimator: bandit.Median{Sigma: 1}})
	fmt.Println(published.Arm, here.Arm, published.Pulls > 2*here.Pulls)
	// Output: 1 1 true
}

// Votes, a tenth of which come from trolls who vote against the best arm.
func ExampleBoundedKL() {
	votes := env.Instance{Arms: []env.Law{env.Bernoulli{P: 0.3}, env.Bernoulli{P: 0.9}, env.Bernoulli{P: 0.2}}}
	w, err := env.New(votes, env.Replace{Best: 0, Other: 1}, 0.1, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := bandit.Config{Arms: 3, Delta: 0.05, Eps: 0.1, Estimator: bandit.BoundedKL{}}
	res, err := bandit.Run(context.Background(), cfg, w.Pull)
	fmt.Println(res.Outcome, res.Arm, err)
	// Output: identified 1 <nil>
}

// An interval that says nothing yet has no ends in JSON.
func ExampleInterval_MarshalJSON() {
	text, err := json.Marshal(bandit.Interval{
		Est: 0.5, Lo: math.Inf(-1), Hi: math.Inf(1), CoreLo: math.Inf(-1), CoreHi: math.Inf(1), Radius: math.Inf(1), Core: math.Inf(1),
	})
	fmt.Println(string(text), err)
	// Output: {"est":0.5,"lo":null,"hi":null,"core_lo":null,"core_hi":null,"radius":null,"core":null} <nil>
}

// Of 1000 rewards, each contaminated with probability 1/20, more are contaminated with
// probability at most exp(-5).
func ExampleContaminated() {
	fmt.Println(bandit.Contaminated(1000, 0.05, 5))
	// Output: 73
}

// Two Gaussian arms half a deviation apart: what a pull tells of them when none, and when
// a twentieth of the rewards is contaminated. Closer than twice the bias it tells nothing.
func ExampleKLEps() {
	clean, _ := bandit.KLEps(0.5, 0)
	dirty, _ := bandit.KLEps(0.5, 0.05)
	nothing, _ := bandit.KLEps(2*bandit.GaussianBias(1, 0.05, bandit.Oblivious), 0.05)
	fmt.Printf("%.4f %.4f %.4f\n", clean, dirty, nothing)
	// Output: 0.1250 0.0460 0.0000
}

// What no estimator can go below: for Gaussian rewards, and for all sub-Gaussian ones.
func ExampleSubGaussianBias() {
	fmt.Printf("%.3f %.3f\n", bandit.GaussianBias(1, 0.05, bandit.Prescient), bandit.SubGaussianBias(1, 0.05))
	// Output: 0.066 0.134
}

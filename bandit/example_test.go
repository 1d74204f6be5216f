package bandit_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

// Ten arms, of which the third is the best by 1, and an adversary who replaces one
// reward in twenty with a value that speaks against it.
func Example() {
	arms := make([]env.Law, 10)
	for i := range arms {
		arms[i] = env.Gaussian{Mu: 0, Sigma: 1}
	}
	arms[2] = env.Gaussian{Mu: 1, Sigma: 1}
	world, err := env.New(env.Instance{Arms: arms}, env.Shift{Offset: 20}, 0.05, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := bandit.Config{Arms: 10, Delta: 0.1, Eps: 0.05, Estimator: bandit.Huber{Sigma: 1}}
	res, err := bandit.Run(context.Background(), cfg, world.Pull)
	fmt.Println(res.Outcome, res.Arm, err)

	// A rule that trusts its rewards is carried away by the same ones.
	world, _ = env.New(env.Instance{Arms: arms}, env.Shift{Offset: 20}, 0.05, 1)
	naive := bandit.Config{Arms: 10, Delta: 0.1, Rule: bandit.LUCB{Sigma: 1}, MaxPulls: 20000}
	res, err = bandit.Run(context.Background(), naive, world.Pull)
	fmt.Println(res.Arm == 2, err)
	// Output:
	// identified 2 <nil>
	// false <nil>
}

// Rewards come from outside, a batch at a time, and the search is saved in between.
func ExampleSearch() {
	cfg := bandit.Config{Arms: 2, Delta: 0.05, Eps: 0.01, Estimator: bandit.BoundedKL{}}
	votes := &env.Weyl{Means: []float64{0.2, 0.9}}
	search, err := bandit.New(cfg)
	for err == nil && !search.Done() {
		arm, n := search.Next()
		rewards := make([]float64, n)
		if err = votes.Pull(context.Background(), arm, rewards); err != nil {
			break
		}
		if err = search.Observe(arm, rewards); err != nil {
			break
		}
		var file bytes.Buffer
		if err = search.Save(&file); err != nil {
			break
		}
		search, err = bandit.Resume(cfg, &file)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	res := search.Result()
	fmt.Println(res.Outcome, res.Arm)
	// Output: identified 1
}

// A plate holds a whole round of elimination: what is pending is pulled at the same time,
// and told in whatever order it comes back.
func ExampleSearch_Pending() {
	search, err := bandit.New(bandit.Config{Arms: 3, Delta: 0.05, Estimator: bandit.BoundedKL{}, Rule: bandit.Elimination{}, N0: 20, Eta: 2, Offline: true})
	assay := &env.Weyl{Means: []float64{0.2, 0.9, 0.3}}
	for err == nil && !search.Done() {
		plate := search.Pending()
		fmt.Println(plate)
		for k := len(plate) - 1; k >= 0 && err == nil; k-- {
			rewards := make([]float64, plate[k].N)
			if err = assay.Pull(context.Background(), plate[k].Arm, rewards); err == nil {
				err = search.Observe(plate[k].Arm, rewards)
			}
		}
	}
	fmt.Println(search.Result().Arm, err)
	// Output:
	// [{0 20}]
	// [{1 20}]
	// [{2 20}]
	// [{0 20} {1 20} {2 20}]
	// [{0 40} {1 40} {2 40}]
	// [{0 80} {1 80} {2 80}]
	// [{0 160} {1 160} {2 160}]
	// [{1 320} {2 320}]
	// 1 <nil>
}

func ExampleLowerBound() {
	means := []float64{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	fmt.Printf("%.1f %.1f\n", bandit.LowerBound(means, 1, 0, 0.1), bandit.LowerBound(means, 1, 0.05, 0.1))
	fmt.Println(bandit.GaussianBias(1, 0.05, bandit.Oblivious) < bandit.Huber{Sigma: 1}.Bias(0.05, bandit.Oblivious))
	// Output:
	// 35.2 68.7
	// true
}

// contaminated is a seed's world of five Gaussian arms, the second of which is the best by 1.
func contaminated(eps float64) *env.World {
	arms := []env.Law{env.Gaussian{Sigma: 1}, env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Sigma: 1}, env.Gaussian{Sigma: 1}, env.Gaussian{Sigma: 1}}
	w, err := env.New(env.Instance{Arms: arms}, env.Shift{Offset: 20}, eps, 3)
	if err != nil {
		panic(err)
	}
	return w
}

// The intervals of different estimators have different floors: half-widths that no
// amount of data takes away.
func ExampleEstimator() {
	for _, e := range []bandit.Estimator{
		bandit.Huber{Sigma: 1}, bandit.TrimmedMean{Sigma: 1},
		bandit.GaussianHuber{Sigma: 1}, bandit.Median{Sigma: 1},
	} {
		d, err := bandit.NewDesign(bandit.Config{Arms: 5, Delta: 0.1, Eps: 0.05, Estimator: e})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%-4s %.3f\n", e.Name(), d.Bias())
	}
	// Output:
	// HM   0.155
	// TM   0.157
	// HG   0.066
	// MED  0.066
}

// Rules are values, so a comparison is a loop over them.
func ExampleRule() {
	for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}, bandit.UGapE{}, bandit.Uniform{}, bandit.Likelihood{}} {
		cfg := bandit.Config{Arms: 5, Delta: 0.1, Eps: 0.05, Estimator: bandit.GaussianHuber{Sigma: 1}, Rule: r}
		res, err := bandit.Run(context.Background(), cfg, contaminated(0.05).Pull)
		fmt.Println(r.Name(), res.Outcome, res.Arm, err)
	}
	// Output:
	// G-CBAI identified 1 <nil>
	// SE-CBAI identified 1 <nil>
	// UGapE identified 1 <nil>
	// uniform identified 1 <nil>
	// GLR identified 1 <nil>
}

// The published rules for clean rewards, to be compared with.
func ExampleLUCB() {
	for _, r := range []bandit.Rule{
		bandit.LUCB{Sigma: 1}, bandit.LilUCB{Sigma: 1}, bandit.TrackAndStop{Sigma: 1}, bandit.EvenDarElimination{Sigma: 1},
	} {
		res, err := bandit.Run(context.Background(), bandit.Config{Arms: 5, Delta: 0.1, Rule: r}, contaminated(0).Pull)
		fmt.Println(res.Outcome, res.Arm, err)
	}
	// Output:
	// identified 1 <nil>
	// identified 1 <nil>
	// identified 1 <nil>
	// identified 1 <nil>
}

// Votes are rewards in [0, 1].
func ExampleKLLUCB() {
	votes := env.Instance{Arms: []env.Law{env.Bernoulli{P: 0.2}, env.Bernoulli{P: 0.8}}}
	w, err := env.New(votes, env.None{}, 0, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := bandit.Run(context.Background(), bandit.Config{Arms: 2, Delta: 0.05, Rule: bandit.KLLUCB{Union: true}}, w.Pull)
	fmt.Println(res.Outcome, res.Arm, err)
	// Output: identified 1 <nil>
}

// An arm within Tol of the best will do.
func ExampleMedianElimination() {
	cfg := bandit.Config{Arms: 5, Delta: 0.1, Tol: 0.9, Rule: bandit.MedianElimination{Sigma: 1}}
	res, err := bandit.Run(context.Background(), cfg, contaminated(0).Pull)
	fmt.Println(res.Arm, err)
	// Output: 1 <nil>
}

// With a fixed number of pulls the rule always answers, with no promise.
func ExampleSuccessiveHalving() {
	cfg := bandit.Config{
		Arms: 5, Delta: 0.1, Eps: 0.05, Estimator: bandit.Huber{Sigma: 1},
		Rule: bandit.SuccessiveHalving{}, MaxPulls: 2000,
	}
	res, err := bandit.Run(context.Background(), cfg, contaminated(0.05).Pull)
	fmt.Println(res.Arm, res.Pulls <= 2000, err)
	// Output: 1 true <nil>
}

// A search that cannot succeed says so instead of pulling for ever.
func ExampleOutcome() {
	arms := []env.Law{env.Gaussian{Mu: 0.2, Sigma: 1}, env.Gaussian{Sigma: 1}}
	w, err := env.New(env.Instance{Arms: arms}, env.Shift{Offset: 20}, 0.1, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := bandit.Config{Arms: 2, Delta: 0.1, Eps: 0.1, Estimator: bandit.Huber{Sigma: 1}}
	res, err := bandit.Run(context.Background(), cfg, w.Pull)
	fmt.Println(res.Outcome, res.Set, err)
	// Output: not identifiable [0 1] <nil>
}

// Before the first pull: can arms with these means be told apart, and at what cost?
func ExampleDesign() {
	d, err := bandit.NewDesign(bandit.Config{Arms: 3, Delta: 0.1, Eps: 0.05, Estimator: bandit.Huber{Sigma: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Identifiable([]float64{1, 0, 0}), d.Identifiable([]float64{0.3, 0, 0}))
	bound, err := d.UpperBound([]float64{1, 0, 0})
	fmt.Println(bound > 1000, err)
	// Output:
	// true false
	// true <nil>
}

// A recorded search is run again, to check it or to try another stopping rule.
func ExampleReplay() {
	var record bytes.Buffer
	cfg := bandit.Config{Arms: 5, Delta: 0.1, Eps: 0.05, Estimator: bandit.Huber{Sigma: 1}}
	first, err := bandit.Run(context.Background(), cfg, bandit.Record(&record, contaminated(0.05).Pull))
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := bandit.Replay(cfg, &record)
	fmt.Println(again.Arm == first.Arm, again.Pulls == first.Pulls, err)
	// Output: true true <nil>
}

// The proportions in which an oracle would pull Gaussian arms.
func ExampleOptimalWeights() {
	w, _ := bandit.OptimalWeights([]float64{1, 0, 0}, 1)
	fmt.Printf("%.2f\n", w)
	// Output: [0.41 0.29 0.29]
}

// Estimators that are not robust do without a bias, and trust every reward: for clean
// rewards, and for comparison.
func ExampleMean() {
	for _, e := range []bandit.Estimator{bandit.Mean{Sigma: 1}, bandit.MedianOfMeans{Sigma: 1}, bandit.Catoni{Sigma: 1}} {
		cfg := bandit.Config{Arms: 5, Delta: 0.1, Estimator: e}
		res, err := bandit.Run(context.Background(), cfg, contaminated(0).Pull)
		fmt.Println(res.Outcome, res.Arm, err)
	}
	// Output:
	// identified 1 <nil>
	// identified 1 <nil>
	// identified 1 <nil>
}

// Rewards that are symmetric, of unknown scale.
func ExampleSymmetricMedian() {
	cfg := bandit.Config{Arms: 5, Delta: 0.1, Eps: 0.05, Estimator: bandit.SymmetricMedian{}}
	res, err := bandit.Run(context.Background(), cfg, contaminated(0.05).Pull)
	fmt.Println(res.Outcome, res.Arm, err)
	// Output: identified 1 <nil>
}

// Told that the arms can be told apart, a search takes fewer pulls.
func ExampleMode() {
	pulls := func(m bandit.Mode) int {
		cfg := bandit.Config{Arms: 5, Delta: 0.1, Eps: 0.05, Estimator: bandit.Huber{Sigma: 1}, Mode: m}
		res, err := bandit.Run(context.Background(), cfg, contaminated(0.05).Pull)
		if err != nil || res.Arm != 1 {
			panic(fmt.Sprint(res.Outcome, err))
		}
		return res.Pulls
	}
	fmt.Println(pulls(bandit.AssumeIdentifiable) < pulls(bandit.Certified))
	// Output: true
}

// Who picks the rewards to destroy does more harm than chance.
func ExampleAdversary() {
	h := bandit.Huber{Sigma: 1}
	for _, a := range []bandit.Adversary{bandit.Oblivious, bandit.Prescient, bandit.Malicious} {
		fmt.Printf("%v %.3f\n", a, h.Bias(0.05, a))
	}
	// Output:
	// oblivious 0.155
	// prescient 0.155
	// malicious 0.283
}

// Sizes at which intervals are evaluated.
func ExampleGrid() {
	g := bandit.Grid{Eta: 1.5, N0: 10}
	for j := 1; j <= 5; j++ {
		fmt.Print(g.Size(j), " ")
	}
	// Output: 10 15 23 35 53
}

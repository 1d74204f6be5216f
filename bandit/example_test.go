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

func ExampleLowerBound() {
	means := []float64{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	fmt.Printf("%.1f %.1f\n", bandit.LowerBound(means, 1, 0, 0.1), bandit.LowerBound(means, 1, 0.05, 0.1))
	fmt.Println(bandit.GaussianBias(1, 0.05, bandit.Oblivious) < bandit.Huber{Sigma: 1}.Bias(0.05, bandit.Oblivious))
	// Output:
	// 35.2 68.7
	// true
}

package bandit_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

// search runs a search on the contaminated world.
func search(cfg bandit.Config) bandit.Result {
	cfg.Arms, cfg.Delta = 5, 0.1
	res, err := bandit.Run(context.Background(), cfg, contaminated(cfg.Eps).Pull)
	if err != nil {
		panic(err)
	}
	return res
}

// The arms of the two largest means, of which the second leads by 0.7.
func ExampleGapBased() {
	arms := []env.Law{env.Gaussian{Mu: 2, Sigma: 1}, env.Gaussian{Mu: 0.3, Sigma: 1}, env.Gaussian{Mu: 1, Sigma: 1}}
	w, err := env.New(env.Instance{Arms: arms}, env.Shift{Offset: 20}, 0.02, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := bandit.Config{Arms: 3, Delta: 0.1, Eps: 0.02, Estimator: bandit.Huber{Sigma: 1}, Rule: bandit.GapBased{}, Top: 2}
	res, err := bandit.Run(context.Background(), cfg, w.Pull)
	fmt.Println(res.Outcome, res.Set, err)
	// Output: identified [0 2] <nil>
}

// Arms are dropped for good, one after the other; the last one is the answer.
func ExampleElimination() {
	res := search(bandit.Config{Eps: 0.05, Estimator: bandit.Huber{Sigma: 1}, Rule: bandit.Elimination{}})
	best := res.ArmPulls[res.Arm]
	for _, n := range res.ArmPulls {
		best = max(best, n)
	}
	fmt.Println(res.Outcome, res.Arm, "with the most pulls:", best == res.ArmPulls[res.Arm])
	// Output: identified 1 with the most pulls: true
}

// An arm within 0.8 of the best takes fewer pulls than the best one.
func ExampleUGapE() {
	cfg := bandit.Config{Eps: 0.05, Estimator: bandit.Huber{Sigma: 1}, Rule: bandit.UGapE{}}
	best := search(cfg)
	cfg.Tol = 0.8
	near := search(cfg)
	fmt.Println(near.Arm == best.Arm, near.Pulls < best.Pulls)
	// Output: true true
}

// Pulling all arms equally is what every rule has to beat.
func ExampleUniform() {
	cfg := bandit.Config{Eps: 0.05, Estimator: bandit.GaussianHuber{Sigma: 1}, Rule: bandit.Uniform{}}
	all := search(cfg)
	cfg.Rule = bandit.Likelihood{}
	fmt.Println(all.Arm, all.Pulls > search(cfg).Pulls)
	// Output: 1 true
}

// Evidence of both arms adds up, so a likelihood ratio stops before intervals part.
func ExampleLikelihood() {
	cfg := bandit.Config{Eps: 0.05, Estimator: bandit.GaussianHuber{Sigma: 1}, Rule: bandit.Likelihood{}}
	ratio := search(cfg)
	cfg.Rule = bandit.GapBased{}
	gap := search(cfg)
	fmt.Println(ratio.Arm, gap.Arm, 2*ratio.Pulls < gap.Pulls)
	// Output: 1 1 true
}

// The classical elimination on clean rewards.
func ExampleEvenDarElimination() {
	res := search(bandit.Config{Rule: bandit.EvenDarElimination{Sigma: 1}})
	fmt.Println(res.Outcome, res.Arm)
	// Output: identified 1
}

// On clean rewards lil'UCB gives most of its pulls to the answer.
func ExampleLilUCB() {
	res := search(bandit.Config{Rule: bandit.LilUCB{Sigma: 1}})
	fmt.Println(res.Outcome, res.Arm, 2*res.ArmPulls[res.Arm] > res.Pulls)
	// Output: identified 1 true
}

// Pulls follow the oracle's proportions, here of Gaussian arms without contamination.
func ExampleTrackAndStop() {
	res := search(bandit.Config{Rule: bandit.TrackAndStop{Sigma: 1}})
	fmt.Println(res.Outcome, res.Arm, res.Pulls < search(bandit.Config{Rule: bandit.LUCB{Sigma: 1}}).Pulls)
	// Output: identified 1 true
}

// Pulls that come from a function of one's own: here of three fixed sequences of votes.
func ExamplePull() {
	votes := [][]float64{{0, 1, 0, 0}, {1, 1, 0, 1}, {0, 0, 1, 1}}
	next := make([]int, len(votes))
	var pull bandit.Pull = func(_ context.Context, arm int, rewards []float64) error {
		for i := range rewards {
			rewards[i] = votes[arm][next[arm]%4]
			next[arm]++
		}
		return nil
	}
	res, err := bandit.Run(context.Background(), bandit.Config{Arms: 3, Delta: 0.05, Estimator: bandit.BoundedKL{}}, pull)
	fmt.Println(res.Outcome, res.Arm, err)
	// Output: identified 1 <nil>
}

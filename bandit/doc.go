// Package bandit finds the best of several arms when some of the rewards are
// contaminated.
//
// # Problem
//
// Each pull of arm i gives a noisy reward with unknown mean mu_i. Wanted is the
// arm of the largest mean, wrong with probability at most Delta, with as few
// pulls as possible. With probability Eps a reward is thrown away and replaced by
// an adversary's value, however large (a mis-recorded assay, a troll's vote, a
// broken sensor); the learner knows Eps, or an upper bound, but not which rewards
// are bad. Then no amount of data pins a mean down: every interval keeps a
// half-width of at least a bias b, and the usual algorithms return a wrong arm
// with confidence.
//
// The problem with means (not medians) of sub-Gaussian rewards is that of
// Mukherjee, Tajer, Chen and Das, "Mean-based Best Arm Identification in
// Stochastic Bandits under Reward Contamination", NeurIPS 2021, which has a
// gap-based rule and one of successive elimination on trimmed means. The claims are
// those of its abstract; every constant, radius and bound here is derived in the comments
// of this package, and can differ from the article's.
//
// # Method
//
// A search puts together three parts that can be exchanged freely.
//
// An Estimator turns the rewards of an arm into an interval that holds its mean
// at all times with the required confidence. For sub-Gaussian rewards and all
// adversaries: Huber (a clipped M-estimator with a Chernoff radius, the one to
// use) and TrimmedMean. For Gaussian rewards: GaussianHuber and the medians,
// SignMedian, Median and AltschulerMedian.
// For rewards in [0, 1]: BoundedKL. For symmetric rewards of unknown scale:
// SymmetricMedian. Not robust, for comparison: Mean, MedianOfMeans, Catoni.
//
// Writing [L_i, U_i] for the interval of arm i, whose half-width r(n) falls to the bias
// b and not to 0, a search has its answer l when
//
//	max over i ≠ l of U_i - L_l <= Tol,
//
// which is sure to come if the best mean leads by more than 4 b.
//
// A Rule says which arm to pull and when to stop: GapBased, Elimination, Uniform,
// UGapE, or Likelihood, which stops Gaussian arms by a likelihood ratio.
// Baselines for clean rewards are rules as well.
//
// A Mode says whether the answer must hold whatever the gaps (Certified), or
// provided that the arms can be told apart (AssumeIdentifiable), which takes fewer
// pulls.
//
//	cfg := bandit.Config{
//		Arms: 10, Delta: 0.1, Eps: 0.05,
//		Estimator: bandit.Huber{Sigma: 1},
//	}
//	result, err := bandit.Run(ctx, cfg, pull)
//	fmt.Println(result.Outcome, result.Arm, result.Pulls)
//
// Where pulls come from outside, such as a laboratory or a survey, ask and tell:
//
//	search, err := bandit.New(cfg)
//	for !search.Done() {
//		arm, n := search.Next()
//		err := search.Observe(arm, measure(arm, n))
//	}
//	result := search.Result()
//
// and Save and Resume in between. Pending has all that can be pulled at the same time.
//
// # What to use
//
// Huber and GapBased for sub-Gaussian rewards; Likelihood with GaussianHuber, which
// takes fewer pulls, if rewards are known to be Gaussian; BoundedKL for votes and clicks;
// SuccessiveHalving where the number of pulls is fixed. NewDesign says before the first
// pull what floor the intervals have (Bias), whether means of interest can be told apart
// (Identifiable) and at what cost (UpperBound).
//
// # Limits
//
// An Eps that is too low voids the guarantee and cannot be noticed. Flags are independent
// over pulls, each 1 with probability Eps: a burst of contaminated rewards, such as one bad
// batch, or a troll with so many votes to spend, voids it too, even if no more than a
// share Eps of all rewards is bad. Arms do not change, and rewards of an arm are
// independent.
//
// Means closer than twice the bias of an estimator cannot be told apart by its intervals,
// whatever the amount of data, and Gaussian arms closer than twice GaussianBias by no
// method. If the rule compares Certified intervals, the estimator knows its bias and
// NoFutility is not set, a search stops and says so. With AssumeIdentifiable it answers all
// the same; with SymmetricMedian, which knows no bias, and rules with bounds of their own
// it goes on to MaxPulls.
//
// # Cost
//
// The robust estimators keep 8 bytes a reward, up to 10 while a slice grows, and
// Likelihood as much again. BoundedKL and Mean keep O(1) an arm, and an evaluation is
// O(1); so does MedianElimination. Config.Offline keeps 8 bytes for each reward that
// waits, and a second sample where an estimator may refuse rewards. The event log
// keeps 48 bytes a batch, which NoLog saves.
//
// With Eta above 1 an arm is evaluated O(log n) times in n pulls, and an evaluation
// of a robust estimator is O(n) at most. With Eta = 1 it is evaluated n times, which
// takes O(n²), and a log entry is kept of each. A step of GapBased is O(log K), or
// O(K log K) with Top above 1; one of Likelihood, UGapE, Elimination and the baselines
// O(K). Radii depend on no data; a Design works each out once for all its searches.
package bandit

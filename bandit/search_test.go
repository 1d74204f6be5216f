package bandit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

var ctx = context.Background()

func hm(b env.Benchmark) bandit.Config {
	return bandit.Config{Arms: len(b.Arms), Delta: .1, Eps: b.Eps, Estimator: bandit.Huber{Sigma: b.Sigma}}
}

func world(t testing.TB, in env.Instance, c env.Contamination, eps float64, seed uint64) *env.World {
	t.Helper()
	w, err := env.New(in, c, eps, seed)
	require.NoError(t, err)
	return w
}

// takesEps says whether an estimator may be told of contamination.
func takesEps(cfg bandit.Config) bool {
	switch cfg.Estimator.(type) {
	case nil, bandit.Mean, bandit.MedianOfMeans, bandit.Catoni:
		return false
	}
	return true
}

// One configuration of every rule, on rewards that it is for.
func everyRule() map[string]bandit.Config {
	base := func() bandit.Config {
		return bandit.Config{Arms: 4, Delta: .1, Eps: .05, MaxPulls: 60000}
	}
	out := map[string]bandit.Config{}
	for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}, bandit.Uniform{}, bandit.UGapE{}, bandit.SuccessiveHalving{}} {
		for _, e := range []bandit.Estimator{bandit.Huber{Sigma: 1}, bandit.TrimmedMean{Sigma: 1}, bandit.GaussianHuber{Sigma: 1},
			bandit.Median{Sigma: 1}, bandit.SignMedian{Sigma: 1}, bandit.AltschulerMedian{Sigma: 1}, bandit.SymmetricMedian{}, bandit.Mean{Sigma: 1},
			bandit.MedianOfMeans{Sigma: 1}, bandit.Catoni{Sigma: 1}, bandit.BoundedKL{}} {
			c := base()
			c.Rule, c.Estimator = r, e
			if !takesEps(c) {
				c.Eps = 0
			}
			out[r.Name()+" "+e.Name()] = c
		}
	}
	for _, e := range []bandit.Estimator{bandit.Huber{Sigma: 1}, bandit.GaussianHuber{Sigma: 1}} {
		c := base()
		c.Rule, c.Estimator = bandit.Likelihood{}, e
		out["GLR "+e.Name()] = c
		c.Eps = 0
		out["GLR clean "+e.Name()] = c
	}
	for _, r := range []bandit.Rule{bandit.EvenDarElimination{Sigma: 1}, bandit.MedianElimination{Sigma: 1}, bandit.LUCB{Sigma: 1},
		bandit.KLLUCB{}, bandit.KLLUCB{Union: true}, bandit.LilUCB{Sigma: 1}, bandit.TrackAndStop{Sigma: 1}} {
		c := base()
		c.Rule, c.Eps = r, 0
		if r == (bandit.MedianElimination{Sigma: 1}) {
			c.Tol = 1
		}
		out[fmt.Sprintf("%s %+v", r.Name(), r)] = c
	}
	top := base()
	top.Rule, top.Estimator, top.Top = bandit.GapBased{}, bandit.GaussianHuber{Sigma: 1}, 2
	out["top 2"] = top
	return out
}

// instanceFor returns rewards that suit a rule: [0, 1] for those that need it.
func instanceFor(cfg bandit.Config) env.Instance {
	_, kl := cfg.Estimator.(bandit.BoundedKL)
	if _, lucb := cfg.Rule.(bandit.KLLUCB); lucb || kl {
		return env.Instance{Arms: []env.Law{env.Bernoulli{P: .1}, env.Bernoulli{P: .3}, env.Bernoulli{P: .85}, env.Bernoulli{P: .5}}}
	}
	return env.Instance{Arms: []env.Law{env.Gaussian{Mu: 0, Sigma: 1}, env.Gaussian{Mu: .5, Sigma: 1}, env.Gaussian{Mu: 2.5, Sigma: 1}, env.Gaussian{Mu: 1.2, Sigma: 1}}}
}

// Every rule finds the best of clean arms.
func TestEveryRuleIsRightOnCleanRewards(t *testing.T) {
	for name, cfg := range everyRule() {
		t.Run(name, func(t *testing.T) {
			in := instanceFor(cfg)
			right, unfinished := 0, 0
			for seed := range uint64(5) {
				res, err := bandit.Run(ctx, cfg, world(t, in, env.None{}, 0, seed).Pull)
				require.NoError(t, err)
				if res.Outcome == bandit.BudgetExhausted {
					unfinished++
				}
				if slices.Contains(res.Set, 2) && res.Outcome == bandit.Identified {
					right++
				}
				sum := 0
				for _, n := range res.ArmPulls {
					sum += n
				}
				require.Equal(t, sum, res.Pulls)
				require.LessOrEqual(t, res.Pulls, cfg.MaxPulls)
				require.Equal(t, res.Pulls, res.Log[len(res.Log)-1].Pulls)
			}
			require.Zero(t, unfinished)
			require.GreaterOrEqual(t, right, 4)
		})
	}
}

// Robust rules are never wrong, whatever the adversary; the plain mean is wrong or
// never ends.
func TestErrorRates(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 15
	}
	for _, b := range []env.Benchmark{env.I1(), env.I2(), env.I3(), env.I4()} {
		for _, c := range []env.Contamination{env.Shift{Offset: b.Shift}, env.TailShift{Offset: b.Shift}} {
			cfg := hm(b)
			cfg.Mode, cfg.Adversary = bandit.AssumeIdentifiable, c.Adversary()
			for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}} {
				cfg.Rule = r
				got := trials(t, b, c, cfg, n, 1)
				require.Zero(t, got.wrong+got.unfinished, "%s %s %s", b.Name, c.Name(), r.Name())
			}
		}
		naive := hm(b)
		naive.Estimator, naive.Eps, naive.MaxPulls = bandit.Mean{Sigma: b.Sigma}, 0, 20000
		got := trials(t, b, env.Shift{Offset: b.Shift}, naive, n, 1)
		require.Greater(t, float64(got.wrong+got.unfinished), .8*float64(n), b.Name)
		for _, r := range []bandit.Rule{bandit.LUCB{Sigma: b.Sigma}, bandit.LilUCB{Sigma: b.Sigma}, bandit.TrackAndStop{Sigma: b.Sigma}, bandit.EvenDarElimination{Sigma: b.Sigma}} {
			got := trials(t, b, env.Shift{Offset: b.Shift}, bandit.Config{Delta: .1, Rule: r, MaxPulls: 20000}, 10, 1)
			require.GreaterOrEqual(t, got.wrong+got.unfinished, 5, "%s %s", b.Name, r.Name())
		}
	}
	// The median is not the mean: wrong on the skewed arm.
	b := env.I4()
	cfg := hm(b)
	cfg.Estimator = bandit.Median{Sigma: b.Sigma}
	require.Equal(t, 10, trials(t, b, env.Shift{Offset: b.Shift}, cfg, 10, 1).wrong)
}

// A prescient adversary that sees the stack and the learner is within the promise.
func TestPrescientAdversary(t *testing.T) {
	b := env.I2()
	for seed := range uint64(20) {
		s, err := bandit.New(hm(b))
		require.NoError(t, err)
		c := env.Prescient{Label: "push", Value: func(k *env.Stack) float64 {
			// Pushes the estimate of the learner's leader down and all others up, just
			// out of reach of the clipping.
			est := s.Result().Intervals[k.Arm].Est
			if s.Result().Leader == k.Arm {
				return min(est, k.Clean(1)) - 3
			}
			return max(est, k.Clean(1)) + 3
		}}
		res, err := s.Run(ctx, world(t, b.Instance, c, b.Eps, seed).Pull)
		require.NoError(t, err)
		require.Equal(t, 0, res.Arm)
	}
}

func TestFutilityAndBudget(t *testing.T) {
	near := env.Benchmark{Instance: env.Instance{Arms: []env.Law{env.Gaussian{Mu: .2, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}}}, Sigma: 1, Eps: .05}
	for seed := range uint64(10) {
		res, err := bandit.Run(ctx, hm(near), world(t, near.Instance, env.None{}, 0, seed).Pull)
		require.NoError(t, err)
		require.Equal(t, bandit.NotIdentifiable, res.Outcome)
		require.Equal(t, -1, res.Arm)
		require.Equal(t, []int{0, 1}, res.Set)
		for _, n := range res.ArmPulls {
			require.GreaterOrEqual(t, n, 5000)
			require.LessOrEqual(t, n, 26000)
		}
	}
	cfg := hm(near)
	cfg.NoFutility, cfg.MaxPulls = true, 30000
	res, err := bandit.Run(ctx, cfg, world(t, near.Instance, env.None{}, 0, 1).Pull)
	require.NoError(t, err)
	require.Equal(t, bandit.BudgetExhausted, res.Outcome)
	require.LessOrEqual(t, res.Pulls, 30000)

	// I1 at eps = .1: the gap is less than 4 b, so TM and HM must give up.
	b := env.I1()
	b.Eps = .1
	for _, e := range []bandit.Estimator{bandit.TrimmedMean{Sigma: 1}, bandit.Huber{Sigma: 1}} {
		cfg := hm(b)
		cfg.Estimator, cfg.MaxPulls = e, 400000
		res, err := bandit.Run(ctx, cfg, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 1).Pull)
		require.NoError(t, err)
		require.NotEqual(t, bandit.Identified, res.Outcome)
		require.Contains(t, res.Set, 0)
	}
}

func TestTolerance(t *testing.T) {
	in := env.Instance{Arms: []env.Law{env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}}}
	for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}, bandit.Uniform{}, bandit.UGapE{}, bandit.Likelihood{}} {
		for seed := range uint64(5) {
			cfg := bandit.Config{Arms: 3, Delta: .1, Eps: .01, Estimator: bandit.GaussianHuber{Sigma: 1}, Rule: r, Tol: .5}
			res, err := bandit.Run(ctx, cfg, world(t, in, env.Shift{Offset: 20}, .01, seed).Pull)
			require.NoError(t, err)
			require.Equal(t, bandit.Identified, res.Outcome, r.Name())
			require.Contains(t, []int{0, 1}, res.Arm)
		}
	}
}

// Track-and-Stop ends on equal means if an answer within Tol will do, with a likelihood
// ratio in which the leader is Tol better.
func TestTrackAndStopWithTolerance(t *testing.T) {
	in := env.Instance{Arms: []env.Law{env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}}}
	cfg := bandit.Config{Arms: 3, Delta: .1, Rule: bandit.TrackAndStop{Sigma: 1}, Tol: .5, MaxPulls: 3000}
	for seed := range uint64(10) {
		res, err := bandit.Run(ctx, cfg, world(t, in, env.None{}, 0, seed).Pull)
		require.NoError(t, err)
		require.Equal(t, bandit.Identified, res.Outcome)
		require.Contains(t, []int{0, 1}, res.Arm)
		z := math.Inf(1)
		for i, n := range res.ArmPulls {
			if i != res.Arm {
				a, b := float64(res.ArmPulls[res.Arm]), float64(n)
				gap := res.Intervals[res.Arm].Est - res.Intervals[i].Est + .5
				z = min(z, a*b/(a+b)*gap*gap/2)
			}
		}
		require.Greater(t, z, math.Log((1+math.Log(float64(res.Pulls)))/.1))
	}
}

// The likelihood ratio stops early and is right; with arms that cannot be told
// apart it hardly ever claims to.
func TestLikelihoodStop(t *testing.T) {
	n := 20
	if testing.Short() {
		n = 5
	}
	for _, e := range []bandit.Estimator{bandit.GaussianHuber{Sigma: 1}, bandit.Huber{Sigma: 1}} {
		for _, c := range []env.Contamination{env.Shift{Offset: 20}, env.TailShift{Offset: 20}} {
			b := env.I1()
			if c.Adversary() == bandit.Malicious {
				b.Eps = .02
			}
			cfg := hm(b)
			cfg.Estimator, cfg.Adversary, cfg.MaxPulls = e, c.Adversary(), 200000
			interval := trials(t, b, c, cfg, n, 1)
			cfg.Rule = bandit.Likelihood{}
			ratio := trials(t, b, c, cfg, n, 1)
			require.Zero(t, ratio.wrong+ratio.unfinished, "%s %s", e.Name(), c.Name())
			require.Less(t, 1.5*ratio.mean, interval.mean, "%s %s", e.Name(), c.Name())
		}
	}
	// Two equal arms under the attack that favours arm 1: any answer is a mistake of
	// the kind that may happen with probability delta/2 at each side.
	equal := env.Benchmark{Instance: env.Instance{Arms: []env.Law{env.Gaussian{Mu: 1e-9, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}}}, Sigma: 1, Eps: .05}
	cfg := hm(equal)
	cfg.Estimator, cfg.Rule, cfg.MaxPulls, cfg.Delta, cfg.NoFutility = bandit.GaussianHuber{Sigma: 1}, bandit.Likelihood{}, 400, .3, true
	got := trials(t, equal, env.Shift{Offset: 1.5}, cfg, 20*n, 1)
	require.LessOrEqual(t, got.wrong, int(.3*20*float64(n)))
}

// An arm whose first rewards mislead is not forgotten while two others, equal to
// each other, keep the likelihood ratio from ending.
func TestLikelihoodComesBackToAnArm(t *testing.T) {
	in := env.Instance{Arms: []env.Law{env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}}}
	for seed := range uint64(5) {
		w := world(t, in, env.None{}, 0, seed)
		first := true
		res, err := bandit.Run(ctx, bandit.Config{Arms: 3, Delta: .1, Eps: .02, Estimator: bandit.GaussianHuber{Sigma: 1}, Rule: bandit.Likelihood{}, MaxPulls: 3000},
			func(ctx context.Context, arm int, x []float64) error {
				err := w.Pull(ctx, arm, x)
				if arm == 0 && first {
					first = false
					for i := range x {
						x[i] -= 1.3
					}
				}
				return err
			})
		require.NoError(t, err)
		require.Equal(t, bandit.Identified, res.Outcome)
		require.Equal(t, 0, res.Arm)
	}
}

func TestCancellationAndPullErrors(t *testing.T) {
	_, err := bandit.Run(ctx, hm(env.I2()), nil)
	require.ErrorContains(t, err, "pull is nil")
	b := env.I1()
	s, err := bandit.New(hm(b))
	require.NoError(t, err)
	w := world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 1)
	stop, cancel := context.WithCancel(ctx)
	pulls := 0
	res, err := s.Run(stop, func(ctx context.Context, arm int, x []float64) error {
		if pulls++; pulls == 7 {
			cancel()
		}
		return w.Pull(ctx, arm, x)
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, bandit.Running, res.Outcome)
	require.Len(t, res.Log, 7)
	broken := errors.New("the assay failed")
	_, err = s.Run(ctx, func(context.Context, int, []float64) error { return broken })
	require.ErrorIs(t, err, broken)
	res, err = s.Run(ctx, w.Pull)
	require.NoError(t, err)
	whole, err := bandit.Run(ctx, hm(b), world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 1).Pull)
	require.NoError(t, err)
	require.Equal(t, whole, res)
}

// Two goroutines share a design's tables.
func TestDesignIsShared(t *testing.T) {
	b := env.I2()
	d, err := bandit.NewDesign(hm(b))
	require.NoError(t, err)
	results := make(chan bandit.Result, 4)
	for range 4 {
		go func() {
			w, _ := env.New(b.Instance, env.Shift{Offset: 20}, b.Eps, 1)
			res, _ := d.New().Run(ctx, w.Pull)
			results <- res
		}()
	}
	first := <-results
	for range 3 {
		require.Equal(t, first, <-results)
	}
}

// No request is for more than 65,536 pulls; a search can be cancelled, saved and
// resumed between the parts of a batch and ends as it would have.
func TestLargeBatchesComeInParts(t *testing.T) {
	const most = 1 << 16
	for _, cfg := range []bandit.Config{
		{Arms: 2, Delta: .1, Tol: .02, Rule: bandit.MedianElimination{}},
		{Arms: 2, Delta: .1, Estimator: bandit.BoundedKL{}, Eta: 4, MaxPulls: 1 << 20},
		{Arms: 2, Delta: .1, Estimator: bandit.BoundedKL{}, Rule: bandit.Elimination{}, N0: 100000, MaxPulls: 1 << 20},
		{Arms: 2, Delta: .1, Estimator: bandit.BoundedKL{}, Rule: bandit.SuccessiveHalving{}, MaxPulls: 1 << 20},
	} {
		pull := func(_ context.Context, arm int, x []float64) error {
			require.LessOrEqual(t, len(x), most)
			for i := range x {
				x[i] = .5
			}
			return nil
		}
		want, err := bandit.Run(ctx, cfg, pull)
		require.NoError(t, err)
		require.Greater(t, want.Pulls, 4*most)
		s, err := bandit.New(cfg)
		require.NoError(t, err)
		cancelled, parts := 0, 0
		for !s.Done() {
			ctx, cancel := context.WithCancel(ctx)
			before := s.Result().Pulls
			_, err := s.Run(ctx, func(ctx context.Context, arm int, x []float64) error {
				cancel()
				return pull(ctx, arm, x)
			})
			if !s.Done() {
				require.ErrorIs(t, err, context.Canceled)
				cancelled++
				require.LessOrEqual(t, s.Result().Pulls-before, most)
			}
			if s.Result().Pulls-before == most {
				parts++
			}
			var file bytes.Buffer
			require.NoError(t, s.Save(&file))
			s, err = bandit.Resume(cfg, &file)
			require.NoError(t, err)
		}
		require.Greater(t, parts, 1)
		require.Greater(t, cancelled, 2)
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(s.Result()))
	}
	res, err := bandit.Run(ctx, bandit.Config{Arms: 2, Delta: .1, Tol: .02, Rule: bandit.MedianElimination{}}, func(context.Context, int, []float64) error { return nil })
	require.NoError(t, err)
	require.Equal(t, []int{655096, 655096}, res.ArmPulls)
}

// Arms that a rule has dropped are not among those it has not ruled out.
func TestSetLeavesOutDroppedArms(t *testing.T) {
	for _, cfg := range []bandit.Config{
		{Rule: bandit.EvenDarElimination{Sigma: 1}}, {Rule: bandit.MedianElimination{Sigma: 1}, Tol: 2.5},
		{Rule: bandit.SuccessiveHalving{}, Estimator: bandit.Mean{Sigma: 1}, MaxPulls: 600},
		{Rule: bandit.Elimination{}, Estimator: bandit.Mean{Sigma: 1}},
	} {
		cfg.Arms, cfg.Delta = 5, .1
		in := env.Instance{}
		for i := range cfg.Arms {
			mu := float64(i)
			switch cfg.Rule.(type) {
			case bandit.MedianElimination, bandit.SuccessiveHalving:
				mu /= 100 // so close that intervals alone rule nothing out
			}
			in.Arms = append(in.Arms, env.Gaussian{Mu: mu, Sigma: 1})
		}
		w := world(t, in, env.None{}, 0, 2)
		s, err := bandit.New(cfg)
		require.NoError(t, err)
		var asked []int
		var sets [][]int
		for !s.Done() {
			arm, n := s.Next()
			asked, sets = append(asked, arm), append(sets, s.Result().Set)
			x := make([]float64, n)
			require.NoError(t, w.Pull(ctx, arm, x))
			require.NoError(t, s.Observe(arm, x))
		}
		last := asked[len(asked)-2:]
		for _, arm := range sets[len(sets)-1] {
			require.Contains(t, last, arm, "%s", cfg.Rule.Name())
		}
		require.Len(t, sets[0], 5)
	}
}

// The log of the rules that pull two arms a round has each arm's interval as it is
// with the rewards just told.
func TestLogOfLUCBIsFresh(t *testing.T) {
	for _, r := range []bandit.Rule{bandit.LUCB{}, bandit.KLLUCB{}, bandit.KLLUCB{Union: true}} {
		s, err := bandit.New(bandit.Config{Arms: 3, Delta: .1, Rule: r})
		require.NoError(t, err)
		sums, counts := make([]float64, 3), make([]float64, 3)
		for k := 0; k < 60 && !s.Done(); k++ {
			arm, n := s.Next()
			require.Equal(t, 1, n)
			x := float64((k*7+arm)%5) / 4
			sums[arm] += x
			counts[arm]++
			require.NoError(t, s.Observe(arm, []float64{x}))
			log := s.Result().Log
			e := log[len(log)-1]
			require.InDelta(t, sums[arm]/counts[arm], e.Est, 1e-12)
			require.GreaterOrEqual(t, e.Est, e.Lo)
			require.LessOrEqual(t, e.Hi-e.Lo, 2*math.Sqrt(math.Log(75*60*60*60*60)/(2*counts[arm])))
			require.Greater(t, e.Hi, e.Lo)
		}
	}
}

// A pointer to a rule or an estimator is as good as its value, and so is a struct that
// embeds it.
func TestPointersAreAsGoodAsValues(t *testing.T) {
	type mine struct{ bandit.Likelihood }
	b := env.I2()
	for _, c := range []struct {
		value, other bandit.Config
	}{
		{bandit.Config{Rule: bandit.Likelihood{}, Estimator: bandit.GaussianHuber{Sigma: 1}}, bandit.Config{Rule: &bandit.Likelihood{}, Estimator: &bandit.GaussianHuber{Sigma: 1}}},
		{bandit.Config{Rule: bandit.Likelihood{}, Estimator: bandit.Huber{Sigma: 1}}, bandit.Config{Rule: mine{}, Estimator: &bandit.Huber{Sigma: 1}}},
		{bandit.Config{Rule: bandit.GapBased{}, Top: 2, Estimator: bandit.GaussianHuber{Sigma: 1}}, bandit.Config{Rule: &bandit.GapBased{}, Top: 2, Estimator: &bandit.GaussianHuber{Sigma: 1}}},
		{bandit.Config{Rule: bandit.LUCB{Sigma: 1}}, bandit.Config{Rule: &bandit.LUCB{Sigma: 1}}},
	} {
		var want bandit.Result
		for k, cfg := range []bandit.Config{c.value, c.other} {
			cfg.Arms, cfg.Delta, cfg.MaxPulls = len(b.Arms), .1, 20000
			if cfg.Estimator != nil {
				cfg.Eps = b.Eps
			}
			got, err := bandit.Run(ctx, cfg, world(t, b.Instance, env.None{}, 0, 1).Pull)
			require.NoError(t, err)
			require.Equal(t, bandit.Identified, got.Outcome, "%T", cfg.Rule)
			if k == 0 {
				want = got
			}
			require.Equal(t, want, got)
		}
	}
	cfg := hm(b)
	cfg.Rule = &bandit.Elimination{}
	d, err := bandit.NewDesign(cfg)
	require.NoError(t, err)
	_, err = d.UpperBound(b.Means())
	require.NoError(t, err)
}

// An arm that a rule has dropped does not lead, however lucky its old estimate.
func TestLeaderIsNotADroppedArm(t *testing.T) {
	in := env.Instance{}
	for i := range 10 {
		in.Arms = append(in.Arms, env.Gaussian{Mu: -.05 * float64(i), Sigma: 1})
	}
	cfg := bandit.Config{Arms: 10, Delta: .1, Estimator: bandit.Mean{Sigma: 1}, Rule: bandit.SuccessiveHalving{}, MaxPulls: 1000}
	lucky := 0
	for seed := range uint64(100) {
		w := world(t, in, env.None{}, 0, seed)
		s, err := bandit.New(cfg)
		require.NoError(t, err)
		for !s.Done() {
			res := s.Result()
			require.Contains(t, res.Set, res.Leader)
			arm, n := s.Next()
			x := make([]float64, n)
			require.NoError(t, w.Pull(ctx, arm, x))
			require.NoError(t, s.Observe(arm, x))
		}
		res := s.Result()
		require.Equal(t, res.Arm, res.Leader)
		for _, iv := range res.Intervals {
			if iv.Est > res.Intervals[res.Arm].Est {
				lucky++
				break
			}
		}
	}
	require.Positive(t, lucky, "the test is too weak")
}

// What is pending is what Next then asks for, one after the other; what waits, and what is
// past the budget, is not.
func TestPending(t *testing.T) {
	cfg := bandit.Config{Arms: 3, Delta: .1, Estimator: bandit.BoundedKL{}, Rule: bandit.Elimination{}, MaxPulls: 45}
	s, err := bandit.New(cfg)
	require.NoError(t, err)
	for range 3 {
		arm, n := s.Next()
		require.Equal(t, []bandit.Request{{Arm: arm, N: n}}, s.Pending())
		require.NoError(t, s.Observe(arm, make([]float64, n)))
	}
	for !s.Done() {
		for _, r := range s.Pending() {
			arm, n := s.Next()
			require.Equal(t, r, bandit.Request{Arm: arm, N: n})
			require.NoError(t, s.Observe(arm, make([]float64, n)))
		}
	}
	require.Empty(t, s.Pending())
	require.Equal(t, bandit.BudgetExhausted, s.Result().Outcome)

	cfg.Offline, cfg.MaxPulls, cfg.N0 = true, 0, 20
	s, err = bandit.New(cfg)
	require.NoError(t, err)
	for arm := range 3 {
		require.NoError(t, s.Observe(arm, make([]float64, 20)))
	}
	require.Equal(t, []bandit.Request{{Arm: 0, N: 2}, {Arm: 1, N: 2}, {Arm: 2, N: 2}}, s.Pending())
	require.NoError(t, s.Observe(2, []float64{0}))
	require.NoError(t, s.Observe(1, []float64{0, 0, 0}))
	require.Equal(t, []bandit.Request{{Arm: 0, N: 2}, {Arm: 2, N: 1}}, s.Pending())
	require.NoError(t, s.Observe(2, []float64{0}))
	require.NoError(t, s.Observe(0, []float64{0, 0}))
	require.Equal(t, []bandit.Request{{Arm: 0, N: 3}, {Arm: 1, N: 2}, {Arm: 2, N: 3}}, s.Pending())
}

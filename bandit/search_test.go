package bandit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
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

// One configuration of every rule, on rewards that it is for.
func everyRule() map[string]bandit.Config {
	base := func() bandit.Config {
		return bandit.Config{Arms: 4, Delta: .1, Eps: .05, MaxPulls: 60000}
	}
	out := map[string]bandit.Config{}
	for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}, bandit.Uniform{}, bandit.UGapE{}, bandit.SuccessiveHalving{}} {
		for _, e := range []bandit.Estimator{bandit.Huber{Sigma: 1}, bandit.TrimmedMean{Sigma: 1}, bandit.GaussianHuber{Sigma: 1},
			bandit.Median{Sigma: 1}, bandit.AltschulerMedian{Sigma: 1}, bandit.SymmetricMedian{}, bandit.Mean{Sigma: 1},
			bandit.MedianOfMeans{Sigma: 1}, bandit.Catoni{Sigma: 1}, bandit.BoundedKL{}} {
			c := base()
			c.Rule, c.Estimator = r, e
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
		c.Rule = r
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

// A search that is saved and resumed at every step ends exactly as one that is
// not, for every rule and estimator; and the same seed gives the same log.
func TestSaveAndResume(t *testing.T) {
	for name, cfg := range everyRule() {
		t.Run(name, func(t *testing.T) {
			cfg.MaxPulls = 3000
			if _, halving := cfg.Rule.(bandit.SuccessiveHalving); !halving {
				cfg.MaxPulls = 6000
			}
			in := instanceFor(cfg)
			want, err := bandit.Run(ctx, cfg, world(t, in, env.Shift{Offset: 20}, .05, 5).Pull)
			require.NoError(t, err)
			again, err := bandit.Run(ctx, cfg, world(t, in, env.Shift{Offset: 20}, .05, 5).Pull)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(again))

			w := world(t, in, env.Shift{Offset: 20}, .05, 5)
			s, err := bandit.New(cfg)
			require.NoError(t, err)
			steps := 0
			for !s.Done() {
				if steps++; steps < 40 || steps%97 == 0 {
					var file bytes.Buffer
					require.NoError(t, s.Save(&file))
					s, err = bandit.Resume(cfg, &file)
					require.NoError(t, err)
				}
				arm, n := s.Next()
				x := make([]float64, n)
				require.NoError(t, w.Pull(ctx, arm, x))
				require.NoError(t, s.Observe(arm, x))
			}
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(s.Result()))
			var file bytes.Buffer
			require.NoError(t, s.Save(&file))
			s, err = bandit.Resume(cfg, &file)
			require.NoError(t, err)
			require.True(t, s.Done())
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(s.Result()))
		})
	}
}

func TestRecordAndReplay(t *testing.T) {
	b := env.I2()
	cfg := hm(b)
	var record bytes.Buffer
	want, err := bandit.Run(ctx, cfg, bandit.Record(&record, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3).Pull))
	require.NoError(t, err)
	text := record.String()
	got, err := bandit.Replay(cfg, strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, want, got)

	// A record that stops early leaves a search that is running.
	lines := strings.SplitAfter(text, "\n")
	got, err = bandit.Replay(cfg, strings.NewReader(strings.Join(lines[:10], "")))
	require.NoError(t, err)
	require.Equal(t, bandit.Running, got.Outcome)

	for _, c := range []struct{ text, want string }{
		{"x,1\n", `line 1: arm is "x"`},
		{"0,a,1,1,1,1,1,1,1,1,1\n", `line 1: reward 1 of arm 0 is "a"`},
		{"1" + lines[0][1:], "line 1: bandit: Observe: arm 1, want arm 0"},
		{lines[0] + lines[1] + lines[2] + "0,1\n", "line 4: bandit: Observe: arm"},
		{"0,1\n", "line 1: bandit: Observe: arm 0 has 1 rewards, want 10"},
		{"0,NaN,1,1,1,1,1,1,1,1,1\n", "line 1: bandit: Observe: reward NaN at pull 1 of arm 0"},
	} {
		_, err := bandit.Replay(cfg, strings.NewReader(c.text))
		require.ErrorContains(t, err, c.want)
	}
}

// Logged rewards in any order give the search that asking for them would have.
func TestOffline(t *testing.T) {
	b := env.I2()
	cfg := hm(b)
	want, err := bandit.Run(ctx, cfg, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3).Pull)
	require.NoError(t, err)
	cfg.Offline = true
	s, err := bandit.New(cfg)
	require.NoError(t, err)
	w := world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3)
	rng := rand.New(rand.NewPCG(1, 1))
	for !s.Done() {
		arm, x := rng.IntN(len(b.Arms)), make([]float64, 1+rng.IntN(40))
		require.NoError(t, w.Pull(ctx, arm, x))
		require.NoError(t, s.Observe(arm, x))
		if rng.IntN(4) == 0 && !s.Done() {
			var file bytes.Buffer
			require.NoError(t, s.Save(&file))
			s, err = bandit.Resume(cfg, &file)
			require.NoError(t, err)
		}
		if arm, n := s.Next(); !s.Done() {
			require.Positive(t, n, "arm %d", arm)
		}
	}
	require.Equal(t, want, s.Result())
	require.Error(t, s.Observe(0, []float64{1}))
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

// Pulls never exceed the upper bound, and their mean is above the lower bound.
func TestPullsAreWithinTheBounds(t *testing.T) {
	b := env.I1()
	for _, mode := range []bandit.Mode{bandit.Certified, bandit.AssumeIdentifiable} {
		for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}} {
			cfg := hm(b)
			cfg.Mode, cfg.Rule = mode, r
			d, err := bandit.NewDesign(cfg)
			require.NoError(t, err)
			upper, err := d.UpperBound(b.Means())
			require.NoError(t, err)
			total := 0
			for seed := range uint64(20) {
				res, err := d.New().Run(ctx, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, seed).Pull)
				require.NoError(t, err)
				require.LessOrEqual(t, res.Pulls, upper)
				total += res.Pulls
			}
			require.Greater(t, float64(total)/20, bandit.LowerBound(b.Means(), 1, b.Eps, .1))
		}
	}
}

// Pulls grow like ln(1/delta).
func TestDeltaSlope(t *testing.T) {
	var pulls []float64
	for _, delta := range []float64{1e-1, 1e-3, 1e-5} {
		cfg := hm(env.I1())
		cfg.Delta = delta
		pulls = append(pulls, trials(t, env.I1(), env.Shift{Offset: 20}, cfg, 60, 1).mean)
	}
	require.Greater(t, pulls[2]-pulls[0], 5000.0)
	require.Less(t, pulls[2]-pulls[0], 8000.0)
	require.InEpsilon(t, pulls[1]-pulls[0], pulls[2]-pulls[1], .2, "a straight line")
}

// Elimination never returns to an arm, and the gap rule pulls only the leader or
// its challenger: both from the log alone.
func TestLogShowsTheRule(t *testing.T) {
	b := env.I5()
	cfg := hm(b)
	cfg.Mode = bandit.AssumeIdentifiable
	for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}} {
		cfg.Rule = r
		res, err := bandit.Run(ctx, cfg, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 2).Pull)
		require.NoError(t, err)
		d, err := bandit.NewDesign(cfg)
		require.NoError(t, err)
		width := func(e bandit.Event) float64 { return (e.Hi-e.Lo)/2 - d.Bias() }
		last := make([]bandit.Event, len(b.Arms))
		round, out := 0, make([]bool, len(b.Arms))
		for k, e := range res.Log {
			if last[len(last)-1].N == 0 || math.IsInf(last[len(last)-1].Hi, 1) {
				last[e.Arm] = e
				round = max(round, e.N)
				continue // not all arms have begun
			}
			if r == (bandit.GapBased{}) {
				l, u := 0, -1
				for i, x := range last {
					if x.Est > last[l].Est {
						l = i
					}
				}
				for i, x := range last {
					if i != l && (u < 0 || x.Est+width(x) > last[u].Est+width(last[u])) {
						u = i
					}
				}
				require.Contains(t, []int{l, u}, e.Arm, "event %d", k)
			} else {
				require.False(t, out[e.Arm], "event %d pulls an arm that was dropped", k)
				if e.N > round { // a new round: whoever was not pulled in the last is out
					for i, x := range last {
						out[i] = out[i] || x.N < round
					}
					round = e.N
				}
			}
			require.Greater(t, e.N, last[e.Arm].N)
			last[e.Arm] = e
		}
		require.Equal(t, bandit.Identified, res.Outcome)
	}
}

// Arms that move with their streams take the result along.
func TestPermutingArms(t *testing.T) {
	b := env.I2()
	order := []int{3, 0, 4, 1, 2}
	moved := env.Instance{Streams: make([]uint64, 5)}
	for k, i := range order {
		moved.Arms = append(moved.Arms, b.Arms[i])
		moved.Streams[k] = uint64(i)
	}
	b.Streams = []uint64{0, 1, 2, 3, 4}
	for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}, bandit.UGapE{}} {
		cfg := hm(b)
		cfg.Rule = r
		want, err := bandit.Run(ctx, cfg, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3).Pull)
		require.NoError(t, err)
		got, err := bandit.Run(ctx, cfg, world(t, moved, env.Shift{Offset: 20}, b.Eps, 3).Pull)
		require.NoError(t, err)
		require.Equal(t, want.Arm, order[got.Arm])
		for k, i := range order {
			require.Equal(t, want.ArmPulls[i], got.ArmPulls[k])
			require.Equal(t, want.Intervals[i], got.Intervals[k])
		}
	}
}

// Rewards 4 x + c with Sigma 4: the same pulls, and estimates 4 est + c.
func TestEquivariance(t *testing.T) {
	b := env.I2()
	for _, pair := range [][2]bandit.Estimator{
		{bandit.Huber{Sigma: 1}, bandit.Huber{Sigma: 4}}, {bandit.TrimmedMean{Sigma: 1}, bandit.TrimmedMean{Sigma: 4}},
		{bandit.GaussianHuber{Sigma: 1}, bandit.GaussianHuber{Sigma: 4}}, {bandit.Median{Sigma: 1}, bandit.Median{Sigma: 4}},
	} {
		for _, shift := range []float64{0, 3} {
			cfg := hm(b)
			cfg.Estimator = pair[0]
			want, err := bandit.Run(ctx, cfg, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3).Pull)
			require.NoError(t, err)
			cfg.Estimator = pair[1]
			w := world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3)
			got, err := bandit.Run(ctx, cfg, func(ctx context.Context, arm int, x []float64) error {
				err := w.Pull(ctx, arm, x)
				for i := range x {
					x[i] = 4*x[i] + shift
				}
				return err
			})
			require.NoError(t, err)
			require.Equal(t, want.ArmPulls, got.ArmPulls)
			for i, iv := range want.Intervals {
				require.InDelta(t, 4*iv.Est+shift, got.Intervals[i].Est, 1e-9)
				if shift == 0 {
					require.InDelta(t, 4*iv.Est, got.Intervals[i].Est, 1e-13)
				}
			}
		}
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

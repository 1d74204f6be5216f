package bandit_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

// batches keeps the rewards of every batch in order.
type batches struct {
	world *env.World
	x     [][]float64
}

func (b *batches) pull(ctx context.Context, arm int, x []float64) error {
	err := b.world.Pull(ctx, arm, x)
	b.x = append(b.x, append([]float64(nil), x...))
	return err
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func classical(t *testing.T, cfg bandit.Config, in env.Instance) (bandit.Result, *batches) {
	t.Helper()
	b := &batches{world: world(t, in, env.None{}, 0, 4)}
	res, err := bandit.Run(ctx, cfg, b.pull)
	require.NoError(t, err)
	require.Equal(t, bandit.Identified, res.Outcome)
	require.Len(t, b.x, len(res.Log))
	return res, b
}

var fiveArms = env.Instance{Arms: []env.Law{env.Gaussian{Mu: .3, Sigma: 1}, env.Gaussian{Mu: 1.5, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}, env.Gaussian{Mu: .6, Sigma: 1}, env.Gaussian{Mu: .1, Sigma: 1}}}

// Each phase of median elimination goes by its own rewards, has the pulls of the
// article, and keeps the better half.
func TestMedianEliminationPhases(t *testing.T) {
	res, b := classical(t, bandit.Config{Arms: 5, Delta: .1, Rule: bandit.MedianElimination{Sigma: 1}, Tol: 1}, fiveArms)
	e, d := 1.0/4, .1/2
	at, alive := 0, []int{0, 1, 2, 3, 4}
	for len(alive) > 1 {
		est := map[int]float64{}
		for _, arm := range alive {
			require.Equal(t, arm, res.Log[at].Arm)
			require.Equal(t, int(math.Ceil(16/(e*e)*math.Log(3/d))), len(b.x[at]), "4 (2 sigma)² ln(3/d)/e²")
			est[arm] = mean(b.x[at])
			require.InDelta(t, est[arm], res.Log[at].Est, 1e-9)
			at++
		}
		var kept []int
		for _, arm := range alive {
			better := 0
			for _, other := range alive {
				if est[other] > est[arm] {
					better++
				}
			}
			if better < (len(alive)+1)/2 {
				kept = append(kept, arm)
			}
		}
		alive, e, d = kept, 3*e/4, d/2
	}
	require.Equal(t, at, len(res.Log))
	require.Equal(t, alive, res.Set)
}

// The bounds of LUCB and of Even-Dar's elimination, from the counts alone.
func TestClassicalRadii(t *testing.T) {
	res, _ := classical(t, bandit.Config{Arms: 5, Delta: .1, Rule: bandit.LUCB{Sigma: 1}}, fiveArms)
	for k, e := range res.Log {
		round := float64(max(1, (k-5)/2+1)) // that the pulls are of; the first five are before them
		require.InDelta(t, math.Sqrt(2*math.Log(1.25*5*math.Pow(round, 4)/.1)/float64(e.N)), (e.Hi-e.Lo)/2, 1e-12)
	}
	for k := 5; k < len(res.Log); k += 2 {
		require.NotEqual(t, res.Log[k].Arm, res.Log[k+1].Arm, "leader and challenger are pulled together")
	}
	res, _ = classical(t, bandit.Config{Arms: 5, Delta: .1, Rule: bandit.EvenDarElimination{Sigma: 1}}, fiveArms)
	for i, iv := range res.Intervals {
		n := float64(res.ArmPulls[i])
		alpha := 2 * math.Sqrt(math.Log(4*5*n*n/.1)/n)
		require.InDelta(t, alpha, iv.Radius, 1e-12)
		if i != res.Arm {
			require.Less(t, res.ArmPulls[i], res.Pulls)
		}
	}
	unit := env.Instance{Arms: []env.Law{env.Bernoulli{P: .2}, env.Bernoulli{P: .9}}}
	res, _ = classical(t, bandit.Config{Arms: 2, Delta: .1, Rule: bandit.EvenDarElimination{}}, unit)
	n := float64(res.ArmPulls[0])
	require.InDelta(t, math.Sqrt(math.Log(4*2*n*n/.1)/n), res.Intervals[0].Radius, 1e-12, "rewards in [0, 1]")
}

// The likelihood ratio and the proportions at which Track-and-Stop ends, and
// lil'UCB's count.
func TestStoppingOfTrackAndStopAndLilUCB(t *testing.T) {
	res, b := classical(t, bandit.Config{Arms: 5, Delta: 1e-20, Rule: bandit.TrackAndStop{Sigma: 1}}, fiveArms)
	ratio := func(upTo int) float64 {
		n, sum, pulls := make([]float64, 5), make([]float64, 5), 0
		for k := range upTo {
			n[res.Log[k].Arm] += float64(len(b.x[k]))
			sum[res.Log[k].Arm] += b.x[k][0]
			pulls++
		}
		best := 0
		for i := range n {
			if sum[i]/n[i] > sum[best]/n[best] {
				best = i
			}
		}
		z := math.Inf(1)
		for i := range n {
			if i != best {
				gap := sum[best]/n[best] - sum[i]/n[i]
				z = min(z, n[best]*n[i]/(n[best]+n[i])*gap*gap/2)
			}
		}
		return z - math.Log((1+math.Log(float64(pulls)))/1e-20)
	}
	require.Greater(t, ratio(len(res.Log)), 0.0)
	require.LessOrEqual(t, ratio(len(res.Log)-1), 0.0)
	means := make([]float64, 5)
	for i := range means {
		means[i] = res.Intervals[i].Est
	}
	w, _ := bandit.OptimalWeights(means, 1)
	for i := range w {
		require.InDelta(t, w[i], float64(res.ArmPulls[i])/float64(res.Pulls), .1)
	}

	res, _ = classical(t, bandit.Config{Arms: 5, Delta: .1, Rule: bandit.LilUCB{Sigma: 1}}, fiveArms)
	n := res.ArmPulls[res.Arm]
	require.GreaterOrEqual(t, float64(n), 1+3*float64(res.Pulls-n))
	require.Less(t, float64(n-1), 1+3*float64(res.Pulls-n))
}

// Successive halving stays within its budget and gives each round its share.
func TestHalvingBudget(t *testing.T) {
	for _, budget := range []int{150, 1000, 5000} {
		res, _ := classical(t, bandit.Config{Arms: 5, Delta: .1, Eps: .05, Estimator: bandit.Huber{Sigma: 1}, Rule: bandit.SuccessiveHalving{}, MaxPulls: budget}, fiveArms)
		require.LessOrEqual(t, res.Pulls, budget)
		require.Greater(t, res.Pulls, budget*3/4)
		first := 0
		for _, e := range res.Log[:5] {
			require.Equal(t, e.N, res.Log[0].N, "the first round is equal")
			first = e.Pulls
		}
		require.LessOrEqual(t, first, budget/3)
	}
}

// Halving ranks by the mean that Huber's root is here and not by the median, which prefers
// the other arm, however small the sample: the interval says nothing yet.
func TestHalvingRanksByTheEstimateItself(t *testing.T) {
	for _, delta := range []float64{.5, 1e-9} {
		var given [2][]float64
		res, err := bandit.Run(ctx, bandit.Config{Arms: 2, Delta: delta, Eps: .05, Estimator: bandit.Huber{Sigma: 1}, Rule: bandit.SuccessiveHalving{}, MaxPulls: 40},
			func(_ context.Context, arm int, x []float64) error {
				for i := range x {
					x[i] = .5
					if arm == 0 {
						x[i] = []float64{0, 0, 0, 2, 2}[len(given[0])%5]
					}
					given[arm] = append(given[arm], x[i])
				}
				return nil
			})
		require.NoError(t, err)
		require.Equal(t, 0, res.Arm, "delta %v", delta)
		require.InDelta(t, mean(given[0]), res.Intervals[0].Est, 1e-9)
		require.Equal(t, delta < .1, math.IsInf(res.Intervals[0].Radius, 1))
	}
}

// What halving pulls, ranks by and answers is the same whatever the confidence.
func TestHalvingDoesNotDependOnDelta(t *testing.T) {
	for name, cfg := range everyRule() {
		if _, ok := cfg.Rule.(bandit.SuccessiveHalving); !ok {
			continue
		}
		for _, budget := range []int{90, 400, 3000} {
			var want bandit.Result
			for k, delta := range []float64{.1, .5, 1e-3, 1e-12} {
				cfg.MaxPulls, cfg.Delta = budget, delta
				res, err := bandit.Run(ctx, cfg, world(t, instanceFor(cfg), env.Shift{Offset: 20}, .05, 6).Pull)
				require.NoError(t, err)
				if k == 0 {
					want = res
					continue
				}
				require.Equal(t, want.Arm, res.Arm, "%s, budget %d, delta %v", name, budget, delta)
				require.Equal(t, want.ArmPulls, res.ArmPulls)
				for i := range res.Intervals {
					require.Equal(t, want.Intervals[i].Est, res.Intervals[i].Est, "%s, budget %d, delta %v, arm %d", name, budget, delta, i)
				}
			}
		}
	}
}

// All intervals of a result hold together, also of rules whose own, which the log has, do
// not.
func TestIntervalsOfAResultHoldTogether(t *testing.T) {
	many := func(arms int, law env.Law) (in env.Instance) {
		for range arms {
			in.Arms = append(in.Arms, law)
		}
		return in
	}
	normal := env.Gaussian{Sigma: 1}
	for _, c := range []struct {
		cfg  bandit.Config
		law  env.Law
		mean float64
		runs int
	}{
		{bandit.Config{Rule: bandit.LilUCB{Sigma: 1}, Arms: 60, Delta: .2, MaxPulls: 60}, normal, 0, 100},
		{bandit.Config{Rule: bandit.KLLUCB{}, Arms: 60, Delta: .2, MaxPulls: 60}, env.Bernoulli{P: .99}, .99, 200},
		{bandit.Config{Rule: bandit.MedianElimination{Sigma: 1}, Arms: 2000, Delta: .5, Tol: 8, MaxPulls: 20000}, normal, 0, 20},
	} {
		missed, own := 0, 0
		for seed := range uint64(c.runs) {
			res, err := bandit.Run(ctx, c.cfg, world(t, many(c.cfg.Arms, c.law), env.None{}, 0, seed).Pull)
			require.NoError(t, err)
			require.Equal(t, c.cfg.MaxPulls, res.Pulls)
			holds, ownHold := true, true
			for _, iv := range res.Intervals {
				holds = holds && iv.Lo <= c.mean && c.mean <= iv.Hi
			}
			for _, e := range res.Log {
				ownHold = ownHold && e.Lo <= c.mean && c.mean <= e.Hi
			}
			if !holds {
				missed++
			}
			if !ownHold {
				own++
			}
		}
		allowed := c.cfg.Delta * float64(c.runs)
		require.LessOrEqual(t, float64(missed), allowed, c.cfg.Rule.Name())
		require.Greater(t, float64(own), allowed, "%s: the test is too weak", c.cfg.Rule.Name())
	}
	for _, r := range []bandit.Rule{bandit.LUCB{Sigma: 1}, bandit.LilUCB{Sigma: 1}, bandit.TrackAndStop{Sigma: 1}} {
		res, _ := classical(t, bandit.Config{Arms: 5, Delta: .1, Rule: r}, fiveArms)
		for i, iv := range res.Intervals {
			n := res.ArmPulls[i]
			require.InDelta(t, math.Sqrt(2*bandit.Level(n, 2, 5, .1)/float64(n)), iv.Radius, 1e-12, r.Name())
			require.InDelta(t, iv.Est-iv.Radius, iv.Lo, 1e-12)
		}
	}
}

package bandit_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

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
		{bandit.SignMedian{Sigma: 1}, bandit.SignMedian{Sigma: 4}},
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

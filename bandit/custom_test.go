package bandit_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

// clipped is an estimator from outside the package: the mean of rewards cut to
// [Lo, Hi], within Hoeffding's radius and a bias of (Hi-Lo) Eps.
type clipped struct{ Lo, Hi float64 }

func (clipped) Name() string { return "clipped" }

func (c clipped) Prepare(s bandit.Setting) (bandit.Family, error) {
	if c.Lo >= c.Hi {
		return nil, fmt.Errorf("clipped: [%v, %v] is empty", c.Lo, c.Hi)
	}
	return &clippedFamily{c, s}, nil
}

type clippedFamily struct {
	clipped
	bandit.Setting
}

func (f *clippedFamily) NewSample() bandit.Sample { return &clippedSample{f: f} }
func (f *clippedFamily) bias() float64            { return (f.Hi - f.Lo) * f.Eps }
func (f *clippedFamily) Spread(p float64) (lo, hi float64) {
	return p - f.bias(), p + f.bias()
}
func (f *clippedFamily) Radius(j int) float64 {
	n := float64(f.Grid.Size(j))
	return f.bias() + (f.Hi-f.Lo)*math.Sqrt(bandit.Level(j, 2, f.Arms, f.Delta)/(2*n))
}

type clippedSample struct {
	f   *clippedFamily
	n   int
	sum float64
}

func (s *clippedSample) Len() int { return s.n }
func (s *clippedSample) Add(rewards []float64) error {
	for _, x := range rewards {
		s.sum += max(s.f.Lo, min(x, s.f.Hi))
	}
	s.n += len(rewards)
	return nil
}
func (s *clippedSample) Interval(j int) bandit.Interval {
	est, r, b := s.sum/float64(s.n), s.f.Radius(j), s.f.bias()
	return bandit.Interval{Est: est, Lo: est - r, Hi: est + r, CoreLo: est - r + b, CoreHi: est + r - b, Radius: r, Core: r - b}
}
func (s *clippedSample) MarshalBinary() ([]byte, error) {
	return fmt.Appendf(nil, "%d %g", s.n, s.sum), nil
}
func (s *clippedSample) UnmarshalBinary(b []byte) error {
	_, err := fmt.Sscan(string(b), &s.n, &s.sum)
	return err
}

// An estimator written outside the package works with every rule that compares
// intervals, and with futility, bounds and saving.
func TestEstimatorFromOutside(t *testing.T) {
	in := env.Instance{Arms: []env.Law{env.Bernoulli{P: .3}, env.Bernoulli{P: .8}, env.Bernoulli{P: .1}}}
	for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}, bandit.UGapE{}, bandit.Uniform{}} {
		cfg := bandit.Config{Arms: 3, Delta: .1, Eps: .02, Estimator: clipped{0, 1}, Rule: r}
		res, err := bandit.Run(ctx, cfg, world(t, in, env.Replace{Best: -1e9, Other: 1e9}, .02, 1).Pull)
		require.NoError(t, err)
		require.Equal(t, 1, res.Arm)
		d, err := bandit.NewDesign(cfg)
		require.NoError(t, err)
		require.InDelta(t, .02, d.Bias(), 1e-12)
		switch upper, err := d.UpperBound(in.Means()); r.(type) {
		case bandit.GapBased, bandit.Elimination:
			require.NoError(t, err)
			require.LessOrEqual(t, res.Pulls, upper)
		default:
			require.ErrorContains(t, err, "want GapBased or Elimination")
		}
	}
	_, err := bandit.New(bandit.Config{Arms: 3, Delta: .1, Estimator: clipped{1, 1}})
	require.ErrorContains(t, err, "empty")
}

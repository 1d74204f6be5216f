package bandit_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
	"github.com/redoubt-ml/redoubt/internal/realdata"
)

// summary is what a number of independent trials came to.
type summary struct {
	mean, sd             float64
	wrong, unfinished, n int
}

// trials runs a configuration on a benchmark from the given first seed.
func trials(t testing.TB, b env.Benchmark, c env.Contamination, cfg bandit.Config, n int, seed uint64) summary {
	t.Helper()
	cfg.Arms, cfg.NoLog = len(b.Arms), true
	d, err := bandit.NewDesign(cfg)
	require.NoError(t, err)
	out := summary{n: n}
	var sum, squares float64
	for trial := range n {
		w, err := env.New(b.Instance, c, b.Eps, seed+uint64(trial))
		require.NoError(t, err)
		res, err := d.New().Run(context.Background(), w.Pull)
		require.NoError(t, err)
		switch {
		case res.Outcome != bandit.Identified:
			out.unfinished++
		case res.Arm != b.Best():
			out.wrong++
		}
		sum += float64(res.Pulls)
		squares += float64(res.Pulls) * float64(res.Pulls)
	}
	out.mean = sum / float64(n)
	out.sd = math.Sqrt(max(0, squares/float64(n)-out.mean*out.mean))
	return out
}

// The means and deviations of the pulls come from an independent implementation of
// the same formulas, ref trials each.
var golden = []struct {
	name     string
	b        env.Benchmark
	est      bandit.Estimator
	rule     bandit.Rule
	mode     bandit.Mode
	mean, sd float64
	ref      int
	trials   int
}{
	{"I1 TM G certified", env.I1(), bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, bandit.Certified, 15940, 1733, 300, 60},
	{"I1 HM G certified", env.I1(), bandit.Huber{Sigma: 1}, bandit.GapBased{}, bandit.Certified, 8870, 1649, 300, 60},
	{"I1 HM SE certified", env.I1(), bandit.Huber{Sigma: 1}, bandit.Elimination{}, bandit.Certified, 10547, 1906, 300, 60},
	{"I1 HM uniform certified", env.I1(), bandit.Huber{Sigma: 1}, bandit.Uniform{}, bandit.Certified, 13230, 2585, 300, 60},
	{"I1 HG G certified", env.I1(), bandit.GaussianHuber{Sigma: 1}, bandit.GapBased{}, bandit.Certified, 2543, 482, 300, 60},
	{"I1 MED G certified", env.I1(), bandit.Median{Sigma: 1}, bandit.GapBased{}, bandit.Certified, 5676, 775, 300, 60},
	{"I1 ALT SE certified", env.I1(), bandit.AltschulerMedian{Sigma: 1}, bandit.Elimination{}, bandit.Certified, 22297, 1943, 300, 30},
	{"I1 HM G assume", env.I1(), bandit.Huber{Sigma: 1}, bandit.GapBased{}, bandit.AssumeIdentifiable, 3018, 510, 300, 60},
	{"I1 TM SE assume", env.I1(), bandit.TrimmedMean{Sigma: 1}, bandit.Elimination{}, bandit.AssumeIdentifiable, 7152, 722, 300, 60},
	{"I2 HG SE certified", env.I2(), bandit.GaussianHuber{Sigma: 1}, bandit.Elimination{}, bandit.Certified, 742, 195, 300, 100},
	{"I3 TM G assume", env.I3(), bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, bandit.AssumeIdentifiable, 1616, 122, 300, 60},
	{"I4 HM G certified", env.I4(), bandit.Huber{Sigma: math.Sqrt(1.01)}, bandit.GapBased{}, bandit.Certified, 3897, 858, 300, 60},
}

func TestReferencePulls(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			got := trials(t, g.b, env.Shift{Offset: g.b.Shift}, bandit.Config{Delta: .1, Eps: g.b.Eps, Estimator: g.est, Rule: g.rule, Mode: g.mode}, g.trials, 1)
			require.Zero(t, got.wrong+got.unfinished)
			band := 4 * g.sd * math.Sqrt(1/float64(g.trials)+1/float64(g.ref))
			require.InDelta(t, g.mean, got.mean, band)
			t.Logf("%.0f (%.0f), reference %.0f (%.0f)", got.mean, got.sd, g.mean, g.sd)
		})
	}
}

func BenchmarkI1(b *testing.B) {
	in := env.I1()
	for b.Loop() {
		trials(b, in, env.Shift{Offset: 20}, bandit.Config{Delta: .1, Eps: in.Eps, Estimator: bandit.Huber{Sigma: 1}}, 300, 1)
	}
}

// BenchmarkManyArms is the complete contest 650, 7,591 arms, one search each time.
func BenchmarkManyArms(b *testing.B) {
	captions, err := env.LoadCaptions(realdata.File(b, "newyorker", "contest650_klucb.csv"))
	require.NoError(b, err)
	in, err := env.CaptionInstance("NY650", captions)
	require.NoError(b, err)
	b.ReportAllocs()
	pulls := 0
	for b.Loop() {
		w, err := env.New(in, env.Replace{Best: 0, Other: 1}, .02, 1)
		require.NoError(b, err)
		res, err := bandit.Run(context.Background(), bandit.Config{Arms: len(in.Arms), Delta: .1, Eps: .02, Estimator: bandit.BoundedKL{}, NoLog: true}, w.Pull)
		require.NoError(b, err)
		require.Equal(b, in.Best(), res.Arm)
		pulls = res.Pulls
	}
	b.ReportMetric(float64(pulls), "pulls")
}

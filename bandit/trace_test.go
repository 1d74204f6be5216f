package bandit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

var (
	meansA = []float64{1.5, .5, .2, 0}
	meansB = []float64{1, .5, .2, 0}
)

// The reference runs, from an independent implementation of the same formulas.
var traces = []struct {
	name  string
	est   bandit.Estimator
	rule  bandit.Rule
	mode  bandit.Mode
	eps   float64
	mu    []float64
	total int
	pulls []int
	ests  []float64
}{
	{"TM G certified", bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, bandit.Certified, .05, meansA, 3859, []int{1710, 1554, 368, 227}, []float64{1.405250238, .595333527, .283950630, .092079044}},
	{"TM SE certified", bandit.TrimmedMean{Sigma: 1}, bandit.Elimination{}, bandit.Certified, .05, meansA, 4588, []int{1710, 1710, 722, 446}, []float64{1.405250238, .598041258, .287672501, .086389929}},
	{"TM G assume", bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, bandit.AssumeIdentifiable, .05, meansB, 9322, []int{4441, 4037, 541, 303}, []float64{.901502211, .599207334, .288826839, .093926652}},
	{"TM SE assume", bandit.TrimmedMean{Sigma: 1}, bandit.Elimination{}, bandit.AssumeIdentifiable, .05, meansB, 10704, []int{4441, 4441, 1166, 656}, []float64{.901502211, .599846978, .293547125, .088164915}},
	{"TM G clean", bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, bandit.Certified, 0, meansB, 965, []int{446, 405, 77, 37}, []float64{1.003280195, .499468347, .191677598, -.035481249}},
	{"HM G certified", bandit.Huber{Sigma: 1}, bandit.GapBased{}, bandit.Certified, .05, meansA, 2190, []int{963, 963, 170, 94}, []float64{1.365007524, .643338987, .345690779, .155110600}},
	{"HM SE certified", bandit.Huber{Sigma: 1}, bandit.Elimination{}, bandit.Certified, .05, meansA, 2500, []int{963, 963, 368, 206}, []float64{1.365007524, .643338987, .334792569, .130472989}},
	{"HM G assume", bandit.Huber{Sigma: 1}, bandit.GapBased{}, bandit.AssumeIdentifiable, .05, meansB, 6722, []int{3336, 3032, 227, 127}, []float64{.863969192, .637748444, .325984254, .140821162}},
	{"HM SE assume", bandit.Huber{Sigma: 1}, bandit.Elimination{}, bandit.AssumeIdentifiable, .05, meansB, 7602, []int{3336, 3336, 596, 334}, []float64{.863969192, .639326714, .338683881, .140703523}},
	{"HM G clean", bandit.Huber{Sigma: 1}, bandit.GapBased{}, bandit.Certified, 0, meansB, 883, []int{405, 368, 77, 33}, []float64{1.003676782, .498161295, .191677598, -.027234139}},
	{"HM SE clean", bandit.Huber{Sigma: 1}, bandit.Elimination{}, bandit.Certified, 0, meansB, 1054, []int{405, 405, 140, 104}, []float64{1.003676782, .499468347, .172952583, .044395097}},
	{"HG G certified", bandit.GaussianHuber{Sigma: 1}, bandit.GapBased{}, bandit.Certified, .05, meansB, 6364, []int{3032, 3032, 206, 94}, []float64{.930799697, .570441915, .269432840, .086312268}},
	{"HG SE certified", bandit.GaussianHuber{Sigma: 1}, bandit.Elimination{}, bandit.Certified, .05, meansB, 6880, []int{3032, 3032, 541, 275}, []float64{.930799697, .570441915, .273658237, .081014393}},
	{"HG G assume", bandit.GaussianHuber{Sigma: 1}, bandit.GapBased{}, bandit.AssumeIdentifiable, .05, meansB, 2674, []int{1283, 1166, 140, 85}, []float64{.928783099, .575262147, .264537836, .116557232}},
}

func TestReferenceTraces(t *testing.T) {
	for _, c := range traces {
		t.Run(c.name, func(t *testing.T) {
			every := 20
			if c.eps == 0 {
				every = 0
			}
			res, err := bandit.Run(ctx, bandit.Config{Arms: 4, Delta: .1, Eps: c.eps, Estimator: c.est, Rule: c.rule, Mode: c.mode}, (&env.Weyl{Means: c.mu, Every: every, Offset: 20}).Pull)
			require.NoError(t, err)
			require.Equal(t, bandit.Identified, res.Outcome)
			require.Equal(t, 0, res.Arm)
			require.Equal(t, c.pulls, res.ArmPulls)
			require.Equal(t, c.total, res.Pulls)
			for i, want := range c.ests {
				require.InDelta(t, want, res.Intervals[i].Est, 1e-6, "arm %d", i)
			}
		})
	}
}

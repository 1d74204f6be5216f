package bandit

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// weyl is the reference runs' reward stream without randomness: pull j of arm i is
// mu_i + Φ⁻¹(frac(φ j + ρ i)), and with every = 20 each twentieth pull is moved 20 down
// for the best arm and 20 up for the others.
func weyl(mu []float64, every int) Pull {
	seen := make([]int, len(mu))
	return func(_ context.Context, arm int, rewards []float64) error {
		for k := range rewards {
			seen[arm]++
			j := seen[arm]
			_, u := math.Modf(0.6180339887498949*float64(j) + 0.7548776662466927*float64(arm))
			u = max(1e-12, min(u, 1-1e-12))
			rewards[k] = mu[arm] + normalQuantile(u)
			if every > 0 && j%every == every/2 {
				rewards[k] = mu[arm] + 20
				if arm == 0 {
					rewards[k] = mu[arm] - 20
				}
			}
		}
		return nil
	}
}

var (
	meansA = []float64{1.5, .5, .2, 0}
	meansB = []float64{1, .5, .2, 0}
)

// The reference runs, from an independent implementation of the same formulas.
var traces = []struct {
	name  string
	est   Estimator
	rule  Rule
	mode  Mode
	eps   float64
	mu    []float64
	total int
	pulls []int
	ests  []float64
}{
	{"TM G certified", TrimmedMean{1}, GapBased{}, Certified, .05, meansA, 3859, []int{1710, 1554, 368, 227}, []float64{1.405250238, .595333527, .283950630, .092079044}},
	{"TM SE certified", TrimmedMean{1}, Elimination{}, Certified, .05, meansA, 4588, []int{1710, 1710, 722, 446}, []float64{1.405250238, .598041258, .287672501, .086389929}},
	{"TM G assume", TrimmedMean{1}, GapBased{}, AssumeIdentifiable, .05, meansB, 9322, []int{4441, 4037, 541, 303}, []float64{.901502211, .599207334, .288826839, .093926652}},
	{"TM SE assume", TrimmedMean{1}, Elimination{}, AssumeIdentifiable, .05, meansB, 10704, []int{4441, 4441, 1166, 656}, []float64{.901502211, .599846978, .293547125, .088164915}},
	{"TM G clean", TrimmedMean{1}, GapBased{}, Certified, 0, meansB, 965, []int{446, 405, 77, 37}, []float64{1.003280195, .499468347, .191677598, -.035481249}},
	{"HM G certified", Huber{1}, GapBased{}, Certified, .05, meansA, 2190, []int{963, 963, 170, 94}, []float64{1.365007524, .643338987, .345690779, .155110600}},
	{"HM SE certified", Huber{1}, Elimination{}, Certified, .05, meansA, 2500, []int{963, 963, 368, 206}, []float64{1.365007524, .643338987, .334792569, .130472989}},
	{"HM G assume", Huber{1}, GapBased{}, AssumeIdentifiable, .05, meansB, 6722, []int{3336, 3032, 227, 127}, []float64{.863969192, .637748444, .325984254, .140821162}},
	{"HM SE assume", Huber{1}, Elimination{}, AssumeIdentifiable, .05, meansB, 7602, []int{3336, 3336, 596, 334}, []float64{.863969192, .639326714, .338683881, .140703523}},
	{"HM G clean", Huber{1}, GapBased{}, Certified, 0, meansB, 883, []int{405, 368, 77, 33}, []float64{1.003676782, .498161295, .191677598, -.027234139}},
	{"HM SE clean", Huber{1}, Elimination{}, Certified, 0, meansB, 1054, []int{405, 405, 140, 104}, []float64{1.003676782, .499468347, .172952583, .044395097}},
	{"HG G certified", GaussianHuber{1}, GapBased{}, Certified, .05, meansB, 6364, []int{3032, 3032, 206, 94}, []float64{.930799697, .570441915, .269432840, .086312268}},
	{"HG SE certified", GaussianHuber{1}, Elimination{}, Certified, .05, meansB, 6880, []int{3032, 3032, 541, 275}, []float64{.930799697, .570441915, .273658237, .081014393}},
	{"HG G assume", GaussianHuber{1}, GapBased{}, AssumeIdentifiable, .05, meansB, 2674, []int{1283, 1166, 140, 85}, []float64{.928783099, .575262147, .264537836, .116557232}},
}

func TestReferenceTraces(t *testing.T) {
	for _, c := range traces {
		t.Run(c.name, func(t *testing.T) {
			every := 20
			if c.eps == 0 {
				every = 0
			}
			res, err := Run(context.Background(), Config{Arms: 4, Delta: .1, Eps: c.eps, Estimator: c.est, Rule: c.rule, Mode: c.mode}, weyl(c.mu, every))
			require.NoError(t, err)
			require.Equal(t, Identified, res.Outcome)
			require.Equal(t, 0, res.Arm)
			require.Equal(t, c.pulls, res.ArmPulls)
			require.Equal(t, c.total, res.Pulls)
			for i, want := range c.ests {
				require.InDelta(t, want, res.Intervals[i].Est, 1e-6, "arm %d", i)
			}
		})
	}
}

package main

import (
	"context"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

// trace is a run without randomness on four arms, with the recorded pulls and estimates.
type trace struct {
	estimator bandit.Estimator
	rule      bandit.Rule
	mode      bandit.Mode
	eps       float64
	means     []float64
	pulls     []int
	estimates []float64
}

// traces says how many of them came out the same: all pulls, and all estimates to
// 1e-6.
type traces struct {
	Exact int `json:"exact"`
	Of    int `json:"of"`
}

var (
	wide   = []float64{1.5, .5, .2, 0}
	narrow = []float64{1, .5, .2, 0}
)

var traceList = []trace{
	{bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, cert, .05, wide, []int{1710, 1554, 368, 227}, []float64{1.405250238, .595333527, .283950630, .092079044}},
	{bandit.TrimmedMean{Sigma: 1}, bandit.Elimination{}, cert, .05, wide, []int{1710, 1710, 722, 446}, []float64{1.405250238, .598041258, .287672501, .086389929}},
	{bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, assume, .05, narrow, []int{4441, 4037, 541, 303}, []float64{.901502211, .599207334, .288826839, .093926652}},
	{bandit.TrimmedMean{Sigma: 1}, bandit.Elimination{}, assume, .05, narrow, []int{4441, 4441, 1166, 656}, []float64{.901502211, .599846978, .293547125, .088164915}},
	{bandit.TrimmedMean{Sigma: 1}, bandit.GapBased{}, cert, 0, narrow, []int{446, 405, 77, 37}, []float64{1.003280195, .499468347, .191677598, -.035481249}},
	{bandit.Huber{Sigma: 1}, bandit.GapBased{}, cert, .05, wide, []int{963, 963, 170, 94}, []float64{1.365007524, .643338987, .345690779, .155110600}},
	{bandit.Huber{Sigma: 1}, bandit.Elimination{}, cert, .05, wide, []int{963, 963, 368, 206}, []float64{1.365007524, .643338987, .334792569, .130472989}},
	{bandit.Huber{Sigma: 1}, bandit.GapBased{}, assume, .05, narrow, []int{3336, 3032, 227, 127}, []float64{.863969192, .637748444, .325984254, .140821162}},
	{bandit.Huber{Sigma: 1}, bandit.Elimination{}, assume, .05, narrow, []int{3336, 3336, 596, 334}, []float64{.863969192, .639326714, .338683881, .140703523}},
	{bandit.Huber{Sigma: 1}, bandit.GapBased{}, cert, 0, narrow, []int{405, 368, 77, 33}, []float64{1.003676782, .498161295, .191677598, -.027234139}},
	{bandit.Huber{Sigma: 1}, bandit.Elimination{}, cert, 0, narrow, []int{405, 405, 140, 104}, []float64{1.003676782, .499468347, .172952583, .044395097}},
	{bandit.GaussianHuber{Sigma: 1}, bandit.GapBased{}, cert, .05, narrow, []int{3032, 3032, 206, 94}, []float64{.930799697, .570441915, .269432840, .086312268}},
	{bandit.GaussianHuber{Sigma: 1}, bandit.Elimination{}, cert, .05, narrow, []int{3032, 3032, 541, 275}, []float64{.930799697, .570441915, .273658237, .081014393}},
	{bandit.GaussianHuber{Sigma: 1}, bandit.GapBased{}, assume, .05, narrow, []int{1283, 1166, 140, 85}, []float64{.928783099, .575262147, .264537836, .116557232}},
}

func runTraces(ctx context.Context) (traces, error) {
	out := traces{Of: len(traceList)}
	for _, t := range traceList {
		w := &env.Weyl{Means: t.means, Every: 20, Offset: 20}
		if t.eps == 0 {
			w.Every = 0
		}
		res, err := bandit.Run(ctx, bandit.Config{Arms: 4, Delta: .1, Eps: t.eps, Estimator: t.estimator, Rule: t.rule, Mode: t.mode, NoLog: true}, w.Pull)
		if err != nil {
			return out, err
		}
		same := res.Arm == 0 && slices.Equal(res.ArmPulls, t.pulls)
		for i, iv := range res.Intervals {
			same = same && math.Abs(iv.Est-t.estimates[i]) <= 1e-6
		}
		if same {
			out.Exact++
		}
	}
	return out, nil
}

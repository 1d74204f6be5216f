package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/realdata"
)

// short returns the experiment with the plans that keep, a few trials each.
func short(t *testing.T, data string, trials int, keep func(p *plan) bool) *experiment {
	t.Helper()
	e, err := newExperiment(&example.Env{Data: data, Seed: 3, Scale: example.Small}, false)
	require.NoError(t, err)
	e.plans = slices.DeleteFunc(e.plans, func(p plan) bool { return !keep(&p) })
	for k := range e.plans {
		e.plans[k].trials = trials
	}
	return e
}

func TestExperimentSumsUpItsCells(t *testing.T) {
	e := short(t, "", 20, func(p *plan) bool {
		return p.instance == "I1" && p.eps == .05 && p.eta == 1.1 && p.adversary == "A1" && p.estimator != "TM" && p.estimator != "MED" && p.estimator != "SYM"
	})
	require.NoError(t, e.Run(context.Background()))
	c := e.out.Claims
	require.Equal(t, traces{14, 14}, e.out.Traces)
	require.Less(t, *c.WorstZ, 4.5)
	require.Less(t, *c.RobustError, .1)
	require.GreaterOrEqual(t, *c.PlainFailure, .8)
	// At the same rule, 20021/8870 and 14219/3018 by the recorded pulls.
	require.InEpsilon(t, 2.26, *c.SavingCert, .12)
	require.InEpsilon(t, 4.71, *c.SavingAssume, .12)
	require.Less(t, *e.saving("I1", "SGN", cert), .5, "a median of Gaussian arms beats HM")
	notes := strings.Join(e.notes(), "\n")
	require.Contains(t, notes, fmt.Sprintf("with ALT over those with HM on I1: %.2f certified", *c.SavingCert))
	require.Contains(t, notes, "Below 1 the median needs fewer.")
	require.NotContains(t, notes, "with MED", "it was not run")
	require.Greater(t, *c.RatioHG, 1.5)
	require.Greater(t, *c.RatioHM, 1.5)
	require.Greater(t, *c.DecadeR2, .97)
	require.InDelta(t, 1600, *c.PerDecade, 400)
	require.Equal(t, 1.0, *c.UpperBoundKept)

	page, err := e.Page(context.Background())
	require.NoError(t, err)
	html, err := page.HTML()
	require.NoError(t, err)
	require.Contains(t, string(html), `class="drawing"`)

	text, err := json.Marshal(e.Result().Figures)
	require.NoError(t, err)
	var got struct {
		Cells   []map[string]any
		Seconds float64
	}
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got.Cells, len(e.plans))
	for _, key := range []string{"instance", "estimator", "rule", "mode", "adversary", "eps", "delta", "trials", "mean_pulls", "sd", "error", "lower_bound"} {
		require.Contains(t, got.Cells[0], key)
	}
	require.Positive(t, got.Seconds)
}

// The figures depend on the seed alone, not on the number of threads.
func TestThreadsDoNotMatter(t *testing.T) {
	run := func(oneCore bool) cell {
		e := short(t, "", 12, func(p *plan) bool { return p.instance == "I2" && p.estimator == "HM" && p.mode == cert })
		e.plans[0].oneCore = oneCore
		c, err := e.plans[0].run(context.Background(), e.instances["I2"], e.seed("I2"))
		require.NoError(t, err)
		c.Seconds = 0
		return c
	}
	require.Equal(t, run(true), run(false))
}

func TestEveryPlanIsSound(t *testing.T) {
	requireSound(t, short(t, "", 1, func(*plan) bool { return true }))
}

func requireSound(t *testing.T, e *experiment) {
	for k := range e.plans {
		_, err := e.plans[k].design(e.instances[e.plans[k].instance])
		require.NoError(t, err, "%+v", e.plans[k])
	}
}

func TestPlansOnRealDataAreSoundAndAgreeWithTheReference(t *testing.T) {
	data := realdata.Dir(t)
	realdata.File(t, "pkis2", "pkis2_percent_inhibition.csv")
	realdata.File(t, "newyorker", "contest509r2_roundrobin.csv")
	realdata.File(t, "newyorker", "contest650_klucb.csv")
	e := short(t, data, 1, func(*plan) bool { return true })
	requireSound(t, e)
	require.Equal(t, "synthetic, PKIS2, New Yorker", e.out.Data)
	e = short(t, data, 2, func(p *plan) bool {
		return p.group == groupReference && (p.instance == "PK-WNK1" && p.estimator == "HM" || p.instance == "NY509")
	})
	for k := range e.plans {
		p := &e.plans[k]
		c, err := p.run(context.Background(), e.instances[p.instance], e.seed(p.instance))
		require.NoError(t, err)
		require.Zero(t, c.Error+c.Unfinished)
		require.Less(t, math.Abs(*c.Z), 4.5, "%+v", c)
	}
}

func TestInterruptedExperimentKeepsItsCells(t *testing.T) {
	e := short(t, "", 1, func(p *plan) bool { return p.instance == "I3" })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, e.Run(ctx), context.Canceled)
	require.NotNil(t, e.out.Cells)

	for _, args := range [][]string{{"-json", "-data="}, {"-data="}} {
		var out, errs bytes.Buffer
		require.Equal(t, 130, program().Execute(ctx, args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), "interrupted; there are no figures yet")
	}
	e.out.Cells = []cell{{Instance: "I3", Trials: 1}}
	require.NotNil(t, e.Result().Figures)
	require.Contains(t, e.Result().Notes, "Only 1 of the cells were measured.")
}

// The terminal gets one short table no wider than 100 columns.
func TestHeadlineIsShort(t *testing.T) {
	e := short(t, "", 2, func(p *plan) bool { return p.instance == "I1" || p.instance == "I2" || p.instance == "I4" })
	e.plans = slices.DeleteFunc(e.plans, func(p plan) bool { return p.delta != .1 || p.eta != 1.1 || p.group == groupClassical })
	for k := range e.plans {
		c, err := e.plans[k].run(context.Background(), e.instances[e.plans[k].instance], e.seed(e.plans[k].instance))
		require.NoError(t, err)
		e.out.Cells = append(e.out.Cells, c)
	}
	tables := e.Result().Tables
	require.Len(t, tables, 1)
	require.Equal(t, 14, tables[0].Len())
	for line := range strings.Lines(tables[0].Text()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 100, line)
	}
	for _, c := range e.out.Cells {
		if c.Mode != "certified" || c.Naive && c.Eps > 0 || c.Unfinished > 0 {
			require.Nil(t, c.LowerBound, "%+v", c)
		}
	}
}

// What is measured does not depend on where it is shown.
func TestOnlyMiniTakesFewerRuns(t *testing.T) {
	for _, e := range []*example.Env{{Seed: 3, Scale: example.Small}, {Seed: 3, Scale: example.Small, JSON: true}, {Seed: 3, Scale: example.Small, Out: "x"}} {
		x, err := newExperiment(e, false)
		require.NoError(t, err)
		for _, p := range x.plans {
			switch {
			case p.group == groupRatio && p.instance == "I1":
				require.Equal(t, 3000, p.trials)
			case (p.estimator == "ALT" || p.estimator == "SGN") && p.instance == "I1":
				require.Equal(t, 100, p.trials)
			case p.ref != nil && p.estimator != "ALT" && p.estimator != "MED":
				require.Equal(t, p.ref.runs, p.trials)
			}
		}
		x, err = newExperiment(e, true)
		require.NoError(t, err)
		for _, p := range x.plans {
			require.LessOrEqual(t, p.trials, 500, "-mini")
		}
	}
}

// No error in a few runs is no proof of none.
func TestNoErrorHasAnInterval(t *testing.T) {
	e := short(t, "", 20, func(p *plan) bool { return p.instance == "I2" && p.estimator == "HG" && p.group == groupRatio })
	require.NotContains(t, e.noWrong(), "%")
	for k := range e.plans {
		c, err := e.plans[k].run(context.Background(), e.instances["I2"], e.seed("I2"))
		require.NoError(t, err)
		require.Zero(t, c.Error+c.ErrorFrom)
		require.InDelta(t, 1-math.Pow(.025, 1./20), c.ErrorTo, 1e-9, "Clopper and Pearson in closed form")
		e.out.Cells = append(e.out.Cells, c)
	}
	require.Contains(t, e.noWrong(), "a share of 17 % of 20 runs.")
	e.out.Cells = append(e.out.Cells, cell{Estimator: "HM", Trials: 300}, cell{Estimator: "mean", Trials: 50}, cell{Estimator: "HM", Trials: 30, Error: .1})
	require.Contains(t, e.noWrong(), "a share of 1.2 % of 300, 17 % of 20 runs.")
}

// Seeds that differ in any bit give different rewards.
func TestEveryBitOfTheSeedCounts(t *testing.T) {
	seen := map[uint64]bool{}
	for bit := range 64 {
		x, err := newExperiment(&example.Env{Seed: 1 << bit, Scale: example.Small}, false)
		require.NoError(t, err)
		for _, name := range []string{"I1", "I2"} {
			require.False(t, seen[x.seed(name)])
			seen[x.seed(name)] = true
		}
	}
}

// What a folder of data lacks is named.
func TestMissingDataIsNamed(t *testing.T) {
	dir := t.TempDir()
	x, err := newExperiment(&example.Env{Data: dir, Seed: 1, Scale: example.Small}, false)
	require.NoError(t, err)
	require.Contains(t, strings.Join(x.notes(), "\n"), "Not found in "+dir+": pkis2/pkis2_percent_inhibition.csv, newyorker/contest509r2_roundrobin.csv, newyorker/contest650_klucb.csv.")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "newyorker"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "newyorker", "contest509r2_roundrobin.csv"), []byte("arm,unfunny,somewhat_funny,funny,count\n1,1,0,0,1\n2,0,0,1,1\n"), 0o644))
	x, err = newExperiment(&example.Env{Data: dir, Seed: 1, Scale: example.Small}, false)
	require.NoError(t, err)
	require.Equal(t, "synthetic, New Yorker", x.out.Data)
	require.Contains(t, x.instances, "NY509")
	require.Contains(t, strings.Join(x.notes(), "\n"), ": pkis2/pkis2_percent_inhibition.csv, newyorker/contest650_klucb.csv.")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "newyorker", "contest650_klucb.csv"), []byte("x\n"), 0o644))
	_, err = newExperiment(&example.Env{Data: dir, Seed: 1, Scale: example.Small}, false)
	require.ErrorContains(t, err, "contest650_klucb.csv: captions: line 1")
}

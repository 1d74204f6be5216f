package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// tiny returns an experiment that takes a second or two.
func tiny(t *testing.T, names string) *experiment {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	list, err := choose(names)
	require.NoError(t, err)
	p := miniPlan
	p.widths, p.epochs, p.steps, p.attackImages, p.certify, p.crown, p.radius, p.chips, p.flips = []int{12, 10}, 3, 3, 60, 40, 10, 2, 1, 3
	return &experiment{env: &example.Env{Seed: 4, Scale: example.Small}, plan: p, regimes: list, seeds: 2, train: train.Take(600), test: test.Take(100)}
}

func TestExperimentFillsEveryTable(t *testing.T) {
	e := tiny(t, "")
	require.NoError(t, e.Run(context.Background()))
	core, repeated := 0, 0
	for _, r := range allRegimes {
		if r.core {
			core++
		}
		if r.core || r.repeated {
			repeated++
		}
	}
	require.Len(t, e.out.Regimes, len(allRegimes)+repeated)
	require.Len(t, e.out.Quantised, len(allRegimes))
	require.Len(t, e.out.Faults, len(allRegimes))
	require.Len(t, e.out.Sensitivity, 2*core)
	require.Len(t, e.out.SingleLayer, 2*core*len(fractions))
	for _, s := range e.out.SingleLayer {
		require.LessOrEqual(t, s.Certified["product"], s.Certified["path"])
		for method, v := range s.Certified {
			require.LessOrEqual(t, v, s.Resisted, method)
			require.LessOrEqual(t, v, s.Certified["exact"], method)
		}
	}
	require.Len(t, e.out.Claims, 1, "the others are about the complete data")
	require.Contains(t, e.out.Claims[0].Claim, "an attack gets wrong")
	require.True(t, e.out.Claims[0].Holds)
	for _, f := range e.out.Regimes {
		require.Len(t, f.Attacked, len(attackEps))
		for k, v := range f.Attacked {
			require.LessOrEqual(t, v, f.CrossEntropy[k])
			if worse, ok := f.Ensemble[k]; ok {
				require.LessOrEqual(t, worse, v)
			}
		}
		require.Zero(t, f.Flipped)
		if f.Ensemble != nil {
			require.Len(t, f.Ensemble, map[bool]int{true: len(attackEps), false: 1}[f.Seed == e.env.Seed])
			require.Contains(t, f.Ensemble, "0.01")
		}
		for _, m := range []string{"product", "path", "ibp", "crown"} {
			require.Len(t, f.Certified[m], len(certifyEps))
		}
		for k, v := range f.PerImage {
			require.LessOrEqual(t, f.Certified["crown"][k], v, "certified images resist every attack")
		}
		for k, each := range f.Same["each"] {
			for _, m := range []string{"product", "path", "ibp", "crown"} {
				require.LessOrEqual(t, f.Same[m][k], each, "%s at %s", m, k)
			}
			require.LessOrEqual(t, each, f.Same["universal"][k])
		}
		require.Len(t, f.Same["universal"], len(attackEps))
		require.GreaterOrEqual(t, f.Certified["ibp"]["0.001"], f.Certified["product"]["0.001"])
		require.LessOrEqual(t, *f.AtLeast, f.Certified["ibp"]["0.001"])
	}
	for _, table := range e.Result().Tables {
		require.Positive(t, table.Len())
	}
	page, err := e.Page(context.Background())
	require.NoError(t, err)
	html, err := page.HTML()
	require.NoError(t, err)
	require.Equal(t, (len(allRegimes)-2)/regimesAtOnce+1+core+1, bytes.Count(html, []byte("image/svg")))
}

// What an interrupted run did not reach is not shown as a figure.
func TestInterruptedRunsShowNoFiguresThatWereNotReached(t *testing.T) {
	e := tiny(t, "standard")
	stopped, stop := context.WithCancel(context.Background())
	stop()
	require.Error(t, e.Run(stopped))
	require.Nil(t, e.Result().Figures)

	e.out.Regimes = []*figures{{Name: "standard", Seed: 4}}
	require.Regexp(t, `standard +4 +– +–\n`, e.boundTable().Text())
	text, err := json.Marshal(e.out)
	require.NoError(t, err)
	require.Contains(t, string(text), `"certified_at_least":null`)
	require.NotContains(t, string(text), "vacuous")
}

func TestClaimsNeedEverySeed(t *testing.T) {
	made := func(name string, seed uint64, attacked, gap, product float64) *figures {
		f := &figures{Name: name, Seed: seed, CEGap: number(gap), Relative: new(float64), Attacked: map[string]float64{}, Ensemble: map[string]float64{}, Certified: map[string]map[string]float64{"product": {}, "crown": {}}}
		for _, eps := range attackEps {
			f.Attacked[key(eps)], f.Ensemble[key(eps)] = .99, attacked
		}
		for _, eps := range certifyEps {
			f.Certified["product"][key(eps)], f.Certified["crown"][key(eps)] = product, 1
		}
		return f
	}
	e := &experiment{plan: fullPlan}
	e.out.Regimes = []*figures{made("standard", 1, .2, .06, 0), made("standard", 2, .3, .06, 0), made("lambda-0.01", 1, .7, .01, .95), made("lambda-0.01", 2, .69, .01, .92), made("lambda-0.01", 3, 0, 1, 0)}
	find := func(part string) claim {
		for _, c := range e.claims() {
			if strings.Contains(c.Claim, part) {
				return c
			}
		}
		t.Fatal(part)
		return claim{}
	}
	c := find("under the worst attack, points")
	require.InDeltaSlice(t, []float64{50, 39}, []float64{float64(c.Found[0]), float64(c.Found[1])}, 1e-9)
	require.False(t, c.Holds)
	require.True(t, find("its gap of cross-entropy").Holds)
	require.False(t, find("certifies it at eps 0.001").Holds, "seed 3")
	e.out.Regimes = e.out.Regimes[:4]
	require.True(t, find("certifies it at eps 0.001").Holds)
	require.True(t, find("an attack gets wrong").Holds)
	e.out.Regimes[1].Flipped = 1
	require.False(t, find("an attack gets wrong").Holds)
	e.plan = miniPlan
	require.Len(t, e.claims(), 1)
}

func TestSameSeedGivesTheSameFigures(t *testing.T) {
	var got [2]string
	for i := range got {
		e := tiny(t, "standard,lambda-0.01")
		require.NoError(t, e.Run(context.Background()))
		e.out.Seconds = 0
		for _, f := range e.out.Regimes {
			f.Seconds = 0
		}
		text, err := json.Marshal(e.out)
		require.NoError(t, err)
		got[i] = string(text)
	}
	require.Equal(t, got[0], got[1])
}

func TestInterruptedRunShowsWhatItReached(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var out, errs bytes.Buffer
	require.Equal(t, 130, program().Execute(ctx, []string{"-mini", "-json"}, &out, &errs))
	var got outcome
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Equal(t, [2]int{2000, 1000}, got.Images)
	for _, list := range []string{"quantised", "faults", "sensitivity", "single_layer", "claims"} {
		require.Regexp(t, `"`+list+`": ?\[`, out.String())
	}
	require.Contains(t, errs.String(), "interrupted")
}

func TestBadArgumentsAreNamed(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{{[]string{"-regimes", "hope"}, `"hope"`}, {[]string{"-seeds", "-1"}, "-seeds is -1"}, {[]string{"-scale", "huge"}, "huge"}} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, program().Execute(context.Background(), c.args, &out, &errs))
		require.Contains(t, errs.String(), c.want)
	}
}

func TestDamagedDataIsNamed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "mnist"), 0o700))
	for _, name := range []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "mnist", name), []byte("not an idx file"), 0o600))
	}
	var out, errs bytes.Buffer
	require.Equal(t, 1, program().Execute(context.Background(), []string{"-data", dir}, &out, &errs))
	require.Contains(t, errs.String(), filepath.Join(dir, "mnist", "train-"))
}

// What training changes, on a part of MNIST and with fewer attacks than the complete
// run.
func TestOrderOfRegimesOnRealImages(t *testing.T) {
	train, err := dataset.Load(realdata.Dir(t), "mnist", dataset.Train)
	realdata.Found(t, err)
	test, err := dataset.Load(realdata.Dir(t), "mnist", dataset.Test)
	realdata.Found(t, err)
	list, err := choose("standard,lambda-0.01,ibp-0.005")
	require.NoError(t, err)
	p := fullPlan
	p.epochs, p.steps, p.attackImages, p.certify, p.crown = 8, 10, 300, 200, 10
	e := &experiment{env: &example.Env{Seed: 1, Scale: example.Small}, plan: p, train: train.Take(12000), test: test.Take(1000)}
	e.start()
	var by []*figures
	for _, r := range list {
		r.core = false // the attacks that all regimes share are enough here
		f := &figures{Name: r.name, Seed: 1}
		net, err := e.fit(t.Context(), r, f)
		require.NoError(t, err)
		require.NoError(t, e.gap(t.Context(), net, f))
		lost, err := e.attack(t.Context(), net, r, f)
		require.NoError(t, err)
		n, err := weightpert.FromNN(net, 28, 28, 1)
		require.NoError(t, err)
		require.NoError(t, e.certify(t.Context(), n, r, f, lost, true))
		require.Zero(t, f.Flipped)
		by = append(by, f)
	}
	standard, lambda, ibp := by[0], by[1], by[2]
	t.Logf("attacked at 0.01: %v %v %v; gap %v %v %v; product at 0.001 %v %v; IBP at 0.005 %v %v",
		standard.Attacked["0.01"], lambda.Attacked["0.01"], ibp.Attacked["0.01"], standard.CEGap, lambda.CEGap, ibp.CEGap,
		standard.Certified["product"]["0.001"], lambda.Certified["product"]["0.001"], lambda.Certified["ibp"]["0.005"], ibp.Certified["ibp"]["0.005"])
	require.Greater(t, lambda.Attacked["0.01"], standard.Attacked["0.01"]+.2)
	require.Greater(t, ibp.Attacked["0.01"], lambda.Attacked["0.01"])
	require.Less(t, float64(lambda.CEGap), .75*float64(standard.CEGap))
	require.Zero(t, standard.Certified["product"]["0.001"])
	require.Greater(t, lambda.Certified["product"]["0.001"], .8)
	require.Greater(t, ibp.Certified["ibp"]["0.005"], lambda.Certified["ibp"]["0.005"])
	require.Greater(t, ibp.Test, lambda.Test)
}

func TestSeedsAreThreeUnlessSaid(t *testing.T) {
	for seeds, want := range map[int]int{0: 3, 1: 1, 5: 5} {
		e, err := newExperiment(&example.Env{Seeds: seeds, Scale: example.Small}, options{mini: true})
		require.NoError(t, err)
		require.Equal(t, want, e.seeds)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// tiny returns an experiment of seconds.
func tiny(t *testing.T, list ...string) *experiment {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	p := miniPlan
	p.net = fedleak.Shape{Conv1: 8, Conv2: 16, Dense: 16, Hidden: 8}
	p.small = p.net
	p.samples, p.rounds, p.law = 6, 40, 12
	p.batch, p.sizes, p.steps, p.adam = 2, []int{2}, 3, 20
	p.private, p.defended, p.watched, p.scored, p.polish = 12, 4, 18, 1, 10
	p.published, p.paper, p.paperBatch = 20, 6, 2
	p.training, p.trainSteps, p.test = 100, 6, 40
	return &experiment{env: &example.Env{Seed: 3, Scale: example.Small}, plan: p, parts: list, train: train, test: test}
}

func TestExperimentFillsEveryTable(t *testing.T) {
	e := tiny(t, "cafe", "batches", "published", "defense")
	require.NoError(t, e.Run(context.Background()))
	require.Equal(t, 1.0, e.out.CAFE.Labels)
	require.Less(t, e.out.CAFE.V, 1e-5)
	require.Less(t, e.out.CAFE.H, 1e-5)
	require.Len(t, e.out.Batches, 1)
	require.Len(t, e.out.Published, 3)
	require.Len(t, e.out.Defense, 14)
	outside := 0
	for i, r := range e.out.Defense {
		require.Positive(t, r.PSNR, r.Name)
		require.InDelta(t, 100*(r.Test-e.out.Defense[7*(i/7)].Test), r.Points, 1e-9, r.Name)
		require.Equal(t, r.Points >= -1.5-1e-6, r.Within, r.Name)
		if !r.Within {
			outside++
		}
		require.Positive(t, r.Adaptive, r.Name)
		require.Positive(t, r.Calibrated, r.Name)
		require.Equal(t, slices.Max([]float64{r.PSNR, r.Adaptive, r.Calibrated}), r.Most, r.Name)
	}
	require.Equal(t, outside, strings.Count(e.defenseTable().Text(), "outside 1.5"))
	require.Greater(t, e.out.Defense[0].PSNR, 60.0, "without a defence everything leaks")
	require.Less(t, e.out.Defense[1].PSNR, 40.0)
	require.Len(t, e.tables(), 4)
	page, err := e.Page(context.Background())
	require.NoError(t, err)
	html, err := page.HTML()
	require.NoError(t, err)
	require.Equal(t, 4, bytes.Count(html, []byte("image/png")))
	require.Equal(t, 1, bytes.Count(html, []byte("image/svg")))
}

// Test images must not choose: here they say the opposite of the samples held out.
func TestChoicesAreMadeOnSamplesHeldOut(t *testing.T) {
	pick, acc, err := best([]float64{1, 2, 3}, func(lr float64) (accuracy, error) {
		return accuracy{held: 1 - math.Abs(lr-2), test: lr}, nil
	})
	require.NoError(t, err)
	require.Equal(t, 2.0, pick)
	require.Equal(t, accuracy{1, 2}, acc)
	for last := range 8 {
		level, acc, err := strongest(8, 0.9, func(i int) (accuracy, error) {
			held := 0.9 - tolerated
			if i > last {
				held -= 0.001
			}
			return accuracy{held: held, test: float64(i)}, nil
		})
		require.NoError(t, err)
		require.Equal(t, last, level)
		require.Equal(t, float64(last), acc.test)
	}
	level, acc, err := strongest(8, 0.9, func(i int) (accuracy, error) { return accuracy{test: float64(10 + i)}, nil })
	require.NoError(t, err)
	require.Zero(t, level, "the weakest, if all cost more")
	require.Equal(t, 10.0, acc.test)
}

func TestFiguresHaveTheirKeys(t *testing.T) {
	text, err := json.Marshal(outcome{CAFE: &leak{}, Batches: []sizeRow{{}}, Defense: []defenseRow{{}}, CIFAR: &color{}})
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	has := func(where any, keys ...string) {
		for _, k := range keys {
			require.Contains(t, where, k)
		}
	}
	has(got, "cafe", "batches", "cifar10", "defense", "mean_image_psnr", "seconds")
	has(got["cafe"], "v_rel_err", "h_rel_err_median", "psnr_median", "frac_above_40", "label_accuracy", "dead", "seconds")
	has(got["batches"].([]any)[0], "k", "cafe", "dlg", "cosine", "sapag")
	has(got["cifar10"], "psnr_median")
	has(got["defense"].([]any)[0], "name", "test_acc", "psnr", "psnr_adaptive", "psnr_most")
}

func TestSameSeedGivesTheSameFigures(t *testing.T) {
	var got [2]*leak
	for i := range got {
		e := tiny(t, "cafe")
		require.NoError(t, e.Run(context.Background()))
		e.out.CAFE.Seconds = 0
		got[i] = e.out.CAFE
	}
	require.Equal(t, got[0], got[1])
}

func TestInterruptedRunPrintsNoEmptyFigures(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{{"-mini", "-json"}, {"-mini"}} {
		var out, errs bytes.Buffer
		require.Equal(t, 130, program().Execute(ctx, args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), "interrupted; there are no figures yet")
	}
}

func TestBadArgumentsAreNamed(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 2, program().Execute(context.Background(), []string{"-parts", "hope"}, &out, &errs))
	require.Contains(t, errs.String(), `"hope"`)
}

func TestMissingColorsAreNamed(t *testing.T) {
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"-parts cifar10: found no cifar10 in " + dir + ", the folder of -data": {"-data", dir},
		"-parts cifar10: want a folder that holds cifar10 with -data":          {"-data", ""},
		"-parts cifar10: -mini has no CIFAR-10":                                {"-mini"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, program().Execute(context.Background(), append(args, "-parts", "cifar10"), &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), want)
	}
	e, err := newExperiment(&example.Env{Data: dir}, options{})
	require.NoError(t, err)
	require.Equal(t, []string{"cafe", "batches", "published", "defense"}, e.parts)
	e.out.CAFE = &leak{}
	require.Contains(t, e.Result().Notes, "Part cifar10 is left out: found no cifar10 in "+dir+", the folder of -data.")
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

// An attacker who may choose takes no setting that is worse on the samples he has: against
// noise a ridge or none, and a change of scale only against what changes the scale.
func TestAdaptiveAttackIsTunedOnTheShadow(t *testing.T) {
	e := tiny(t)
	set := pooled(e.test, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	b := &bench{experiment: e, name: "dense", public: set}
	m := fedleak.NewDenseQuadrants(e.env.Rand("dense"), 14, 1, 10, 32, 16)
	plain := fedleak.CAFE{SkipLabels: true, Coverage: -1}
	choose := func(d fedleak.Defense) fedleak.CAFE {
		shadow := &fedleak.Federation{Model: m, X: set.x, Labels: set.y, Schedule: fedleak.Uniform{K: 4, Seed: 1}, Defense: d}
		a, err := b.tuned(context.Background(), plain, upload{defense: d}, shadow, 30)
		require.NoError(t, err)
		return a
	}
	weak := choose(fedleak.ClippedNoise{Clip: 1, Multiplier: 1e-4})
	require.Zero(t, weak.Ridge)
	require.Nil(t, weak.Rescale)
	strong := choose(fedleak.ClippedNoise{Clip: 1, Multiplier: 0.1})
	require.Positive(t, strong.Ridge)
	require.Nil(t, strong.Rescale)
	require.NotNil(t, choose(&fedleak.FakeGradients{Sigma: 1.1}).Rescale)
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// tiny returns an experiment that takes a second.
func tiny(t *testing.T) *experiment {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	return &experiment{
		env: &example.Env{Seed: 1}, train: train.Take(600), test: test.Take(60),
		plan: plan{
			newNet: func(r *rand.Rand) *nn.Sequential { return nn.NewMLP(r, 28, 28, 1, 32, 10) }, batch: 50,
			standard: 8, hardened: 3, ramp: 1, steps: 2, stepSize: 0.1, rate: 3e-3, restartImages: 10,
		},
	}
}

func TestExperimentFillsEveryFigureOfTheTable(t *testing.T) {
	e := tiny(t)
	require.NoError(t, e.Run(context.Background()))
	for _, f := range []figures{e.out.Standard, e.out.Hardened} {
		require.Len(t, f.Detail, 4)
		for _, v := range []*float64{f.Clean, f.FGSM, f.PGD40, f.PGD100x10} {
			require.NotNil(t, v)
		}
		require.Positive(t, f.Training)
		require.Equal(t, 60, f.Detail["pgd40"].Total)
		require.Equal(t, 10, f.Detail["pgd100x10"].Total)
		require.LessOrEqual(t, *f.PGD40, *f.Clean)
	}
	require.Greater(t, *e.out.Standard.Clean, 0.5)
	text := e.table().Text()
	require.NotContains(t, text, "–")
	require.Contains(t, text, "PGD-100, 10 restarts")

	page, err := e.Page(context.Background())
	require.NoError(t, err)
	html, err := page.HTML()
	require.NoError(t, err)
	require.Equal(t, 2, bytes.Count(html, []byte("image/svg")))
	require.Equal(t, 1, bytes.Count(html, []byte("image/png")))
}

func TestSameSeedGivesTheSameFigures(t *testing.T) {
	var got [2]outcome
	for i := range got {
		e := tiny(t)
		require.NoError(t, e.Run(context.Background()))
		got[i] = e.out
		got[i].Seconds = 0
		for _, f := range []*figures{&got[i].Standard, &got[i].Hardened} {
			f.Training = 0
			for _, m := range f.Detail {
				m.Seconds = 0
			}
		}
	}
	require.Equal(t, got[0], got[1])
}

// A run that is stopped while it hardens shows the standard network and says nothing of
// the other.
func TestInterruptedRunShowsWhatItReached(t *testing.T) {
	e := tiny(t)
	ctx, cancel := context.WithCancel(context.Background())
	made, newNet := 0, e.newNet
	e.newNet = func(r *rand.Rand) *nn.Sequential {
		if made++; made == 2 {
			cancel()
		}
		return newNet(r)
	}
	require.ErrorIs(t, e.Run(ctx), context.Canceled)
	res := e.Result()
	require.Contains(t, res.Tables[0].Text(), "–")
	require.Contains(t, res.Notes[1], "for the standard network; everything")
	require.NotContains(t, strings.Join(res.Notes, " "), "hardened")
	text, err := json.Marshal(res.Figures)
	require.NoError(t, err)
	var got outcome
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, 600, got.Train)
	require.NotNil(t, got.Standard.PGD100x10)
	require.Nil(t, got.Hardened.Clean)
	require.Equal(t, 1, strings.Count(string(text), "training_seconds"))
}

func TestRunWithoutFiguresPrintsNone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{{"-mini", "-json"}, {"-mini"}} {
		var out, errs bytes.Buffer
		require.Equal(t, 130, program().Execute(ctx, args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), "interrupted; there are no figures yet")
	}
}

func TestDamagedDataIsNamed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "mnist"), 0o700))
	for _, name := range []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "mnist", name), []byte("not an idx file"), 0o600))
	}
	var out, errs bytes.Buffer
	require.Equal(t, 1, program().Execute(context.Background(), []string{"-json", "-data", dir}, &out, &errs))
	require.Empty(t, out.String())
	require.Contains(t, errs.String(), filepath.Join(dir, "mnist", "train-"))
}

func TestMiniAndFullExcludeEachOther(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 2, program().Execute(context.Background(), []string{"-mini", "-scale", "full"}, &out, &errs))
	require.Contains(t, errs.String(), "-mini")
}

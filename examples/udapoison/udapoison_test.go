package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// tiny returns an experiment that takes seconds, on 200 digits of each kind.
func tiny(t *testing.T) *experiment {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	fonts, err := dataset.FontDigits{Seed: 1}.Make(200)
	require.NoError(t, err)
	d := between(domain{"MNIST", train.Take(200), test.Take(50)}, domain{"fonts", fonts, fonts.Take(50)})
	e := &experiment{env: &example.Env{Seed: 1}, plan: miniPlan, seeds: 1, learners: []string{"source only", "DANN"}, parts: partNames, workers: 2, pairs: []pair{d, d, d}, models: newModels()}
	e.plan.source, e.plan.target, e.plan.epochs, e.starts = 100, 100, 1, 2
	e.plan.clean.source, e.plan.clean.target, e.plan.clean.poisons = 30, 30, 5
	e.plan.batch, e.plan.other.epochs, e.plan.clean.batch, e.plan.clean.victimBatch = 50, 1, 15, 15
	e.blobs.steps = 5
	return e
}

func TestExperimentFillsEveryFigure(t *testing.T) {
	e := tiny(t)
	require.NoError(t, e.Run(context.Background()))
	var got struct {
		Cells []struct {
			Pair, Learner, Attack string
			Alpha                 *float64
			Seed                  *uint64
			TargetAcc             *float64 `json:"target_acc"`
			SourceAcc             *float64 `json:"source_acc"`
			ShiftedAcc            *float64 `json:"shifted_acc"`
			Epochs                int
		}
		CleanLabel   map[string]any `json:"clean_label"`
		Illustrative []any
		Defense      []any
		Seconds      float64
	}
	out, err := json.Marshal(e.out)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &got))
	seen := map[string]bool{}
	for _, c := range got.Cells {
		seen[c.Learner+" "+c.Attack] = true
		require.NotNil(t, c.Alpha)
		require.NotNil(t, c.Seed)
		require.NotNil(t, c.TargetAcc)
		require.NotNil(t, c.SourceAcc)
		require.NotNil(t, c.ShiftedAcc)
		require.Positive(t, c.Epochs)
	}
	for _, l := range e.learners {
		for _, a := range []string{"none", "source", "watermark", "target"} {
			require.True(t, seen[l+" "+a], "%s %s", l, a)
		}
	}
	for _, k := range []string{"success", "control", "target_acc", "control_target_acc", "distance_ratio"} {
		require.Contains(t, got.CleanLabel, k)
	}
	require.LessOrEqual(t, e.out.CleanLabel.MaxLinf, cleanEps)
	require.Len(t, got.Illustrative, 9)
	require.Len(t, got.Defense, 9)
	require.Positive(t, got.Seconds)
	res := e.Result()
	require.Len(t, res.Tables, 4)
	page, err := e.Page(context.Background())
	require.NoError(t, err)
	html, err := page.HTML()
	require.NoError(t, err)
	require.Equal(t, 5, bytes.Count(html, []byte("image/svg")))
	require.Equal(t, 5, bytes.Count(html, []byte("image/png")))
}

// Learners that nobody asked for are trained only for the defences, which need DANN.
func TestTheTableHasTheLearnersThatWereAskedFor(t *testing.T) {
	e := tiny(t)
	e.learners, e.parts = []string{"source only"}, []string{"table", "defense"}
	require.NoError(t, e.Run(context.Background()))
	for _, c := range e.out.Cells {
		require.True(t, c.Learner == "source only" || c.Pair == e.pairs[0].Name && c.Learner == "DANN", "%s on %s", c.Learner, c.Pair)
	}
	require.NotNil(t, e.reference("none"))
	require.Len(t, e.out.Defense, 9)
	e.learners, e.parts = []string{"DANN"}, []string{"table"}
	for _, j := range e.jobs() {
		require.Equal(t, "DANN", j.name)
	}
}

func TestCleanAndPoisonedTrainingsMakeEquallyManySteps(t *testing.T) {
	e := tiny(t)
	e.learners, e.parts = learnerNames, []string{"table"}
	steps := map[string]int{}
	for _, j := range e.jobs() {
		training, _, err := e.prepare(j)
		require.NoError(t, err)
		require.True(t, training.Even)
		n := (training.Source.Len() + training.BatchSize - 1) / training.BatchSize * j.epochs
		key := fmt.Sprint(j.number, j.name)
		if steps[key] == 0 {
			steps[key] = n
		}
		require.Equal(t, steps[key], n, "%s, alpha %v", j.name, j.alpha)
	}
	require.Len(t, steps, len(learnerNames)+2*len(e.otherLearners))
}

func TestDefencesAreComparedWithTheCellsOfTheTable(t *testing.T) {
	e := tiny(t)
	e.parts = []string{"defense"}
	require.NoError(t, e.Run(context.Background()))
	require.Len(t, e.out.Cells, 2)
	for i, attack := range []string{"none", "target"} {
		c := e.reference(attack)
		require.Equal(t, c.TargetAcc, e.out.Defense[i].TargetAcc)
		require.Equal(t, c.Epochs, e.out.Defense[i].Epochs)
	}
	for _, d := range e.out.Defense {
		require.Equal(t, e.out.Defense[0].Epochs, d.Epochs, d.Name)
	}
}

func TestSameSeedGivesTheSameFiguresForAnyNumberOfWorkers(t *testing.T) {
	var got [2]outcome
	for i := range got {
		e := tiny(t)
		e.workers = i + 1
		require.NoError(t, e.Run(context.Background()))
		got[i] = e.out
		got[i].Seconds = 0
	}
	require.Equal(t, got[0], got[1])
}

func TestCancelledExperimentReportsWhatItHas(t *testing.T) {
	e := tiny(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, e.Run(ctx), context.Canceled)
	require.Equal(t, example.Result{}, e.Result(), "no figures, no tables")
	e.out.Defense = []defended{{Name: "none"}}
	require.NotEmpty(t, e.Result().Notes)
	e.fast = true
	for _, n := range e.notes() {
		require.Less(t, len(n), 400, n)
	}
}

func TestBadFlagsAreRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"-epochs is -1":       {"-epochs", "-1"},
		"-seeds is -1":        {"-seeds", "-1"},
		`-learners has "GAN"`: {"-learners", "dann,GAN"},
		`-parts has "x"`:      {"-parts", "x"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, program().Execute(context.Background(), args, &out, &errs))
		require.Contains(t, errs.String(), want)
	}
}

func TestTexturesAreFitForBackgrounds(t *testing.T) {
	e := example.Env{Seed: 2}
	s := textures(e.Rand("x"), 3, 28, 28)
	require.NoError(t, s.Check())
	_, std := s.Moments()
	require.Greater(t, std[0], 0.05)
}

func TestFramedDigitsKeepTheirInkInTheMiddle(t *testing.T) {
	s := &dataset.Set{Name: "full", H: 16, W: 16, C: 1, Classes: 10, Labels: []int{3, 4}, Floats: make([]float32, 512)}
	for i := range s.Floats {
		s.Floats[i] = float32(1+i/256) / 2
	}
	f := framed(s)
	require.NoError(t, f.Check())
	require.Equal(t, []int{28, 28, 2}, []int{f.H, f.W, f.Len()})
	require.Equal(t, s.Labels, f.Labels)
	for i, v := range f.Floats {
		y, x := i/28%28, i%28
		want := float32(0)
		if y >= 4 && y < 24 && x >= 4 && x < 24 {
			want = float32(1+i/784) / 2
		}
		require.InDelta(t, want, v, 1e-6, "pixel %d, %d", y, x)
	}
}

func TestVariantsAreToldByTheirFingerprints(t *testing.T) {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	require.Contains(t, variant(train, test), "an unknown variant with the fingerprint "+train.Fingerprint()[:12])
	for _, c := range []struct {
		name        string
		train, test int
	}{{"mnist", 60000, 10000}, {"usps", 7291, 2007}, {"mnistm", 10000, 9001}} {
		t.Run(c.name, func(t *testing.T) {
			train, test, err := (&example.Env{Data: realdata.Dir(t)}).Both(c.name)
			realdata.Found(t, err)
			if train.Len() != c.train || test.Len() != c.test {
				t.Skipf("found %d and %d images, the known variant has %d and %d", train.Len(), test.Len(), c.train, c.test)
			}
			if c.name == "usps" && train.Bytes != nil {
				t.Skip("found USPS with 256 grey levels, the known variant has 2,001")
			}
			require.NotContains(t, variant(train, test), "unknown")
		})
	}
}

// Without MNIST-M the digits are blended with photos, if there are some.
func TestDigitsAreBlendedWithPhotos(t *testing.T) {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	dir := t.TempDir()
	digits := domain{"MNIST", train.Take(20), test.Take(10)}
	d, note, err := colours(&example.Env{Seed: 1, Data: dir}, digits)
	require.NoError(t, err)
	require.Equal(t, "MNIST on textures", d.name)
	require.Contains(t, note, "stands in for MNIST-M")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bsds-patches"), 0o755))
	_, _, err = colours(&example.Env{Seed: 1, Data: dir}, digits)
	require.ErrorContains(t, err, "found no PNG")
	sheet := image.NewRGBA(image.Rect(0, 0, 1024, 3))
	for i := range sheet.Pix {
		sheet.Pix[i] = byte(i * i % 251)
		if i%4 == 3 {
			sheet.Pix[i] = 255
		}
	}
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, sheet))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bsds-patches", "windows.png"), out.Bytes(), 0o600))
	d, note, err = colours(&example.Env{Seed: 1, Data: dir}, digits)
	require.NoError(t, err)
	require.Equal(t, "MNIST-M (generated)", d.name)
	require.Contains(t, note, "3 windows of BSDS500")
	require.NoError(t, d.train.Check())
	require.NoError(t, dataset.Aligned(digits.train, d.train))
}

// A folder that lacks data sets is not passed over in silence.
func TestStandInsAreTold(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	require.Equal(t, 130, program().Execute(ctx, []string{"-mini", "-json", "-data", dir}, &out, &errs))
	require.Empty(t, out.String())
	for _, want := range []string{
		dir + " has no mnist/: using ", dir + " has no usps/: using digits drawn in fonts",
		dir + " has no mnist-m/, no bsds-patches/: using MNIST on generated textures", "there are no figures yet",
	} {
		require.Contains(t, errs.String(), want)
	}
}

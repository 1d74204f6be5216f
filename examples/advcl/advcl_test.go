package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/internal/example"
)

// tiny returns an experiment that takes a second or two.
func tiny(t *testing.T, state string, methods ...string) *experiment {
	e, err := newExperiment(&example.Env{Seed: 1, Scale: example.Small}, options{quick: true, state: state})
	require.NoError(t, err)
	p := &e.plan
	p.train, p.steps, p.curve, p.batch, p.probeEpochs, p.apgd = 64, 4, 2, 16, 2, 4
	p.page = pagePlan{landscape: 8, points: 3, tsne: 100, iterations: 5, inversion: 2, sweep: 8, corruptions: 4, probe: 100}
	if len(methods) > 0 {
		p.methods = methods
	}
	e.images, e.test = e.images.Take(p.train), e.test.Take(p.test)
	e.x, e.y = e.test.All()
	e.progress.stage = e.env.Stage("tests", 1)
	return e
}

func TestExperimentFillsEveryFigure(t *testing.T) {
	e := tiny(t, "")
	require.NoError(t, e.Run(context.Background()))
	text, err := json.Marshal(e.out)
	require.NoError(t, err)
	var got struct {
		Runs    []map[string]any
		Summary []map[string]any
		Paired  []map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got.Runs, len(methodNames))
	require.Len(t, got.Summary, len(methodNames))
	require.Len(t, got.Paired, len(pairs))
	for _, k := range []string{"method", "seed", "sa", "ra_8", "ra_4", "apgd_t", "gflop", "seconds"} {
		require.Contains(t, got.Runs[0], k)
	}
	for _, k := range []string{"method", "sa_mean", "ra_8_mean", "ra_8_sd"} {
		require.Contains(t, got.Summary[0], k)
	}
	for _, r := range e.out.Runs {
		require.LessOrEqual(t, r.RA8, r.SA)
		require.LessOrEqual(t, r.RA8, r.RA4)
		if r.Method != random {
			require.Len(t, r.Curve, 2)
			require.Positive(t, r.GFLOP)
			require.Equal(t, r.SA, r.Curve[1].SA, "the last point of the curve is the outcome")
		}
		if strongly[r.Method] {
			require.NotNil(t, r.APGD)
		}
	}
	require.Len(t, e.out.Checks.Encoders, 6)
	require.Len(t, e.Result().Tables, 7)
	page, err := e.Page(context.Background())
	require.NoError(t, err)
	html, err := page.HTML()
	require.NoError(t, err)
	require.Equal(t, 4+2+6+6, bytes.Count(html, []byte("image/svg")))
	require.Equal(t, 1, bytes.Count(html, []byte("image/png")))
}

// What is started again takes over finished runs and goes on with the others, and ends
// with the same figures.
func TestExperimentGoesOnWhereItWas(t *testing.T) {
	methods := []string{simCLR, advCLPseudo}
	whole := tiny(t, "", methods...)
	whole.workers = 1
	require.NoError(t, whole.Run(context.Background()))

	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	first := tiny(t, dir, simCLR)
	require.NoError(t, first.Run(ctx))
	cancel()
	stopped := tiny(t, dir, methods...)
	require.ErrorIs(t, stopped.Run(ctx), context.Canceled)
	second := tiny(t, dir, methods...)
	second.workers = 3
	require.NoError(t, second.Run(context.Background()))
	for i, r := range second.out.Runs {
		want := whole.out.Runs[i]
		r.Seconds, want.Seconds = 0, 0
		require.Equal(t, want, r)
	}
	require.Equal(t, whole.out.Paired, second.out.Paired)
	require.Equal(t, whole.out.Checks.Encoders, second.out.Checks.Encoders)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Contains(t, files, filepath.Join(dir, "labels-1.json"))

	other := tiny(t, dir, methods...)
	other.plan.lr /= 2
	require.ErrorContains(t, other.Run(context.Background()), "other settings")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "SimCLR-1.result.json"), []byte("{"), 0o600))
	require.Error(t, tiny(t, dir, methods...).Run(context.Background()))
}

// A measurement that failed, on the way or at the end, or was stopped, is made again by
// the next program, and the curve is the one of a program that was not stopped.
func TestNoMeasurementIsLost(t *testing.T) {
	whole := tiny(t, "", simCLR)
	require.NoError(t, whole.Run(context.Background()))
	dir := t.TempDir()
	for range 2 {
		failing := tiny(t, dir, simCLR)
		failing.y = failing.y[:1]
		require.Error(t, failing.Run(context.Background()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := tiny(t, dir, simCLR)
	last := record{Method: simCLR, Seed: 1, Steps: 4}
	s, err := stopped.setUp(ctx, simCLR, 1)
	require.NoError(t, err)
	s.method.(*advcl.Contrastive).OnStep = func(step int, _ advcl.Values) {
		if step == 3 {
			stopped.y = stopped.y[:1]
		}
	}
	require.Error(t, stopped.pretrain(ctx, s, &last), "in the measurement of the last step")
	require.Len(t, last.Curve, 1)
	cancel()
	require.ErrorIs(t, tiny(t, dir, simCLR).Run(ctx), context.Canceled)
	second := tiny(t, dir, simCLR)
	require.NoError(t, second.Run(context.Background()))
	require.Equal(t, whole.out.Runs[0].Curve, second.out.Runs[0].Curve)
	require.Equal(t, whole.out.Runs[0].SA, second.out.Runs[0].SA)
}

// Pseudo-labels of an encoder with other settings are not taken over.
func TestPseudoLabelsBelongToTheirEncoder(t *testing.T) {
	dir := t.TempDir()
	first := tiny(t, dir, advCLPseudo)
	_, err := first.pseudoLabels(context.Background(), 1)
	require.NoError(t, err)
	again := tiny(t, dir, advCLPseudo)
	got, err := again.pseudoLabels(context.Background(), 1)
	require.NoError(t, err)
	require.Empty(t, again.trainings.done, "no encoder is trained for labels that are there")
	require.Equal(t, []int{2, 5}, got.Clusters())
	other := tiny(t, dir, advCLPseudo)
	other.plan.steps *= 2
	_, err = other.pseudoLabels(context.Background(), 1)
	require.ErrorContains(t, err, "other settings")
}

// Rows of the learning curve are steps, whatever another method has at the same place.
func TestCurvesAreRowsOfSteps(t *testing.T) {
	e := &experiment{}
	e.out.Runs = []record{
		{Method: simCLR, Curve: []point{{Step: 4, SA: 0.4, RA8: 0.1}}},
		{Method: acl, Curve: []point{{Step: 2, SA: 0.2}, {Step: 4, SA: 0.3}}},
	}
	table := e.curveTable()
	require.Equal(t, 2, table.Len())
	require.Contains(t, table.Text(), "40.0 / 10.0")
}

// The number of steps that was chosen for a machine's speed stays with the folder.
func TestStepsAreChosenOnce(t *testing.T) {
	require.Equal(t, []int{1000, 600, 600}, []int{stepsFor(200), stepsFor(199), stepsFor(50)})
	e := &experiment{state: filepath.Join(t.TempDir(), "state")}
	for _, choice := range []int{600, 1000, 300} {
		got, err := e.stepsOnce(choice)
		require.NoError(t, err)
		require.Equal(t, 600, got)
	}
	require.NoError(t, os.WriteFile(filepath.Join(e.state, "steps"), []byte("many"), 0o600))
	_, err := e.stepsOnce(1)
	require.ErrorContains(t, err, `holds "many"`)
}

func TestBadFlagsAreRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"-steps is -1":           {"-quick", "-steps", "-1"},
		"without -steps":         {"-data", ".", "-seeds", "2", "-shard", "1/2", "-out", "x"},
		`-methods has "x"`:       {"-quick", "-methods", "acl,x"},
		"want it without -scale": {"-quick", "-scale", "medium"},
		"no -data: want":         {"-data", ""},
		"-show without -state":   {"-quick", "-show"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, program().Execute(context.Background(), args, &out, &errs))
		require.Contains(t, errs.String(), want)
	}
}

func TestDifferencesAreOfTheSameImages(t *testing.T) {
	mean, se := difference([]bool{true, true, false, false}, []bool{true, false, false, false})
	require.InDelta(t, 0.25, mean, 1e-12)
	require.InDelta(t, 0.25, se, 1e-12)
	r := record{}
	for _, step := range []int{2, 4, 2, 3} {
		r.setPoint(point{Step: step})
	}
	require.Equal(t, []point{{Step: 2}, {Step: 3}, {Step: 4}}, r.Curve)
}

func TestClaimsAreJudged(t *testing.T) {
	o := outcome{Scale: "small"}
	yes, no := []bool{true, false}, []bool{false, false}
	o.Runs = []record{
		{Method: simCLR, SA: 0.5, clean: yes, robust: no},
		{Method: acl, SA: 0.5, RA8: 0.1, clean: yes, robust: yes},
		{Method: advCL, SA: 0.4, RA8: 0.2, clean: yes, robust: yes},
	}
	o.summarise()
	require.Len(t, o.Claims, 3)
	require.True(t, o.Claims[0].Holds)
	require.False(t, o.Claims[1].Holds)
	require.True(t, o.Claims[2].Holds)
}

// The full scale has the lengths and rates of the papers, and says what it costs.
func TestFullScaleIsThePapers(t *testing.T) {
	e := &experiment{plan: fullPlan}
	steps, batch := e.length(advCL)
	require.Equal(t, []int{98000, 512}, []int{steps, batch})
	// 22 passes of an image without pseudo-labels, 1,000 epochs: the paper's page has
	// 1.2e18 operations.
	require.InEpsilon(t, 22*1.1108352*50176*1000, e.work(advCL, 22, steps), 1e-9)
	for _, name := range methodNames {
		var run advcl.Pretraining
		require.NoError(t, e.schedule(&run, name))
		require.Positive(t, run.Epochs)
		require.Zero(t, run.Steps)
	}
	var run advcl.Pretraining
	require.NoError(t, e.schedule(&run, acl))
	require.InDelta(t, 5, run.Schedule(979), 1e-9)
}

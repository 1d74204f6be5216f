package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// tiny returns an experiment that takes seconds.
func tiny(t *testing.T, parts ...string) *experiment {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	p := miniPlan
	p.width, p.steps = 16, 6
	p.epochs = map[string]int{"mnist A": 3, "mnist B": 1, "mnist C": 3, "mnist D": 1, "cifar10 A": 1, "cifar10 C": 1, "cifar10 D": 1}
	p.ensemble, p.calibrate, p.rules, p.gammas, p.universal, p.transform, p.groups = 16, 16, 8, 8, 40, 8, 3
	p.defenseImages, p.defenseEpochs, p.inner, p.judged, p.weightEps = 260, 1, 2, 20, []float64{1}
	// Noise of the right form stands in for CIFAR-10.
	r := rand.New(rand.NewPCG(1, 1))
	noise := &dataset.Set{Name: "noise", H: 32, W: 32, C: 3, Classes: 10, Bytes: make([]byte, 200*32*32*3), Labels: make([]int, 200)}
	for i := range noise.Bytes {
		noise.Bytes[i] = byte(r.Uint32())
	}
	for i := range noise.Labels {
		noise.Labels[i] = i % 10
	}
	e := &experiment{
		env: &example.Env{Seed: 4, Scale: example.Small}, plan: p, parts: parts, nets: map[string]trained{},
		sets: map[string][2]*dataset.Set{"mnist": {train.Take(400), test.Take(300)}, "cifar10": {noise.Take(150), noise.Take(50)}},
	}
	e.out.Data = map[string]string{"mnist": "cut"}
	return e
}

func TestExperimentFillsEveryTable(t *testing.T) {
	e := tiny(t, allParts...)
	require.NoError(t, e.Run(context.Background()))
	require.Len(t, e.out.Models, 7)
	require.Len(t, e.out.Ensemble, 4)
	for n, c := range e.out.Ensemble {
		require.Positive(t, c.Eps)
		require.Len(t, c.Weights, 4)
		for _, s := range []score{c.Average, c.MinMax, c.AverageKappa0} {
			require.Len(t, s.Acc, 4)
			require.True(t, s.Interval[0] <= s.ASRAll && s.ASRAll <= s.Interval[1], n)
			for _, a := range s.Acc {
				require.LessOrEqual(t, s.ASRAll, 1-a+1e-12)
			}
		}
	}
	require.Len(t, e.out.Rules, 10)
	require.Len(t, e.out.Gamma, len(gammas))
	require.Equal(t, e.out.Gamma[len(gammas)-1].ASRAll, e.out.GammaAverage.ASRAll, "a very large gamma is the average")
	require.Len(t, e.out.Universal, len(groupSizes))
	require.Len(t, e.out.Transform, 3)
	require.Len(t, e.out.Defense, 2*len(schemes))
	require.Len(t, e.out.Weights, 1)
	require.Equal(t, 3, e.out.Interpretation.Groups)
	for _, d := range e.out.Defense {
		require.True(t, d.AccMaxAdv <= d.Linf && d.AccMaxAdv <= d.L2 && d.Linf <= d.Clean && d.L2 <= d.Clean)
		require.Len(t, d.Curve, len(curveEps))
		require.Equal(t, d.Training == "AMPGD", d.Weights != nil)
	}
	require.Len(t, e.out.Calibration, 4)
	checkCalibration(t, e)
	require.Len(t, e.tables(), 7)
	page, err := e.Page(context.Background())
	require.NoError(t, err)
	html, err := page.HTML()
	require.NoError(t, err)
	require.Equal(t, 5, bytes.Count(html, []byte("image/svg")))
	require.Equal(t, 1, bytes.Count(html, []byte("image/png")))
	text, err := json.Marshal(e.out)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	for _, key := range []string{"ensemble", "universal", "transform", "gamma", "defense", "seconds"} {
		require.Contains(t, got, key)
	}
}

// checkCalibration requires that the radii that were found are those of the attacks, and
// that what is said of them is true, whether or not the search ended where it should.
func checkCalibration(t *testing.T, e *experiment) {
	nets, err := e.networks(context.Background(), "mnist", "ABCD")
	require.NoError(t, err)
	x, y := e.images("mnist", e.plan.ensemble, e.calibrate)
	notes := strings.Join(e.notes(), "\n")
	require.NotContains(t, notes, "45 to 55")
	for k, s := range mnistSettings {
		c := e.out.Calibration[k]
		require.Equal(t, s.norm.String(), c.Norm)
		require.Equal(t, e.out.Ensemble[c.Norm].Eps, c.Eps)
		res, err := e.attackWith(context.Background(), "", s.attack(c.Eps, minmax.Average{}, e.steps), ensembleOf(nets, x, y))
		require.NoError(t, err)
		require.Equal(t, minmax.Score(res.Fooled).All.Value, c.ASRAll, c.Norm)
		require.Contains(t, notes, fmt.Sprintf("%s %.3g fools %.1f %%", c.Norm, c.Eps, 100*c.ASRAll))
	}
}

// The accuracies under transformations are named by those of the set itself.
func TestEverySetNamesItsTransformations(t *testing.T) {
	e := tiny(t)
	e.out.Transform = []transformRow{{Set: "stochastic"}}
	notes := strings.Join(e.notes(), "\n")
	require.Contains(t, notes, "of the stochastic set, in the order of the accuracies: identity, flip left-right with probability 0.8")
	require.NotContains(t, notes, "30")
	e.out.Transform = []transformRow{{Set: "photometric"}, {Set: "with rotation"}}
	notes = strings.Join(e.notes(), "\n")
	require.Contains(t, notes, "photometric set")
	require.Contains(t, notes, "rotation 30°")
	require.NotContains(t, notes, "probability")
}

func TestSameSeedGivesTheSameFigures(t *testing.T) {
	var got [2]string
	for i := range got {
		e := tiny(t, "rules", "universal", "defense")
		require.NoError(t, e.Run(context.Background()))
		e.out.Seconds = 0
		for k := range e.out.Defense {
			e.out.Defense[k].Seconds = 0
		}
		text, err := json.Marshal(e.out)
		require.NoError(t, err)
		got[i] = string(text)
	}
	require.Equal(t, got[0], got[1])
}

// The networks have the numbers of parameters that the paper's code leads to.
func TestNetworksHaveTheirSizes(t *testing.T) {
	for _, c := range []struct {
		letter string
		params int
	}{{"A", 125898}, {"B", 700810}, {"C", 44426}, {"D", 421642}} {
		for _, a := range architectures {
			if a.letter != c.letter {
				continue
			}
			n := 0
			for _, w := range nn.Params(a.build(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 1)) {
				n += w.Len()
			}
			require.Equal(t, c.params, n, c.letter)
		}
	}
}

// The full experiment attacks all test images and has none left to look for a radius
// on.
func TestFullScaleTakesThePapersRadii(t *testing.T) {
	e := tiny(t)
	e.plan = fullPlan
	for _, s := range mnistSettings {
		eps, err := e.radius(context.Background(), nil, s)
		require.NoError(t, err)
		require.Equal(t, s.eps, eps)
	}
}

// Wherever a figure of the paper is shown, it is marked as unconfirmed.
func TestPaperFiguresAreMarked(t *testing.T) {
	e := tiny(t)
	e.out.Rules = []ruleRow{{Name: "average"}}
	require.Contains(t, e.ruleTable().Text(), "48.2")
	require.Contains(t, e.ruleTable().Text(), "unconfirmed")
	require.Contains(t, strings.Join(e.notes(), "\n"), "unconfirmed")
}

func TestRanks(t *testing.T) {
	require.InDelta(t, 1, rankCorrelation([]float64{1, 5, 2}, []float64{0.1, 9, 3}), 1e-12)
	require.InDelta(t, -1, rankCorrelation([]float64{1, 5, 2}, []float64{3, 0, 2}), 1e-12)
	require.Zero(t, rankCorrelation([]float64{1, 1}, []float64{1, 2}))
	require.Equal(t, []float64{0.5, 2, 3.5, 2}, ranks([]float64{1, 2, 3, 2}))
	require.Equal(t, []int{0, 2, 4, 6, 8}, sameLabel([]int{7, 1, 7, 1, 7, 1, 7, 1, 7}, 3))
	require.Equal(t, []float64{0.1, 0.4, 0.2, 0.3}, prior([]int{1, 3, 2, 0}))
}

func TestInterruptedRunShowsWhatItReached(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var out, errs bytes.Buffer
	require.Equal(t, 130, program().Execute(ctx, []string{"-mini", "-json"}, &out, &errs))
	var got outcome
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Equal(t, "embedded cut of MNIST", got.Data["mnist"])
	require.NotNil(t, got.Transform, "an empty list, not null")
	require.NotNil(t, got.Ensemble)
	require.Contains(t, errs.String(), "interrupted")
}

func TestBadArgumentsAreNamed(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 2, program().Execute(context.Background(), []string{"-parts", "ensemble,hope"}, &out, &errs))
	require.Contains(t, errs.String(), `"hope"`)
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

func TestRealDataIsFound(t *testing.T) {
	dir := realdata.Dir(t)
	for _, name := range []string{"mnist", "cifar10"} {
		_, err := dataset.Load(dir, name, dataset.Test)
		realdata.Found(t, err)
	}
	e, err := newExperiment(&example.Env{Data: dir, Scale: example.Small}, options{})
	require.NoError(t, err)
	require.Equal(t, 60000, e.sets["mnist"][0].Len())
	require.Equal(t, 10000, e.sets["cifar10"][1].Len())
	require.Empty(t, e.missing)
}
